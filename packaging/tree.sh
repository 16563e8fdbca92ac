#!/usr/bin/env bash
# Lays out what is installed, in FOLDER, which is emptied first:
#   packaging/tree.sh FOLDER MLOPS PACKAGE [DAY]
# from the executable MLOPS and PACKAGE, the executable of crates/mlops-package. DAY is in the foot of the manual pages.
# install.sh installs such a folder; dist.sh makes an archive of it.
set -euo pipefail
umask 022
sources=$(cd "$(dirname "$0")/.." && pwd)
folder=$1 mlops=$2 package=$3
day=${4-$(TZ=UTC git -C "$sources" log -1 --format=%cd --date=format-local:%Y-%m-%d 2> /dev/null || date -u +%Y-%m-%d)}
rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/systemd"
install -m 755 "$mlops" "$folder/bin/mlops"
for program in "$sources"/bins/*/; do ln -s mlops "$folder/bin/$(basename "$program")"; done
install -m 644 "$sources"/packaging/*.service "$sources"/packaging/*.timer "$folder/systemd"
install -m 755 "$sources/packaging/install.sh" "$folder/install.sh"
"$package" pages "$folder" "$day"
