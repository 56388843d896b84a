"""Policies on this side: files, history, what each plugin enforces, what an edit would change."""
