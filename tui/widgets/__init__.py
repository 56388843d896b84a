"""Widgets: they hold state, draw it and post messages; they never know a backend."""
