"""What git's own subcommands are about, as far as judging cares. Data.

git never lets an alias stand in for one of its own subcommands, so for a name in `KNOWN` the command
line alone says what runs; only other names need a look at the configuration.
"""

from __future__ import annotations

from plugins.git.commandline.options import words

# Subcommands that neither reach a remote nor write what rules are about: nothing to look up.
LOCAL = words(
    """add am annotate apply bisect blame branch bugreport bundle cat-file check-attr check-ignore
    check-mailmap check-ref-format checkout checkout-index cherry cherry-pick clean column commit
    commit-graph commit-tree count-objects describe diagnose diff diff-files diff-index diff-tree
    difftool fast-export fast-import fmt-merge-msg for-each-ref for-each-repo format-patch fsck
    fsck-objects gc get-tar-commit-id grep hash-object help hook index-pack init init-db
    interpret-trailers log ls-files ls-tree mailinfo mailsplit maintenance merge merge-base merge-file
    merge-index merge-octopus merge-one-file merge-ours merge-recursive merge-recursive-ours
    merge-recursive-theirs merge-resolve merge-subtree merge-tree mergetool mktag mktree
    multi-pack-index mv name-rev notes pack-objects pack-redundant pack-refs patch-id pickaxe prune
    prune-packed range-diff read-tree rebase reflog repack replace rerere reset restore rev-list
    rev-parse revert rm sh-i18n--envsubst shortlog show show-branch show-index show-ref
    sparse-checkout stage stash status stripspace switch symbolic-ref tag unpack-file unpack-objects
    update-index update-ref update-server-info var verify-commit verify-pack verify-tag version
    whatchanged worktree write-tree filter-branch quiltimport add--interactive bisect--helper
    checkout--worker submodule--helper difftool--helper env--helper web--browse fsmonitor--daemon"""
)

# Subcommands that are judged with facts from the repository.
REMOTE_USERS = words("push fetch pull clone remote submodule ls-remote archive config request-pull subtree")

# Subcommands that talk to remotes below the rules and the hooks, serve others, or handle credentials.
PAST_THE_RULES = words(
    """send-pack receive-pack upload-pack upload-archive upload-archive--writer fetch-pack http-push
    http-fetch http-backend daemon shell instaweb imap-send send-email credential credential-cache
    credential-cache--daemon credential-store remote-ext remote-fd remote-ftp remote-ftps remote-http
    remote-https svn p4 cvsserver cvsimport cvsexportcommit archimport"""
)

KNOWN = LOCAL | REMOTE_USERS | PAST_THE_RULES

# Subcommands that run no hook and may be asked where hooks are: they see the caller's configuration as it is.
HOOKLESS = words("rev-parse config var version help check-ref-format stripspace")

# Hooks that rules about commits are asked by: for what the index holds, and for the message.
INDEX_HOOKS = ("pre-commit", "pre-merge-commit", "pre-applypatch")
MESSAGE_HOOKS = ("commit-msg", "applypatch-msg")

# For each subcommand with --no-verify: the hooks that it skips (its manual page).
NO_VERIFY = {
    "push": "pre-push",
    "commit": "pre-commit commit-msg",
    "merge": "pre-merge-commit commit-msg",
    "pull": "pre-merge-commit commit-msg",
    "rebase": "pre-rebase",
    "am": "applypatch-msg pre-applypatch",
}
