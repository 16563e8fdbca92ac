//! What comes before a first run: a configuration is proposed for data, and one that is there is checked against
//! the data and the disk.
//!
//! `data` finds rows and `sample` reads them; `facts`, `target` and `columns` say what they are, `proposal` makes a
//! configuration of it, `evidence` explains it, and `init` writes both. `check` compares, `doctor` looks at
//! everything around. Not for ingesting or training: see the stages of core.

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
