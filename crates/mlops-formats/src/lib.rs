//! Decoders of files in other formats than comma-separated UTF-8.
//!
//! Each makes CSV records of a file, which core parses as those of any other file, so that a table gives
//! the same data set in every format. Not for what a cell means: see `mlops_core::csv`.

mod apart;
mod archive;
mod arrow;
mod changes;
mod decoder;
mod dialect;
mod encoding;
mod excel;
mod file;
mod fixed;
mod foreign;
mod gzip;
mod json;
mod lanes;
mod names;
mod ods;
mod open;
mod output;
mod packed;
mod parquet;
mod recognise;
mod record;
mod rows;
mod sheet;
mod sniff;
mod spell;
mod typed;
mod values;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use mlops_core::Result;
use mlops_core::config::Ingestion;
use mlops_core::csv::formats::{self, ChangesWriter, DataSet, Formats, Opened, TableFile, Wants};

use recognise::Wish;

/// All formats of this crate.
struct Known;

impl Formats for Known {
    fn open(
        &self,
        path: &Path,
        file: File,
        options: &Ingestion,
        columns: &[String],
        threads: usize,
    ) -> Result<Opened> {
        open::open(Wish { path, options, columns, threads }, file)
    }

    fn open_values(&self, path: &Path, file: File, wants: Wants) -> Result<Opened> {
        open::open_values(path, file, wants)
    }

    fn takes(&self, name: &str) -> bool {
        names::takes(name)
    }

    fn row_bytes(&self, path: &Path) -> Option<u64> {
        open::row_bytes(path)
    }

    fn write_table(&self, data: DataSet, out: &mut dyn TableFile) -> Result<()> {
        output::write(data, out)
    }

    fn write_changes<'w>(
        &self,
        out: &'w mut (dyn Write + Send),
    ) -> Result<Box<dyn ChangesWriter + 'w>> {
        Ok(Box::new(changes::Changes::begin(out)?))
    }
}

/// Lets this program read all formats of this crate.
pub fn install() {
    formats::install(&Known);
}
