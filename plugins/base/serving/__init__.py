"""The agent's side of a plugin: its socket, its requests, and the life of each command."""
