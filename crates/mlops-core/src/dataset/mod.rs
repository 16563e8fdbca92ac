//! The data set that ingestion builds: cumulative, canonical, free of duplicates.
//!
//! | step | file | what it guarantees |
//! |---|---|---|
//! | find | [`discover`] | sorted and repeatable; ignored entries are reported |
//! | build | [`builder`] | a file counts whole or not at all |
//! | keep | `sink` | every row is kept, dropped as a duplicate or quarantined; memory stays within
//! its limit |
//! | de-duplicate | [`dedup`], `spill` | the first of equal rows stays, in file order |
//! | remember | [`index`] | derived data: the rows of a data set are known without reading them
//! again |
//! | spread | `elsewhere`, `equal_rows`, `cuts`, `task` | tasks of a distributed engine read, compare and write rows,
//! with the same result |
//! | replace | `latest` | of rows with the same key the newest stays |
//! | write | `writer`, `rows` | bytes reach the disk in the order of the rows |
//! | count | [`counts`] | rows read = kept + duplicates + quarantined |
//!
//! Not for the ledger, versions or publishing: see [`crate::stage::ingest`].

pub(crate) mod agreement;
pub mod builder;
pub mod cell_counts;
pub mod counts;
pub(crate) mod cuts;
pub mod dedup;
pub mod discover;
pub(crate) mod elsewhere;
pub(crate) mod equal_rows;
pub mod index;
pub(crate) mod latest;
pub(crate) mod read_again;
pub mod resources;
pub(crate) mod rows;
pub mod rule_broken;
pub(crate) mod sink;
pub(crate) mod spill;
pub(crate) mod task;
pub(crate) mod writer;
