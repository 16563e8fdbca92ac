#!/bin/sh
# The crontab entry of fullprocess: prints it, adds it, removes it, and touches no other entry.
# Not for systemd: see mlops-fullprocess.timer.
#
#   packaging/cron.sh print|install|uninstall [CONFIG]
#
# An entry ends with a comment that holds a checksum of its configuration's path, by which it is
# found again: several configurations of one user stand beside each other.
set -eu
LC_ALL=C
export LC_ALL
unset CDPATH
newline='
'

fail() {
    printf 'cron.sh: %s\n' "$*" >&2
    exit 1
}

# The absolute path of a file, whose folder must be there.
absolute() {
    folder=$(dirname -- "$1")
    # The x keeps a newline at the end of a name.
    folder=$(cd -- "$folder" 2>/dev/null && pwd -P && printf x) || return 1
    folder=${folder%"${newline}x"}
    printf '%s/%s' "${folder%/}" "${1##*/}"
}

# Builds the binary and prints where cargo put it.
built() {
    here=$(cd -- "$(dirname -- "$0")/.." && pwd -P)
    messages=$(cd -- "$here" &&
        cargo build --release --bin fullprocess --message-format=json-render-diagnostics) ||
        fail "fullprocess could not be built"
    # The path is JSON: \" and \\ stand for themselves.
    printf '%s\n' "$messages" |
        sed -n 's/.*"executable":"\([^"\\]*\(\\.[^"\\]*\)*\)".*/\1/p' | sed 's/\\\(["\\]\)/\1/g' | tail -n 1
}

# A text as one word of a crontab's command: quoted for sh, and with % escaped for cron, which
# takes a bare one as the end of the command, and not if two backslashes stand before it.
quoted() {
    printf '%s' "$1" |
        sed "s/'/'\\\\''/g; s/\\\\%/\\\\''%/g; s/%/\\\\%/g; s/^/'/; s/\$/'/"
}

# The lines of the crontab, with an x behind the last one.
current() {
    if entries=$(crontab -l 2>/dev/null && printf x); then
        entries=${entries%x}
        printf '%s' "$entries"
        case $entries in "" | *"$newline") ;; *) echo ;; esac
        printf x
        return
    fi
    # Having none is no failure; anything else is, or we would write over what we could not read.
    why=$(crontab -l 2>&1 >/dev/null || :)
    case $why in
        *"no crontab for"* | *"can't open"*"No such file"*) printf x ;;
        *) fail "cannot read the crontab, so nothing was changed: $why" ;;
    esac
}

# Everything but our entry.
others() {
    MARKER=$marker awk '
        { at = length($0) - length(ENVIRON["MARKER"]) }
        at < 0 || substr($0, at + 1) != ENVIRON["MARKER"]
    '
}

case $#${1-} in
    [12]print | [12]install | [12]uninstall) ;;
    *) fail "usage: cron.sh print|install|uninstall [CONFIG]" ;;
esac
command -v crontab >/dev/null || [ "$1" = print ] || fail "there is no crontab on this machine"
config=$(absolute "${2:-config.json}" && printf x) ||
    fail "the folder of ${2:-config.json} is not there"
config=${config%x}
case $config in *"$newline"*) fail "a path with a line break cannot stand in a crontab" ;; esac
marker="# mlops fullprocess $(printf '%s' "$config" | cksum | cut -d ' ' -f 1)"

if [ "$1" = print ] || [ "$1" = install ]; then
    [ -f "$config" ] || fail "there is no $config: name a configuration with CONFIG=path"
    binary=$(built)
    [ -x "$binary" ] || fail "cargo did not say where fullprocess is"
    # Quiet, so that this log holds errors and warnings only; each run has a log of its own.
    entry="*/10 * * * * $(quoted "$binary") --quiet --config $(quoted "$config")"
    entry="$entry >> $(quoted "$(dirname -- "$config")/fullprocess.log") 2>&1 $marker"
    # What the classic cron takes; a longer line would be cut or refused.
    [ ${#entry} -le 998 ] || fail "the entry is too long for cron: use shorter paths"
fi

case $1 in
    print)
        printf '%s\n' "$entry"
        ;;
    install)
        before=$(current)
        case "$newline${before%x}" in
            *"$newline$entry$newline"*)
                echo "The entry is there already; nothing was changed."
                exit 0
                ;;
        esac
        after=$(printf '%s' "${before%x}" | others && printf '%s\nx' "$entry")
        printf '%s' "${after%x}" | crontab -
        printf 'Added to the crontab:\n%s\n' "$entry"
        ;;
    uninstall)
        before=$(current)
        after=$(printf '%s' "${before%x}" | others && printf x)
        if [ "$after" = "$before" ]; then
            echo "There is no entry for $config; nothing was changed."
        elif [ "$after" = x ]; then
            crontab -r
            echo "Removed the entry; it was the only one."
        else
            printf '%s' "${after%x}" | crontab -
            echo "Removed the entry for $config."
        fi
        ;;
esac
