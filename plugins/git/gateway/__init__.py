"""The gateway: the one process with a credential and a network, which judges pushes on the wire."""
