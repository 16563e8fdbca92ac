//! Preparation of a first run: proposes a configuration for data, and checks an existing one against the data
//! and the disk.
//!
//! `data` finds rows (at an `address`, for instance) and `sample` reads them; `facts`, `target` and `columns` determine what they are, `proposal`
//! turns that into a configuration, `evidence` explains it, and `init` writes both. `check` compares an existing
//! configuration with the data, and `doctor` examines the surroundings. Not for ingesting or training: see the stages of core.

mod address;
pub mod check;
mod columns;
mod data;
pub mod doctor;
mod evidence;
mod facts;
pub mod init;
mod proposal;
pub mod sample;
mod target;

pub use columns::{Proposed, Use};
pub use proposal::{Chosen, Proposal, Wishes};
pub use target::Target;
