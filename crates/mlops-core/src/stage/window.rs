//! Which of the training rows a model is fitted on: what the configuration asks for, what the records say
//! about the last drift, and the comparison of windows.
//!
//! `auto` compares all rows with those since the last drift and with all rows at a lower weight for older
//! ones. Only a drift is a reason to compare, so a training without one uses all rows. The fit is in
//! [`super::train`], the rule of the choice in `evaluation::window`.

use crate::config::{Config, Since, Window};
use crate::evaluation::folds::{FoldRows, Folds, NOT_NEWEST};
use crate::evaluation::window::{Tried, WindowChoice};
use crate::ids::{DatasetVersion, ReleaseId};
use crate::ledger::DatasetRecord;
use crate::model::TrainedWindow;
use crate::model::fit::{Blocks, CrossValidation, HalfLife, LogisticRegression, Weighted};
use crate::run::context::{Context, Workspace};
use crate::run::decision::Decision;
use crate::table::schema::Schema;
use crate::{ErrorKind, Result, text};

use super::new_rows::{self, RowRanges};

/// Windows are compared on the rows since the drift, but on no more than this part of the data set.
const NEWEST: u64 = 4;
/// Half-lives that are tried, in numbers of the rows on which windows are compared.
const HALF_LIVES: [u64; 2] = [1, 4];
/// Bytes that a row takes for folds and their predictions.
const ROW_BYTES: u64 = 64;
/// So many decisions are looked at to find the last drift.
const DECISIONS: u32 = 100;

/// What a training is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    window: Window,
    /// The drift that was just found, and is not in the records yet.
    drift: Option<Drift>,
}

/// A drift.
#[derive(Debug, Clone)]
struct Drift {
    /// It was found in the rows after this version.
    after: DatasetVersion,
    /// The model that drifted.
    live: Option<ReleaseId>,
}

impl Drift {
    /// The drift that `decision` found.
    fn of(decision: &Decision) -> Option<Self> {
        decision.drift.as_ref().filter(|drift| drift.asks_for_a_challenger())?;
        let live = decision.live.as_ref().map(|live| live.release.clone());
        Some(Self { after: decision.data.decided, live })
    }
}

impl Asked {
    /// By hand.
    pub(crate) fn by_hand(config: &Config) -> Self {
        Self { window: config.training.window.unwrap_or(Window::All), drift: None }
    }

    /// For the challenger of `decision`.
    pub(crate) fn by(config: &Config, decision: &Decision) -> Self {
        Self { drift: Drift::of(decision), ..Self::by_hand(config) }
    }
}

/// Rows on which one model is fitted.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) window: Window,
    /// The rows of the data set; `None` for all.
    pub(super) rows: Option<RowRanges>,
    /// The rows on which it is compared with other parts, and then half-lives with all rows.
    pub(super) newest: Option<RowRanges>,
}

impl Part {
    const ALL: Self = Self { window: Window::All, rows: None, newest: None };

    /// The half-life that was asked for.
    pub(super) fn half_life(&self) -> Option<HalfLife> {
        match self.window {
            Window::HalfLife(rows) => Some(HalfLife(rows)),
            _ => None,
        }
    }

    /// What the model records of it: of all rows nothing.
    pub(super) fn trained(
        &self,
        half_life: Option<HalfLife>,
        blocks: &dyn Blocks,
        left_out: u64,
    ) -> Option<TrainedWindow> {
        let window = half_life.map_or(self.window, |half_life| Window::HalfLife(half_life.0));
        (window != Window::All).then(|| TrainedWindow {
            window,
            places: self.rows.as_ref().map(RowRanges::places).unwrap_or_default(),
            left_out,
            effective_rows: effective_rows(blocks),
        })
    }
}

fn effective_rows(blocks: &dyn Blocks) -> f64 {
    blocks.weighed().map_or(blocks.rows() as f64, |weighed| weighed.effective_rows())
}

/// What to fit.
pub(super) struct Plan {
    pub(super) first: Part,
    /// Another part to compare the first one with.
    pub(super) other: Option<Part>,
    pub(super) notes: Vec<String>,
}

/// What to fit of `dataset`.
pub(super) fn plan(
    context: &Context,
    workspace: &Workspace,
    schema: &Schema,
    dataset: &DatasetRecord,
    asked: &Asked,
) -> Result<Plan> {
    let one = |first| Plan { first, other: None, notes: Vec::new() };
    let noted = |note: String| Plan { notes: vec![note], ..one(Part::ALL) };
    let part = |window, rows| Part { window, rows: Some(rows), newest: None };
    let all = RowRanges::at(&[(0, dataset.rows)]);
    Ok(match asked.window {
        Window::HalfLife(_) => one(Part { window: asked.window, ..Part::ALL }),
        Window::Rows(rows) if rows < dataset.rows => one(part(asked.window, all.last(rows))),
        Window::All | Window::Rows(_) => one(Part::ALL),
        Window::Since(Since::Drift) => {
            match since_drift(context, workspace, schema, dataset, asked)? {
                Some(rows) => one(part(asked.window, rows)),
                None => noted(
                    "\"training.window\" asks for the rows since the last drift, and the records have no \
                     drift that left older rows behind: all rows were taken"
                        .to_owned(),
                ),
            }
        }
        Window::Auto => match since_drift(context, workspace, schema, dataset, asked)? {
            Some(_) if dataset.rows * ROW_BYTES > context.config.limits.memory as u64 / 4 => {
                noted(format!(
                    "windows of the training rows were not compared, which for {} would take {} MiB: raise \
                     \"limits.memory_mib\" to {}, or set \"training.window\"",
                    text::plural(dataset.rows, "row"),
                    text::count((dataset.rows * ROW_BYTES) >> 20),
                    text::count(((4 * dataset.rows * ROW_BYTES) >> 20) + 1)
                ))
            }
            Some(rows) => {
                let newest = Some(rows.last((dataset.rows / NEWEST).max(1)));
                let other = part(Window::Since(Since::Drift), rows);
                Plan {
                    first: Part { newest: newest.clone(), ..Part::ALL },
                    other: Some(Part { newest, ..other }),
                    notes: Vec::new(),
                }
            }
            None => one(Part::ALL),
        },
    })
}

