//! Parquet files: read or refused, whatever the bytes are. How to run it: see `fuzz/README.md`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "shared/formats.rs"]
mod formats;

fuzz_target!(|input: &[u8]| formats::read("t.parquet", input, &mlops_core::config::Format::default()));
