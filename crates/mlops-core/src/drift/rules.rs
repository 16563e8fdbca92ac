//! Model drift: six rules on the F1 of the live release on new rows, one of which decides.
//!
//! New rows are those on which no decision was made yet, never all rows since training: a bad week
//! after many good ones must not be averaged away.
//!
//! | rule | a challenger is trained when the new F1 is |
//! |---|---|
//! | raw | below the deployed F1 |
//! | parametric | below mean - 2 std of the history (ddof 0) |
//! | non-parametric | below q25 - 1.5 IQR of the history (linear quartiles; Tukey's lower fence) |
//! | significant | so far below the deployed F1 that the 95 % bootstrap interval of the difference
//! is below 0 |
//! | pooled | likewise below the F1 on the test set and all earlier batches of this release
//! together |
//! | every | anything: each batch that is large enough trains a challenger |
//!
//! If a rule cannot be evaluated, raw decides, and the record says so. With too few new rows, or
//! rows of one class, nothing is evaluated and nothing decided. Under any rule an F1 below that of
//! the best constant answer is a finding of its own. Not for features: see the siblings.

use crate::config::choices::Rule;
use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::evaluation::metrics::bootstrap::{RESAMPLES, percentile, too_few};
use crate::evaluation::metrics::difference::two_sample_interval;
use crate::evaluation::metrics::interval::LEVEL;
use crate::evaluation::metrics::{ConfusionMatrix, ConstantBaseline, Interval, SAME_F1};
use crate::text;

/// The fewest scores in a history whose spread is meaningful.
pub const MIN_HISTORY: usize = 5;

/// The score of the live release on its own test set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeployedScore {
    /// Its F1.
    pub f1: f64,
    /// The counts behind F1; `None` for a release that was adopted with a bare score.
    pub matrix: Option<ConfusionMatrix>,
}

impl From<ConfusionMatrix> for DeployedScore {
    fn from(matrix: ConfusionMatrix) -> Self {
        Self { f1: matrix.f1(), matrix: Some(matrix) }
    }
}

/// The record before the new rows.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// The release on its own test set.
    pub deployed: &'a DeployedScore,
    /// F1 of decided batches and of promotions, in any order.
    pub history: &'a [f64],
    /// This release's predictions for the batches that were decided while it was live.
    pub batches: ConfusionMatrix,
}

/// The limit that a rule compared the new score with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// An F1 strictly below this is drift.
    Lowest(f64),
    /// An interval of new F1 minus deployed F1; drift if its upper end is below 0.
    Difference(Interval),
}

/// The verdict of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleVerdict {
    /// The rule.
    pub rule: Rule,
    /// Whether there is drift; `None` if the rule was not evaluated.
    pub drifted: Option<bool>,
    /// The limit, if the rule was evaluated.
    pub limit: Option<Limit>,
    /// A sentence with the numbers, or the reason why the rule was not evaluated.
    pub explanation: String,
}

/// The verdict on the live release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelDrift {
    /// Number of new rows that the release was scored on.
    pub n: u64,
    /// F1 of the release on the new rows.
    pub new_f1: f64,
    /// The counts behind `new_f1`; `None` in decisions of earlier versions.
    #[serde(default)]
    pub matrix: Option<ConfusionMatrix>,
    /// F1 of the best constant answer on the new rows.
    #[serde(default)]
    pub constant_f1: f64,
    /// The release does worse than that constant answer; false if undecided.
    #[serde(default)]
    pub below_constant: bool,
    /// F1 of the release on its own test set.
    pub deployed_f1: f64,
    /// The number of scores in the history.
    pub history: usize,
    /// The verdicts of all rules, in the order of [`Rule::ALL`].
    pub verdicts: Vec<RuleVerdict>,
    /// The configured rule.
    pub configured: Rule,
    /// The rule that decided: `configured`, or raw if that could not be evaluated.
    pub decided_by: Rule,
    /// The decision; `None` if there are too few rows or only one class.
    pub drifted: Option<bool>,
    /// The reason, as a sentence.
    pub reason: String,
}

