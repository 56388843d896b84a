#!/bin/sh
# The few commands of every day, in short: each is one of claude-container.
#
#   scripts/run.sh [-- COMMAND...]   the agent in its container; starts the plugins first when they do not run
#   scripts/run.sh start             the plugins, in the background
#   scripts/run.sh status
#   scripts/run.sh logs NAME         of a plugin (git, git-plugin) or a gateway (git-gateway)
#   scripts/run.sh stop
#
# WORKSPACE and CLAUDE_HOME come from the environment, else from .env (see scripts/install.sh).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }
saved() { sed -n "s/^$1='\(.*\)'\$/\1/p" "$root/.env" 2>/dev/null | tail -n 1; }

home=${CLAUDE_HOME:-$(saved CLAUDE_HOME)}
workspace=${WORKSPACE:-$(saved WORKSPACE)}
command=${CLAUDE_CONTAINER:-$root/.venv/bin/claude-container}
[ -x "$command" ] || fail "Claude Container is not installed." "Run: scripts/install.sh"
claude() { "$command" ${home:+--home "$home"} "$@"; }
start() { claude start --runtime "${CLAUDE_RUNTIME:-docker}" --workspace "${workspace:?set it to your project}"; }

case ${1-} in
  '' | --)
    [ -z "${1-}" ] || shift
    claude status >/dev/null 2>&1 || start
    if [ $# -gt 0 ]; then set -- -- "$@"; fi
    exec "$command" ${home:+--home "$home"} run "$@"
    ;;
  start) [ $# = 1 ] || usage; start ;;
  status | stop) [ $# = 1 ] || usage; claude "$1" ;;
  logs) [ $# = 2 ] || usage; claude logs "${2%-plugin}" ;;
  *) usage ;;
esac
