//! Decides whether the challenger replaces the champion, by their scores on the same hold-out.
//!
//! The challenger must be "not worse": on these rows its F1, or whatever metric `gate.metric` names,
//! must be at least the champion's plus `min_improvement` (default 0); of log loss and Brier score,
//! which are better when lower, at most the champion's less that. The point difference decides, not
//! the interval. Requiring proof
//! that the challenger is better would keep an outdated model for ever where hold-outs are small;
//! refusing only what is proven worse would let the score sink a little with each promotion. At the
//! same score the challenger wins: it has learned from newer rows. The interval tells the reader of
//! the record how much of the difference may be chance. For a margin, set
//! `min_improvement`.
//!
//! A challenger that does no better than the best constant answer is refused: beating a bad model
//! proves nothing. Both are compared in the same metric, or in F1 where a constant answer is perfect
//! in it (recall, specificity). There are two exceptions. A person may accept it (`--accept`). And if the
//! champion loses to the constant answer too, the challenger replaces it if it is better beyond chance
//! (the whole paired interval is above 0) and is not constant itself: keeping a model in production
//! that is proven worse would only do more harm. Such a promotion is never silent: until the live
//! model beats the constant, it remains a finding that needs a person.
//!
//! Without evidence nothing changes: on rows of one class no metric compares the models, and the
//! challenger is refused. Not for scores on two different test sets: those are never compared here.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::evaluation::metrics::bootstrap::too_few;
use crate::evaluation::metrics::interval::LEVEL;
use crate::evaluation::metrics::paired::difference_interval;
use crate::evaluation::metrics::{
    Answers, Clusters, ConstantBaseline, Evaluation, Interval, Metric, PairedCounts, SAME_F1,
    against_constant,
};
use crate::evaluation::reasons::{Constant, GateReason, Reasons, Ruling};
use crate::evaluation::slices::SliceContest;
use crate::{Error, Result};

/// The verdict, with every number that it is based on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GateVerdict {
    /// The challenger may go live.
    pub blessed: bool,
    /// Number of rows in the hold-out.
    pub n: u64,
    /// Number of rows for which the two models give different answers.
    pub disagreements: u64,
    /// The champion's F1 on the hold-out.
    pub champion_f1: f64,
    /// The challenger's F1 on the same rows.
    pub challenger_f1: f64,
    /// The metric that decided, with its values, where it is not F1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Compared>,
    /// Challenger's F1, or other metric, minus champion's.
    pub difference: f64,
    /// Paired 95 % bootstrap interval of the difference.
    pub interval: Interval,
    /// The improvement that was required.
    pub min_improvement: f64,
    /// F1 of the best constant answer on the same rows.
    pub constant_f1: f64,
    /// A person accepts a challenger that does no better than the best constant answer.
    #[serde(default)]
    pub accepted: bool,
    /// Both models on each slice of the hold-out with enough rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<SliceContest>,
    /// The reasons; the decisive one comes first.
    pub reasons: Reasons,
}

/// The values of one metric on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The metric.
    pub metric: Metric,
    /// The champion's value.
    pub champion: f64,
    /// The challenger's value.
    pub challenger: f64,
    /// That of the best constant answer; `None` if it is perfect without knowing anything.
    pub constant: Option<f64>,
}

/// The user's requirements for a challenger.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms {
    /// The metric that decides.
    pub metric: Metric,
    /// Required improvement in it, challenger over champion.
    pub min_improvement: f64,
    /// Accept a challenger that does no better than the best constant answer.
    pub accept: bool,
    /// Seed of the resamples.
    pub seed: u64,
    /// Threads that resample; the result is the same for any number.
    pub threads: usize,
}

