//! The data set as a Parquet file, under a temporary name.
//!
//! Not for what is in such a file: see the crate of formats; not for its final name and the order of writes:
//! see [`super::publish`].

use std::io::Write;
use std::path::Path;

use crate::Result;
use crate::csv::formats::{self, DataSet, TableFile};
use crate::platform::digest::{Digest, Hasher};
use crate::platform::disk::NewFile;
use crate::run::context::Context;

/// Bytes that are written at a time.
const BLOCK_BYTES: usize = 1 << 18;

/// A data set as Parquet.
pub(in crate::stage) struct Packed {
    pub(in crate::stage) file: NewFile,
    pub(in crate::stage) digest: Digest,
    pub(in crate::stage) bytes: u64,
}

/// Writes the data set `text` as Parquet, under a temporary name in the folder of `path`.
pub(in crate::stage) fn columnar(context: &Context, text: &NewFile, path: &Path) -> Result<Packed> {
    let schema = &context.config.schema;
    let mut out = Hashed {
        file: context.disk.new_file(path)?,
        hasher: Hasher::default(),
        buffer: Vec::with_capacity(BLOCK_BYTES),
        bytes: 0,
    };
    formats::write_table(DataSet { file: text.reopen()?, place: path, schema }, &mut out)?;
    out.hand_over()?;
    let Hashed { file, hasher, bytes, .. } = out;
    Ok(Packed { file, digest: hasher.finish(), bytes })
}

/// A file whose digest is computed while it is written.
struct Hashed {
    file: NewFile,
    hasher: Hasher,
    buffer: Vec<u8>,
    bytes: u64,
}

impl Hashed {
    fn hand_over(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.buffer)?;
        self.hasher.update(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        self.file.start_writeback()
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BLOCK_BYTES {
            self.hand_over().map_err(std::io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl TableFile for Hashed {
    fn restart(&mut self) -> std::io::Result<()> {
        self.file.truncate(0).map_err(std::io::Error::other)?;
        self.hasher = Hasher::default();
        self.buffer.clear();
        self.bytes = 0;
        Ok(())
    }
}
