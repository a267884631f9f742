# shellcheck shell=sh
# Shared by the scripts beside this folder, which source it from the project's top folder.

# What building and running need beside Swift and git; gcc for its part of every linked program.
# shellcheck disable=SC2034 # Used by those who source this.
build_packages="binutils gcc libc6-dev libsqlite3-dev zlib1g-dev libcrypt-dev libc-ares-dev libcurl4-openssl-dev"

# need_packages NAME...: installs the Debian packages that are missing, as root or through sudo;
# otherwise prints the line to type, and stops.
need_packages() {
    missing=
    for package in "$@"; do
        # shellcheck disable=SC2016 # The braces are dpkg-query's.
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
        *"install ok installed") ;;
        *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -eq 0 ]; then
        sudo=
    elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        sudo=sudo
    else
        echo "These system packages are missing. As root, type:" >&2
        echo "    apt-get update && apt-get install -y --no-install-recommends$missing" >&2
        exit 1
    fi
    echo "Installing:$missing" >&2
    # A list that is a little old is good enough where no mirror can be reached.
    $sudo apt-get update -qq >&2 || echo "apt-get update failed; trying with the list at hand" >&2
    # Another run may be installing at the same time: wait for its lock.
    # shellcheck disable=SC2086 # The list is meant to be split.
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        --no-install-recommends $missing >&2
}

# Stops unless Swift is new enough.
need_swift() {
    if ! command -v swift >/dev/null 2>&1; then
        echo "Swift 6.3 or later is needed, and there is no swift on the PATH." >&2
        echo "Install it from https://www.swift.org/install/linux/" >&2
        exit 1
    fi
    version=$(swift --version 2>/dev/null |
        sed -n 's/.*Swift version \([0-9][0-9]*\)\.\([0-9][0-9]*\).*/\1 \2/p' | head -n 1)
    if [ "${version% *}" -lt 6 ] || { [ "${version% *}" -eq 6 ] && [ "${version#* }" -lt 3 ]; }
    then
        echo "Swift 6.3 or later is needed; this is $(swift --version 2>/dev/null | head -n 1)" >&2
        exit 1
    fi
}

# The discovery plugins' products, as Package.swift names them.
plugin_products() {
    sed -n 's/.*\.library(.*"\(rqlite-disco-[a-z-]*\)".*/\1/p' Package.swift | sort -u
}

# The programs that users get, as Package.swift names them.
programs() {
    sed -n 's/.*\.executable(name: "\([a-z-]*\)".*/\1/p' Package.swift
}

# The daemon's version.
version() {
    sed -n 's/.*static let version = "\(.*\)".*/\1/p' Sources/Host/Daemon/Settings/Build.swift
}

# The commit that is built, with -dirty if the files differ from it; what it says goes into
# `rqlited -version` by way of the environment, so that no file is changed.
commit() {
    # The sources may have been unpacked somewhere below a repository that is not theirs.
    if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ] &&
        name=$(git rev-parse --short=12 HEAD 2>/dev/null); then
        if [ -n "$(git status --porcelain --untracked-files=no 2>/dev/null)" ]; then
            name=$name-dirty
        fi
        echo "$name"
    else
        # From a tarball of the sources.
        echo unknown
    fi
}

# Builds the programs and plugins for release; sets $bin to the folder they are in. RQLITED_BUILT is that folder
# where somebody has just built them: to find that nothing is to be done takes a second or two for each product.
build_release() {
    if [ -n "${RQLITED_BUILT:-}" ]; then
        bin=$RQLITED_BUILT
        return 0
    fi
    RQLITED_COMMIT=$(commit)
    export RQLITED_COMMIT
    for product in $(programs) $(plugin_products); do
        swift build -c release --product "$product" >&2
    done
    bin=$(swift build -c release --show-bin-path)
}

# phase NAME COMMAND...: runs it and prints how long it took.
phase() {
    phase_name=$1
    shift
    echo "== $phase_name"
    phase_start=$(date +%s)
    "$@"
    echo "== $phase_name: $(($(date +%s) - phase_start)) s"
}