/// Judges the live release's predictions for new rows (`new`) by every rule; `configured` decides.
///
/// With fewer than `min_rows` new rows nothing is decided. The seed fixes the bootstrap.
///
/// ```
/// use mlops_core::config::choices::Rule;
/// use mlops_core::drift::rules::{DeployedScore, Past, model_drift};
/// use mlops_core::evaluation::metrics::ConfusionMatrix;
///
/// let tested = ConfusionMatrix { tn: 80, fp: 20, fn_: 20, tp: 80 };
/// let deployed = DeployedScore::from(tested);
/// let past = Past { deployed: &deployed, history: &[], batches: ConfusionMatrix::default() };
/// let new = ConfusionMatrix { tn: 55, fp: 45, fn_: 50, tp: 50 };
/// let drift = model_drift(&past, &new, Rule::Raw, 30, 42);
/// assert_eq!((drift.decided_by, drift.drifted), (Rule::Raw, Some(true)));
/// assert!(drift.new_f1 < deployed.f1);
/// ```
pub fn model_drift(
    past: &Past,
    new: &ConfusionMatrix,
    configured: Rule,
    min_rows: u64,
    seed: u64,
) -> ModelDrift {
    let (n, new_f1) = (new.n(), new.f1());
    let Past { deployed, history, batches } = past;
    let constant = ConstantBaseline::of(new.positives(), new.negatives());
    let mut drift = ModelDrift {
        n,
        new_f1,
        matrix: Some(*new),
        constant_f1: constant.f1,
        below_constant: false,
        deployed_f1: deployed.f1,
        history: history.len(),
        verdicts: Vec::new(),
        configured,
        decided_by: configured,
        drifted: None,
        reason: String::new(),
    };
    if let Some(obstacle) = undecidable(new, min_rows) {
        drift.verdicts = Rule::ALL.map(|rule| not_evaluated(rule, &obstacle)).into();
        drift.reason = format!("undecided: {obstacle}");
        return drift;
    }
    drift.below_constant = constant.met_by(new_f1) == Ordering::Less;
    drift.verdicts = vec![
        raw(new_f1, deployed.f1),
        parametric(new_f1, history),
        non_parametric(new_f1, history),
        significant(new, deployed, seed),
        pooled(new, deployed, *batches, seed),
        every(new_f1),
    ];
    drift.decide();
    drift
}

impl ModelDrift {
    /// The verdict of `rule`.
    pub fn verdict(&self, rule: Rule) -> Option<&RuleVerdict> {
        self.verdicts.iter().find(|verdict| verdict.rule == rule)
    }

    /// Whether to train a challenger: the rule says so, or the release does worse than a constant
    /// answer.
    pub fn asks_for_a_challenger(&self) -> bool {
        self.drifted == Some(true) || self.below_constant
    }

    /// Whether any rule finds the fall to be more than chance: `raw` alone calls every other batch
    /// drift, so that a challenger that is not better is then no news.
    pub fn is_serious(&self) -> bool {
        let drifted = |rule| self.verdict(rule).and_then(|v| v.drifted);
        let tested = [Rule::Significant, Rule::Pooled].map(drifted);
        let decided = self.drifted == Some(true) && self.decided_by != Rule::Every;
        decided && (tested.contains(&Some(true)) || tested == [None, None])
    }

    /// The finding, as a sentence, that the release does worse than the best constant answer.
    pub fn constant_finding(&self) -> Option<String> {
        self.below_constant.then(|| {
            format!(
                "F1 {:.4} on {} is below the best constant answer's {:.4}",
                self.new_f1,
                text::plural(self.n, "new row"),
                self.constant_f1
            )
        })
    }

    fn decide(&mut self) {
        let configured = self.configured;
        let evaluated = self.verdict(configured).is_some_and(|v| v.drifted.is_some());
        self.decided_by = if evaluated { configured } else { Rule::Raw };
        let Some(deciding) = self.verdict(self.decided_by) else { return };
        let rule = if evaluated {
            format!("rule {}", configured.name())
        } else {
            let why = self.verdict(configured).map_or("", |v| v.explanation.as_str());
            format!("rule raw, because {} was {why}", configured.name())
        };
        let outcome = match deciding.drifted {
            Some(true) if self.decided_by == Rule::Every => "A challenger is due",
            Some(true) => "Model drift",
            _ => "No model drift",
        };
        let rows = text::plural(self.n, "new row");
        let mut reason = format!("{outcome} ({rule}): {} on {rows}", deciding.explanation);
        if let Some(finding) = self.constant_finding() {
            reason = format!("{reason}. Worse than a constant answer: {finding}");
        }
        self.drifted = deciding.drifted;
        self.reason = reason;
    }
}

/// Why these rows do not allow a verdict on F1, if so.
fn undecidable(new: &ConfusionMatrix, min_rows: u64) -> Option<String> {
    let n = new.n();
    if n < min_rows {
        Some(format!("{}, and {min_rows} are needed", text::plural(n, "new row")))
    } else if new.one_class() {
        Some(format!("all new rows ({n}) are of one class"))
    } else {
        None
    }
}

