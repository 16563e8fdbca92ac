//! The core of the toolset: everything between arriving CSV files and a verified release.
//!
//! Five types matter most:
//!
//! | type | what it is |
//! |---|---|
//! | [`Config`] | what `config.json` says: folders, columns, limits |
//! | [`Context`] | what a use case is given: the configuration, the time, the disk, the run's id |
//! | [`Schema`] | the columns of the data, what each is for, and the two labels |
//! | [`Table`] | rows as typed columns: numbers, texts, labels |
//! | [`Model`] | encoder, scaler and coefficients, with the data that they were learned from |
//!
//! A stage, such as [`stage::train`], takes a [`Context`] and the locked
//! [`Workspace`](run::context::Workspace), and returns a report. The parts can also be used alone:
//! [`csv::reader::RowReader`] reads any CSV file of a schema, [`model::fit`] fits,
//! [`model::Predictor`] predicts, [`evaluation::metrics`] scores, [`drift`] compares with the past. The
//! examples `train_and_score` and `predict` run on the data in the repository.
//!
//! Data types come first, use cases last; each layer uses only those above it in this table:
//!
//! | layer | what is in it |
//! |---|---|
//! | [`text`], [`error`], [`platform`], [`ids`] | words, errors, files that survive a crash |
//! | [`table`], [`expect`], [`config`] | columns and their meaning; when data are due; the configuration |
//! | [`prediction_log`] | the lines that predictions leave |
//! | [`csv`], [`dataset`] | reading, building a data set |
//! | [`evaluation`], [`model`], [`drift`], [`profile`] | scores, fits, changes, summaries |
//! | [`release`], [`ledger`] | sealed folders and the pointer; records |
//! | [`outcomes`] | predictions joined with labels that arrived later |
//! | [`run`], [`stage`] | what a use case is given; the use cases |
//!
//! From CSV files to a model:
//!
//! ```
//! use std::sync::Arc;
//!
//! use mlops_core::platform::clock::SystemClock;
//! use mlops_core::platform::disk::Disk;
//! use mlops_core::stage::{ingest, train};
//! use mlops_core::{Config, Context};
//!
//! # fn main() -> mlops_core::Result<()> {
//! let folder = tempfile::tempdir().expect("a scratch folder");
//! let disk = Disk::default();
//! let rows = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n\
//!             acme,78,1024,12,1\nbeta,14,2145,20,0\ngamma,0,18,3,1\n";
//! disk.write(&folder.path().join("in/a.csv"), rows.as_bytes())?;
//! let text = r#"{"input_folder_path": "in", "output_folder_path": "out",
//!     "test_data_path": "test", "output_model_path": "model", "prod_deployment_path": "live"}"#;
//! let config = Config::parse(text, &folder.path().join("config.json"))?;
//!
//! let context = Context::new(config, Arc::new(SystemClock::default()), disk, "example");
//! let mut workspace = context.open("example")?;
//! let options = ingest::Options::default();
//! let ingested = ingest::run(&context, &mut workspace, context.config.input(), options)?;
//! assert_eq!((ingested.rows, ingested.version.map(|v| v.0)), (3, Some(1)));
//! let trained = train::run(&context, &mut workspace)?;
//! assert_eq!(trained.data.rows, 3);
//! # Ok(())
//! # }
//! ```
//!
//! Not for the terminal, HTTP or charts: see the other crates.

// The header of a file may link to private items: it is read in the sources.
#![allow(rustdoc::private_intra_doc_links)]

pub mod config;
pub mod csv;
pub mod dataset;
pub mod destination;
pub mod drift;
pub mod error;
pub mod evaluation;
pub mod expect;
pub mod ids;
pub mod ledger;
pub mod model;
pub mod outcomes;
pub mod platform;
pub mod prediction_log;
pub mod profile;
pub mod release;
pub mod run;
pub mod source;
pub mod stage;
pub mod table;
pub mod text;

pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use model::Model;
pub use run::context::Context;
pub use table::Table;
pub use table::schema::Schema;
