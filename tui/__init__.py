"""cc-tui: the operator's desk. Screens and widgets; no business logic."""
