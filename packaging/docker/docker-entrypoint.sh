#!/bin/sh
# Starts rqlited in a container. Identity and addresses come from the container's host name, so that
# every node can be started alike:
#
#   docker run IMAGE                              one node
#   docker run IMAGE -disco-mode=dns …            rqlited with these flags
#   docker run IMAGE PROGRAM …                    another program
#
# What it sets, unless an argument does: HTTP_ADDR, HTTP_ADV_ADDR, RAFT_ADDR, RAFT_ADV_ADDR, NODE_ID.
# DATA_DIR is the data directory. ENABLE_FK, if not empty, stands for -fk. SQLITE_EXTENSIONS names
# files in /opt/extensions, CUSTOM_SQLITE_EXTENSIONS_PATH is added to them. START_DELAY is waited for,
# as `sleep` takes it.
set -eu

# is_given FLAG ARGUMENT...: whether an argument begins with the flag.
is_given() {
    flag=$1
    shift
    for argument in "$@"; do
        case $argument in "$flag"*) return 0 ;; esac
    done
    return 1
}

# The path of -extensions-path, or nothing.
extensions_path() {
    case ${SQLITE_EXTENSIONS:-} in
    *,*) names=$(echo "$SQLITE_EXTENSIONS" | tr ',' ' ') ;;
    *) names=${SQLITE_EXTENSIONS:-} ;;
    esac
    path=
    for name in $names; do
        if [ ! -f "/opt/extensions/$name.zip" ]; then
            echo "SQLite extension $name does not exist" >&2
            exit 1
        fi
        path=${path:+$path,}/opt/extensions/$name.zip
    done
    if [ -n "${CUSTOM_SQLITE_EXTENSIONS_PATH:-}" ]; then
        path=${path:+$path,}$CUSTOM_SQLITE_EXTENSIONS_PATH
    fi
    echo "$path"
}

case ${1:-run} in
run)
    # What comes behind `run` is dropped.
    set --
    ;;
-*) ;;
*) exec "$@" ;;
esac

for variable in SQLITE_EXTENSIONS CUSTOM_SQLITE_EXTENSIONS_PATH; do
    eval "value=\${$variable:-}"
    if [ -n "$value" ] && is_given -extensions-path "$@"; then
        echo "Setting both -extensions-path and $variable is not allowed" >&2
        exit 1
    fi
done
extensions=$(extensions_path)

# In front, one by one, of what is given: so the last of these is the first flag, and what is given
# wins.
set -- "$@" "${DATA_DIR:-/rqlite/file/data}"
if [ -n "${ENABLE_FK:-}" ]; then is_given -fk "$@" || set -- -fk "$@"; fi
if [ -n "$extensions" ]; then set -- "-extensions-path=$extensions" "$@"; fi
is_given -node-id "$@" || set -- -node-id "${NODE_ID:-$(hostname)}" "$@"
is_given -raft-adv-addr "$@" ||
    set -- -raft-adv-addr "${RAFT_ADV_ADDR:-$(hostname -f):4002}" "$@"
is_given -raft-addr "$@" || set -- -raft-addr "${RAFT_ADDR:-0.0.0.0:4002}" "$@"
is_given -http-adv-addr "$@" ||
    set -- -http-adv-addr "${HTTP_ADV_ADDR:-$(hostname -f):4001}" "$@"
is_given -http-addr "$@" || set -- -http-addr "${HTTP_ADDR:-0.0.0.0:4001}" "$@"

# A pod's name is in the cluster's DNS a little later than the pod starts, and a look-up that comes
# too early is remembered there.
if [ -n "${KUBERNETES_SERVICE_HOST:-}" ]; then START_DELAY=${START_DELAY:-5}; fi
if [ -n "${START_DELAY:-}" ]; then sleep "$START_DELAY"; fi

exec rqlited "$@"
