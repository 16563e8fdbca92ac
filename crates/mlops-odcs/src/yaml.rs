//! YAML, whose values are those of JSON here. Not for what they mean.

use std::path::Path;

use mlops_core::platform::files;
use mlops_core::{Error, Result, text};
use serde_json::Value;

/// A contract is a page or two.
const LARGEST: u64 = 16 << 20;

/// The document in the file at `path`.
pub(crate) fn read(path: &Path) -> Result<Value> {
    let (file, metadata) = files::open(path).map_err(|e| Error::io("read", path, e))?;
    let place = path.display();
    if metadata.len() > LARGEST {
        return Err(Error::data(format!("{place} is larger than any contract")));
    }
    // Values that YAML repeats by reference are limited by the library.
    serde_norway::from_reader(file)
        .map_err(|e| Error::data(text::bounded(format!("{place} is not YAML: {e}"))))
}

/// The document as text.
pub(crate) fn written(document: &Value) -> Result<String, std::fmt::Error> {
    serde_norway::to_string(document).map_err(|_| std::fmt::Error)
}
