//! Formats from outside: what a data set and a quarantine have of the same table in each of them, and what
//! hostile files do. Not for single decoders: their tests stand beside them.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::format_push_string, reason = "short before fast")]

/// One table in all formats.
mod agree;
/// Tables of Arrow, as other programs write them.
mod arrow;
/// Workbooks: which sheet is read, and which row names the columns.
mod books;
/// The record of changed cells.
mod changes;
/// Data sets that are Parquet files.
mod dataset;
/// Dialects of CSV and encodings, recognised and configured.
mod dialects;
/// Bytes that mean harm, or nothing.
mod hostile;
/// JSON: what a row is.
mod json;
/// The lines of rows to predict.
mod lines;
/// The data set as Parquet, beside the CSV file.
mod output;
/// Pages of Parquet, and parts that are decoded on several threads.
mod parts;
/// Data sets that others read.
mod readers;
/// What goes with an old data set.
mod retention;
/// The table, and how each format writes it.
mod table;
/// Values of typed formats.
mod typed;
