//! `first_run --init`: work that makes a configuration, and the first run by it.
//!
//! Not for proposing one: see `mlops-setup`.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use mlops_core::Result;
use mlops_core::ids::Step;
use mlops_core::run::attention::{Attention, Finding};
use mlops_core::run::context::Report;
use mlops_core::source::Places;
use serde::Serialize;

use crate::first_run::{self, FirstRun};
use crate::{Common, console, recorded, tell};

/// How somebody is told something, and asked for a line; `None` at the end of their input.
pub type Talk = (fn(&str), fn(&str) -> Option<String>);

/// What there is before there is a configuration.
pub struct Start<'a> {
    /// Where the configuration is to be.
    pub config: &'a Path,
    /// The places from which rows can be fetched.
    pub places: Arc<dyn Places>,
    /// How somebody at the terminal is told and asked, if there is somebody.
    pub person: Option<Talk>,
}

impl fmt::Debug for Start<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("config", &self.config).finish_non_exhaustive()
    }
}

/// How a configuration is begun.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Nobody is asked.
    pub yes: bool,
    /// There is no first run.
    pub no_run: bool,
    /// The model goes live even if it does no better than the best constant answer.
    pub accept: bool,
}

/// What was begun, and what the first run did.
#[derive(Debug, Serialize)]
struct Begun<R> {
    init: R,
    first_run: FirstRun,
}

impl<R: Report> Report for Begun<R> {
    fn findings(&self) -> Vec<Finding> {
        [self.init.findings(), self.first_run.findings()].concat()
    }

    fn attention(&self) -> Attention {
        self.first_run.attention()
    }
}

impl<R> fmt::Display for Begun<R> {
    /// The first part was printed when it was known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first_run.fmt(f)
    }
}

/// Does `work`, which writes a configuration, and the first run by it.
pub fn start<R: Report>(
    common: &Common,
    manner: Manner,
    work: impl FnOnce(&Start) -> Result<R>,
) -> ExitCode {
    mlops_formats::install();
    let attended = console::is_attended() && !manner.yes && !common.json && !common.quiet;
    let person: Option<Talk> = attended.then_some((console::complain, console::ask));
    let places = Arc::clone(&common.reach.0);
    let init = match work(&Start { config: &common.config, places, person }) {
        Ok(init) if !manner.no_run => init,
        result => return ExitCode::from(tell(common, result)),
    };
    console::say(common, &format!("{init}\n"));
    let run = recorded(Step::FirstRun, common, false, |context, workspace| {
        first_run::told(common, context, workspace, manner.accept)
    });
    ExitCode::from(tell(common, run.map(|first_run| Begun { init, first_run })))
}
