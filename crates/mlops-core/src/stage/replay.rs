//! Replays logged predictions with a challenger: its answers to the rows that the live release was asked to predict,
//! from the features in the log of predictions.
//!
//! Both models are scored on those rows whose labels are known by now. For information only; not for the test that
//! decides on a promotion: see [`super::decide::contest`].

use crate::Result;
use crate::evaluation::metrics::{PairedCounts, classify};
use crate::model::{Model, Predictor};
use crate::outcomes::KnownLabels;
use crate::prediction_log::files;
use crate::prediction_log::reader::{self, Want};
use crate::release::Release;
use crate::run::asked::{Labelled, Replay};
use crate::run::context::Context;
use crate::table::Table;

use super::outcomes;

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
        waiting: Vec::new(),
        labelled: <[Vec<bool>; 3]>::default(),
        found: Replay::default(),
    };
    let known = known(context, live)?;
    for file in files::list(&log.folder)? {
        let known = known.get(&file.name);
        reader::read(&file.path, 0, Want::Features, |at, line| {
            if line.release != live.id {
                return Ok(());
            }
            if line.push_to(&challenger.schema, &mut replaying.table) {
                replaying.champion.push(line.probability);
                replaying.waiting.push(known.and_then(|known| known.get(&at.end)).copied());
                if replaying.champion.len() >= BATCH {
                    replaying.flush();
                }
            } else {
                replaying.found.without_features += 1;
            }
            Ok(())
        })?;
    }
    replaying.flush();
    let Replaying { sums: [difference, distance], mut found, labelled, .. } = replaying;
    let [labels, before, after] = &labelled;
    let counts = PairedCounts::from_predictions(labels, before, after)?;
    let config = &context.config;
    found.labelled = Labelled::of(&counts, config.training.seed, config.labels.train);
    if found.rows == 0 {
        return Ok(None);
    }
    found.mean_difference = difference / found.rows as f64;
    found.mean_distance = distance / found.rows as f64;
    Ok(Some(found))
}

/// The labels that are known of what `live` predicted; none if labels are not joined.
fn known(context: &Context, live: &Release) -> Result<KnownLabels> {
    let config = &context.config;
    if !config.joins_labels() || !config.outcomes_path().is_file() {
        return Ok(KnownLabels::new());
    }
    outcomes::open(context)?.known_labels(&live.id)
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
    /// The labels of the rows that wait to be predicted, where they are known.
    waiting: Vec<Option<bool>>,
    /// Of rows with known labels: these, the answers of the live release, and of the challenger.
    labelled: [Vec<bool>; 3],
    found: Replay,
}

impl Replaying<'_> {
    fn flush(&mut self) {
        self.predictor.probabilities(&self.table, &mut self.challenger);
        let answers = self.champion.iter().zip(&self.challenger);
        for ((champion, challenger), label) in answers.zip(&self.waiting) {
            if challenger.is_nan() {
                self.found.unanswered += 1;
                continue;
            }
            self.found.rows += 1;
            let [before, after] = self.thresholds;
            let sides = (classify(*champion, before), classify(*challenger, after));
            if let Some(label) = label {
                let [labels, of_champion, of_challenger] = &mut self.labelled;
                labels.push(*label);
                of_champion.push(sides.0);
                of_challenger.push(sides.1);
            }
            match sides {
                (false, true) => self.found.to_positive += 1,
                (true, false) => self.found.to_negative += 1,
                _ => {}
            }
            self.sums[0] += challenger - champion;
            self.sums[1] += (challenger - champion).abs();
        }
        self.table.clear();
        self.champion.clear();
        self.waiting.clear();
    }
}
