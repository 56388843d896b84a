"""The checks that judge a git command: each looks at one thing and gives its reasons."""
