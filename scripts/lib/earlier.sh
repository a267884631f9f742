# shellcheck shell=sh
# For scripts that need an earlier commit; sourced behind system.sh, from the project's top folder.

# The commit of the last release, of which fixtures are kept.
last_release() { cat Tests/Fixtures/last-release; }

# earlier_sources COMMIT FOLDER: the commit's files, in a clone of their own.
earlier_sources() {
    rm -rf "$2"
    git clone --quiet --shared --no-checkout . "$2"
    git -C "$2" checkout --quiet "$1"
}

# earlier_daemon COMMIT: its daemon, which is built and kept for the next time; sets $earlier to the file.
earlier_daemon() {
    earlier=$PWD/.build/upgrade/$1/rqlited
    [ ! -x "$earlier" ] || return 0
    sources=$PWD/.build/upgrade/$1/sources
    earlier_sources "$1" "$sources"
    (
        cd "$sources"
        export ONLY=none RQLITED_COMMIT="$1"
        swift build -c release --product rqlited >&2
        cp "$(swift build -c release --show-bin-path)/rqlited" "$earlier.new"
    )
    mv "$earlier.new" "$earlier"
    rm -rf "$sources"
}
