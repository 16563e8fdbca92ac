//! Exit codes: 0 done or nothing to do, 1 failed, 2 usage or configuration, 75 locked.
//!
//! 75 is `EX_TEMPFAIL` of BSD's sysexits: try again later. Not for messages.

use std::process::ExitCode;

use mlops_core::context::Report;
use mlops_core::{Error, ErrorKind};

pub(crate) fn of_report(report: &impl Report) -> ExitCode {
    ExitCode::from(u8::from(report.needs_attention()))
}

pub(crate) fn of_error(error: &Error) -> ExitCode {
    ExitCode::from(match error.kind() {
        ErrorKind::Config { .. } => 2,
        ErrorKind::Locked(_) => 75,
        _ => 1,
    })
}
