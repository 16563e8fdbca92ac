//! How long ingestion and training took in past runs, and how long they take now.
//!
//! Not for what they did: see the stages.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{RunOutcome, Step};
use crate::platform::disk::Disk;
use crate::run::context::{Context, Workspace};
use crate::{Error, Result};

/// The number of past runs in a timing.
const HISTORY: u32 = 20;

/// The duration of a step in past runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timing {
    /// The name of the step.
    pub step: Step,
    /// The duration of the last run that did something.
    pub last_seconds: f64,
    /// Start and seconds of past runs, oldest first.
    pub history: Vec<(String, f64)>,
}

/// The duration of a step now, on a scratch copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measured {
    /// The name of the step.
    pub step: Step,
    /// The duration of each run in seconds.
    pub seconds: Vec<f64>,
}

/// Timings of past runs.
pub(super) fn of_past_runs(workspace: &Workspace) -> Result<Vec<Timing>> {
    let mut timings = Vec::new();
    for step in [Step::Ingestion, Step::Training] {
        let runs = workspace.ledger.runs(step, HISTORY)?;
        let done = runs.iter().filter(|r| r.outcome == Some(RunOutcome::Done));
        let history: Vec<(String, f64)> =
            done.filter_map(|r| r.seconds.map(|s| (r.started.clone(), s))).collect();
        if let Some((_, last_seconds)) = history.last() {
            timings.push(Timing { step, last_seconds: *last_seconds, history });
        }
    }
    Ok(timings)
}

/// Times whole ingestions and trainings in temporary folders.
pub(super) fn measure(context: &Context, runs: u32) -> Result<Vec<Measured>> {
    let mut ingestion = Measured { step: Step::Ingestion, seconds: Vec::new() };
    let mut training = Measured { step: Step::Training, seconds: Vec::new() };
    for _ in 0..runs {
        let folder = tempfile::tempdir()
            .map_err(|e| Error::io("create a folder in", &std::env::temp_dir(), e))?;
        let mut scratch =
            Context { disk: Disk::default(), progress: Arc::new(|_, _, _| {}), ..context.clone() };
        scratch.config.output_folder = folder.path().join("data");
        scratch.config.output_model = folder.path().join("model");
        scratch.config.models = folder.path().join("models");
        scratch.config.deployment = folder.path().join("live");
        let mut workspace = scratch.open("measure")?;
        let begun = context.clock.elapsed();
        let options = super::ingest::Options::default();
        super::ingest::run(&scratch, &mut workspace, context.config.input(), options)?;
        let ingested = context.clock.elapsed();
        super::train::run(&scratch, &mut workspace)?;
        let trained = context.clock.elapsed();
        ingestion.seconds.push(ingested.saturating_sub(begun).as_secs_f64());
        training.seconds.push(trained.saturating_sub(ingested).as_secs_f64());
    }
    Ok(if runs > 0 { vec![ingestion, training] } else { Vec::new() })
}

/// Median and ends of several durations; a single one as it is.
pub(super) fn spread(seconds: &[f64]) -> String {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.first(), sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(min), Some(median), Some(max)) if sorted.len() > 1 => {
            format!(": median {median:.3} s of {} [{min:.3} to {max:.3}]", sorted.len())
        }
        (Some(only), _, _) if seconds.len() == 1 => format!(": {only:.3} s"),
        _ => String::new(),
    }
}