/// The rows of `dataset` since the last drift; `None` if there was none, or all rows came since then.
///
/// Decisions that found the same release to have drifted again are of the same drift, which begins with the
/// first of them.
fn since_drift(
    context: &Context,
    workspace: &Workspace,
    schema: &Schema,
    dataset: &DatasetRecord,
    asked: &Asked,
) -> Result<Option<RowRanges>> {
    let mut found = asked.drift.clone();
    for record in workspace.ledger.recent_decisions(DECISIONS)? {
        let Ok(decision) = serde_json::from_str::<Decision>(&record.decision) else { break };
        let judged = decision.drift.as_ref().is_some_and(|drift| drift.drifted.is_some());
        let (earlier, known) = (Drift::of(&decision), found.is_some());
        match (&found, earlier) {
            (Some(later), Some(earlier)) if later.live == earlier.live => found = Some(earlier),
            (None, earlier) => found = earlier,
            (Some(_), Some(_)) => break,
            (Some(_), None) => {}
        }
        // A release that held in between drifted anew.
        if known && judged && Drift::of(&decision).is_none() {
            break;
        }
    }
    let Some(drift) = found else { return Ok(None) };
    let (rows, _) = new_rows::after(context, workspace, schema, dataset, drift.after)?;
    Ok(Some(rows).filter(|rows| (1..dataset.rows).contains(&rows.len())))
}

/// Windows of the same rows, tested on the newest ones.
pub(super) struct Tests {
    tried: Vec<Tried>,
    folds: u64,
    forward: bool,
}

impl Tests {
    /// The comparison, with the window `other` after all rows.
    pub(super) fn compared(&self, other: Option<&Self>) -> Option<WindowChoice> {
        let mut tried = self.tried.clone();
        if let Some(other) = other {
            tried.splice(1..1, other.tried.iter().cloned());
        }
        WindowChoice::of(&tried, self.folds, self.forward)
    }

    /// The half-life that is best, if one is better than all rows.
    pub(super) fn half_life(&self) -> Option<HalfLife> {
        match self.compared(None)?.chosen() {
            Window::HalfLife(rows) => Some(HalfLife(rows)),
            _ => None,
        }
    }
}

/// Rows, and how they are fitted.
pub(super) struct Trial<'a> {
    pub(super) estimator: &'a LogisticRegression,
    pub(super) blocks: &'a dyn Blocks,
    /// For each feature, whether it is scaled.
    pub(super) numeric: &'a [bool],
    /// The penalty, which is chosen later where it is searched.
    pub(super) c: f64,
    pub(super) folds: u64,
}

impl Trial<'_> {
    /// Tests the rows of `part` and, if these are all rows, half-lives; says why if that is impossible.
    /// `None` if nothing is to be compared.
    pub(super) fn run(
        &self,
        rows: &FoldRows,
        part: &Part,
    ) -> Result<Option<Result<Tests, String>>> {
        if part.newest.is_none() {
            return Ok(None);
        }
        match self.tests(rows, part.window) {
            Err(e) if matches!(e.kind(), ErrorKind::Data(_) | ErrorKind::NotConverged(_)) => {
                Ok(Some(Err(e.to_string())))
            }
            tests => tests.map(|tests| Some(Ok(tests))),
        }
    }

    fn tests(&self, rows: &FoldRows, window: Window) -> Result<Tests> {
        let Self { blocks, estimator, .. } = *self;
        let folds = Folds::of_newest(rows, usize::try_from(self.folds).unwrap_or(usize::MAX))?;
        let mut tried = vec![self.test(blocks, &folds, rows, window)?];
        let newest = rows.newest.iter().filter(|place| **place != NOT_NEWEST).count() as u64;
        let half_lives = HALF_LIVES.iter().filter(|_| window == Window::All);
        for half_life in half_lives.map(|times| times * newest).filter(|h| *h < blocks.rows()) {
            let weighted = Weighted::new(blocks, HalfLife(half_life), estimator.threads)?;
            tried.push(self.test(&weighted, &folds, rows, Window::HalfLife(half_life))?);
        }
        Ok(Tests { tried, folds: folds.len() as u64, forward: folds.go_forward() })
    }

    fn test(
        &self,
        blocks: &dyn Blocks,
        folds: &Folds,
        rows: &FoldRows,
        window: Window,
    ) -> Result<Tried> {
        let Self { estimator, numeric, .. } = *self;
        let fits = CrossValidation { estimator, blocks, numeric, folds }.fit(&[self.c])?;
        let losses = fits.row_losses(0)?;
        let places = rows.newest.iter().zip(folds.entities()).zip(losses);
        let losses = places.filter(|(_, loss)| !loss.is_nan());
        Ok(Tried {
            window,
            rows: blocks.rows(),
            effective_rows: effective_rows(blocks),
            losses: losses.map(|((place, entity), loss)| (*place, *entity, loss)).collect(),
        })
    }
}
