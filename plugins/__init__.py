"""Enforcement: what stands between an agent's command and the real tool."""
