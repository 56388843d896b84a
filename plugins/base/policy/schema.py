"""The shape of a policy file beside `rules:`: sections, defaults and bounds.

Validators raise `ValueError` with what is wrong in plain words; the key's name is put in front by
`plugins.base.policy.reading`. They must not repeat the value of a credential.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from plugins.base.policy.hosts import parse_allowed
from plugins.base.policy.yaml_nodes import Bare
from plugins.base.rules import ToolRules

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TOOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_URL = re.compile(r"(https?|ssh|git)://(?P<user>[^/@]*@)?(?P<host>[^/@]+)/\S+")
_SCP_LIKE = re.compile(r"(?P<user>[^/@:*]+@)?(?P<host>[^/@:]+):[^:\s]\S*")
_PLAIN_HOST = re.compile(r"[A-Za-z0-9.\[\]:_-]+")

# Where a credential may be sent when the file does not say it.
DEFAULT_HOSTS = {"GITHUB_TOKEN": ("github.com",), "GH_TOKEN": ("github.com",)}


def _variable(value: object) -> str:
    match = _VARIABLE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            "must name an environment variable, such as ${GITHUB_TOKEN}; "
            "the secret itself must never be in this file"
        )
    return match.group(1)


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("must be a host such as github.com or git.example.com:8443, in lower case")
    return value


def _remote(value: str) -> str:
    """`origin`, a URL or an absolute path; `*` is for the part after the host alone."""
    if value == "origin" or re.fullmatch(r"(file://)?/.*", value):
        return value
    match = _URL.fullmatch(value)
    if match is None and "://" not in value:
        match = _SCP_LIKE.fullmatch(value)
    if match is None:
        raise ValueError('must be "origin", a URL such as https://github.com/owner/*, or an absolute path')
    if ":" in (match["user"] or ""):
        raise ValueError("must not contain a password")
    if not _PLAIN_HOST.fullmatch(match["host"]):
        raise ValueError("must name its host in full; `*` can only stand after the host")
    return value


def _mode(value: object) -> int:
    """Permissions as 0660, which is octal in YAML as it is for chmod, or as "0660"."""
    text = value.text if isinstance(value, Bare) and value.kind == "octal" else value
    if not (isinstance(text, str) and re.fullmatch("0?[0-7]{3}", text)):
        raise ValueError("must be permissions as for chmod, such as 0660")
    mode = int(text, 8)
    if mode & 0o111:
        raise ValueError("must not have execute bits; use 0660 or 0600")
    if mode & 0o600 != 0o600:
        raise ValueError("must let the owner read and write; use 0660 or 0600")
    return mode


def _allowed_host(value: str) -> str:
    parse_allowed(value)
    return value


def is_tool_name(name: str) -> bool:
    """Whether this can name a tool: a single, harmless part of a path."""
    return _TOOL_NAME.fullmatch(name) is not None


def _tool_name(value: str) -> str:
    if not is_tool_name(value):
        raise ValueError("must be the name of a command, such as git")
    return value


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


RemotePattern = Annotated[str, AfterValidator(_remote)]


class Remotes(Section):
    """Where fetches may come from and pushes may go: "origin" (pinned) or URL patterns."""

    push: tuple[RemotePattern, ...] = ("origin",)
    fetch: tuple[RemotePattern, ...] = ("origin",)


class Network(Section):
    """Hosts that a tool without a gateway of its own may reach, over TLS alone as far as the tool does so."""

    allow: Annotated[tuple[Annotated[str, AfterValidator(_allowed_host)], ...], Field(max_length=256)] = ()


class Approvals(Section):
    """What happens to an operation that a rule blocks."""

    on_block: Literal["hold", "refuse"] = "hold"
    hold_seconds: float = Field(default=120, ge=0, le=3600)
    grant_minutes: float = Field(default=30, ge=0, le=1440)
    never: tuple[str, ...] = ("blocked_subcommands",)


class Limits(Section):
    timeout_seconds: float = Field(default=300, ge=0.1, le=86400)
    max_output_bytes: int = Field(default=1024 * 1024, ge=1024, le=8 * 1024 * 1024)
    max_pack_bytes: int = Field(default=2 << 30, ge=1024, le=1 << 40)  # what one push may hold


class Access(Section):
    """Who may use the socket. No uid listed: the operator's own, and the agent's container."""

    allowed_uids: tuple[Annotated[int, Field(ge=0, le=2**32 - 2)], ...] = ()
    socket_permissions: Annotated[int, BeforeValidator(_mode)] = 0o660


class PolicyFile(Section):
    """A policy file as a whole; `rules` is narrowed to the tool's own model by `file_model`."""

    plugin: Annotated[str, AfterValidator(_tool_name)]
    version: Literal[1]
    credentials: dict[str, Annotated[str, BeforeValidator(_variable)]] = {}
    credential_hosts: dict[
        str, Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], Field(min_length=1)]
    ] = {}
    remotes: Remotes = Remotes()
    network: Network = Network()
    rules: Any
    approvals: Approvals = Approvals()
    limits: Limits = Limits()
    access: Access = Access()


@lru_cache(maxsize=32)
def file_model(rules_model: type[ToolRules]) -> type[PolicyFile]:
    default: Any = ... if rules_model.commands else rules_model()
    return create_model("PolicyFile", __base__=PolicyFile, rules=(rules_model, default))


def rule_names(rules_model: type[ToolRules]) -> tuple[str, ...]:
    """Every name that `approvals.never` may list, and that a reason may carry."""
    return (*rules_model.model_fields, "remotes.push", "remotes.fetch", "network.allow")
