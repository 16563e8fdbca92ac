//! The reasons for promoting or refusing a model, as typed values with their numbers; they become
//! sentences only for display and records.
//!
//! Not for the rule: see [`super::gate`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evaluation::metrics::{Interval, Metric, SAME_F1};
use crate::evaluation::slices::{SliceContest, SliceValues};
use crate::ids::spelt;
use crate::text;

spelt! {
    /// The ruling that follows from the reasons.
    pub enum Ruling {
        /// The model may be promoted.
        Promoted = "promoted",
        /// The model is refused.
        Refused = "refused",
    }
}

impl Ruling {
    /// The ruling for a model, by whether it is `blessed`.
    pub fn of(blessed: bool) -> Self {
        if blessed { Self::Promoted } else { Self::Refused }
    }
}

/// A reason for a ruling.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GateReason {
    /// All rows of the hold-out are of one class.
    OneClass {
        /// The metric that decides.
        metric: Metric,
        /// The number of rows.
        rows: u64,
    },
    /// The metric cannot be computed on the hold-out.
    NoMetric {
        /// The metric.
        metric: Metric,
        /// The number of rows.
        rows: u64,
    },
    /// The comparison of the two models.
    Comparison {
        /// The metric that decides.
        metric: Metric,
        /// Its value for the champion.
        champion: f64,
        /// Its value for the challenger.
        challenger: f64,
        /// The number of rows in the hold-out.
        rows: u64,
        /// The challenger's value minus the champion's.
        difference: f64,
        /// The interval of the difference.
        interval: Interval,
        /// The improvement that was required.
        min_improvement: f64,
    },
    /// The challenger does no better than a constant answer.
    BelowConstant {
        /// The challenger's value of the constant answer's metric.
        challenger: f64,
        /// The constant answer.
        constant: Constant,
    },
    /// The challenger does no better than a constant answer, but a person accepted it.
    Accepted(Constant),
    /// Neither beats a constant answer, and the challenger is better beyond chance.
    BetterOfTwo(Constant),
    /// The champion does no better than a constant answer.
    ChampionBelowConstant(Constant),
    /// The hold-out has too few rows for a reliable comparison.
    FewRows {
        /// The number of its rows.
        rows: u64,
        /// The consequence in words.
        note: &'static str,
    },
    /// The challenger loses more than it may on some slice of the hold-out.
    SliceDrop {
        /// The slice with the largest loss.
        worst: SliceContest,
        /// What it may lose of the metric that decides.
        most: f64,
        /// The number of further slices on which it loses more.
        others: u64,
    },
    /// There is no model to compare with.
    Alone {
        /// It is the first release; otherwise the columns changed.
        first: bool,
        /// The model's value of the constant answer's metric.
        value: f64,
        /// The number of rows that it was scored on.
        rows: u64,
        /// The best constant answer on these rows.
        constant: Constant,
        /// The model beats the constant answer.
        beats_constant: bool,
        /// A person accepts it nevertheless.
        accepted: bool,
    },
    /// Which test data were used, if the newest were too few or are gone.
    TestData(String),
    /// The test rows that the champion was trained on could not be determined, for this cause.
    Unchecked(String),
    /// Test rows were left out.
    Excluded {
        /// The number of rows.
        rows: u64,
        /// The reason.
        why: Excluded,
    },
    /// A sentence from a record.
    Recorded(String),
}

/// The best constant answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant {
    /// The metric in which models are compared with it.
    pub metric: Metric,
    /// Its value.
    pub value: f64,
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the best constant answer has {} {:.4}", self.metric.words(), self.value)
    }
}

/// Why test rows are left out of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excluded {
    /// They could not be read.
    Unreadable,
    /// One of the models was trained on them.
    TrainedOn,
    /// One of the models gives no prediction for them.
    Unanswered,
}

/// The reasons of a verdict, the decisive one first. In JSON they are sentences, the first of which
/// begins with the ruling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Reasons {
    /// The ruling; `None` if read from a record, whose first sentence has it.
    pub ruling: Option<Ruling>,
    /// All reasons.
    pub all: Vec<GateReason>,
}

impl Reasons {
    /// Reasons for refusing a model.
    pub fn refused(all: Vec<GateReason>) -> Self {
        Self { ruling: Some(Ruling::Refused), all }
    }

    /// Adds a reason.
    pub fn push(&mut self, reason: GateReason) {
        self.all.push(reason);
    }

    /// One sentence per reason, the first with the ruling.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self.all.iter().map(ToString::to_string).collect();
        if let (Some(ruling), Some(first)) = (self.ruling, sentences.first_mut()) {
            *first = format!("{ruling}: {first}");
        }
        sentences
    }

    /// All reasons as one text without the ruling.
    pub fn without_ruling(&self) -> String {
        let words: Vec<String> = self.all.iter().map(ToString::to_string).collect();
        words.join("; ")
    }
}

