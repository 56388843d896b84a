"""Screens: each composes widgets, asks the backend, and answers keys. Imported when first opened."""
