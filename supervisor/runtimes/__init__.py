"""Runtimes: what runs plugins, which one is used, and what it counts and logs."""
