"""The `claude-container` command without a supervisor: setting up, policies, the audit log, errors."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import main as program
from supervisor.policies.store import PolicyStore
from tests.cli.commands import Commands
from tests.supervisor.audit.examples import event, events, fill, outcome
from tests.supervisor.harness import scratch

POLICY = "plugin: {name}\nversion: 1\nrules:\n  blocked_subcommands: [publish]\n"


@pytest.fixture
def claude(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Commands]:
    """The command, on a home that has been made and is empty."""
    with scratch() as (home, _):
        yield Commands(home, monkeypatch, capsys)


def write(claude: Commands, name: str, text: str = POLICY) -> Path:
    path = claude.home.policy_file(name)
    path.write_text(text.format(name=name), encoding="utf-8")
    return path


# ---------------------------------------------------------------- the command line itself


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["status", "--nonsense"], ["audit", "show", "x"], ["plugin", "add"]]
)
def test_wrong_usage_ends_with_2(claude: Commands, arguments: list[str]) -> None:
    done = claude(*arguments)
    assert done.status == 2
    assert [line.partition(": ")[0] for line in done.err.splitlines()] == ["error", "hint"]
    assert "--help" in done.err


def test_a_misspelled_command_is_told_the_right_one(claude: Commands) -> None:
    assert "did you mean approvals?" in claude("aprovals", "list").err


def test_help_names_every_command(claude: Commands) -> None:
    done = claude("--help")
    assert done.status == 0
    for name in ("init", "start", "status", "plugin", "policy", "audit", "approvals", "doctor"):
        assert f"\n  {name} " in done.out


@pytest.mark.parametrize("command", [name for name in program._COMMANDS if name != "tui"])
def test_every_command_explains_itself(claude: Commands, command: str) -> None:
    done = claude(command, "--help")
    assert done.status == 0
    assert "Usage: " in done.out


def test_an_interrupt_ends_with_130(claude: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.lifecycle.prepare_home", interrupt)
    assert claude("init").status == 130


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"], ["status", "--json"], ["approvals", "list"], ["approvals", "show", "x"],
        ["approvals", "approve", "x"], ["approvals", "deny", "x", "no"], ["approvals", "watch"],
        ["plugin", "restart", "git"], ["plugin", "stop", "git"], ["lockdown"],
    ],
)  # fmt: skip
def test_what_needs_a_supervisor_says_how_to_start_one(claude: Commands, arguments: list[str]) -> None:
    assert "claude-container start" in claude.fails(*arguments)


# ---------------------------------------------------------------- setting up


def test_init_sets_up_a_home_once(claude: Commands) -> None:
    claude.home.config.rmdir()
    first = claude("init")
    assert first.status == 0
    assert os.readlink(claude.home.cli / "git") == "plugin-client"
    assert claude.home.policy_file("git").is_file()
    again = claude("init")
    assert again.out.startswith("Everything is in place")


def test_init_keeps_what_was_chosen_before(claude: Commands) -> None:
    claude.home.state.rmdir()
    (claude.home.config / "images.toml").write_text("")
    assert claude("init").status == 0
    assert claude.home.policy_file("git").is_file()
    assert (claude.home.config / "images.toml").read_text() == ""


def test_init_does_not_bring_back_what_the_operator_removed(claude: Commands) -> None:
    claude("init")
    assert not claude.home.policy_file("git").exists()  # there was a config directory, without it


def test_init_passes_over_files_that_name_no_tool(claude: Commands) -> None:
    write(claude, ".#git")
    write(claude, "npm")
    assert claude("init").status == 0
    assert sorted(os.listdir(claude.home.cli)) == ["npm", "plugin-client"]


def test_env_puts_the_wrappers_first(claude: Commands) -> None:
    claude("init")
    script = claude("env").out + 'echo "$PLUGIN_SOCKET_DIR"; command -v plugin-client'
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(claude.home.sockets), str(claude.home.cli / "plugin-client")]


def test_env_without_a_home_says_what_to_do(claude: Commands) -> None:
    assert "claude-container init" in claude.fails("env")


def test_stop_without_a_supervisor_is_fine(claude: Commands) -> None:
    done = claude("stop")
    assert (done.status, done.out) == (0, f"Nothing is running in {claude.home.root}.\n")


def test_start_refuses_a_workspace_that_is_not_there(claude: Commands) -> None:
    assert "nowhere" in claude.fails("start", "--workspace", str(claude.home.root / "nowhere"))


def test_logs_shows_the_last_lines(claude: Commands) -> None:
    (claude.home.logs / "git.log").write_text("one\ntwo\nthree\n", encoding="utf-8")
    assert claude("logs", "git", "-n", "2").out == "two\nthree\n"
    assert claude("logs", "git", "-n", "0").out == ""


@pytest.mark.parametrize("name", ["npm", "../git", "/etc/passwd"])
def test_logs_of_what_has_none_names_those_there_are(claude: Commands, name: str) -> None:
    (claude.home.logs / "git.log").touch()
    assert "Logs there are: git" in claude.fails("logs", name)


# ---------------------------------------------------------------- plugins


def test_a_plugin_is_added_listed_and_removed(claude: Commands) -> None:
    assert claude("plugin", "add", "ls", "--block", "--all").status == 0
    assert claude("plugin", "list", "--json").json == [{"name": "ls", "state": "stopped"}]
    assert "ls" in claude("plugin", "list").out
    assert "There is a plugin 'ls' already" in claude.fails("plugin", "add", "ls")
    claude("init")
    assert claude("plugin", "remove", "ls").status == 0
    assert os.listdir(claude.home.cli) == ["plugin-client"]
    assert claude("plugin", "list", "--json").json == []
    assert "There is no plugin 'ls'" in claude.fails("plugin", "remove", "ls")


def test_a_shipped_example_is_taken(claude: Commands) -> None:
    assert claude("plugin", "add", "npm").status == 0
    assert "unpublish" in claude.home.policy_file("npm").read_text(encoding="utf-8")


def test_the_agents_own_policy_is_added_and_removed_as_a_tools_but_is_no_tool(claude: Commands) -> None:
    assert "agents that are started from now on" in claude("plugin", "add", "claude").out
    assert "api.anthropic.com" in claude.home.policy_file("claude").read_text(encoding="utf-8")
    assert "There is a plugin 'claude' already" in claude.fails("plugin", "add", "claude")
    claude("init")
    assert os.listdir(claude.home.cli) == ["plugin-client"]
    assert claude("plugin", "remove", "claude").status == 0
    assert not claude.home.policy_file("claude").exists()
    assert "`rules` is for tools" in claude("plugin", "add", "claude", "--block", "x").err


@pytest.mark.parametrize("name", ["../git", "plugin-client", "a b", "supervisor"])
def test_names_that_no_tool_can_have_are_refused(claude: Commands, name: str) -> None:
    claude.fails("plugin", "add", name)
    assert list(claude.home.config.iterdir()) == []


def test_a_policy_with_problems_is_not_added(claude: Commands, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("plugin: ls\nversion: 1\nrules: {allowed: x}\n", encoding="utf-8")
    done = claude("plugin", "add", "ls", "--file", str(tmp_path / "p.yaml"))
    assert done.status == 1
    assert "ls.yaml:3" in done.err
    assert not claude.home.policy_file("ls").exists()


# ---------------------------------------------------------------- policies


def test_check_reports_every_problem_with_its_line(claude: Commands) -> None:
    write(claude, "npm")
    write(claude, "gh", "plugin: gh\nversion: one\nrules:\n  blocked_subcomands: []\n")
    done = claude("policy", "check")
    assert done.status == 1
    assert "npm.yaml: fine" in done.out
    assert "gh.yaml:2:" in done.out
    assert "gh.yaml:4:" in done.out
    files = {
        Path(entry["file"]).name: entry["problems"] for entry in claude("policy", "check", "--json").json
    }
    assert files["npm.yaml"] == []
    assert len(files["gh.yaml"]) == 2


def test_check_of_a_file_that_is_not_there(claude: Commands, tmp_path: Path) -> None:
    done = claude("policy", "check", str(tmp_path / "git.yaml"))
    assert (done.status, done.out) == (1, f"{tmp_path / 'git.yaml'}: No such file or directory\n")


def test_explain_tells_of_connections(claude: Commands) -> None:
    claude("plugin", "add", "claude")
    claude("plugin", "add", "npm")
    assert claude("policy", "explain", "claude", "api.anthropic.com").status == 0
    assert claude("policy", "explain", "claude", "connect", "api.anthropic.com:443").status == 0
    refused = claude("policy", "explain", "claude", "pypi.org")
    assert refused.status == 1
    assert "BLOCKED  claude connect pypi.org:443" in refused.out
    assert claude("policy", "explain", "--connect", "npm", "registry.npmjs.org").status == 0
    assert claude("policy", "explain", "--connect", "npm", "registry.npmjs.org:80").status == 1
    for wrong in ([], ["a b"], ["one", "two"], ["https://pypi.org"]):
        assert "one host" in claude.fails("policy", "explain", "claude", *wrong)


def test_explain_says_what_would_happen_and_why(claude: Commands) -> None:
    write(claude, "npm")
    assert claude("policy", "explain", "npm", "install").status == 0
    refused = claude("policy", "explain", "npm", "publish", "--access", "public")
    assert refused.status == 1
    assert "npm.yaml:4" in refused.out
    plain = claude("policy", "explain", "--json", "npm", "publish").json
    assert plain["allowed"] is False
    assert [reason["rule"] for reason in plain["reasons"]] == ["blocked_subcommands"]
    assert "No plugin rules 'gh'" in claude.fails("policy", "explain", "gh", "pr")


def test_history_diff_and_rollback(claude: Commands) -> None:
    path = write(claude, "npm")
    store, old = PolicyStore(claude.home), path.read_text(encoding="utf-8")
    assert claude("policy", "history", "npm").out == "No policy of npm has been in force yet.\n"
    store.accept("npm", old, "test")
    new = old.replace("[publish]", "[publish, unpublish]")
    path.write_text(new, encoding="utf-8")
    assert "+  blocked_subcommands: [publish, unpublish]" in claude("policy", "diff", "npm").out
    store.accept("npm", new, "test")
    entries = claude("policy", "history", "npm", "--json").json
    assert [entry["who"] for entry in entries] == ["test", "test"]
    assert claude("policy", "rollback", "npm", entries[-1]["hash"][:12]).status == 0
    assert path.read_text(encoding="utf-8") == old
    claude.fails("policy", "rollback", "npm", "ffff")


def test_replay_tells_what_another_policy_would_have_decided(claude: Commands, tmp_path: Path) -> None:
    path = write(claude, "npm")
    PolicyStore(claude.home).accept("npm", path.read_text(encoding="utf-8"), "test")
    tried = [
        event(number, plugin="npm", args=(word, "x"), updates=())
        for number, word in enumerate(["publish", "install", "publish"], 1)
    ]
    asyncio.run(fill(claude.home.audit_db, tried))
    stricter = tmp_path / "npm.yaml"
    stricter.write_text(path.read_text(encoding="utf-8").replace("[publish]", "[install]"), encoding="utf-8")
    lines = claude("policy", "replay", str(stricter)).out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["allowed", "2", "npm", "publish", "x"], ["blocked", "1", "npm", "install", "x"],
    ]  # fmt: skip
    assert claude("policy", "replay", "--last", "1", str(stricter), "--json").json["looked_at"] == 1
    assert "None of the 3 latest commands" in claude("policy", "replay", str(path)).out
    assert "cannot be read" in claude.fails("policy", "replay", str(tmp_path / "gone.yaml"))


# ---------------------------------------------------------------- the audit log


@pytest.fixture
def log(claude: Commands) -> Commands:
    """Rows 1 to 9; the third, sixth and ninth are refused pushes."""
    asyncio.run(fill(claude.home.audit_db, events(range(1, 10)), [outcome(1, exit_code=3)]))
    return claude


def test_the_audit_log_is_listed(log: Commands) -> None:
    lines = log("audit", "list").out.splitlines()
    assert lines[0].split() == ["SEQ", "TIME", "VERDICT", "LAYER", "COMMAND", "RULE", "EXIT"]
    assert [line.split()[0] for line in lines[1:]] == [str(number) for number in range(1, 10)]
    assert [row["seq"] for row in log("audit", "list", "--blocked", "--json").json] == [3, 6, 9]
    assert [row["seq"] for row in log("audit", "list", "-n", "2", "--json").json] == [8, 9]
    assert [row["seq"] for row in log("audit", "list", "--verdict", "blocked", "--json").json] == [3, 6, 9]
    assert log("audit", "list", "--search", "no such text").out == "No decision matches.\n"


def test_one_row_is_shown_whole(log: Commands) -> None:
    row = log("audit", "show", "3", "--json").json
    assert (row["verdict"], row["rule"], row["rule_line"]) == ("blocked", "blocked_branches", 12)
    assert "main is protected" in log("audit", "show", "3").out
    assert "There is no row 99" in log.fails("audit", "show", "99")


def test_the_audit_log_is_exported(log: Commands, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in log("audit", "export").out.splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, 10))
    table = list(csv.DictReader(io.StringIO(log("audit", "export", "--format", "csv", "--blocked").out)))
    assert [row["seq"] for row in table] == ["3", "6", "9"]
    assert log("audit", "export", "-o", str(tmp_path / "out")).status == 0
    assert len((tmp_path / "out").read_text(encoding="utf-8").splitlines()) == 9
    assert "Cannot write" in log.fails("audit", "export", "-o", str(tmp_path / "out"))


def test_the_chain_is_verified(log: Commands) -> None:
    assert log("audit", "verify").out == "The chain holds over 9 rows.\n"
    assert log("audit", "verify", "--json").json["ok"] is True


@pytest.mark.parametrize("command", ["list", "export", "verify"])
def test_without_a_log_it_says_so(claude: Commands, command: str) -> None:
    assert "There is no audit log" in claude.fails("audit", command)


# ---------------------------------------------------------------- doctor


def test_doctor_names_a_fix_for_every_problem(claude: Commands) -> None:
    write(claude, "no-such-tool", "plugin: no-such-tool\n")
    claude.home.state.chmod(0o755)
    done = claude("doctor", "--json")
    assert done.status == 1
    problems = {finding["subject"]: finding["fix"] for finding in done.json if finding["fix"]}
    assert problems.keys() >= {"Home", "Client", "Policy", "Tool"}
    assert problems["Home"] == f"Run: chmod 700 {claude.home.state}"
    assert claude("doctor").out.count("  fix: ") == sum(bool(finding["fix"]) for finding in done.json)


def test_doctor_ticks_only_what_is_fine(claude: Commands) -> None:
    done = claude("doctor")
    assert "· Supervisor: not running" in done.out
    marks = [line[0] for line in done.out.splitlines() if not line.startswith("  fix: ")]
    told = claude("doctor", "--json").json
    assert marks == ["!" if each["fix"] else "·" if each["note"] else "✓" for each in told]


def test_doctor_without_a_home(claude: Commands) -> None:
    claude.home.root.rename(claude.home.root.with_name("elsewhere"))
    done = claude("doctor")
    assert done.status == 1
    assert "fix: Run: claude-container init" in done.out
