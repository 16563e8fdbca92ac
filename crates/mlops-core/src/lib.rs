//! The nouns and the work of the toolset: from CSV files as they arrive to a verified release.
//!
//! | layer | modules |
//! |---|---|
//! | use cases | [`stage`] |
//! | what a use case is given | [`context`] |
//! | records, releases, files | [`ledger`], [`store`], [`dataset`], [`testdata`] |
//! | the domain | [`ingest`], [`model`], [`fit`], [`metrics`], [`profile`], [`schema`], [`table`], [`cells`], [`compare`] |
//! | the ground | [`config`], [`durable`], [`digest`], [`clock`], [`ids`], [`location`], [`text`], [`threads`], [`attention`], [`error`] |
//!
//! A stage takes a [`context::Context`] and a locked [`context::Workspace`]:
//!
//! ```
//! use std::sync::Arc;
//!
//! use mlops_core::clock::SystemClock;
//! use mlops_core::config::Config;
//! use mlops_core::context::Context;
//! use mlops_core::durable::Disk;
//! use mlops_core::stage::{ingest, train};
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
//! let input = context.config.input_folder.clone();
//! let options = ingest::Options::default();
//! let ingested = ingest::run(&context, &mut workspace, &input, "input_folder_path", options)?;
//! assert_eq!((ingested.rows, ingested.version.map(|v| v.0)), (3, Some(1)));
//! let trained = train::run(&context, &mut workspace)?;
//! assert_eq!(trained.data.rows, 3);
//! # Ok(())
//! # }
//! ```
//!
//! Not for the terminal, HTTP or pictures: see the other crates.

pub mod attention;
pub mod cells;
pub mod clock;
pub mod compare;
pub mod config;
pub mod context;
pub mod dataset;
pub mod decision;
pub mod digest;
pub mod drift;
pub mod durable;
pub mod entity;
pub mod error;
mod exact;
mod exponential;
pub mod files;
pub mod fit;
pub mod gate;
pub mod ids;
pub mod ingest;
pub mod ledger;
pub mod lines;
pub mod location;
pub mod metrics;
pub mod model;
pub mod moment;
pub mod profile;
pub mod schema;
mod simd;
pub mod split;
pub mod stage;
pub mod store;
pub mod table;
pub mod testdata;
pub mod text;
pub mod threads;

pub use error::{Error, ErrorKind, Result};
