#!/usr/bin/env bash
# Installs one executable, links to it, manual pages, completions and the units of systemd, or removes just these:
#   install.sh install PREFIX [FOLDER]
#   install.sh uninstall PREFIX
# FOLDER is what tree.sh has laid out or an unpacked archive has, where it is the folder of this script. DESTDIR goes
# before every path. The links are in PREFIX/libexec/mlops, since `app` and `training` are names that another program
# may have; `mlops training` needs none. PREFIX/share/mlops/installed lists every file and every folder that was made,
# and nothing else is ever removed.
set -euo pipefail
umask 022
fail() {
    echo "install.sh: $*" >&2
    exit 2
}

[ $# -ge 2 ] || fail "usage: install.sh install PREFIX [FOLDER] | uninstall PREFIX"
action=$1 prefix=${2%/}
from=${3-$(cd "$(dirname "$0")" && pwd)}
dest=${DESTDIR-}
case $prefix in
    /*) ;;
    *) fail "PREFIX is an absolute path such as /usr/local, not '$2'" ;;
esac
# It stands in units and in lines of the list.
case $prefix in *[!A-Za-z0-9/._+@-]* | */../* | */..) fail "PREFIX has a character that a unit could not have: $prefix" ;; esac
list=$prefix/share/mlops/installed

# Makes a folder and those above it, below DESTDIR, and notes each that was not there.
folder() {
    local path=$1
    [ -n "$path" ] && [ "$path" != / ] && [ ! -d "$dest$path" ] || return 0
    folder "${path%/*}"
    mkdir "$dest$path"
    notes+=("d $path")
}

# put MODE FILE PATH: a copy. What had the name before goes first, since a program at work can keep its file so.
put() {
    folder "${3%/*}"
    rm -f "$dest$3"
    install -m "$1" "$2" "$dest$3"
    notes+=("f $3")
}

# Removes the files of the list on standard input, and its folders if they are then empty.
remove() {
    local kind path folders=()
    while read -r kind path; do
        case $kind$path in
            f"$prefix"/*) rm -f "$dest$path" ;;
            d/*) folders+=("$path") ;;
            *) fail "$dest$list has a line that is not of this script: $kind $path" ;;
        esac
    done
    [ ${#folders[@]} = 0 ] || printf '%s\n' "${folders[@]}" | sort -r | while read -r path; do
        rmdir "$dest$path" 2> /dev/null || true
    done
}

case $action in
    install)
        [ -x "$from/bin/mlops" ] || fail "there is no $from/bin/mlops: run make install, or this script in an unpacked archive"
        [ -z "$dest" ] || mkdir -p "$dest"
        before=()
        [ ! -f "$dest$list" ] || mapfile -t before < "$dest$list"
        notes=()
        put 755 "$from/bin/mlops" "$prefix/bin/mlops"
        folder "$prefix/libexec/mlops"
        for link in "$from"/bin/*; do
            [ -L "$link" ] || continue
            link=$prefix/libexec/mlops/${link##*/}
            ln -sfn ../../bin/mlops "$dest$link"
            notes+=("f $link")
        done
        for page in "$from"/man/*.1; do put 644 "$page" "$prefix/share/man/man1/${page##*/}"; done
        put 644 "$from/completions/mlops.bash" "$prefix/share/bash-completion/completions/mlops"
        put 644 "$from/completions/_mlops" "$prefix/share/zsh/site-functions/_mlops"
        put 644 "$from/completions/mlops.fish" "$prefix/share/fish/vendor_completions.d/mlops.fish"
        for unit in "$from"/systemd/*; do
            path=$prefix/lib/systemd/system/${unit##*/}
            put 644 "$unit" "$path"
            sed -i "s|^ExecStart=/usr/local/bin/\([a-z_]*\) |ExecStart=$prefix/bin/mlops \1 |" "$dest$path"
        done
        folder "${list%/*}"
        notes+=("f $list")
        # What an earlier version had besides goes; folders of its making stay noted.
        declare -A kept=()
        for note in "${notes[@]}"; do kept[$note]=yes; done
        for note in "${before[@]}"; do
            case $note in
                "d "*) notes+=("$note") ;;
                *) [ -n "${kept[$note]-}" ] || remove <<< "$note" ;;
            esac
        done
        printf '%s\n' "${notes[@]}" | sort -u > "$dest$list"
        echo "installed $dest$prefix/bin/mlops: mlops --help lists the programs"
        ;;
    uninstall)
        [ -f "$dest$list" ] || fail "nothing is installed below $dest$prefix: there is no $dest$list"
        remove < "$dest$list"
        echo "removed mlops from $dest$prefix; workspaces stay as they are"
        ;;
    *)
        fail "install or uninstall, not $action"
        ;;
esac