/// Compares challenger and champion: n labels, and the answers of both for the same rows, of which
/// several may be of one entity.
///
/// # Errors
/// `Data` if there are no rows, the lengths differ, a probability is NaN or outside [0, 1], or
/// `min_improvement` is not finite.
pub fn gate(
    labels: &[bool],
    champion: Answers<'_>,
    challenger: Answers<'_>,
    clusters: Option<&Clusters>,
    terms: Terms,
) -> Result<GateVerdict> {
    let Terms { metric, min_improvement, accept, seed, threads } = terms;
    if labels.is_empty() {
        return Err(Error::data("no hold-out rows to compare the models on"));
    }
    if !min_improvement.is_finite() {
        return Err(Error::data(format!(
            "the least improvement is {min_improvement}: it must be a finite number"
        )));
    }
    let counts = PairedCounts::from_predictions(labels, champion.predicted, challenger.predicted)?;
    let matrix = counts.champion();
    let (positives, negatives) = (matrix.positives(), matrix.negatives());
    let constant = ConstantBaseline::of(positives, negatives);
    let both = [champion, challenger];
    let value = |of: usize| -> Result<Option<f64>> {
        let matrix = [matrix, counts.challenger()][of];
        metric.of_either(&matrix, labels, || both[of].probabilities.to_vec())
    };
    let values = value(0)?.zip(value(1)?);
    let (before, after) = values.unwrap_or_default();
    let other = (metric != Metric::F1 && values.is_some()).then(|| Compared {
        metric,
        champion: before,
        challenger: after,
        constant: metric.of_constant(positives, negatives),
    });
    let mut verdict = GateVerdict {
        blessed: false,
        n: counts.n(),
        disagreements: counts.disagreements(),
        champion_f1: matrix.f1(),
        challenger_f1: counts.challenger().f1(),
        other,
        difference: after - before,
        interval: difference_interval(metric, labels, both, clusters, LEVEL, (seed, threads))?,
        min_improvement,
        constant_f1: constant.f1,
        accepted: accept,
        slices: Vec::new(),
        reasons: Reasons::refused(Vec::new()),
    };
    if matrix.one_class() {
        verdict.reasons = Reasons::refused(vec![GateReason::OneClass { metric, rows: verdict.n }]);
        return Ok(verdict);
    }
    if values.is_none() {
        let why = GateReason::NoMetric { metric, rows: verdict.n };
        verdict.reasons = Reasons::refused(vec![why]);
        return Ok(verdict);
    }
    verdict.decide(challenger.predicted.iter().all(|answer| *answer == challenger.predicted[0]));
    if let Some(note) = too_few(&matrix) {
        verdict.reasons.push(GateReason::FewRows { rows: verdict.n, note });
    }
    Ok(verdict)
}

/// A model beside the best constant answer on the same rows: in the metric of the gate, or in F1
/// where that has no value, or where a constant answer is perfect in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beside {
    /// The model's value.
    pub value: f64,
    /// The constant answer.
    pub constant: Constant,
    /// The number of rows.
    pub rows: u64,
    /// The model is better.
    pub beats: bool,
}

impl Beside {
    /// The model with this evaluation.
    pub fn of(metric: Metric, e: &Evaluation) -> Self {
        let constant = metric.of_constant(e.positives, e.n - e.positives);
        let (metric, value, constant) = match metric.of(e).zip(constant) {
            Some((value, constant)) => (metric, value, constant),
            None => (Metric::F1, e.f1, e.constant.f1),
        };
        let beats = metric.gain(value, constant) > SAME_F1;
        Self { value, constant: Constant { metric, value: constant }, rows: e.n, beats }
    }

    /// The reason for a model that is held against nothing else. `first`: there was no model before it.
    pub fn alone(self, first: bool, accepted: bool) -> GateReason {
        let Self { value, constant, rows, beats: beats_constant } = self;
        GateReason::Alone { first, value, rows, constant, beats_constant, accepted }
    }
}

impl GateVerdict {
    /// Whether the challenger's F1 does no better than that of the best constant answer.
    pub fn loses_to_constant(&self) -> bool {
        against_constant(self.challenger_f1, self.constant_f1) != Ordering::Greater
    }