impl From<Vec<String>> for Reasons {
    fn from(sentences: Vec<String>) -> Self {
        Self { ruling: None, all: sentences.into_iter().map(GateReason::Recorded).collect() }
    }
}

impl From<Reasons> for Vec<String> {
    fn from(reasons: Reasons) -> Self {
        reasons.sentences()
    }
}

fn slice_drop(
    f: &mut fmt::Formatter<'_>,
    worst: &SliceContest,
    most: f64,
    others: u64,
) -> fmt::Result {
    let SliceContest { slice, rows, .. } = worst;
    let SliceValues { metric, champion, challenger } = worst.compared();
    write!(
        f,
        "on the {} hold-out rows of {slice} the challenger has {} {challenger:.4} and the champion \
         {champion:.4}{}, a loss of more than \"gate.max_slice_drop\", {most}",
        text::count(*rows),
        metric.words(),
        if metric.is_loss() { " (lower is better)" } else { "" }
    )?;
    if others > 0 {
        write!(f, "; it loses more than that on {}", text::plural(others, "more slice"))?;
    }
    Ok(())
}

impl fmt::Display for GateReason {
    #[expect(clippy::too_many_lines, reason = "a sentence for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneClass { metric, rows } => write!(
                f,
                "all rows of the hold-out ({rows}) are of one class, so the {} cannot compare the models",
                metric.words()
            ),
            Self::NoMetric { metric, rows } => write!(
                f,
                "the {} does not exist on {}, so that it cannot compare the models",
                metric.words(),
                text::plural(*rows, "hold-out row")
            ),
            Self::Comparison {
                metric,
                champion,
                challenger,
                rows,
                difference,
                interval,
                min_improvement,
            } => {
                let name = metric.words();
                let (bound, change, lower) = if metric.is_loss() {
                    ("at most", -min_improvement, " (lower is better)")
                } else {
                    ("at least", *min_improvement, "")
                };
                let need = if min_improvement.abs() < SAME_F1 {
                    format!("{bound} the champion's {name}")
                } else {
                    format!("{bound} the champion's {name} {change:+}")
                };
                write!(
                    f,
                    "the challenger has {name} {challenger:.4} and the champion {champion:.4} on \
                     the same {} hold-out rows, a difference of {difference:+.4} ({:.0} % interval \
                     {:+.4} to {:+.4}){lower}; to go live it needs {need}",
                    text::count(*rows),
                    100.0 * interval.level,
                    interval.low,
                    interval.high
                )
            }
            Self::BelowConstant { challenger, constant } => write!(
                f,
                "the challenger's {} {challenger:.4} does not beat a constant answer: {constant} on \
                 the same rows, and --accept was not given",
                constant.metric.words()
            ),
            Self::Accepted(constant) => {
                write!(f, "{constant}, and the challenger was accepted nevertheless")
            }
            Self::BetterOfTwo(constant) => write!(
                f,
                "neither beats a constant answer ({constant} on the same rows), but the challenger is \
                 better than the champion beyond chance"
            ),
            Self::ChampionBelowConstant(Constant { metric, value }) => write!(
                f,
                "the champion does not beat the best constant answer, which has {} {value:.4} on the \
                 same rows",
                metric.words()
            ),
            Self::FewRows { rows, note } => {
                write!(f, "the hold-out has {}: {note}", text::plural(*rows, "row"))
            }
            Self::SliceDrop { worst, most, others } => slice_drop(f, worst, *most, *others),
            Self::Alone { first, value, rows, constant, beats_constant, accepted } => {
                let Constant { metric, value: best } = constant;
                let beside = format!(
                    "{} {value:.4} on {}, where the best constant answer has {best:.4}",
                    metric.words(),
                    text::plural(*rows, "test row")
                );
                let what = if *first {
                    "the first release"
                } else {
                    "the columns changed, so that the models cannot be compared"
                };
                match (beats_constant, accepted) {
                    (true, _) => write!(f, "{what}, {beside}"),
                    (false, true) => write!(f, "{what}, accepted with {beside}"),
                    (false, false) => write!(
                        f,
                        "the new model does not beat a constant answer: {beside}, and --accept was \
                         not given"
                    ),
                }
            }
            Self::Excluded { rows, why } => write!(
                f,
                "{} {}",
                text::plural(*rows, "test row"),
                match why {
                    Excluded::Unreadable => "could not be read",
                    Excluded::TrainedOn => {
                        "were left out, since one of the models was trained on them"
                    }
                    Excluded::Unanswered => {
                        "were left out, since one of the models gives no prediction for them"
                    }
                }
            ),
            Self::Unchecked(cause) => write!(
                f,
                "which test rows the champion was trained on could not be checked, and they favour it \
                 ({cause})"
            ),
            Self::TestData(note) | Self::Recorded(note) => f.write_str(note),
        }
    }
}
