//! Small files of releases: JSON in our format, and the relative path from the pointer to a
//! release.
//!
//! Not for the model file: see [`crate::model::artifact`].

use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::{Error, Result};

/// JSON for files: indented, with a final newline.
pub fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::backend("JSON", e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a JSON file of ours.
pub fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = crate::platform::files::read(path).map_err(|e| Error::io("read", path, e))?;
    parsed(&bytes, path)
}

/// Parses `bytes`, the content of our JSON file at `path`.
pub(super) fn parsed<T: serde::de::DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| {
        let message = format!("it is not what this program writes ({e}): make it again");
        Error::artifact(path.display().to_string(), message)
    })
}

/// The relative path from folder `from` to `to`, both of which must exist.
pub(crate) fn relative(to: &Path, from: &Path) -> Result<PathBuf> {
    let real = |path: &Path| -> Result<PathBuf> {
        path.canonicalize().map_err(|e| Error::io("read", path, e))
    };
    let (to, from) = (real(to)?, real(from)?);
    let shared = to.components().zip(from.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    Ok(up.chain(to.components().skip(shared)).collect())
}