fn not_evaluated(rule: Rule, why: &str) -> RuleVerdict {
    let explanation = format!("not evaluated: {why}");
    RuleVerdict { rule, drifted: None, limit: None, explanation }
}

/// The verdict of a rule with a lower limit for F1; `of` names the origin of the limit.
fn lowest(rule: Rule, new_f1: f64, limit: f64, of: &str) -> RuleVerdict {
    let drifted = new_f1 < limit - SAME_F1;
    let relation = if drifted { "below" } else { "not below" };
    RuleVerdict {
        rule,
        drifted: Some(drifted),
        limit: Some(Limit::Lowest(limit)),
        explanation: format!("F1 {new_f1:.4} is {relation} {limit:.4}, {of},"),
    }
}

fn raw(new_f1: f64, deployed: f64) -> RuleVerdict {
    let drifted = new_f1 < deployed - SAME_F1;
    let explanation = if drifted {
        format!("F1 fell from {deployed:.4} to {new_f1:.4}")
    } else {
        format!("F1 is {new_f1:.4}, not below the deployed {deployed:.4},")
    };
    RuleVerdict {
        rule: Rule::Raw,
        drifted: Some(drifted),
        limit: Some(Limit::Lowest(deployed)),
        explanation,
    }
}

fn every(new_f1: f64) -> RuleVerdict {
    RuleVerdict {
        rule: Rule::Every,
        drifted: Some(true),
        limit: None,
        explanation: format!(
            "this rule trains a challenger on every batch, whatever the F1, which is {new_f1:.4}"
        ),
    }
}

fn too_short(rule: Rule, history: &[f64]) -> Option<RuleVerdict> {
    (history.len() < MIN_HISTORY).then(|| {
        let scores = text::plural(history.len() as u64, "score");
        not_evaluated(rule, &format!("the history has {scores}, and {MIN_HISTORY} are needed"))
    })
}

fn parametric(new_f1: f64, history: &[f64]) -> RuleVerdict {
    too_short(Rule::Parametric, history).unwrap_or_else(|| {
        let n = history.len() as f64;
        let mean = history.iter().sum::<f64>() / n;
        let std = (history.iter().map(|f1| (f1 - mean).powi(2)).sum::<f64>() / n).sqrt();
        let of = format!(
            "mean {mean:.4} less twice the standard deviation {std:.4} of {n} earlier scores"
        );
        lowest(Rule::Parametric, new_f1, mean - 2.0 * std, &of)
    })
}

fn non_parametric(new_f1: f64, history: &[f64]) -> RuleVerdict {
    too_short(Rule::NonParametric, history).unwrap_or_else(|| {
        let mut sorted = history.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (q25, q75) = (percentile(&sorted, 0.25), percentile(&sorted, 0.75));
        let iqr = q75 - q25;
        let of = format!(
            "the first quartile {q25:.4} less 1.5 times the interquartile range {iqr:.4} of {} \
             earlier scores",
            history.len()
        );
        lowest(Rule::NonParametric, new_f1, q25 - 1.5 * iqr, &of)
    })
}

fn significant(new: &ConfusionMatrix, deployed: &DeployedScore, seed: u64) -> RuleVerdict {
    match deployed.matrix {
        Some(matrix) => below(Rule::Significant, new, &matrix, "the deployed", seed),
        None => not_evaluated(
            Rule::Significant,
            "the deployed release has a score, but no confusion matrix",
        ),
    }
}

fn pooled(
    new: &ConfusionMatrix,
    deployed: &DeployedScore,
    mut batches: ConfusionMatrix,
    seed: u64,
) -> RuleVerdict {
    batches += deployed.matrix.unwrap_or_default();
    let of = format!("the earlier {} rows'", text::count(batches.n()));
    below(Rule::Pooled, new, &batches, &of, seed)
}

