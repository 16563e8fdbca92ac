//! Exit codes: 0 done or nothing to do, 1 failed, 2 usage or configuration, 3 done but a person is
//! needed, 75 locked.
//!
//! 75 is `EX_TEMPFAIL` of BSD's sysexits: try again later. Not for messages.

use mlops_core::run::attention::Attention;
use mlops_core::run::context::Report;
use mlops_core::{Error, ErrorKind};

/// The work is done, but a finding needs a person.
pub(crate) const PERSON: u8 = 3;
/// Another run holds the lock.
pub(crate) const LOCKED: u8 = 75;

pub(crate) fn of_report(report: &impl Report) -> u8 {
    match report.attention() {
        Attention::Fine => 0,
        Attention::Failed => 1,
        Attention::Person => PERSON,
    }
}

pub(crate) fn of_error(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Config { .. } => 2,
        ErrorKind::Locked(_) => LOCKED,
        _ => 1,
    }
}
