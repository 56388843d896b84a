"""The git plugin: git's command line, rules, hooks and remotes."""
