//! Files of hashes of rows, which the cluster groups: Parquet, since that is what it reads.
//!
//! Not for comparing them: see [`crate::engine`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
use mlops_core::platform::disk::Disk;
use mlops_core::platform::engine::{HashFile, Position};
use mlops_core::{Error, Result};

/// Rows in a batch.
const BATCH: usize = 1 << 16;

/// A file of hashes that is being written.
struct Hashes {
    path: PathBuf,
    schema: Arc<Schema>,
    writer: ArrowWriter<Vec<u8>>,
    high: Vec<i64>,
    low: Vec<i64>,
    position: Vec<i64>,
}

/// The columns of such a file.
pub(crate) fn schema() -> Arc<Schema> {
    let column = |name: &str| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![column("high"), column("low"), column("position")]))
}

/// Opens a file of hashes.
pub(crate) fn open(path: &Path) -> Result<Box<dyn HashFile>> {
    let schema = schema();
    // Hashes are random: neither packing nor statistics nor dictionaries help.
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .build();
    let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties));
    Ok(Box::new(Hashes {
        path: path.to_owned(),
        schema,
        writer: writer.map_err(|e| Error::backend("parquet", e))?,
        high: Vec::new(),
        low: Vec::new(),
        position: Vec::new(),
    }))
}

/// The number of rows in the file at `path`, and that of their stretch, by which the file is named.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn extent(path: &Path) -> Result<(i64, i64)> {
    let file = std::fs::File::open(path).map_err(|e| Error::io("read", path, e))?;
    let reader = SerializedFileReader::new(file).map_err(|e| Error::backend("parquet", e))?;
    let stretch = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
    let stretch =
        stretch.ok_or_else(|| Error::backend("ballista", "a file of hashes has no number"))?;
    Ok((reader.metadata().file_metadata().num_rows(), stretch))
}

impl Hashes {
    fn flush(&mut self) -> Result<()> {
        let columns = [&mut self.high, &mut self.low, &mut self.position];
        let columns = columns.map(|c| Arc::new(Int64Array::from(std::mem::take(c))) as ArrayRef);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.to_vec());
        let batch = batch.map_err(|e| Error::backend("arrow", e))?;
        self.writer.write(&batch).map_err(|e| Error::backend("parquet", e))
    }
}

impl HashFile for Hashes {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "bits are bits"
    )]
    fn add(&mut self, hash: u128, position: Position) -> Result<()> {
        self.high.push((hash >> 64) as i64);
        self.low.push(hash as i64);
        self.position.push(position.number() as i64);
        if self.high.len() == BATCH { self.flush() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.flush()?;
        let bytes = self.writer.into_inner().map_err(|e| Error::backend("parquet", e))?;
        let mut file = Disk::for_task().new_file(&self.path)?;
        file.write_all(&bytes)?;
        file.publish_unsynced()
    }
}
