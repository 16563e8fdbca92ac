//! What a challenger would have answered for the rows that the live release was asked for, by the features in the log
//! of predictions.
//!
//! For information: it gates nothing. Not for scores, which need labels: see [`super::decide::contest`].

use crate::Result;
use crate::evaluation::metrics::classify;
use crate::model::{Model, Predictor};
use crate::prediction_log::reader::{self, Want};
use crate::release::Release;
use crate::run::asked::Replay;
use crate::run::context::Context;
use crate::table::Table;

/// Rows that are predicted at a time.
const BATCH: usize = 1_024;

/// Replays the log on `challenger`; `None` if the log has no features of rows that `live` answered.
///
/// # Errors
/// `Io` if the log cannot be read.
pub fn run(context: &Context, live: &Release, challenger: &Model) -> Result<Option<Replay>> {
    let Some(log) = context.config.service.prediction_log.as_ref().filter(|log| log.features)
    else {
        return Ok(None);
    };
    let mut replaying = Replaying {
        predictor: Predictor::new(challenger),
        thresholds: [live.model.training.threshold, challenger.training.threshold],
        table: Table::new(&challenger.schema),
        champion: Vec::new(),
        challenger: Vec::new(),
        sums: [0.0; 2],
        found: Replay::default(),
    };
    reader::each(&log.folder, Want::Features, |line| {
        if line.release != live.id {
            return Ok(());
        }
        if line.push_to(&challenger.schema, &mut replaying.table) {
            replaying.champion.push(line.probability);
            if replaying.champion.len() >= BATCH {
                replaying.flush();
            }
        } else {
            replaying.found.without_features += 1;
        }
        Ok(())
    })?;
    replaying.flush();
    let Replaying { sums: [difference, distance], mut found, .. } = replaying;
    if found.rows == 0 {
        return Ok(None);
    }
    found.mean_difference = difference / found.rows as f64;
    found.mean_distance = distance / found.rows as f64;
    Ok(Some(found))
}

struct Replaying<'a> {
    predictor: Predictor<'a>,
    /// Of the live release, and of the challenger.
    thresholds: [f64; 2],
    table: Table,
    champion: Vec<f64>,
    challenger: Vec<f64>,
    /// Of the differences of the probabilities, and of their sizes.
    sums: [f64; 2],
    found: Replay,
}

impl Replaying<'_> {
    fn flush(&mut self) {
        self.predictor.probabilities(&self.table, &mut self.challenger);
        for (champion, challenger) in self.champion.iter().zip(&self.challenger) {
            if challenger.is_nan() {
                self.found.unanswered += 1;
                continue;
            }
            self.found.rows += 1;
            let [before, after] = self.thresholds;
            match (classify(*champion, before), classify(*challenger, after)) {
                (false, true) => self.found.to_positive += 1,
                (true, false) => self.found.to_negative += 1,
                _ => {}
            }
            self.sums[0] += challenger - champion;
            self.sums[1] += (challenger - champion).abs();
        }
        self.table.clear();
        self.champion.clear();
    }
}
