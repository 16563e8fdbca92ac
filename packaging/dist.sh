#!/usr/bin/env bash
# Makes target/dist/mlops-VERSION-ARCH-linux.tar.gz for machines without Rust: one statically linked executable
# with links under the ten names, units of systemd, documentation, an example workspace, the licences of what
# is built in, and digests. The same commit gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
commit=$(git rev-parse --short=12 HEAD)
[ -z "$(git status --porcelain)" ] || commit=$commit-changed
# The time of the commit stands for that of the build, which nobody could repeat.
time=$(git log -1 --format=%ct)
target=$(rustc -vV | sed -n 's/^host: //p')
name=mlops-$version-${target%%-*}-linux
place=target/dist/$name

# Linked with all of the C library, it runs whatever the machine has; paths of this machine are left out.
export MLOPS_VERSION="$version ($commit)"
export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$PWD=. \
--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
cargo build --release --locked --target "$target" --package mlops

rm -rf "$place"
mkdir -p "$place/bin" "$place/systemd" "$place/example"
install -m 755 "target/$target/release/mlops" "$place/bin/mlops"
for program in bins/*/; do ln -s mlops "$place/bin/$(basename "$program")"; done
cp packaging/*.service packaging/*.timer "$place/systemd"
cp -r config.json data "$place/example"
git -C . ls-files data | sort > target/dist/shipped
(cd "$place/example" && find data -type f | sort | comm -23 - ../../shipped | xargs -r -d '\n' rm --)
find "$place/example" -depth \( -type l -o -type d -empty \) -delete
cp -r README.md CHANGELOG.md SECURITY.md LICENSE-* docs "$place"
cargo tree --locked --package mlops --edges normal --target "$target" --prefix none --format '{p}: {l}' |
    sed 's/ (\*)$//; s| (/[^)]*)||' | sort -u > "$place/DEPENDENCIES.txt"
(cd "$place" && find . -type f ! -name SHA256SUMS -exec sha256sum {} + | sort -k 2 > SHA256SUMS)
tar --create --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner --directory target/dist "$name" |
    gzip -9 --no-name > "$place.tar.gz"
(cd target/dist && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
