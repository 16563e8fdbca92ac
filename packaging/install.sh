#!/usr/bin/env bash
# Installs one executable, links to it and the units of systemd, or removes just these:
#   packaging/install.sh install|uninstall PREFIX
# DESTDIR goes before every path. The links are in PREFIX/libexec/mlops, since `app` and `training` are
# names that another program may have; `mlops training` needs none. Nothing of anybody's data is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
action=${1?install or uninstall}
prefix=${2?the folder to install to, such as /usr/local}
root=${DESTDIR-}$prefix
units=(mlops-app.service mlops-fullprocess.service mlops-fullprocess.timer)
case $action in
    install)
        [ -f target/release/mlops ] || { echo "there is no target/release/mlops: run make install" >&2; exit 1; }
        install -D -m 755 target/release/mlops "$root/bin/mlops"
        mkdir -p "$root/libexec/mlops" "$root/lib/systemd/system"
        for program in bins/*/; do
            ln -sfn ../../bin/mlops "$root/libexec/mlops/$(basename "$program")"
        done
        for unit in "${units[@]}"; do
            sed "s|^ExecStart=/usr/local/bin/\([a-z]*\) |ExecStart=$prefix/bin/mlops \1 |" "packaging/$unit" \
                > "$root/lib/systemd/system/$unit"
            chmod 644 "$root/lib/systemd/system/$unit"
        done
        echo "installed $root/bin/mlops: mlops --help lists the programs"
        ;;
    uninstall)
        rm -f "$root/bin/mlops"
        for program in bins/*/; do rm -f "$root/libexec/mlops/$(basename "$program")"; done
        for unit in "${units[@]}"; do rm -f "$root/lib/systemd/system/$unit"; done
        rmdir "$root/libexec/mlops" 2> /dev/null || true
        echo "removed mlops from $root; workspaces stay as they are"
        ;;
    *)
        echo "install or uninstall, not $action" >&2
        exit 2
        ;;
esac
