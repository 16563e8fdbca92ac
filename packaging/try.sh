#!/usr/bin/env bash
# Tries what dist.sh made, where nothing but its files is to be seen:
#   packaging/try.sh target/dist/mlops-VERSION-ARCH-linux.tar.gz [target/dist/mlops_VERSION-1_ARCH.deb]
# The archive: its digests; the main job, a second run, predictions to a file and over HTTP in a root file system that
# has nothing else, no shell and no library. It is installed and removed again. The package: its files are unpacked,
# and what the timer starts is run as the unit says it. Needs unshare of util-linux, and root or namespaces of users.
set -euo pipefail
archive=$(realpath "$1") package=${2:+$(realpath "$2")}
scratch=$(mktemp -d)
app=
finish() {
    [ -z "$app" ] || kill "$app" 2> /dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT
step() { printf '\n== %s\n' "$*"; }
# In ROOT as the root file system, with a network of its own that has nobody else: within ROOT PROGRAM…
within() { unshare --map-root-user --net --mount --root="$1" --wd=/ "${@:2}"; }
megabytes() { du -sk --apparent-size "$1" | awk '{printf "%.1f MB", $1 / 1024}'; }

step "the digests of the archive"
tar -xzf "$archive" -C "$scratch"
tree=$(echo "$scratch"/mlops-*)
(cd "$tree" && sha256sum --check --quiet SHA256SUMS)
echo "$(find "$tree" -type f | wc -l) files are as listed; packed $(megabytes "$archive"), unpacked $(megabytes "$tree")," \
    "the executable $(megabytes "$tree/bin/mlops")"

step "a root file system with the archive alone"
root=$scratch/root
mkdir "$root"
cp -a "$tree/bin" "$tree/example" "$root"
find "$root" -maxdepth 2 ! -path "$root" -printf '/%P\n' | sort | tr '\n' ' '
echo
within "$root" /bin/mlops --version
began=$(date +%s.%N)
within "$root" /bin/mlops first_run --config /example/config.json > "$scratch/first"
awk -v began="$began" -v now="$(date +%s.%N)" 'BEGIN {printf "the main job took %.2f s\n", now - began}'
tail -n 3 "$scratch/first"
within "$root" /bin/first_run --config /example/config.json | grep "Nothing to do"
within "$root" /bin/mlops diagnostics --config /example/config.json --data /example/data/testdata/testdata.csv \
    --output /predictions.csv > /dev/null
head -n 3 "$root/predictions.csv"
# The service and its caller need a network that both have: this machine's own.
unshare --map-root-user --root="$root" --wd=/ /bin/app --config /example/config.json --port 0 > "$scratch/app" 2>&1 &
app=$!
for _ in $(seq 100); do
    url=$(grep -o 'http://127\.0\.0\.1:[0-9]*' "$scratch/app" | head -n 1) && break
    sleep 0.1
done
unshare --map-root-user --root="$root" --wd=/ /bin/apicalls --config /example/config.json --url "$url" | tail -n 4
kill "$app" && wait "$app" && echo "the service ended when asked"
app=

step "installed and removed"
mkdir "$scratch/installed"
DESTDIR=$scratch/installed "$tree/install.sh" install /usr/local > /dev/null
find "$scratch/installed" -type f -o -type l | wc -l | sed 's/$/ files and links/'
DESTDIR=$scratch/installed "$tree/install.sh" uninstall /usr/local > /dev/null
[ -z "$(ls -A "$scratch/installed")" ] && echo "nothing is left"

[ -n "$package" ] || exit 0
step "the package of Debian, and what its timer starts"
mkdir "$scratch/deb"
dpkg-deb --extract "$package" "$scratch/deb"
echo "packed $(megabytes "$package"), unpacked $(megabytes "$scratch/deb")"
cmp "$scratch/deb/usr/bin/mlops" "$tree/bin/mlops"
mkdir -p "$scratch/deb/var/lib"
cp -a "$tree/example" "$scratch/deb/var/lib/mlops"
unit=$scratch/deb/usr/lib/systemd/system/mlops-fullprocess.service
read -ra command <<< "$(sed -n 's/^ExecStart=//p' "$unit")"
echo "${command[*]}"
# Twice, as ten minutes later: exit code 0 is what the unit calls well.
for _ in 1 2; do within "$scratch/deb" "${command[@]}" 2> /dev/null | tail -n 2 | cut -c 1-160; done
