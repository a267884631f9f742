# shellcheck shell=sh
# Lays out what was built for release as it is installed. Sourced, after system.sh, from the
# project's top folder; $bin is the folder of the build.
#
#   bin/                    the programs; they find Swift's libraries in ../lib/rqlite/swift
#   lib/rqlite/plugins/     discovery plugins, which find them in ../swift
#   lib/rqlite/swift/       of Swift's libraries those that the files above need
#   include/                the header for plugins of your own
#   lib/pkgconfig/          what a plugin's build asks for: pkg-config --cflags rqlite-disco
#   share/                  the manual page and completion for bash and zsh, made by the daemon itself

# lay_out ROOT: fills the folder, which is made anew, and judges it. Works from wherever it is moved.
lay_out() {
    root=$1
    rm -rf "$root"
    mkdir -p "$root/bin" "$root/lib/rqlite/plugins" "$root/lib/rqlite/swift"
    mkdir -p "$root/lib/pkgconfig" "$root/include"
    for program in $(programs); do
        cp "$bin/$program" "$root/bin/"
    done
    for product in $(plugin_products); do
        cp "$bin/lib$product.so" "$root/lib/rqlite/plugins/"
        cp Plugins/*/"$product.harness.json" "$root/lib/rqlite/plugins/"
    done
    cp Sources/PluginABI/include/rqlite_disco.h "$root/include/"
    pkg_config_file >"$root/lib/pkgconfig/rqlite-disco.pc"
    swift_libraries
    set_search_paths
    judge_layout
    generated_files
}

# Made of the daemon's own table of flags.
generated_files() {
    mkdir -p "$root/share/man/man8" "$root/share/bash-completion/completions"
    mkdir -p "$root/share/zsh/site-functions" "$root/share/doc/rqlited"
    "$root/bin/rqlited" -generate=man >"$root/share/man/man8/rqlited.8"
    "$root/bin/rqlited" -generate=bash >"$root/share/bash-completion/completions/rqlited"
    "$root/bin/rqlited" -generate=zsh >"$root/share/zsh/site-functions/_rqlited"
    cp LICENSE "$root/share/doc/rqlited/"
}

# copy_pages FOLDER UP: the pages and the example plugins, laid out as in the sources; UP leads from
# FOLDER to where `include/` is. A link that would lead nowhere is an error.
copy_pages() {
    mkdir -p "$1/docs"
    cp README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE "$1/"
    cp -r docs/. "$1/docs/"
    find Examples -type f ! -path '*/.build/*' ! -name '*.o' ! -name '*.so' | while read -r file; do
        install -D -m 644 "$file" "$1/$file"
    done
    find "$1" -name '*.md' | while read -r page; do
        sed "s|](\(\(\.\./\)*\)Sources/PluginABI/include/rqlite_disco.h|](\1$2include/rqlite_disco.h|g" \
            "$page" >"$page.new"
        mv "$page.new" "$page"
        sed -n 's/](\([^)]*\))/\n@link \1\n/gp' "$page" | sed -n 's/^@link \([^#]*\).*/\1/p' |
            while read -r target; do
                case $target in
                '' | *://*) continue ;;
                esac
                # `include/` is laid out beside the pages, perhaps by somebody else.
                case $target in
                *include/rqlite_disco.h) continue ;;
                esac
                [ -e "$(dirname "$page")/$target" ] || bad_layout "$page points at $target"
            done
    done
}

pkg_config_file() {
    abi=$(sed -n 's/^#define RQD_ABI_\(MAJOR\|MINOR\) \([0-9]*\).*/\2/p' \
        Sources/PluginABI/include/rqlite_disco.h | paste -s -d .)
    cat <<TEXT
prefix=\${pcfiledir}/../..
includedir=\${prefix}/include
plugindir=\${prefix}/lib/rqlite/plugins

Name: rqlite-disco
Description: The contract between rqlited and its discovery plugins
Version: $abi
Cflags: -I\${includedir}
TEXT
}

objects() { find "$root/bin" "$root/lib" -type f ! -name "*.pc" ! -name "*.json"; }

# Swift's libraries lie beside the toolchain; all others are the system's own.
swift_libraries() {
    toolchain=$(dirname "$(readlink -f "$(command -v swift)")")/../lib/swift/linux
    toolchain=$(cd "$toolchain" && pwd)
    objects | while read -r file; do
        # What is already there is the project's own: a missing library shows below.
        LD_LIBRARY_PATH=$toolchain ldd "$file" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p'
    done | sort -u | while read -r library; do
        case $library in
        "$toolchain"/*) cp -L "$library" "$root/lib/rqlite/swift/" ;;
        esac
    done
}

# shellcheck disable=SC2016 # $ORIGIN is for the loader.
set_search_paths() {
    objects | while read -r file; do
        # A plugin's note is in a section of its own, which this leaves alone.
        strip --strip-unneeded "$file"
        case $file in
        "$root"/bin/*) patchelf --set-rpath '$ORIGIN/../lib/rqlite/swift' "$file" ;;
        "$root"/lib/rqlite/plugins/*) patchelf --set-rpath '$ORIGIN/../swift' "$file" ;;
        *) patchelf --set-rpath '$ORIGIN' "$file" ;;
        esac
    done
}

bad_layout() {
    echo "$1" >&2
    exit 1
}

# As a machine without the toolchain would see it.
judge_layout() {
    notes=$(mktemp -d)
    objects >"$notes/files"
    while read -r file; do
        readelf -d "$file" >"$notes/dynamic"
        # shellcheck disable=SC2016 # $ORIGIN is for the loader.
        if grep -E '\((RPATH|RUNPATH)\)' "$notes/dynamic" | grep -Evq '\[\$ORIGIN[^:]*\]'; then
            bad_layout "$file looks elsewhere: $(grep -E 'R(UN)?PATH' "$notes/dynamic")"
        fi
        if grep '(NEEDED)' "$notes/dynamic" | grep -Eq 'Foundation|libicu'; then
            bad_layout "$file links Foundation: $(grep '(NEEDED)' "$notes/dynamic")"
        fi
        env -i /usr/bin/ldd "$file" >"$notes/libraries"
        if grep -q 'not found' "$notes/libraries"; then
            bad_layout "$file lacks a library: $(grep 'not found' "$notes/libraries")"
        fi
        if grep -Fq "$toolchain" "$notes/libraries"; then
            bad_layout "$file loads from the toolchain: $(grep -F "$toolchain" "$notes/libraries")"
        fi
    done <"$notes/files"
    rm -r "$notes"
}