/// Whether F1 on new rows is below that on earlier ones by more than chance explains.
fn below(
    rule: Rule,
    new: &ConfusionMatrix,
    earlier: &ConfusionMatrix,
    of: &str,
    seed: u64,
) -> RuleVerdict {
    // A bootstrap of a handful of rows, or of one class, mistakes chance for certainty.
    for (counts, whose) in [(earlier, "the earlier score rests on"), (new, "there are new")] {
        if let Some(why) = too_few(counts) {
            return not_evaluated(
                rule,
                &format!("{whose} {}: {why}", text::plural(counts.n(), "row")),
            );
        }
    }
    let interval = two_sample_interval(earlier, new, LEVEL, RESAMPLES, seed);
    let drifted = interval.high < 0.0;
    let explanation = format!(
        "F1 {:.4} differs from {of} {:.4} by {:+.4}, with a {:.0} % interval from {:+.4} to \
         {:+.4}, which {},",
        new.f1(),
        earlier.f1(),
        new.f1() - earlier.f1(),
        100.0 * LEVEL,
        interval.low,
        interval.high,
        if drifted { "lies below 0" } else { "does not lie below 0" }
    );
    RuleVerdict {
        rule,
        drifted: Some(drifted),
        limit: Some(Limit::Difference(interval)),
        explanation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An example with known outcomes: scores so far, the deployed 0.7, the new 0.3625.
    const HISTORY: [f64; 6] = [0.5, 0.4, 0.51, 0.58, 0.6, 0.7];
    const DEPLOYED: ConfusionMatrix = ConfusionMatrix { tn: 80, fp: 30, fn_: 30, tp: 70 };
    const NEW: ConfusionMatrix = ConfusionMatrix { tn: 40, fp: 51, fn_: 51, tp: 29 };

    fn drift(configured: Rule) -> ModelDrift {
        drift_of(&HISTORY, &DEPLOYED.into(), &NEW, configured)
    }

    fn drift_of(
        history: &[f64],
        deployed: &DeployedScore,
        new: &ConfusionMatrix,
        rule: Rule,
    ) -> ModelDrift {
        let batches = ConfusionMatrix::default();
        model_drift(&Past { deployed, history, batches }, new, rule, 20, 42)
    }

    fn lowest_of(drift: &ModelDrift, rule: Rule) -> f64 {
        match drift.verdict(rule).unwrap().limit {
            Some(Limit::Lowest(limit)) => limit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_known_example() {
        let drift = drift(Rule::Raw);
        assert!((drift.deployed_f1 - 0.7).abs() < 1e-15 && (drift.new_f1 - 0.3625).abs() < 1e-15);
        let answers: Vec<_> = drift.verdicts.iter().map(|v| v.drifted).collect();
        assert_eq!(
            answers,
            [Some(true), Some(false), Some(true), Some(true), Some(true), Some(true)]
        );
        assert!((lowest_of(&drift, Rule::Parametric) - 0.361_280_162).abs() < 1e-9);
        assert!((lowest_of(&drift, Rule::NonParametric) - 0.363_75).abs() < 1e-12);
        assert_eq!(drift.drifted, Some(true));
        assert_eq!(
            drift.reason,
            "Model drift (rule raw): F1 fell from 0.7000 to 0.3625 on 171 new rows. Worse than a \
             constant answer: F1 0.3625 on 171 new rows is below the best constant answer's 0.6375"
        );
    }

    #[test]
    fn the_configured_rule_decides() {
        for (rule, drifted) in Rule::ALL.into_iter().zip([true, false, true, true, true, true]) {
            let drift = drift(rule);
            assert_eq!((drift.decided_by, drift.drifted), (rule, Some(drifted)));
        }
        let reason = drift(Rule::Parametric).reason;
        assert!(reason.starts_with(
            "No model drift (rule parametric): F1 0.3625 is not below 0.3613, mean 0.5483 less"
        ));
    }

    #[test]
    fn a_short_history_leaves_it_to_raw() {
        for rule in [Rule::Parametric, Rule::NonParametric] {
            let drift = drift_of(&HISTORY[..4], &DEPLOYED.into(), &NEW, rule);
            assert_eq!(drift.verdict(rule).unwrap().drifted, None);
            assert_eq!((drift.decided_by, drift.drifted), (Rule::Raw, Some(true)));
            let start = format!(
                "Model drift (rule raw, because {} was not evaluated: the history has 4 scores, \
                 and 5 are needed): ",
                rule.name()
            );
            assert!(drift.reason.starts_with(&start), "{}", drift.reason);
        }
    }

    #[test]
    fn an_adopted_score_or_a_tiny_test_set_cannot_be_significant() {
        let bare = DeployedScore { f1: 0.7, matrix: None };
        let tiny = ConfusionMatrix { tn: 2, fp: 0, fn_: 0, tp: 3 }.into();
        for deployed in [bare, tiny] {
            let drift = drift_of(&HISTORY, &deployed, &NEW, Rule::Significant);
            assert_eq!((drift.decided_by, drift.drifted), (Rule::Raw, Some(true)), "{drift:?}");
        }
    }

    #[test]
    fn too_few_rows_or_one_class_decide_nothing() {
        let few = ConfusionMatrix { tn: 5, fp: 4, fn_: 5, tp: 5 };
        let one_class = ConfusionMatrix { tn: 50, fp: 40, fn_: 0, tp: 0 };
        for (new, why) in [
            (few, "undecided: 19 new rows, and 20 are needed"),
            (one_class, "undecided: all new rows (90) are of one class"),
            (ConfusionMatrix::default(), "undecided: 0 new rows, and 20 are needed"),
        ] {
            let drift = drift_of(&HISTORY, &DEPLOYED.into(), &new, Rule::Raw);
            assert_eq!((drift.drifted, drift.reason.as_str()), (None, why));
            assert!(drift.verdicts.iter().all(|v| v.drifted.is_none()));
        }
        let enough = ConfusionMatrix { tn: 6, ..few };
        let drift = drift_of(&HISTORY, &DEPLOYED.into(), &enough, Rule::Raw);
        assert_eq!(drift.drifted, Some(true));
    }

    #[test]
    fn the_same_score_is_no_drift() {
        let drift = drift_of(&[0.7; 6], &DEPLOYED.into(), &DEPLOYED, Rule::Raw);
        // A history without spread leaves no room, but for rounding.
        let others = drift.verdicts.iter().filter(|v| v.rule != Rule::Every);
        assert!(others.clone().count() == 5, "{drift:?}");
        assert!(others.clone().all(|v| v.drifted == Some(false)), "{drift:?}");
        assert!(!drift.below_constant && !drift.asks_for_a_challenger());
    }

    #[test]
    fn every_batch_asks_for_a_challenger_when_that_is_the_rule() {
        let drift = drift_of(&[], &DEPLOYED.into(), &DEPLOYED, Rule::Every);
        assert!(drift.asks_for_a_challenger());
        let reason = "A challenger is due (rule every): this rule trains a challenger on every batch, whatever the F1, which is 0.7000";
        assert!(drift.reason.starts_with(reason), "{}", drift.reason);
        let few = ConfusionMatrix { tn: 3, fp: 1, fn_: 1, tp: 3 };
        assert!(!drift_of(&[], &DEPLOYED.into(), &few, Rule::Every).asks_for_a_challenger());
    }

    /// A fall that a test set of 40 rows cannot prove, and 2,000 rows of earlier batches can.
    #[test]
    fn earlier_batches_sharpen_the_pooled_rule() {
        let deployed = ConfusionMatrix { tn: 16, fp: 4, fn_: 4, tp: 16 }.into();
        let new = ConfusionMatrix { tn: 140, fp: 60, fn_: 60, tp: 140 };
        let of = |batches| {
            let past = Past { deployed: &deployed, history: &[], batches };
            model_drift(&past, &new, Rule::Pooled, 20, 42)
        };
        assert_eq!(of(ConfusionMatrix::default()).drifted, Some(false));
        let drift = of(ConfusionMatrix { tn: 800, fp: 200, fn_: 200, tp: 800 });
        assert_eq!(drift.drifted, Some(true), "{drift:?}");
        assert!(drift.reason.contains("differs from the earlier 2,040 rows' 0.8000"), "{drift:?}");
    }

    #[test]
    fn a_model_under_the_constant_answer_is_a_finding_whatever_the_rule() {
        // Constant at 2/3; the release has always been bad, so that no rule sees a fall.
        let bad = ConfusionMatrix { tn: 20, fp: 80, fn_: 90, tp: 10 };
        let drift = drift_of(&[], &bad.into(), &bad, Rule::Significant);
        assert_eq!((drift.drifted, drift.below_constant), (Some(false), true));
        assert!(drift.asks_for_a_challenger());
        assert_eq!(
            drift.constant_finding().unwrap(),
            "F1 0.1053 on 200 new rows is below the best constant answer's 0.6667"
        );
        // To answer "positive" always is the constant itself, and not below it.
        let positive = ConfusionMatrix { tn: 0, fp: 50, fn_: 0, tp: 150 };
        assert!(!drift_of(&[], &positive.into(), &positive, Rule::Raw).below_constant);
    }

    #[test]
    fn names_are_those_of_the_configuration_and_json_reads_back() {
        for rule in Rule::ALL {
            assert_eq!(serde_json::to_string(&rule).unwrap(), format!("\"{}\"", rule.name()));
        }
        let drift = drift(Rule::Significant);
        let text = serde_json::to_string(&drift).unwrap();
        assert_eq!(serde_json::from_str::<ModelDrift>(&text).unwrap(), drift);
    }
}
