"""Every key that git's documentation says runs a program is among the attacks, or it is said why not.

The list is git's own (`git help --config`); what each key does was read in git-config(1) of 2.39.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.escape.attacks import FAMILIES

# Key -> the attack that uses it, as "family: name".
COVERED: dict[str, str] = {
    "alias.*": "aliases: shell",
    "browser.<tool>.cmd": "execution: browser.<tool>.cmd",
    "browser.<tool>.path": "execution: browser.<tool>.path",
    "core.alternateRefsCommand": "execution: core.alternateRefsCommand",
    "core.askPass": "execution: core.askPass",
    "core.editor": "execution: core.editor",
    "core.fsmonitor": "execution: core.fsmonitor",
    "core.gitProxy": "execution: core.gitProxy",
    "core.hooksPath": "execution: core.hooksPath",
    "core.pager": "execution: core.pager",
    "core.sshCommand": "execution: core.sshCommand",
    "credential.<url>.*": "execution: credential.helper for a host",
    "credential.helper": "execution: credential.helper",
    "diff.<driver>.command": "execution: diff driver",
    "diff.<driver>.textconv": "execution: diff textconv",
    "diff.external": "execution: diff.external",
    "difftool.<tool>.cmd": "execution: difftool",
    "difftool.<tool>.path": "execution: difftool.<tool>.path",
    "filter.<driver>.clean": "execution: filter clean",
    "filter.<driver>.smudge": "execution: filter smudge",
    "gpg.<format>.program": "execution: gpg.ssh.program",
    "gpg.program": "execution: gpg.program",
    "gpg.ssh.defaultKeyCommand": "execution: gpg.ssh.defaultKeyCommand",
    "help.browser": "execution: help.browser",
    "imap.tunnel": "execution: imap.tunnel",
    "init.templateDir": "execution: init.templateDir",
    "instaweb.httpd": "execution: instaweb.httpd",
    "interactive.diffFilter": "execution: interactive.diffFilter",
    "man.<tool>.cmd": "execution: man viewer",
    "man.<tool>.path": "execution: man.<tool>.path",
    "merge.<driver>.driver": "execution: merge driver",
    "mergetool.<tool>.cmd": "execution: mergetool",
    "mergetool.<tool>.path": "execution: mergetool.<tool>.path",
    "pager.<cmd>": "execution: pager.<cmd>",
    "protocol.<name>.allow": "remotes: ext::",
    "protocol.allow": "remotes: ext::, configured",
    "receive.procReceiveRefs": "execution: receive.procReceiveRefs",
    "remote.<name>.receivepack": "execution: remote.<name>.receivepack",
    "remote.<name>.uploadpack": "execution: remote.<name>.uploadpack",
    "remote.<name>.vcs": "execution: remote.<name>.vcs",
    "sequence.editor": "execution: sequence.editor",
    "submodule.<name>.update": "execution: submodule.<name>.update",
    "uploadpack.packObjectsHook": "execution: pack objects hook",
    "url.<base>.insteadOf": "remotes: insteadOf",
}
# Key -> why there is no attack with it.
WITHOUT: dict[str, str] = {
    **dict.fromkeys(
        ("diff.guitool", "diff.tool", "merge.guitool", "merge.tool", "man.viewer", "web.browser",
         "instaweb.browser"),
        "chooses among programs that other keys name",
    ),
    **dict.fromkeys(
        ("sendemail.<identity>.*", "sendemail.ccCmd", "sendemail.smtpServer", "sendemail.smtpServerOption",
         "sendemail.smtpServerPort", "sendemail.tocmd"),
        "git send-email is not part of Debian's git",
    ),
    "guitool.<name>.cmd": "git gui is not part of Debian's git",
    "gitcvs.dbDriver": "git cvsserver is not part of Debian's git",
    "diff.<driver>.cachetextconv": "yes or no",
}  # fmt: skip
_SOUNDS_LIKE_ONE = re.compile(
    r"(cmd|command|program|helper|editor|pager|hook|hookspath|tool|browser|askpass|fsmonitor|textconv|driver"
    r"|external|clean|smudge|process|vcs|uploadpack|receivepack|tunnel|httpd|viewer|gitproxy|templatedir"
    r"|smtpserver|difffilter|procreceiverefs|alias\.\*|tool>\.path|credential\.<url>\.\*|<cmd>)$"
)


@pytest.fixture(scope="session")
def documented() -> frozenset[str]:
    listing = subprocess.run(["git", "help", "--config"], capture_output=True, text=True, check=True)
    return frozenset(line for line in listing.stdout.splitlines() if line and " " not in line)


def test_each_key_has_its_attack() -> None:
    names = {f"{family}: {attack.name}" for family, attacks in FAMILIES.items() for attack in attacks}
    assert set(COVERED.values()) <= names


def test_each_attacked_key_is_git_s(documented: frozenset[str]) -> None:
    assert COVERED.keys() <= documented


def test_no_key_that_sounds_like_a_program_is_left_out(documented: frozenset[str]) -> None:
    """Also in a newer git: what it has more of must be read and put into one of the tables."""
    suspects = {key for key in documented if _SOUNDS_LIKE_ONE.search(key.lower())}
    harmless = {key for key in suspects if key.startswith(("advice.", "gui.", "color.", "column."))}
    assert suspects - harmless - COVERED.keys() - WITHOUT.keys() == set()
