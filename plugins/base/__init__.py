"""What every plugin shares: protocol, policy, server, worker and the control link."""
