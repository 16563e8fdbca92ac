//! The names of files: which endings are those of a format.
//!
//! Not for telling a format: the content does, where it can.

use std::path::Path;

/// Endings of text, which may be packed.
const TEXTS: [&str; 9] = ["csv", "tsv", "tab", "psv", "jsonl", "ndjson", "json", "fwf", "fixed"];
/// Endings of files that are packed already, or have a packing of their own.
const BINARY: [&str; 13] = [
    "parquet", "parq", "pq", "arrow", "arrows", "feather", "ipc", "xlsx", "xlsm", "xlsb", "xls",
    "ods", "zip",
];
/// Endings of packed files.
const PACKED: [&str; 7] = ["gz", "gzip", "zst", "zstd", "bz2", "xz", "bzip2"];

fn ending(name: &str) -> Option<(&str, String)> {
    let path = Path::new(name);
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    Some((path.file_stem()?.to_str()?, ending))
}

/// Whether a file of this name is one of a known format.
pub(crate) fn takes(name: &str) -> bool {
    let Some((stem, last)) = ending(name) else { return false };
    let packed = PACKED.contains(&last.as_str())
        && ending(stem).is_some_and(|(_, inner)| TEXTS.contains(&inner.as_str()));
    packed || TEXTS.contains(&last.as_str()) || BINARY.contains(&last.as_str())
}

/// The separator that the name promises.
pub(crate) fn separator(path: &Path) -> Option<u8> {
    let mut name = path.file_name()?.to_str()?;
    loop {
        let (stem, last) = ending(name)?;
        match last.as_str() {
            "tsv" | "tab" => return Some(b'\t'),
            "psv" => return Some(b'|'),
            packed if PACKED.contains(&packed) => name = stem,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_known_packed_or_not() {
        for name in [
            "a.csv",
            "A.CSV",
            "b.tsv.gz",
            "c.jsonl.zst",
            "d.parquet",
            "d.feather",
            "e.xlsx",
            "e.ods",
            "f.zip",
        ] {
            assert!(takes(name), "{name}");
        }
        for name in ["a.txt", "b.gz", "c.parquet.gz", "d", ".csv", "e.csv.bak"] {
            assert!(!takes(name), "{name}");
        }
        assert_eq!(separator(Path::new("x/a.tsv.gz")), Some(b'\t'));
        assert_eq!(separator(Path::new("x/a.csv")), None);
    }
}
