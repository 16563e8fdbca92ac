//! Reading CSV: from bytes to canonical rows, or to the reason why a record is rejected.
//!
//! | step | file | what it guarantees |
//! |---|---|---|
//! | decode | [`formats`] | other formats become CSV text before anything else sees them |
//! | map | [`header`], [`fits`] | every column of the schema has its field, or the file is refused |
//! | read | `chunk` | each byte is read once; a piece ends where a record ends |
//! | share | [`ranges`] | several machines read one file, each the records that begin in a stretch of it |
//! | spread | `pipeline`, `parallel` | pieces are parsed at the same time and come back in file order |
//! | find | `structural_index` | finds delimiters, quotes and line ends 64 bytes at a time |
//! | parse | `parse`, `spelling`, `record`, `clean`, `number`, `date_cell` | each record is a canonical row or a rejection |
//! | look | [`checks`], [`contract`], `aside`, [`newest`] | what a source's contract and expectations ask of good rows |
//! | judge | `evidence` | what single cells say about the whole file |
//! | compare | `row_hash` | equal rows have equal hashes under a key |
//! | deliver | [`reader`], [`cell_reader`], `values` | columns of a data set, single cells |
//! | refuse | [`quarantine`] | rejected records and their reasons, in a file for people |
//!
//! Not for which rows are kept: see [`crate::dataset`].

pub(crate) mod aside;
pub(crate) mod canonical_cells;
pub(crate) mod cell_changes;
pub mod cell_reader;
pub mod change_kind;
pub mod checks;
pub mod chunk;
pub mod clean;
pub mod contract;
pub(crate) mod date_cell;
pub(crate) mod evidence;
pub mod fits;
pub mod forgotten;
pub mod formats;
pub mod header;
pub mod newest;
pub mod number;
mod numbering;
pub mod outcome;
pub(crate) mod parallel;
pub(crate) mod parse;
pub(crate) mod parsed;
pub mod pipeline;
pub mod quarantine;
pub mod ranges;
pub mod reader;
pub mod record;
pub mod row_hash;
pub mod spelling;
pub mod structural_index;
pub(crate) mod values;
