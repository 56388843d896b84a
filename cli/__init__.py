"""What people type: the `claude-container` command. `agent/` holds what the agent types."""
