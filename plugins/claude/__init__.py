"""The agent itself: it has no commands to judge, but a network, as far as `claude.yaml` says."""
