"""A real smart-HTTP remote: lighttpd with `git http-backend` and Basic authentication, nothing else.

It protects nothing by itself: whoever has the token may do anything. So whatever a test finds
unchanged there was protected by us.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final, Self

import pytest

from supervisor.gateways import take_port

TOKEN: Final = f"canary-token-{secrets.token_hex(8)}"  # no other test process has it in its environment
USER: Final = "x-access-token"

_CONFIG = """\
server.modules = ("mod_alias", "mod_setenv", "mod_auth", "mod_authn_file", "mod_cgi", "mod_accesslog")
server.document-root = "{root}"
server.bind = "{host}"
server.port = {port}
server.pid-file = "{root}/pid"
server.errorlog = "{root}/error.log"
accesslog.filename = "{root}/access.log"
accesslog.format = "%m %U %s %{{Authorization}}i"
server.max-request-size = 0
server.stream-response-body = 1
alias.url = ("/git" => "{backend}")
auth.backend = "plain"
auth.backend.plain.userfile = "{root}/users"
$HTTP["url"] =~ "^/git/" {{
  cgi.assign = ("" => "")
  setenv.add-environment = ("GIT_PROJECT_ROOT" => "{root}/repositories", "GIT_HTTP_EXPORT_ALL" => "1")
}}
$HTTP["url"] =~ "^/git/private/" {{
  auth.require = ("" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))
}}
"""


def free_port() -> int:
    with socket.socket() as sock:
        return take_port(sock)


class SmartHttp:
    """The server, with repositories under `private/` (token needed) and `public/`."""

    def __init__(self, root: Path, host: str = "127.0.0.1") -> None:
        program = shutil.which("lighttpd") or shutil.which("lighttpd", path="/usr/sbin")
        if program is None:
            pytest.skip("lighttpd is not installed (apt install lighttpd)")
        self.root = root
        self.host = host
        self.port = free_port()
        exec_path = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
        (root / "users").write_text(f"{USER}:{TOKEN}\n")
        (root / "lighttpd.conf").write_text(
            _CONFIG.format(
                root=root, host=host, port=self.port, backend=f"{exec_path.stdout.strip()}/git-http-backend"
            )
        )
        self._process = subprocess.Popen([program, "-D", "-f", str(root / "lighttpd.conf")])
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while self._process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as sock:
                if sock.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError("lighttpd did not start: " + (self.root / "error.log").read_text())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def url(self, name: str) -> str:
        return f"http://{self.host}:{self.port}/git/{name}"

    def authorized_url(self, name: str) -> str:
        """For showing what plain git with the credential could do."""
        return f"http://{USER}:{TOKEN}@{self.host}:{self.port}/git/{name}"

    def path(self, name: str) -> Path:
        return self.root / "repositories" / name

    def create(self, name: str, *, object_format: str = "sha1") -> Path:
        """Make a bare repository that allows whatever a server can allow."""
        path = self.path(name)
        native(
            "init",
            "--quiet",
            "--bare",
            "--initial-branch=main",
            f"--object-format={object_format}",
            str(path),
        )
        for key, value in (
            ("http.receivepack", "true"), ("uploadpack.allowFilter", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"), ("receive.advertisePushOptions", "true"),
            ("receive.denyDeleteCurrent", "ignore"), ("receive.denyCurrentBranch", "ignore"),
        ):  # fmt: skip
            native("-C", str(path), "config", key, value)
        return path

    def refs(self, name: str) -> dict[str, str]:
        """Full ref names and object ids, read from the disk."""
        lines = native("-C", str(self.path(name)), "for-each-ref", "--format=%(refname) %(objectname)")
        return dict(line.split() for line in lines.splitlines())

    def log(self) -> str:
        """What was asked for, with the Authorization header of each request."""
        return (self.root / "access.log").read_text()


def environment() -> dict[str, str]:
    """An environment in which git is nobody's but the test's."""
    return {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Test", "GIT_AUTHOR_EMAIL": "test@example.invalid",
        "GIT_COMMITTER_NAME": "Test", "GIT_COMMITTER_EMAIL": "test@example.invalid",
    }  # fmt: skip


def native(*arguments: str) -> str:
    """Run plain git; returns what it printed. Raises `CalledProcessError`."""
    return subprocess.run(
        ["git", *arguments], check=True, capture_output=True, text=True, env=environment()
    ).stdout
