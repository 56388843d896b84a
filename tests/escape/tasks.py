"""What people do with git all day: it must work through us, and look the same.

Each is a few lines of shell as in `Attack`, and must end well. They push where the policy lets them.
"""

from __future__ import annotations

_TWO_SIDES = (
    "git switch -q -c a; echo a >a; git add a; git commit -qm a; "
    "git switch -q -c b HEAD~1; echo b >b; git add b; git commit -qm b; "
)
_CONFLICT = "git switch -q -c a; echo a >file; git commit -qam a; git switch -q -c b HEAD~1; echo b >file; git commit -qam b; "

TASKS: dict[str, str] = {
    "status": "echo x >new; git status; git status --short --branch; git status --porcelain=v2 -z",
    "add and commit": "echo x >new; git add new; git commit -m 'a message'",
    "commit everything": "echo x >>file; git commit -a -m all",
    "commit a message from standard input": "echo x >>file; echo words | git commit -aF -",
    "commit with an editor": "echo x >>file; GIT_EDITOR='echo edited >' git commit -a",
    "amend": "git commit --amend -m better",
    "commit by patch": "echo x >>file; printf 'y\\n' | git add -p; git commit -m part",
    "commit with a hook of the project": (
        "printf '#!/bin/sh\\necho checked\\n' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; "
        "git commit --allow-empty -m x"
    ),
    "a hook of the project says no": (
        "printf '#!/bin/sh\\necho no; exit 1\\n' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; "
        "git commit --allow-empty -m x || echo refused"
    ),
    "log": "git log; git log --oneline --graph --all; git log -p -1; git log --format='%h %an %s' -- file",
    "shortlog": "git log | git shortlog -s",
    "show": "git show; git show --stat HEAD~1; git show HEAD:file",
    "diff": "echo x >>file; git diff; git diff --stat HEAD~1; git diff --word-diff; git diff --no-index file plant.sh || true",
    "diff with exit status": "echo x >>file; git diff --quiet || echo changed; git diff --exit-code >/dev/null || echo $?",
    "blame": "git blame file; git blame --porcelain -L1,1 file",
    "grep": "git grep -n mine; git grep -c m HEAD~1; git grep nothing || echo none",
    "branches": "git branch x; git branch -v; git branch -m x y; git branch --list 'y*'; git branch -D y",
    "switch and restore": "git switch -c x; echo x >file; git restore file; git switch -; git checkout -b z main; git switch main",
    "detached head": "git checkout HEAD~1; git log -1 --format=%s; git checkout -",
    "stash": "echo x >>file; git stash push -m s; git stash list; git stash pop; git stash; git stash drop",
    "stash with untracked files": "echo x >new; git stash -u; git stash show -p --include-untracked; git stash apply",
    "tags here": "git tag v1; git tag -a v2 -m two; git tag -l; git describe; git tag -d v1",
    "merge": _TWO_SIDES + "git merge -m merged a; git log --oneline --graph",
    "merge with a conflict": _CONFLICT
    + "git merge a || git diff --name-only --diff-filter=U; git checkout --theirs file; "
    "git add file; git commit --no-edit",
    "abort a merge": _CONFLICT + "git merge a || git merge --abort; git status",
    "squash": _TWO_SIDES + "git merge --squash a 2>/dev/null; git commit -m squashed",
    "rebase": _TWO_SIDES + "git rebase a; git log --oneline",
    "rebase with a conflict": _CONFLICT
    + "git rebase a || { echo both >file; git add file; GIT_EDITOR=true git rebase --continue; }",
    "interactive rebase": (
        "git commit -q --allow-empty -m one; git commit -q --allow-empty -m two; "
        "GIT_SEQUENCE_EDITOR='sed -i 2s/pick/squash/' GIT_EDITOR=true git rebase -i --keep-empty HEAD~2; git log --oneline"
    ),
    "autosquash": (
        "echo x >>file; git commit -qam one; echo y >>file; git commit -qa --fixup HEAD; "
        "GIT_SEQUENCE_EDITOR=true git rebase -i --autosquash HEAD~2; git log --oneline"
    ),
    "cherry-pick": _TWO_SIDES + "git cherry-pick a; git log --oneline",
    "revert": "git revert --no-edit HEAD; git show --stat",
    "reset": "git reset --soft HEAD~1; git status -s; git reset -q; git reset --hard; git reflog -2 --format=%gs",
    "undo by reflog": "git reset -q --hard HEAD~1; git reset --hard 'HEAD@{1}'; git log -1 --format=%s",
    "remove and rename": "git mv file moved; git commit -qm moved; git rm -q moved; git status -s; git log --follow --oneline -- moved",
    "clean": "echo x >new; git clean -n; git clean -fd",
    "ignored files": "echo '*.o' >.gitignore; touch x.o; git status -s; git check-ignore -v x.o",
    "attributes": "echo '* text eol=lf' >.gitattributes; git check-attr -a file; git ls-files --eol",
    "worktree": "git worktree add -q ../w/tree HEAD~1; git -C tree log -1 --format=%s; git worktree list | wc -l; git worktree remove tree",
    "bisect": "git bisect start HEAD HEAD~1; git bisect run false; git bisect reset",
    "patches": "git format-patch -1; git reset -q --hard HEAD~1; git am 0001-*; git log --oneline",
    "apply": "git diff HEAD~1 >p; git reset -q --hard HEAD~1; git apply --check p; git apply --stat --apply p; git diff",
    "notes here": "git notes add -m note; git notes show; git log -1",
    "archive": "git archive HEAD | tar t; git archive --format=zip HEAD | head -c 2",
    "bundle": "git bundle create -q all.bundle --all; git bundle list-heads all.bundle; git clone -q all.bundle copy -b claude/mine; "
    "git -C copy log --oneline",
    "plumbing": "git rev-parse HEAD HEAD^{tree}; git ls-tree -r HEAD; git cat-file -p HEAD; git ls-files -s; git rev-list --count --all",
    "objects by the hundred": "git rev-list --all --objects | cut -d' ' -f1 | git cat-file --batch-check",
    "a commit made of parts": (
        "b=$(echo x | git hash-object -w --stdin); GIT_INDEX_FILE=i git update-index --add --cacheinfo 100644,$b,x; "
        "t=$(GIT_INDEX_FILE=i git write-tree); c=$(echo m | git commit-tree $t -p HEAD); git update-ref refs/heads/p $c; git show --stat p"
    ),
    "configuration here": "git config core.abbrev 8; git config --get core.abbrev; git log --oneline; git config --unset core.abbrev",
    "alias": "git config alias.last 'log -1 --oneline'; git last; git -c alias.st='status -s' st",
    "shell alias": "git config alias.top '!git rev-parse --show-prefix; echo top'; git top",
    "maintenance": "git gc --quiet; git fsck; git count-objects -v | grep -c count; git repack -qad; git prune",
    "submodule": (
        "git init -q sub; git -C sub -c user.name=x -c user.email=x@x commit -q --allow-empty -m s; "
        "git submodule --quiet add ./sub; git submodule status; git submodule foreach --quiet 'echo $name'"
    ),
    "sparse checkout": "mkdir d; echo x >d/x; git add d; git commit -qm d; git sparse-checkout set --no-cone /file; ls; git sparse-checkout disable; ls",
    "a new repository": "git init -q fresh; cd fresh; echo x >x; git add x; git commit -qm x; git log --format=%s",
    "a bare repository": "git init -q --bare b.git; git -C b.git fetch -q .. HEAD:refs/heads/x; git ls-remote ./b.git; git fetch ./b.git x",
    "ls-remote": "git ls-remote; git ls-remote --heads origin 'claude/*'; git ls-remote $ORIGIN main",
    "fetch": "git fetch; git fetch origin main; git fetch --all --prune; git fetch --tags; git log -1 --format=%s FETCH_HEAD",
    "fetch, one commit deep": "git fetch --depth=1 origin claude/other:deep; git log --oneline deep; git fetch --unshallow",
    "fetch, what is new": "git update-ref -d refs/remotes/origin/claude/other; git fetch -v origin",
    "pull": "git switch -q main; git reset -q --hard; git pull --ff-only origin claude/other; git log --oneline",
    "pull and rebase": "git pull --rebase origin claude/other || { echo both >file; git add file; GIT_EDITOR=true git rebase --continue; }",
    "clone": "git clone $ORIGIN copy; git -C copy remote -v; git -C copy branch -a; git -C copy log --oneline",
    "shallow clone": "git clone -q --depth 1 --branch claude/other $ORIGIN copy; git -C copy log --oneline; git -C copy fetch --unshallow",
    "clone without blobs": "git clone -q --filter=blob:none $ORIGIN copy; cat copy/file; git -C copy log -p --oneline",
    "clone one branch": "git clone -q --single-branch -b release/1 $ORIGIN copy; git -C copy branch -a",
    "bare and mirror clones": "git clone -q --bare $ORIGIN c.git; git clone -q --mirror $ORIGIN m.git; git -C m.git remote update",
    "push a branch": "git push origin claude/mine; git ls-remote origin claude/mine",
    "push with upstream": "git push -u origin HEAD; git status -sb; git commit -q --allow-empty -m more; git push",
    "push twice": "git push origin HEAD; git push origin HEAD",
    "push under another name": "git push origin HEAD:claude/theirs HEAD~1:refs/heads/claude/older",
    "push, said in numbers": "git push --porcelain origin HEAD; git push --dry-run origin HEAD:claude/dry",
    "push many branches": "for i in 1 2 3 4 5; do git branch claude/n$i; done; git push origin 'refs/heads/claude/n*:refs/heads/claude/n*'",
    "push atomically": "git push --atomic origin HEAD:claude/x HEAD~1:refs/heads/claude/y",
    "push forward": "git push -q origin HEAD:claude/x; git commit -q --allow-empty -m next; git push origin HEAD:claude/x",
    "push from a clone": "git clone -q $ORIGIN copy; cd copy; git switch -q -c claude/c; git -c user.name=x -c user.email=x@x commit -q --allow-empty -m c; git push -u origin claude/c",
    "push from a worktree": "git worktree add -q tree -b claude/t; cd tree; git commit -q --allow-empty -m t; git push origin HEAD",
    "remote": "git remote; git remote -v; git remote get-url origin; git remote show origin; git remote prune origin",
    "names with blanks and umlauts": "mkdir 'a b'; echo x >'a b/ü'; git add .; git commit -m 'größer \"so\"'; git ls-files; git -c core.quotePath=false ls-files -z",
}
