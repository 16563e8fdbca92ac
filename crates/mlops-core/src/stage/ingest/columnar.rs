//! The data set as a Parquet file, under a temporary name.
//!
//! Not for what is in such a file: see the crate of formats; not for its final name and the order of writes:
//! see [`super::publish`].

use std::io::{BufWriter, Write};
use std::path::Path;

use crate::csv::formats::{self, DataSet, TableFile};
use crate::platform::digest::Digest;
use crate::platform::disk::{Disk, NewFile};
use crate::platform::hashed_file::HashedFile;
use crate::run::context::Context;
use crate::{Error, Result};

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
    let disk = &context.disk;
    let mut out = Out { disk, path, file: begun(disk, path)? };
    let data = DataSet { file: text.reopen()?, place: path, schema: &context.config.schema };
    formats::write_table(data, &mut out)?;
    let file = out.file.into_inner().map_err(|e| Error::io("write", path, e.into_error()))?;
    let (file, digest) = file.finish();
    let bytes = file.metadata()?.len();
    Ok(Packed { file, digest, bytes })
}

fn begun(disk: &Disk, path: &Path) -> Result<BufWriter<HashedFile>> {
    Ok(BufWriter::with_capacity(BLOCK_BYTES, HashedFile::create(disk, path)?))
}

/// The file while it is written.
struct Out<'a> {
    disk: &'a Disk,
    path: &'a Path,
    file: BufWriter<HashedFile>,
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl TableFile for Out<'_> {
    fn restart(&mut self) -> std::io::Result<()> {
        let next = begun(self.disk, self.path).map_err(std::io::Error::other)?;
        // What is left in the buffer need not be written any more.
        drop(std::mem::replace(&mut self.file, next).into_parts());
        Ok(())
    }
}
