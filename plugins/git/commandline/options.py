"""The syntax of git's options as data: which a subcommand has, and which of them take a value.

Sources: `git <command> -h` and the manual pages of git 2.39, with the options that later versions
added. Nothing here judges. An option missing here is unknown to the parser, which then refuses for
the subcommands that matter; so a gap may refuse too much, never too little.

A table is words: `f|force` (short and long name), `repo=` (takes a value), `signed=?` (may take
one, attached). Every long option may be negated with `--no-`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Takes(Enum):
    """Whether an option takes a value."""

    NOTHING = ""
    VALUE = "="  # --opt=value, --opt value, -ovalue, -o value
    MAYBE = "=?"  # --opt=value, -ovalue; the next word is never its value


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `name` is its first long name ("force"), or its letter when it has none."""

    name: str
    takes: Takes


@dataclass(frozen=True, slots=True)
class Syntax:
    """The options of one subcommand and how it reads its words."""

    long: Mapping[str, Option] = field(default_factory=dict)
    short: Mapping[str, Option] = field(default_factory=dict)
    strict: bool = True  # an unknown option refuses; else it is skipped as one without a value
    stops: bool = False  # options end at the first other word


def words(text: str) -> frozenset[str]:
    """A set of words, written as one text."""
    return frozenset(text.split())


def table(spec: str, *, strict: bool = True, stops: bool = False) -> Syntax:
    """Read a table of options written as words."""
    long: dict[str, Option] = {}
    short: dict[str, Option] = {}
    for word in f"{spec} h|help".split():
        names, mark, rest = word.partition("=")
        alternatives = names.split("|")
        name = next((each for each in alternatives if len(each) > 1), alternatives[0])
        option = Option(name, Takes(mark + rest))
        for each in alternatives:
            (short if len(each) == 1 else long).setdefault(each, option)
    return Syntax(long, short, strict, stops)


# Options of git itself, before the subcommand (git(1), "OPTIONS"). They are not abbreviated.
GLOBAL_FLAGS = words(
    """--bare --paginate -p --no-pager -P --no-replace-objects --no-lazy-fetch --no-optional-locks --no-advice
    --literal-pathspecs --glob-pathspecs --noglob-pathspecs --icase-pathspecs"""
)
GLOBAL_VALUES = words(  # as `--opt value` and as `--opt=value`
    "--git-dir --work-tree --namespace --super-prefix --config-env --attr-source --shallow-file"
)
GLOBAL_ANSWERS = words("--exec-path --html-path --man-path --info-path")  # print and exit
GLOBAL_COMMANDS = {"--version": "version", "-v": "version", "--help": "help", "-h": "help"}

_NETWORK = "4|ipv4 6|ipv6"
_MESSAGES = "m|message= F|file= e|edit cleanup= S|gpg-sign=? s|signoff"
_SEQUENCER = "quit continue abort skip rerere-autoupdate strategy= X|strategy-option="
_MERGE = (
    "n stat summary log=? squash commit ff ff-only no-verify verify-signatures autostash s|strategy= "
    "X|strategy-option= allow-unrelated-histories compact-summary"
)
_DEEPEN = "depth= shallow-since= shallow-exclude= deepen= unshallow update-shallow"
_FETCH = (
    "v|verbose q|quiet all set-upstream a|append atomic upload-pack= f|force m|multiple t|tags n "
    "j|jobs= prefetch p|prune P|prune-tags recurse-submodules=? recurse-submodules-default= "
    f"submodule-prefix= dry-run write-fetch-head k|keep u|update-head-ok progress {_DEEPEN} refetch "
    f"refmap= o|server-option= {_NETWORK} negotiation-tip= negotiate-only filter= auto-maintenance "
    "auto-gc show-forced-updates write-commit-graph stdin porcelain"
)

# Subcommands whose every option must be known: they reach remotes, or write what rules are about.
_JUDGED = {
    "push": table(
        "v|verbose q|quiet repo= all|branches mirror d|delete tags n|dry-run porcelain f|force "
        "force-with-lease=? force-if-includes recurse-submodules= thin receive-pack= exec= "
        "u|set-upstream progress prune no-verify follow-tags signed=? atomic o|push-option= "
        f"{_NETWORK}"
    ),
    "fetch": table(_FETCH),
    "pull": table(
        f"v|verbose q|quiet progress recurse-submodules=? r|rebase=? {_MERGE} e|edit cleanup= "
        "S|gpg-sign=? signoff=? all a|append upload-pack= f|force t|tags p|prune j|jobs=? dry-run "
        f"k|keep {_DEEPEN} refmap= o|server-option= {_NETWORK} negotiation-tip= show-forced-updates "
        "set-upstream porcelain"
    ),
    "clone": table(
        "v|verbose q|quiet progress reject-shallow n|no-checkout checkout bare naked mirror l|local "
        "no-hardlinks hardlinks s|shared recurse-submodules=? recursive=? j|jobs= template= "
        "reference= reference-if-able= dissociate o|origin= b|branch= revision= u|upload-pack= depth= "
        "shallow-since= shallow-exclude= single-branch no-tags tags shallow-submodules "
        f"separate-git-dir= ref-format= c|config= server-option= {_NETWORK} filter= "
        "also-filter-submodules remote-submodules sparse bundle-uri="
    ),
    "ls-remote": table(
        "q|quiet upload-pack= exec= t|tags heads b|branches refs get-url sort= exit-code symref "
        "o|server-option="
    ),
    "config": table(
        "global system local worktree f|file= blob= get get-all get-regexp get-urlmatch replace-all "
        "add unset unset-all rename-section remove-section l|list fixed-value e|edit get-color "
        "get-colorbool t|type= bool int bool-or-int bool-or-str path expiry-date z|null name-only "
        "includes show-origin show-scope show-names default= comment= all regexp value= url= append",
        stops=True,
    ),
    "archive": table(
        "format= prefix= add-file= add-virtual-file= o|output= worktree-attributes mtime= v|verbose "
        "l|list remote= exec= 0 1 2 3 4 5 6 7 8 9"
    ),
    "submodule": table(
        "q|quiet cached b|branch= f|force name= reference= ref-format= depth= progress dissociate "
        "init remote N|no-fetch checkout m|merge r|rebase recommend-shallow recursive single-branch "
        "j|jobs= require-init filter= all files n|summary-limit= d|default",
        strict=False,
    ),
}

