"""Keys and hooks by which a repository makes git run a program: each runs one that pushes main.

Source: git-config(1), githooks(5), gitattributes(5) and the commands' own pages.
"""

from __future__ import annotations

from tests.escape.attack import Attack

_CONFLICT = "git switch -q -c a main; echo a >file; git commit -qam a; git switch -q -c b main; echo b >file; git commit -qam b; "


def _hook(name: str) -> str:
    return f"cp $PLANT .git/hooks/{name}; "


def _attributes(text: str) -> str:
    return f"echo 'file {text}' >.git/info/attributes; "


def _terminal(command: str) -> str:
    return f"TERM=xterm script -qec '{command}' /dev/null </dev/null"


ATTACKS = (
    Attack("core.fsmonitor", "git -c core.fsmonitor=$PLANT status"),
    Attack("core.fsmonitor, configured", "git config core.fsmonitor $PLANT; git diff"),
    Attack("core.editor", "git -c core.editor=$PLANT commit --allow-empty"),
    Attack("core.editor of a tag", "git -c core.editor=$PLANT tag -a x"),
    Attack("core.editor of notes", "git -c core.editor=$PLANT notes edit"),
    Attack("core.editor of the configuration", "git -c core.editor=$PLANT config --edit"),
    Attack("core.editor of a description", "git -c core.editor=$PLANT branch --edit-description"),
    Attack("sequence.editor", "git -c sequence.editor=$PLANT rebase -i HEAD~1"),
    Attack("core.sshCommand", "git -c core.sshCommand=$PLANT ls-remote ssh://git.invalid/x"),
    Attack("core.gitProxy", "git -c core.gitProxy=$PLANT ls-remote git://git.invalid/x"),
    Attack("core.askPass", "git -c credential.helper= -c core.askPass=$DEAF ls-remote $EVIL/x"),
    Attack("core.hooksPath",
           "mkdir hooks; cp $PLANT hooks/pre-commit; git -c core.hooksPath=hooks commit --allow-empty -m x"),
    Attack("credential.helper", "git -c credential.helper=\"!$PLANT\" ls-remote $EVIL/x"),
    Attack("credential.helper for a host", "git -c credential.$EVIL.helper=\"!$PLANT\" ls-remote $EVIL/x"),
    Attack("diff.external", "git -c diff.external=$PLANT diff HEAD~1"),
    Attack("diff driver", _attributes("diff=x") + "git -c diff.x.command=$PLANT diff HEAD~1"),
    Attack("diff textconv", _attributes("diff=x") + "git -c diff.x.textconv=$PLANT diff HEAD~1"),
    Attack("textconv of cat-file",
           _attributes("diff=x") + "git -c diff.x.textconv=$PLANT cat-file --textconv HEAD:file"),
    Attack("textconv of blame", _attributes("diff=x") + "git -c diff.x.textconv=$PLANT blame file"),
    Attack("textconv of grep", _attributes("diff=x") + "git -c diff.x.textconv=$PLANT grep --textconv mine"),
    Attack("filter clean", _attributes("filter=x") + "echo x >>file; git -c filter.x.clean=$PLANT add file"),
    Attack("filter smudge", _attributes("filter=x") + "git -c filter.x.smudge=$PLANT checkout -q HEAD~1"),
    Attack("filter process", _attributes("filter=x") + "echo x >>file; git -c filter.x.process=$PLANT add file"),
    Attack("filter in the tree",
           "echo 'file filter=x' >.gitattributes; git config filter.x.clean $PLANT; git add .gitattributes; "
           "echo x >>file; git commit -qam x"),
    Attack("gpg.program", "git -c gpg.program=$PLANT commit -S --allow-empty -m x"),
    Attack("gpg.ssh.program",
           "git -c gpg.format=ssh -c user.signingKey=$PLANT -c gpg.ssh.program=$PLANT commit -S --allow-empty -m x"),
    Attack("gpg.x509.program", "git -c gpg.format=x509 -c gpg.x509.program=$PLANT commit -S --allow-empty -m x"),
    Attack("gpg.ssh.defaultKeyCommand",
           "git -c gpg.format=ssh -c gpg.ssh.defaultKeyCommand=$PLANT commit -S --allow-empty -m x"),
    Attack("gpg.program of verification",
           "git -c gpg.program=true tag -s -m x s 2>/dev/null; git -c gpg.program=$PLANT tag -s -m x t"),
    Attack("interactive.diffFilter",
           "echo x >>file; echo q >q; TERM=xterm python3 -c \"import pty; pty.spawn(['sh', '-c', "
           "'git -c interactive.diffFilter=$DEAF add -p <q'])\"", tries=5),
    Attack("merge driver",
           _CONFLICT + _attributes("merge=x") + "git -c merge.x.driver=$PLANT merge a"),
    Attack("mergetool", _CONFLICT + "git merge -q a; git -c mergetool.x.cmd=$PLANT mergetool -y -t x"),
    Attack("difftool", "git -c difftool.x.cmd=$PLANT difftool -y -t x HEAD~1"),
    Attack("difftool --extcmd", "git difftool -y -x $PLANT HEAD~1"),
    Attack("tar filter", "git -c tar.x.command=$PLANT archive --format=x HEAD >/dev/null"),
    Attack("trailer command",
           "echo x | git -c trailer.x.command=$PLANT -c trailer.x.ifmissing=add interpret-trailers --trailer x=y"),
    Attack("trailer cmd", "echo x | git -c trailer.x.cmd=$PLANT interpret-trailers --trailer x=y"),
    Attack("pack objects hook",
           "mkdir -p c/git; git config -f c/git/config uploadpack.packObjectsHook $PLANT; "
           "XDG_CONFIG_HOME=$W/c git clone -q --no-local $W copy"),
    Attack("remote.<name>.uploadpack", "git -c remote.l.url=local.git -c remote.l.uploadpack=$PLANT fetch l"),
    Attack("remote.<name>.receivepack",
           "git -c remote.l.url=local.git -c remote.l.receivepack=$PLANT push l HEAD:x"),
    Attack("remote.<name>.vcs",
           "cp $DEAF git-remote-x; PATH=$PATH:$W git -c remote.l.url=x -c remote.l.vcs=x fetch l"),
    Attack("man viewer", "git -c man.viewer=x -c man.x.cmd=$PLANT help -m log"),
    Attack("grep's pager", "git grep -O$PLANT mine"),
    Attack("rebase --exec", "git rebase -q --exec $PLANT HEAD~1"),
    Attack("bisect run", "git bisect start HEAD HEAD~1; git bisect run $PLANT"),
    Attack("filter-branch", "FILTER_BRANCH_SQUELCH_WARNING=1 git filter-branch -f --msg-filter $PLANT HEAD~1..HEAD"),
    Attack("hook pre-commit", _hook("pre-commit") + "git commit -q --allow-empty -m x"),
    Attack("hook commit-msg", _hook("commit-msg") + "git commit -q --allow-empty -m x"),
    Attack("hook prepare-commit-msg", _hook("prepare-commit-msg") + "git commit -q --allow-empty -m x"),
    Attack("hook post-commit", _hook("post-commit") + "git commit -q --allow-empty -m x"),
    Attack("hook post-checkout", _hook("post-checkout") + "git checkout -q --detach"),
    Attack("hook post-merge", _hook("post-merge") + "git merge -q --no-ff -m x origin/claude/other -s ours"),
    Attack("hook pre-merge-commit",
           _hook("pre-merge-commit") + "git merge -q --no-ff -m x origin/claude/other -s ours"),
    Attack("hook pre-rebase", _hook("pre-rebase") + "git rebase -q origin/claude/other"),
    Attack("hook post-rewrite", _hook("post-rewrite") + "git commit -q --amend -m x"),
    Attack("hook applypatch-msg", "echo x >new; git add new; git commit -qm new; git format-patch -q -1; git reset -q --hard HEAD~1; " +
           _hook("applypatch-msg") + "git am -q 0001-*"),
    Attack("hook pre-push", _hook("pre-push") + "git push origin claude/mine"),
    Attack("hook reference-transaction", _hook("reference-transaction") + "git branch x"),
    Attack("hook post-index-change", _hook("post-index-change") + "echo x >>file; git add file"),
    Attack("hook of the receiving side", "cp $PLANT local.git/hooks/pre-receive; git push -q ./local.git HEAD:x"),
    Attack("template's hook",
           "mkdir -p t/hooks; cp $PLANT t/hooks/post-checkout; git clone -q --template=t $W copy"),
    Attack("init.templateDir",
           "mkdir -p t/hooks; cp $PLANT t/hooks/post-checkout; git -c init.templateDir=$W/t clone -q $W copy"),
    Attack("core.alternateRefsCommand",
           "git push -q ./local.git HEAD:x; echo $W/local.git/objects >.git/objects/info/alternates; "
           "git -c core.alternateRefsCommand=$DEAF fetch -q ./local.git x"),
    Attack("core.pager", _terminal("git -c core.pager=$PLANT log")),
    Attack("pager.<cmd>", _terminal("git -c pager.log=$PLANT log")),
    Attack("GIT_PAGER", _terminal("GIT_PAGER=$PLANT git log")),
    Attack("browser.<tool>.cmd", "git -c browser.x.cmd=$PLANT web--browse -b x http://x.invalid/"),
    Attack("browser.<tool>.path",
           "git -c browser.firefox.path=$DEAF web--browse -b firefox http://x.invalid/; sleep 1"),
    Attack("help.browser", "git -c help.htmlPath=http://x.invalid -c help.browser=x -c browser.x.cmd=$PLANT help -w log"),
    Attack("man.<tool>.path", "git -c man.viewer=man -c man.man.path=$PLANT help -m log"),
    Attack("mergetool.<tool>.path",
           _CONFLICT + "git merge -q a; git -c mergetool.meld.path=$PLANT mergetool -y -t meld"),
    Attack("difftool.<tool>.path", "git -c difftool.meld.path=$PLANT difftool -y -t meld HEAD~1"),
    Attack("imap.tunnel",
           "git format-patch -1 --stdout | git -c imap.folder=x -c imap.tunnel=$DEAF imap-send"),
    Attack("instaweb.httpd", "printf \"#!/bin/sh\\n$DEAF\\nexit 1\\n\" >lighttpd; chmod +x lighttpd; "
           "git -c instaweb.httpd=$W/lighttpd -c instaweb.port=1 instaweb"),
    Attack("submodule.<name>.update",
           "git push -q ./local.git HEAD:main; git -c protocol.file.allow=always submodule --quiet add $W/local.git sub; "
           "git commit -qm sub; git config submodule.sub.update \"!$PLANT\"; git -C sub checkout -q HEAD~1; git submodule update"),
    Attack("receive.procReceiveRefs",
           "cp $PLANT local.git/hooks/proc-receive; git -C local.git config receive.procReceiveRefs refs/for; "
           "git push -q ./local.git HEAD:refs/for/main"),
)  # fmt: skip