    /// Adds the slices, and refuses a challenger that loses more than `most` of the metric that decides on one
    /// of them; on average over all rows it may still be better.
    pub fn hold_to_slices(&mut self, slices: Vec<SliceContest>, most: Option<f64>) {
        let most = most.unwrap_or(f64::INFINITY);
        let beyond = || slices.iter().filter(|slice| slice.drop() > most + SAME_F1);
        if let Some(worst) = beyond().max_by(|a, b| a.drop().total_cmp(&b.drop())) {
            let worst = worst.clone();
            let others = beyond().count() as u64 - 1;
            let reason = GateReason::SliceDrop { worst, most, others };
            let first = if self.blessed { 0 } else { self.reasons.all.len() };
            self.reasons.all.insert(first, reason);
            self.reasons.ruling = Some(Ruling::Refused);
            self.blessed = false;
        }
        self.slices = slices;
    }

    /// The values of the metric that decided.
    pub fn compared(&self) -> Compared {
        self.other.unwrap_or(Compared {
            metric: Metric::F1,
            champion: self.champion_f1,
            challenger: self.challenger_f1,
            constant: Some(self.constant_f1),
        })
    }

    /// `constant`: whether the challenger predicts the same class for every row.
    fn decide(&mut self, constant: bool) {
        let Compared { metric, champion, challenger, constant: best } = self.compared();
        let (difference, min_improvement) = (self.difference, self.min_improvement);
        let not_worse = metric.gain(challenger, champion) >= min_improvement - SAME_F1;
        // In which metric both are held against the constant answer, and what that has.
        let (held_in, ours, theirs, best) = match best {
            Some(best) => (metric, challenger, champion, best),
            None => (Metric::F1, self.challenger_f1, self.champion_f1, self.constant_f1),
        };
        let beats = |value: f64| held_in.gain(value, best) > SAME_F1;
        let (loses, champion_loses) = (!beats(ours), !beats(theirs));
        let surely = if metric.is_loss() { -self.interval.high } else { self.interval.low };
        let relieves = champion_loses && !constant && surely > SAME_F1;
        self.blessed = not_worse && (!loses || self.accepted || relieves);
        let comparison = GateReason::Comparison {
            metric,
            champion,
            challenger,
            rows: self.n,
            difference,
            interval: self.interval,
            min_improvement,
        };
        let of_constant = Constant { metric: held_in, value: best };
        let mut reasons = match (loses, not_worse) {
            (false, _) | (true, false) => vec![comparison],
            (true, true) if self.accepted => {
                vec![comparison, GateReason::Accepted(of_constant)]
            }
            (true, true) if relieves => vec![comparison, GateReason::BetterOfTwo(of_constant)],
            (true, true) => {
                let constant = of_constant;
                vec![GateReason::BelowConstant { challenger: ours, constant }, comparison]
            }
        };
        if champion_loses && !(relieves && loses) {
            reasons.push(GateReason::ChampionBelowConstant(of_constant));
        }
        self.reasons = Reasons { ruling: Some(Ruling::of(self.blessed)), all: reasons };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::slices::{Slice, SliceValues};

    /// 40 rows, every other one positive, of which the model gets all but the last `wrong` right.
    fn answers(wrong: usize) -> (Vec<bool>, Vec<bool>) {
        let labels: Vec<bool> = (0..40).map(|i| i % 2 == 0).collect();
        let answers = labels.iter().enumerate().map(|(i, l)| *l != (i >= 40 - wrong)).collect();
        (labels, answers)
    }

    const TERMS: Terms =
        Terms { metric: Metric::F1, min_improvement: 0.0, accept: false, seed: 42, threads: 2 };

    /// The verdict on answers without probabilities.
    fn gate(
        labels: &[bool],
        champion: &[bool],
        challenger: &[bool],
        terms: Terms,
    ) -> Result<GateVerdict> {
        let of = |predicted| Answers { predicted, probabilities: &[] };
        super::gate(labels, of(champion), of(challenger), None, terms)
    }

    fn verdict(champion_wrong: usize, challenger_wrong: usize, least: f64) -> GateVerdict {
        let (labels, champion) = answers(champion_wrong);
        let terms = Terms { min_improvement: least, ..TERMS };
        gate(&labels, &champion, &answers(challenger_wrong).1, terms).unwrap()
    }

    #[test]
    fn the_same_score_is_promoted_and_one_row_worse_is_refused() {
        let same = verdict(8, 8, 0.0);
        assert!(same.blessed && same.disagreements == 0, "{same:?}");
        assert!(
            same.reasons.sentences()[0].starts_with("promoted: the challenger has F1 0.8000"),
            "{same:?}"
        );
        let worse = verdict(8, 9, 0.0);
        assert!(!worse.blessed && worse.difference < 0.0);
        assert!(worse.reasons.sentences()[0].starts_with("refused: "), "{worse:?}");
        // One row is not significant, and is refused all the same.
        assert!(worse.interval.high >= 0.0);
    }

    #[test]
    fn the_least_improvement_is_met_by_exactly_that_much() {
        let gain = verdict(8, 6, 0.0).difference;
        assert!(verdict(8, 6, gain).blessed);
        let (champion, challenger) = (verdict(8, 6, 0.0).champion_f1, 0.85_f64);
        assert!((challenger - champion - 0.05).abs() < 1e-15);
        assert!(verdict(8, 6, 0.05).blessed);
        let short = verdict(8, 6, 0.051);
        assert!(!short.blessed);
        assert!(
            short.reasons.sentences()[0]
                .contains("to go live it needs at least the champion's F1 +0.051"),
            "{short:?}"
        );
        assert!(verdict(8, 9, -0.1).blessed);
    }

    #[test]
    fn nothing_that_loses_to_a_constant_is_promoted_unless_it_is_accepted() {
        // All wrong: both score 0, the constant 2/3.
        let both = verdict(40, 40, 0.0);
        assert!(!both.blessed && both.loses_to_constant(), "{both:?}");
        assert_eq!(
            both.reasons.sentences()[0],
            "refused: the challenger's F1 0.0000 does not beat a constant answer: the best \
             constant answer has F1 0.6667 on the same rows, and --accept was not given"
        );
        assert!(
            both.reasons.sentences()[2].starts_with("the champion does not beat the best"),
            "{both:?}"
        );
        // Two rows fewer wrong are chance; no row wrong more than half of them are not.
        let chance = verdict(40, 38, 0.0);
        assert!(!chance.blessed && chance.interval.low <= 0.0, "{chance:?}");
        let relief = verdict(40, 16, 0.0);
        assert!(relief.loses_to_constant() && relief.blessed, "{relief:?}");
        assert!(
            relief.reasons.sentences()[1].starts_with("neither beats a constant answer"),
            "{relief:?}"
        );
        // A champion that beats the constant is never given up for one that does not.
        let only = verdict(8, 20, -1.0);
        assert!(!only.blessed && only.reasons.all.len() == 2, "{only:?}");
        // A model that always answers "positive" is the constant, and does not beat it.
        let labels: Vec<bool> = (0..40).map(|i| i % 4 != 0).collect();
        let same = gate(&labels, &[false; 40], &[true; 40], TERMS).unwrap();
        assert!(!same.blessed && same.loses_to_constant(), "{same:?}");
        let accept = Terms { accept: true, ..TERMS };
        let same = gate(&labels, &[false; 40], &[true; 40], accept).unwrap();
        assert!(
            same.blessed && same.reasons.sentences()[1].contains("accepted nevertheless"),
            "{same:?}"
        );
        // To accept a weak model is not to accept one that is worse than the champion.
        let worse = gate(&labels, &labels, &[true; 40], accept).unwrap();
        assert!(
            !worse.blessed && worse.reasons.sentences()[0].starts_with("refused: "),
            "{worse:?}"
        );
    }

    #[test]
    fn a_loss_on_one_slice_refuses_what_is_better_on_average() {
        let slice = |value: &str, champion_f1: f64, challenger_f1: f64| SliceContest {
            slice: Slice { column: "region".to_owned(), value: Some(value.to_owned()) },
            rows: 300,
            champion_f1,
            challenger_f1,
            other: None,
        };
        let slices =
            || vec![slice("north", 0.8, 0.9), slice("south", 0.8, 0.7), slice("west", 0.8, 0.72)];
        let held = |most: Option<f64>| {
            let mut better = verdict(8, 6, 0.0);
            better.hold_to_slices(slices(), most);
            assert_eq!(better.slices.len(), 3);
            better
        };
        for passes in [None, Some(0.1), Some(0.2)] {
            assert!(held(passes).blessed, "{passes:?}");
        }
        let refused = held(Some(0.05));
        assert!(!refused.blessed);
        assert_eq!(
            refused.reasons.sentences()[0],
            "refused: on the 300 hold-out rows of region=south the challenger has F1 0.7000 and the \
             champion 0.8000, a loss of more than \"gate.max_slice_drop\", 0.05; it loses more than that \
             on 1 more slice"
        );
        // In another metric it is that which must not be lost, whatever the F1 says.
        let other = |metric, champion, challenger| SliceContest {
            other: Some(SliceValues { metric, champion, challenger }),
            ..slice("north", 0.9, 0.5)
        };
        for (contest, passes) in [
            (other(Metric::LogLoss, 0.4, 0.6), false),
            (other(Metric::LogLoss, 0.6, 0.4), true),
            (other(Metric::RocAuc, 0.9, 0.7), false),
            (other(Metric::RocAuc, 0.7, 0.9), true),
        ] {
            let name = contest.compared().metric.words();
            let mut held = verdict(8, 6, 0.0);
            held.hold_to_slices(vec![contest], Some(0.1));
            assert_eq!(held.blessed, passes, "{held:?}");
            let told = held.reasons.sentences();
            let words = format!("region=north the challenger has {name} 0.");
            assert_eq!(told[0].contains(&words), !passes, "{told:?}");
            let lower = told[0].contains("the champion 0.4000 (lower is better), a loss of more");
            assert_eq!(lower, name == "log loss" && !passes, "{told:?}");
        }
        // What is refused anyway keeps its first reason.
        let mut worse = verdict(8, 9, 0.0);
        worse.hold_to_slices(slices(), Some(0.09));
        let sentences = worse.reasons.sentences();
        assert!(sentences[0].contains("to go live it needs"), "{sentences:?}");
        assert!(sentences[1].ends_with("\"gate.max_slice_drop\", 0.09"), "{sentences:?}");
        let text = serde_json::to_string(&worse).unwrap();
        assert_eq!(serde_json::from_str::<GateVerdict>(&text).unwrap().slices, worse.slices);
    }

    #[test]
    fn one_class_refuses_and_few_rows_say_so() {
        let one = gate(&[true; 50], &[true; 50], &[true; 50], TERMS).unwrap();
        assert!(!one.blessed && one.reasons.sentences()[0].contains("one class"), "{one:?}");
        let labels = [true, false, true];
        let few = gate(&labels, &labels, &labels, TERMS).unwrap();
        assert!(few.blessed);
        assert_eq!(few.reasons.sentences()[1], "the hold-out has 3 rows: too few rows to tell");
    }

    /// 200 rows; the model is right with a margin that falls by `noise`.
    fn scored(noise: f64) -> (Vec<bool>, Vec<f64>) {
        let labels: Vec<bool> = (0..200).map(|i| i % 4 == 0).collect();
        let p = labels.iter().enumerate().map(|(i, label)| {
            let wobble = ((i as f64 * 0.618_034).fract() - 0.5) * noise;
            (if *label { 0.7 } else { 0.3 } + wobble).clamp(0.01, 0.99)
        });
        let p = p.collect();
        (labels, p)
    }

    fn by(metric: Metric, champion: &[f64], challenger: &[f64], least: f64) -> GateVerdict {
        let labels = scored(0.0).0;
        let predicted = [champion, challenger].map(|p| p.iter().map(|p| *p > 0.5).collect());
        let [a, b]: [Vec<bool>; 2] = predicted;
        let terms = Terms { metric, min_improvement: least, ..TERMS };
        let of = |predicted, probabilities| Answers { predicted, probabilities };
        super::gate(&labels, of(&a, champion), of(&b, challenger), None, terms).unwrap()
    }

    #[test]
    fn any_metric_may_decide() {
        let (worse, better) = (scored(1.6).1, scored(1.0).1);
        for metric in Metric::ALL {
            let up = by(metric, &worse, &better, 0.0);
            assert!(up.blessed, "{metric:?}: {:?}", up.reasons.sentences());
            let Compared { champion, challenger, .. } = up.compared();
            assert!((up.difference - (challenger - champion)).abs() < 1e-12);
            assert!(metric.gain(challenger, champion) > 0.0, "{metric:?}: {up:?}");
            assert!(up.interval.low <= up.difference && up.difference <= up.interval.high);
            let told = up.reasons.sentences()[0].clone();
            assert!(told.contains(metric.words()), "{told}");
            let down = by(metric, &better, &worse, 0.0);
            assert!(!down.blessed, "{metric:?}: {:?}", down.reasons.sentences());
            assert!(!by(metric, &worse, &better, 9.0).blessed, "{metric:?}");
            let text = serde_json::to_string(&up).unwrap();
            assert_eq!(text.contains("\"other\""), metric != Metric::F1, "{text}");
            assert_eq!(serde_json::from_str::<GateVerdict>(&text).unwrap().other, up.other);
            let again = by(metric, &worse, &better, 0.0);
            assert_eq!(again.interval, up.interval, "a seed fixes the interval");
        }
    }

    #[test]
    fn a_loss_must_fall() {
        let told = by(Metric::LogLoss, &scored(1.6).1, &scored(1.0).1, 0.01).reasons.sentences();
        let lower = "(lower is better); to go live it needs at most the champion's log loss -0.01";
        assert!(told[0].starts_with("promoted: the challenger has log loss 0."), "{told:?}");
        assert!(told[0].ends_with(lower), "{told:?}");
    }

    #[test]
    fn the_constant_answer_is_held_against_in_the_same_metric() {
        let (labels, good) = scored(1.0);
        let reversed: Vec<f64> = good.iter().map(|p| 1.0 - p).collect();
        let verdict = by(Metric::RocAuc, &reversed, &reversed, 0.0);
        let first = &verdict.reasons.sentences()[0];
        assert!(first.contains("the best constant answer has ROC AUC 0.5000"), "{first}");
        // Always "positive" has recall 1, which is no merit: F1 is compared instead.
        let all = vec![0.9; labels.len()];
        let verdict = by(Metric::Recall, &good, &all, 0.0);
        let first = &verdict.reasons.sentences()[0];
        assert!(first.contains("the best constant answer has F1 0.4000"), "{first}");
        let few = Terms { metric: Metric::Lift, ..TERMS };
        let (labels, p) = ([true, false, true, false], [0.9, 0.1, 0.8, 0.3]);
        let answers = Answers { predicted: &[true, false, true, false], probabilities: &p };
        let few = super::gate(&labels, answers, answers, None, few).unwrap();
        let why = "refused: the lift of the top decile does not exist on 4 hold-out rows";
        assert_eq!(
            few.reasons.sentences()[0],
            format!("{why}, so that it cannot compare the models")
        );
    }

    #[test]
    fn impossible_input_is_refused() {
        let nan = Terms { min_improvement: f64::NAN, ..TERMS };
        assert!(gate(&[], &[], &[], TERMS).is_err());
        assert!(gate(&[true], &[true], &[], TERMS).is_err());
        assert!(gate(&[true], &[true], &[true], nan).is_err());
    }

    #[test]
    fn the_verdict_survives_json() {
        let verdict = verdict(8, 6, 0.0);
        let text = serde_json::to_string(&verdict).unwrap();
        assert!(text.contains(r#""reasons":["promoted: the challenger has F1 0.8500 "#), "{text}");
        let read = serde_json::from_str::<GateVerdict>(&text).unwrap();
        assert_eq!(read.reasons.sentences(), verdict.reasons.sentences());
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!(GateVerdict { reasons: verdict.reasons.clone(), ..read }, verdict);
    }
}