# Of these, what matters is where `--no-verify` stands and what `blocked_subcommands` may name.
_OTHERS = {
    "commit": table(
        "q|quiet v|verbose author= date= c|reedit-message= C|reuse-message= fixup= squash= "
        "reset-author trailer= t|template= status a|all i|include interactive p|patch o|only "
        "n|no-verify dry-run short branch ahead-behind porcelain=? long z|null amend no-post-rewrite "
        "u|untracked-files=? pathspec-from-file= pathspec-file-nul U|unified= inter-hunk-context= "
        f"{_MESSAGES}",
        strict=False,
    ),
    "merge": table(
        f"{_MERGE} {_MESSAGES} rerere-autoupdate into-name= v|verbose q|quiet abort quit continue "
        "progress overwrite-ignore",
        strict=False,
    ),
    "rebase": table(
        "onto= keep-base no-verify q|quiet v|verbose n|no-stat stat signoff "
        "committer-date-is-author-date reset-author-date ignore-date C= ignore-whitespace whitespace= "
        "f|force-rebase no-ff ff continue skip abort quit edit-todo show-current-patch apply m|merge "
        "i|interactive rerere-autoupdate empty= k|keep-empty autosquash update-refs S|gpg-sign=? "
        "autostash x|exec= r|rebase-merges=? fork-point s|strategy= X|strategy-option= root "
        "reschedule-failed-exec reapply-cherry-picks p|preserve-merges trailer=",
        strict=False,
    ),
    "am": table(
        "i|interactive 3|3way q|quiet s|signoff u|utf8 k|keep keep-non-patch b|binary m|message-id "
        "no-keep-cr keep-cr c|scissors quoted-cr= whitespace= ignore-space-change ignore-whitespace "
        "directory= exclude= include= C= p= patch-format= reject resolvemsg= continue r|resolved skip "
        "abort quit retry show-current-patch=? allow-empty committer-date-is-author-date ignore-date "
        "rerere-autoupdate S|gpg-sign=? empty= n|no-verify",
        strict=False,
    ),
    "cherry-pick": table(
        f"{_SEQUENCER} cleanup= n|no-commit e|edit s|signoff m|mainline= S|gpg-sign=? x ff allow-empty "
        "allow-empty-message keep-redundant-commits empty=",
        strict=False,
    ),
    "revert": table(
        f"{_SEQUENCER} cleanup= n|no-commit e|edit s|signoff m|mainline= S|gpg-sign=? reference", strict=False
    ),
    "tag": table(
        "l|list n=? d|delete v|verify a|annotate m|message= F|file= e|edit s|sign cleanup= "
        "u|local-user= f|force create-reflog column=? contains= no-contains= merged= no-merged= sort= "
        "points-at= format= color=? i|ignore-case trailer= omit-empty",
        strict=False,
    ),
    "branch": table(
        "v|verbose q|quiet t|track=? u|set-upstream-to= unset-upstream color=? r|remotes contains= "
        "no-contains= abbrev=? a|all d|delete D m|move M c|copy C l|list show-current create-reflog "
        "edit-description f|force merged= no-merged= column=? sort= points-at= i|ignore-case "
        "recurse-submodules format= omit-empty",
        strict=False,
    ),
    "init": table(
        "template= bare shared=? q|quiet separate-git-dir= b|initial-branch= object-format= ref-format=",
        strict=False,
    ),
}

# The actions of `git remote`; each reads its own options after its name.
REMOTE_ACTIONS = {
    "add": table("f|fetch tags t|track= m|master= mirror=?"),
    "rename": table("progress"),
    "remove": table(""),
    "set-head": table("a|auto d|delete"),
    "show": table("n v|verbose"),
    "prune": table("n|dry-run v|verbose"),
    "update": table("p|prune v|verbose"),
    "get-url": table("push all"),
    "set-url": table("push add delete"),
    "set-branches": table("add"),
}
REMOTE = table("v|verbose", stops=True)

# The modes that `git config` has as words since 2.46. Before, such a word was an invalid key: an error.
CONFIG_MODES = words("list get set unset rename-section remove-section edit get-color get-colorbool")

SYNTAX: Mapping[str, Syntax] = {**_JUDGED, **_OTHERS}
GENERIC = table("", strict=False)  # any other subcommand: words are told from options by their dash alone

# Other names of the same thing, and the name that rules use.
SAME_COMMAND = {"init-db": "init", "stage": "add", "fsck-objects": "fsck", "annotate": "blame"}
SAME_ACTION = {("remote", "rm"): "remove"}
