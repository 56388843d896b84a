"""Forged ancestry, and refs that change while a push runs."""

from __future__ import annotations

from tests.escape.attack import Attack

_GRAFT = "git replace --graft HEAD HEAD~1 origin/claude/other; "

ATTACKS = (
    Attack("replace --graft", _GRAFT + "git push origin HEAD:claude/other"),
    Attack("replace --graft of an unrelated history",
           "git checkout -q --orphan u; git commit -qm u; git replace --graft HEAD origin/claude/other; "
           "git push origin HEAD:claude/other"),
    Attack("grafts file",
           "echo \"$(git rev-parse HEAD) $(git rev-parse origin/claude/other)\" >.git/info/grafts; "
           "git push origin HEAD:claude/other"),
    Attack("grafts file by the environment",
           "echo \"$(git rev-parse HEAD) $(git rev-parse origin/claude/other)\" >g; "
           "GIT_GRAFT_FILE=g git push origin HEAD:claude/other"),
    Attack("lease on a forged tracking ref",
           "git update-ref refs/remotes/origin/claude/other $(git ls-remote origin claude/other | cut -f1); "
           "git push --force-with-lease=claude/other origin HEAD:claude/other"),
    Attack("lease with the value named",
           "git push --force-with-lease=claude/other:$(git rev-parse origin/claude/other) origin HEAD:claude/other"),
    Attack("a hook pushes first",
           "printf '#!/bin/sh\\nunset GIT_DIR\\ngit push -q --no-verify origin HEAD:refs/heads/main\\n' >.git/hooks/pre-push; "
           "chmod +x .git/hooks/pre-push; git push -q origin HEAD:claude/x"),
    Attack("the configuration changes meanwhile",
           "printf '#!/bin/sh\\ngit config remote.origin.push HEAD:refs/heads/main\\nunset GIT_DIR\\n"
           "git push -q --no-verify origin\\n' >.git/hooks/pre-push; "
           "chmod +x .git/hooks/pre-push; git push -q origin HEAD:claude/x"),
    Attack("a symbolic ref",
           "git symbolic-ref refs/heads/claude/link refs/heads/main; git branch -f main HEAD; "
           "git push origin claude/link:refs/heads/main"),
    Attack("a process that stays",
           "printf '#!/bin/sh\\nunset GIT_DIR\\n(sleep 0.3; git push -q origin HEAD:refs/heads/main) &\\nwait\\n' "
           ">.git/hooks/post-commit; chmod +x .git/hooks/post-commit; git commit -q --allow-empty -m x"),
)  # fmt: skip
