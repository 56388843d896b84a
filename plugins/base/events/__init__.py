"""What a plugin records of its decisions: built, redacted, kept on disk, counted."""
