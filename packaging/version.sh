#!/usr/bin/env bash
# What `mlops --version` says in a build for others, on one line:
#   packaging/version.sh [TARGET]
# The version, the commit with its day, what it is built for, and the compiler. Nothing in it is of the moment of the
# build, which nobody could repeat.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
target=${1-$(rustc -vV | sed -n 's/^host: //p')}
rustc=$(rustc --version | cut -d ' ' -f 1,2)
# Sources without their history have no commit to name.
if commit=$(git rev-parse --short=12 HEAD 2> /dev/null); then
    [ -z "$(git status --porcelain)" ] || commit=$commit-changed
    commit="$commit of $(TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%d)"
else
    commit="commit unknown"
fi
echo "$version ($commit, $target, $rustc)"
