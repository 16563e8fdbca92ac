//! Why a model is promoted or refused: each reason with its numbers; words only where it is shown or
//! recorded.
//!
//! Not for the rule: see [`super::gate`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evaluation::metrics::{Interval, SAME_F1};
use crate::ids::spelt;
use crate::text;

spelt! {
    /// What follows from the reasons.
    pub enum Ruling {
        /// The model may go live.
        Promoted = "promoted",
        /// It may not.
        Refused = "refused",
    }
}

impl Ruling {
    /// What follows for a model that is `blessed`, or is not.
    pub fn of(blessed: bool) -> Self {
        if blessed { Self::Promoted } else { Self::Refused }
    }
}

/// One reason.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GateReason {
    /// All rows of the hold-out are of one class.
    OneClass {
        /// How many they are.
        rows: u64,
    },
    /// The two models beside each other.
    Comparison {
        /// F1 of the live model.
        champion_f1: f64,
        /// F1 of the new one.
        challenger_f1: f64,
        /// Rows of the hold-out.
        rows: u64,
        /// Challenger minus champion.
        difference: f64,
        /// The interval of that.
        interval: Interval,
        /// What the difference had to reach.
        min_improvement: f64,
    },
    /// The challenger does no better than a constant answer.
    BelowConstant {
        /// Its F1.
        challenger_f1: f64,
        /// That of the best constant answer on the same rows.
        constant_f1: f64,
    },
    /// The same, and a person accepted it.
    Accepted {
        /// F1 of the best constant answer.
        constant_f1: f64,
    },
    /// Neither beats a constant answer, and the challenger is better beyond chance.
    BetterOfTwo {
        /// F1 of the best constant answer.
        constant_f1: f64,
    },
    /// The champion does no better than a constant answer.
    ChampionBelowConstant {
        /// F1 of the best constant answer.
        constant_f1: f64,
    },
    /// The hold-out has too few rows to tell.
    FewRows {
        /// How many it has.
        rows: u64,
        /// What that means.
        note: &'static str,
    },
    /// There is no model to compare with.
    Alone {
        /// Whether it is the first release; else the columns changed.
        first: bool,
        /// Its F1.
        f1: f64,
        /// Rows that it was scored on.
        rows: u64,
        /// F1 of the best constant answer on them.
        constant_f1: f64,
        /// Whether it beats that.
        beats_constant: bool,
        /// Whether a person accepts it all the same.
        accepted: bool,
    },
    /// Which test data served, where the newest were too few or are gone.
    TestData(String),
    /// Which test rows the champion was trained on could not be found out, for this cause.
    Unchecked(String),
    /// Test rows took no part.
    Excluded {
        /// How many.
        rows: u64,
        /// Why.
        why: Excluded,
    },
    /// A sentence of a record.
    Recorded(String),
}

/// Why test rows take no part in a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excluded {
    /// They could not be read.
    Unreadable,
    /// One of the models was trained on them.
    TrainedOn,
    /// One of the models has no answer to them.
    Unanswered,
}

/// The reasons of a verdict, the one that decided first. As JSON they are sentences, the first of which
/// begins with the ruling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Reasons {
    /// What follows; nothing where a record was read, whose first sentence says it.
    pub ruling: Option<Ruling>,
    /// All of them.
    pub all: Vec<GateReason>,
}

impl Reasons {
    /// Reasons to refuse a model.
    pub fn refused(all: Vec<GateReason>) -> Self {
        Self { ruling: Some(Ruling::Refused), all }
    }

    /// Adds one.
    pub fn push(&mut self, reason: GateReason) {
        self.all.push(reason);
    }

    /// One sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self.all.iter().map(ToString::to_string).collect();
        if let (Some(ruling), Some(first)) = (self.ruling, sentences.first_mut()) {
            *first = format!("{ruling}: {first}");
        }
        sentences
    }

    /// All in one, for whoever says the ruling in other words.
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

impl fmt::Display for GateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let constant = |f1: &f64| format!("the best constant answer has F1 {f1:.4}");
        match self {
            Self::OneClass { rows } => write!(
                f,
                "all {rows} hold-out rows are of one class, so the F1 cannot compare the models"
            ),
            Self::Comparison {
                champion_f1,
                challenger_f1,
                rows,
                difference,
                interval,
                min_improvement,
            } => {
                let need = if min_improvement.abs() < SAME_F1 {
                    "at least the champion's F1".to_owned()
                } else {
                    format!("at least the champion's F1 {min_improvement:+}")
                };
                write!(
                    f,
                    "the challenger has F1 {challenger_f1:.4} and the champion {champion_f1:.4} on \
                     the same {} hold-out rows, a difference of {difference:+.4} ({:.0} % interval \
                     {:+.4} to {:+.4}); to go live it needs {need}",
                    text::count(*rows),
                    100.0 * interval.level,
                    interval.low,
                    interval.high
                )
            }
            Self::BelowConstant { challenger_f1, constant_f1 } => write!(
                f,
                "the challenger's F1 {challenger_f1:.4} does not beat a constant answer: {} on the \
                 same rows, and --accept was not given",
                constant(constant_f1)
            ),
            Self::Accepted { constant_f1 } => {
                write!(f, "{}, and the challenger was accepted all the same", constant(constant_f1))
            }
            Self::BetterOfTwo { constant_f1 } => write!(
                f,
                "neither beats a constant answer ({} on the same rows), but the challenger is better \
                 than the champion beyond chance",
                constant(constant_f1)
            ),
            Self::ChampionBelowConstant { constant_f1 } => write!(
                f,
                "the champion does not beat the best constant answer, which has F1 {constant_f1:.4} on \
                 the same rows"
            ),
            Self::FewRows { rows, note } => write!(f, "the hold-out has {rows} rows: {note}"),
            Self::Alone { first, f1, rows, constant_f1, beats_constant, accepted } => {
                let beside = format!(
                    "F1 {f1:.4} on {}, where the best constant answer has {constant_f1:.4}",
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
                        "took no part, since one of the models was trained on them"
                    }
                    Excluded::Unanswered => {
                        "took no part, since one of the models has no answer to them"
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
