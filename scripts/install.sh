#!/bin/sh
# Sets up Claude Container for this user: the command in .venv, the home, and .env for plain `docker compose`.
# Run again, it adds what is missing and changes nothing that is there.
#
#   [WORKSPACE=~/project] [CLAUDE_HOME=~/.claude-container] scripts/install.sh
set -eu
cd "$(dirname "$0")/.."
say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

home=${CLAUDE_HOME:-$HOME/.claude-container}
workspace=${WORKSPACE:-$HOME/claude-workspace}
case $workspace in /*) ;; *) workspace=$PWD/$workspace ;; esac
# The agent writes in its workspace: what the operator runs must not lie there.
case $PWD/ in "$workspace"/*) fail "The workspace $workspace holds Claude Container itself." "Choose another WORKSPACE." ;; esac

command=${CLAUDE_CONTAINER:-.venv/bin/claude-container}
if [ ! -x "$command" ]; then
  say "Installing into .venv ..."
  python=${PYTHON:-python3}
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "Python 3.11 or newer is needed." "Name one: PYTHON=/path/to/python3 scripts/install.sh"
  "$python" -m venv .venv || fail "No virtual environment can be made." "On Debian: apt install python3-venv"
  .venv/bin/pip install --quiet --disable-pip-version-check --editable .  # which compiles nothing
  command=.venv/bin/claude-container
fi

mkdir -p "$workspace"
# Without a C compiler the agent's client comes out of the image of the git plugin.
"$command" --home "$home" init || {
  "$command" --home "$home" build git
  "$command" --home "$home" init
}
for directory in git git-gateway doors npm npm-gateway npm-doors claude-gateway; do
  mkdir -p -m 700 "$home/run/compose/$directory"
done
mkdir -p -m 700 "$home/state/pins"

# Values in single quotes, as both a shell and compose read them.
setting() { case $2 in '' | *"'"*) ;; *) printf "%s='%s'\n" "$1" "$2" ;; esac; }
if [ -e .env ]; then
  say "Kept what .env says."
else
  name=$(git config --global user.name || true)
  mail=$(git config --global user.email || true)
  umask 077
  {
    setting CLAUDE_UID "$(id -u)"
    setting CLAUDE_GID "$(id -g)"
    setting CLAUDE_HOME "$home"
    setting WORKSPACE "$workspace"
    setting GIT_AUTHOR_NAME "$name"
    setting GIT_AUTHOR_EMAIL "$mail"
    setting GIT_COMMITTER_NAME "$name"
    setting GIT_COMMITTER_EMAIL "$mail"
  } >.env
  say "Wrote .env: the workspace is $workspace."
fi
# Opens the agent's gateway to the agent, and to nobody else.
if ! grep -q '^CLAUDE_GATEWAY_SECRET=' .env; then
  [ -z "$(tail -c 1 .env)" ] || echo >>.env  # its last line may not have ended
  setting CLAUDE_GATEWAY_SECRET "$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" >>.env
fi
say "Next: export ANTHROPIC_API_KEY=... (and GITHUB_TOKEN=..., if origin needs one), then run: scripts/run.sh"
