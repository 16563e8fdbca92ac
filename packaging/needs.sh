#!/usr/bin/env bash
# Says what a build needs if this machine lacks it: cargo, the version of Rust that Cargo.toml names, and a compiler
# and linker of C. Says nothing if all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
lacking=()
if ! command -v cargo > /dev/null; then
    lacking+=("Rust $needed or later, with cargo: https://rustup.rs, or the package rustc of your system if it is new enough")
elif command -v rustc > /dev/null; then
    have=$(rustc --version | cut -d ' ' -f 2)
    if [ "$(printf '%s\n%s\n' "$needed" "${have%%-*}" | sort -V | head -1)" != "$needed" ]; then
        lacking+=("Rust $needed or later, since this is $have: rustup update, or the package of your system")
    fi
fi
# SQLite, zstd and the cryptography are partly C.
if ! command -v "${CC:-cc}" > /dev/null; then
    lacking+=("a compiler of C, called ${CC:-cc}: the package gcc or build-essential")
fi
if [ "${#lacking[@]}" -gt 0 ]; then
    echo "To build this, the following is missing:" >&2
    printf '  - %s\n' "${lacking[@]}" >&2
    exit 1
fi
