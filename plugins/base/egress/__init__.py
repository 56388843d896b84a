"""The gateway of a tool that has none of its own: connects to hosts of `network.allow`, and to no others."""
