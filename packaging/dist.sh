#!/usr/bin/env bash
# Makes, in target/dist, for machines without Rust:
#   mlops-VERSION-ARCH-linux.tar.gz   one statically linked executable with links under the ten names, units of systemd,
#                                     manual pages, completions, documentation, an example workspace, the bill of
#                                     materials, the licences of what is built in, and digests
#   mlops_VERSION-1_ARCH.deb          the same as a package of Debian, where dpkg-deb is
# each with its digest beside it. The same commit, built by the same compilers, gives the same bytes in any folder.
# TARGET=x86_64-unknown-linux-gnu links the C library of GNU instead of musl; other processors: docs/installing.md.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
# The time of the commit stands for that of the build, which nobody could repeat.
time=$(git log -1 --format=%ct)
here=$(rustc -vV | sed -n 's/^host: //p')
target=${TARGET:-${here%%-*}-unknown-linux-musl}
name=mlops-$version-${target%%-*}-linux
mkdir -p "${CARGO_TARGET_DIR:-target}"
build=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
dist=target/dist

if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
    echo "Rust has no library for $target here: rustup target add $target" >&2
    exit 1
fi
# For the parts that are C; cargo's own ways to name another compiler hold as well.
case $target in
    "${here%%-*}"-*-musl)
        if ! command -v musl-gcc > /dev/null && [ -z "${CC-}${TARGET_CC-}" ]; then
            echo "there is no musl-gcc: install the package musl-tools, or build for TARGET=$here" >&2
            exit 1
        fi
        ;;
esac

# Linked with all of the C library, it runs whatever the machine has; paths of this machine are left out.
cargo=${CARGO_HOME:-$HOME/.cargo}
export MLOPS_VERSION
MLOPS_VERSION=$(packaging/version.sh "$target")
static=-Ctarget-feature=+crt-static
export CFLAGS=${CFLAGS-}
# The last one that fits counts. Cargo takes flags with blanks between these separators only.
for place in "$cargo=cargo" "$PWD=." "$build=target"; do
    static+=$'\x1f'--remap-path-prefix=$place
    case $place in *" "*) ;; *) CFLAGS+=" -ffile-prefix-map=$place" ;; esac
done
mkdir -p "$dist"
CARGO_ENCODED_RUSTFLAGS=$static cargo build --release --locked --target "$target" --package mlops \
    --message-format json-render-diagnostics > "$dist/messages.json"
# What makes the pages and the bill runs here: of the same build if it can, so that nearly nothing is compiled twice.
if [ "${target%%-*}" = "${here%%-*}" ]; then
    CARGO_ENCODED_RUSTFLAGS=$static cargo build --release --locked --target "$target" --package mlops-package
    package=$build/$target/release/mlops-package
else
    env -u CFLAGS cargo build --locked --package mlops-package
    package=$build/debug/mlops-package
fi

place=$dist/$name
packaging/tree.sh "$place" "$build/$target/release/mlops" "$package" "$(date -u -d "@$time" +%Y-%m-%d)"
"$package" bill "$place" "$target" "$(date -u -d "@$time" +%Y-%m-%dT%H:%M:%SZ)" "$dist/messages.json"
install -m 644 packaging/Containerfile README.md CHANGELOG.md SECURITY.md LICENSE-* "$place"
# Only what is in the history: a workspace here may have more.
mkdir "$place/example"
git ls-files -z docs | xargs -0 cp --parents -t "$place"
git ls-files -z config.json data | xargs -0 cp --parents -t "$place/example"
rm -f "$place/example/data/.gitattributes"
(cd "$place" && find . -type f ! -name SHA256SUMS -exec sha256sum {} + | LC_ALL=C sort -k 2 > SHA256SUMS)
LC_ALL=C tar --create --sort=name --format=ustar --mtime="@$time" --mode=u=rwX,go=rX --owner=0 --group=0 --numeric-owner \
    --directory "$dist" "$name" | gzip -9 --no-name > "$place.tar.gz"
(cd "$dist" && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
if command -v dpkg-deb > /dev/null; then
    packaging/deb.sh "$place" "$version" "${target%%-*}" "$time" "$dist"
else
    echo "dpkg-deb is not here: no package for Debian"
fi
