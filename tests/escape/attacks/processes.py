"""Other processes: what they are told, and what planted code learns where git runs."""

from __future__ import annotations

from tests.escape.attack import Attack

# What the developer's own shell was started with is in the environment of all that it starts.
_SPY = (
    "printf '#!/bin/sh\\ncat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null "
    '| tr "\\\\0" "\\\\n" | grep -a -i token >&2; cat\\n\' >spy.sh; chmod +x spy.sh; '
)


def _inside(script: str) -> str:
    """Runs a script where git runs its file system monitor; $ORIGIN is filled in beforehand."""
    return f"cat >inside.sh <<END\n#!/bin/sh\n{script}\nEND\nchmod +x inside.sh; git -c core.fsmonitor=$W/inside.sh status"


ATTACKS = (
    Attack("environments and command lines", _SPY + "./spy.sh </dev/null", "leaked"),
    Attack("the same, from where git runs",
           _SPY + "git -c core.fsmonitor=$W/spy.sh status </dev/null", "leaked"),
    Attack("the same, from a filter, while git talks to the remote",
           _SPY + "(for i in $(seq 5); do git ls-remote origin >/dev/null 2>&1; done) & "
           "echo 'file filter=x' >.git/info/attributes; for i in $(seq 10); do echo x >>file; "
           "git -c filter.x.clean=$W/spy.sh add file; done; wait", "leaked"),
    Attack("the same, from an editor", _SPY + "GIT_EDITOR=$W/spy.sh git commit --allow-empty </dev/null", "leaked"),
    Attack("past git, at the door of the gateway",
           _inside("unset GIT_DIR GIT_INDEX_FILE; cd $W; url=$ORIGIN\n"
                   "[ -z \"\\$CLAUDE_CONTAINER_GATEWAY\" ] || "
                   "url=\\$CLAUDE_CONTAINER_GATEWAY/-/http/${ORIGIN#http://}\n"
                   "GIT_EXEC_PATH= git -c core.fsmonitor= -c core.hooksPath=/dev/null push \\$url HEAD:refs/heads/main")),
    Attack("the same, in the name of another command",
           _inside("unset GIT_DIR GIT_INDEX_FILE; cd $W\n"
                   "export CLAUDE_CONTAINER_COMMAND=0123456789abcdef0123456789abcdef\n"
                   "git -c core.fsmonitor= -c core.hooksPath=/dev/null push origin HEAD:refs/heads/main")),
    Attack("the door of the gateway, to another repository",
           _inside("unset GIT_DIR GIT_INDEX_FILE; cd $W; url=$OTHER\n"
                   "[ -z \"\\$CLAUDE_CONTAINER_GATEWAY\" ] || "
                   "url=\\$CLAUDE_CONTAINER_GATEWAY/-/http/${OTHER#http://}\n"
                   "GIT_EXEC_PATH= git -c core.fsmonitor= -c core.hooksPath=/dev/null push \\$url HEAD:refs/heads/claude/x"),
           "elsewhere"),
    Attack("a hook's answer, forged",
           "printf '#!/bin/sh\\nexit 0\\n' >yes; chmod +x yes; mkdir hooks; cp yes hooks/pre-push; "
           "git -c core.hooksPath=hooks push origin HEAD:main"),
    Attack("a child that outlives its command",
           _inside("(unset GIT_DIR GIT_INDEX_FILE; cd $W; while [ ! -e go ]; do sleep 0.1; done; "
                   "git -c core.fsmonitor= -c core.hooksPath=/dev/null push origin HEAD:refs/heads/main; touch gone) "
                   ">/dev/null 2>&1 </dev/null &") + "; touch go; for i in $(seq 50); do [ -e gone ] && break; sleep 0.1; done"),
)  # fmt: skip
