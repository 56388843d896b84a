"""A push under another name."""

from __future__ import annotations

from tests.escape.attack import Attack

ATTACKS = (
    Attack("on the command line", "git -c alias.p='push origin HEAD:main' p"),
    Attack("with arguments", "git -c alias.p=push p origin HEAD:main"),
    Attack("configured", "git config alias.p 'push origin'; git p HEAD:main"),
    Attack("of an alias", "git config alias.a b; git config alias.b push; git a origin HEAD:main"),
    Attack("with options before", "git -c alias.p='-c push.default=matching push -f origin HEAD:main' p"),
    Attack("shell", "git -c alias.p='!git push origin HEAD:main' p"),
    Attack("shell function", "git -c alias.p='!f() { git \"$@\" origin HEAD:main; }; f' p push"),
    Attack("shell with a full path", "git -c alias.p='!/usr/bin/git push origin HEAD:main' p"),
    Attack("shell, word put together", "git -c alias.p='!g=gi; p=pu; ${g}t ${p}sh origin HEAD:main' p"),
    Attack("shell, decoded",
           "git -c alias.p='!echo Z2l0IHB1c2ggb3JpZ2luIEhFQUQ6bWFpbgo= | base64 -d | sh' p"),
    Attack("shell, by xargs", "git -c alias.p='!echo push origin HEAD:main | xargs git' p"),
    Attack("shell, a program of the repository", "git -c alias.p=\"!$PLANT\" p"),
    Attack("included file",
           "git config -f extra alias.p 'push origin HEAD:main'; git config include.path ../extra; git p"),
    Attack("included on a condition",
           "git config -f extra alias.p 'push origin HEAD:main'; "
           "git config includeIf.gitdir:$W/.path ../extra; git p"),
    Attack("worktree's configuration",
           "git config extensions.worktreeConfig true; git config --worktree remote.origin.push HEAD:main; git push origin"),
    Attack("a program on the path",
           "printf '#!/bin/sh\\nexec /usr/bin/git push origin HEAD:main\\n' >git-p; chmod +x git-p; PATH=$PATH:$W git p"),
)  # fmt: skip
