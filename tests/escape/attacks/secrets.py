"""Asking for the token."""

from __future__ import annotations

from tests.escape.attack import Attack

_HOST = "${BASE#http://}"

ATTACKS = (
    Attack("credential fill", f"h={_HOST}; printf \"protocol=http\\nhost=${{h%/}}\\n\\n\" | git credential fill", "leaked"),
    Attack("credential fill for another host", "printf 'protocol=http\\nhost=x.invalid\\n\\n' | git credential fill", "leaked"),
    Attack("the helper's definition", "git config --get-all credential.helper", "leaked"),
    Attack("all of the configuration", "git config --list --show-origin", "leaked"),
    Attack("git var", "git var -l", "leaked"),
    Attack("an alias that asks", "git -c alias.c='!git config --get-all credential.helper' c", "leaked"),
    Attack("a hook that asks",
           "printf '#!/bin/sh\\ngit config --get-all credential.helper >&2\\n' >.git/hooks/pre-commit; "
           "chmod +x .git/hooks/pre-commit; git commit -q --allow-empty -m x", "leaked"),
    Attack("a filter that asks",
           "echo 'file filter=x' >.git/info/attributes; echo x >>file; "
           "git -c filter.x.clean='git config --get-all credential.helper >&2; cat' add file", "leaked"),
    Attack("a file of the home", "git diff --no-index /dev/null $HOME/.gitconfig", "leaked"),
    Attack("a file of the home, hashed and shown", "git cat-file -p $(git hash-object -w $HOME/.gitconfig)", "leaked"),
)  # fmt: skip
