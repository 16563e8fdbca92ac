//! The section `training`: how models are fitted, and how their threshold is determined.
//!
//! Not for choosing what the data decide: see `evaluation::cutoff` and `model::fit`.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::section::Section;
use super::shapes::{Shapes, shapes};
use super::window::window;
use crate::config::choices::{
    Aim, ClassWeight, MissingPolicy, Pooling, Solver, ThresholdRule, Window,
};
use crate::table::schema::Schema;

/// How models are fitted and used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Inverse of the L2 penalty's strength; `None` for no penalty.
    #[serde(rename = "C")]
    pub c: Option<f64>,
    /// `c` is chosen by cross-validation, so that the configuration has no number for it.
    #[serde(default)]
    pub search_c: bool,
    /// The number of folds of a cross-validation.
    #[serde(default = "folds")]
    pub folds: u64,
    /// The optimiser.
    pub solver: Solver,
    /// How missing values are treated.
    pub missing: MissingPolicy,
    /// How the classes are weighted.
    pub class_weight: ClassWeight,
    /// A row is predicted positive if its probability is strictly above this.
    pub threshold: f64,
    /// How `threshold` is determined; in the configuration, it has no meaning before that.
    #[serde(default)]
    pub threshold_rule: ThresholdRule,
    /// Seed of all random draws.
    pub seed: u64,
    /// Which levels of a categorical column share a feature.
    #[serde(default)]
    pub pooling: Pooling,
    /// Which rows a model is fitted on; `None` for all. In a model it is what was taken, never `Auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            c: Some(1.0),
            search_c: false,
            folds: folds(),
            solver: Solver::Auto,
            missing: MissingPolicy::Median,
            class_weight: ClassWeight::None,
            threshold: 0.5,
            threshold_rule: ThresholdRule::Given,
            seed: 42,
            pooling: Pooling::default(),
            window: None,
        }
    }
}

impl Training {
    /// Whether anything is chosen by cross-validation.
    pub fn cross_validates(&self) -> bool {
        self.search_c || self.threshold_rule.is_chosen()
    }
}

/// The usual number of folds.
fn folds() -> u64 {
    5
}

/// The forms of `training.threshold`.
const THRESHOLDS: &str = "a number from 0 to 1, \"prior\", or one of {\"maximize\": \"f1\"}, \
                          {\"min_recall\": 0.8}, {\"min_precision\": 0.8}, {\"top\": 0.1}, {\"cost\": \
                          {\"false_positive\": 1, \"false_negative\": 5}}";

/// What a wrong prediction may cost. Only the ratio of both costs matters, and sums over all rows must stay finite.
const COSTS: RangeInclusive<f64> = 1e-12..=1e12;

pub(super) fn training(mut section: Section, schema: &Schema) -> (Training, Shapes) {
    let default = Training::default();
    let (c, search_c) = penalty(&mut section, default.c);
    let solver = section.choice(
        "solver",
        &[("auto", Solver::Auto), ("newton", Solver::Newton), ("lbfgs", Solver::Lbfgs)],
        default.solver,
    );
    let missing = section.choice(
        "missing",
        &[
            ("median", MissingPolicy::Median),
            ("mean", MissingPolicy::Mean),
            ("drop", MissingPolicy::Drop),
            ("reject", MissingPolicy::Reject),
        ],
        default.missing,
    );
    let weights = [("balanced", ClassWeight::Balanced)];
    let class_weight = section.choice("class_weight", &weights, default.class_weight);
    let (threshold, threshold_rule) = threshold(&mut section, class_weight, default.threshold);
    let training = Training {
        c,
        search_c,
        folds: section.integer("folds", &(2..=16), default.folds),
        solver,
        missing,
        class_weight,
        threshold,
        threshold_rule,
        seed: section.integer("seed", &(0..=u64::MAX), default.seed),
        pooling: default.pooling,
        window: window(&mut section),
    };
    let shapes = shapes(&mut section, schema);
    section.finish();
    (training, shapes)
}

/// `training.C`: a number, `null`, or `"cv"`.
fn penalty(section: &mut Section, default: Option<f64>) -> (Option<f64>, bool) {
    let number =
        json!({"type": ["number", "null"], "minimum": 1e-10, "maximum": 1e10, "default": default});
    if section.is_null("C") {
        section.any_of("C", &[number, json!({"const": "cv"})]);
        return (None, false);
    }
    match section.any_of("C", &[number, json!({"const": "cv"})]) {
        None => (default, false),
        Some(Value::String(word)) if word == "cv" => (default, true),
        Some(value) => {
            let c = value.as_f64().filter(|c| (1e-10..=1e10).contains(c));
            if c.is_none() {
                let expected = "a number from 0.0000000001 to 10000000000, null, or \"cv\"";
                section.problem("C", &format!("must be {expected}, not {value}"));
            }
            (c.or(default), false)
        }
    }
}

/// `training.threshold`. Without it, balanced classes keep the share of positive rows as their
/// threshold, so that the rows predicted positive are those of the balanced fit at 0.5.
fn threshold(section: &mut Section, weight: ClassWeight, default: f64) -> (f64, ThresholdRule) {
    let share = json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1});
    let cost = json!({"type": "number", "minimum": COSTS.start(), "maximum": COSTS.end()});
    let costs = json!({"type": "object", "additionalProperties": false,
        "required": ["false_positive", "false_negative"],
        "properties": {"false_positive": cost, "false_negative": cost}});
    let forms = [
        json!({"type": ["number", "null"], "minimum": 0, "maximum": 1, "default": default}),
        json!({"const": "prior"}),
        json!({"type": "object", "additionalProperties": false, "minProperties": 1,
            "maxProperties": 1, "properties": {
                "maximize": {"enum": Aim::ALL.map(Aim::name)}, "min_recall": share,
                "min_precision": share, "top": share, "cost": costs}}),
    ];
    let Some(value) = section.any_of("threshold", &forms) else {
        return match weight {
            ClassWeight::Balanced => (default, ThresholdRule::Prior),
            ClassWeight::None => (default, ThresholdRule::Given),
        };
    };
    let found = match &value {
        Value::String(word) if word == "prior" => Some((default, ThresholdRule::Prior)),
        Value::Object(map) => match rule(map) {
            Ok(rule) => Some((default, rule)),
            Err((key, problem)) => {
                section.problem(&format!("threshold{key}"), &problem);
                return (default, ThresholdRule::Given);
            }
        },
        value => {
            let number = value.as_f64().filter(|number| (0.0..=1.0).contains(number));
            number.map(|number| (number, ThresholdRule::Given))
        }
    };
    found.unwrap_or_else(|| {
        section.problem("threshold", &format!("must be {THRESHOLDS}, not {value}"));
        (default, ThresholdRule::Given)
    })
}

/// The rule in an object with exactly one known key; or what is wrong with it, after the key below `threshold`.
fn rule(map: &Map<String, Value>) -> Result<ThresholdRule, (String, String)> {
    let mut entries = map.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        let given = Value::Object(map.clone());
        return Err((String::new(), format!("must be {THRESHOLDS}, not {given}")));
    };
    let wrong = |expected: &str| (format!(".{key}"), format!("must be {expected}, not {value}"));
    let share = || {
        let share = value.as_f64().filter(|share| *share > 0.0 && *share <= 1.0);
        share.ok_or_else(|| wrong("a number above 0 and at most 1"))
    };
    match key.as_str() {
        "maximize" => {
            let aim = Aim::ALL.into_iter().find(|aim| value.as_str() == Some(aim.name()));
            let names = Aim::ALL.map(|aim| format!("\"{}\"", aim.name())).join(", ");
            aim.map(ThresholdRule::Maximize).ok_or_else(|| wrong(&format!("one of {names}")))
        }
        "min_recall" => share().map(ThresholdRule::MinRecall),
        "min_precision" => share().map(ThresholdRule::MinPrecision),
        "top" => share().map(ThresholdRule::Top),
        "cost" => {
            let expected = "both costs, {\"false_positive\": 1, \"false_negative\": 5}, each from 1e-12 to 1e12";
            let costs = value.as_object().filter(|costs| costs.len() == 2);
            let cost = |key: &str| costs?.get(key)?.as_f64().filter(|cost| COSTS.contains(cost));
            match (cost("false_positive"), cost("false_negative")) {
                (Some(false_positive), Some(false_negative)) => {
                    Ok(ThresholdRule::Cost { false_positive, false_negative })
                }
                _ => Err(wrong(expected)),
            }
        }
        _ => {
            let given = Value::Object(map.clone());
            Err((String::new(), format!("must be {THRESHOLDS}, not {given}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parse(training: &str) -> Result<Training, String> {
        let text = format!(
            r#"{{"input_folder_path": "i", "output_folder_path": "o", "test_data_path": "t",
            "output_model_path": "m", "prod_deployment_path": "p", "training": {training}}}"#
        );
        let config = Config::parse(&text, Path::new("config.json")).map_err(|e| e.to_string())?;
        Ok(config.training)
    }

    #[test]
    fn a_threshold_is_a_number_a_word_or_a_rule() {
        let of = |value: &str| {
            let training = parse(&format!(r#"{{"threshold": {value}}}"#));
            training.map(|training| (training.threshold, training.threshold_rule))
        };
        for (value, rule) in [
            ("null", ThresholdRule::Given),
            ("0.5", ThresholdRule::Given),
            (r#""prior""#, ThresholdRule::Prior),
            (r#"{"maximize": "mcc"}"#, ThresholdRule::Maximize(Aim::Mcc)),
            (r#"{"min_recall": 1}"#, ThresholdRule::MinRecall(1.0)),
            (r#"{"min_precision": 0.9}"#, ThresholdRule::MinPrecision(0.9)),
            (r#"{"top": 0.1}"#, ThresholdRule::Top(0.1)),
            (
                r#"{"cost": {"false_positive": 1, "false_negative": 5}}"#,
                ThresholdRule::Cost { false_positive: 1.0, false_negative: 5.0 },
            ),
        ] {
            assert_eq!(of(value), Ok((0.5, rule)), "{value}");
        }
        assert_eq!(of("0.3"), Ok((0.3, ThresholdRule::Given)));
        for (wrong, says) in [
            ("1.5", "\"training.threshold\" must be a number from 0 to 1"),
            (r#""half""#, "{\"maximize\": \"f1\"}"),
            ("{}", "{\"maximize\": \"f1\"}"),
            (r#"{"maximise": "f1"}"#, "{\"maximize\": \"f1\"}"),
            (r#"{"top": 0.1, "min_recall": 0.5}"#, "{\"top\": 0.1}"),
            (
                r#"{"maximize": "auc"}"#,
                "\"training.threshold.maximize\" must be one of \"f1\", \"accuracy\", \
                 \"balanced_accuracy\", \"mcc\", \"youden\", not \"auc\"",
            ),
            (
                r#"{"min_recall": 0}"#,
                "\"training.threshold.min_recall\" must be a number above 0 and at most 1, not 0",
            ),
            (r#"{"min_precision": "0.8"}"#, "at most 1, not \"0.8\""),
            (r#"{"top": 2}"#, "\"training.threshold.top\" must be a number above 0"),
            (
                r#"{"cost": {"false_positive": 1}}"#,
                "\"training.threshold.cost\" must be both costs",
            ),
            (r#"{"cost": 5}"#, "must be both costs"),
            (r#"{"cost": {"false_positive": 1, "false_negative": -5}}"#, "from 1e-12 to 1e12"),
            // Their sum over two rows would be infinite.
            (r#"{"cost": {"false_positive": 1e308, "false_negative": 1e308}}"#, "1e-12 to 1e12"),
        ] {
            let error = of(wrong).unwrap_err();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_penalty_is_a_number_none_or_searched() {
        let of = |value: &str| {
            parse(&format!(r#"{{"C": {value}}}"#)).map(|found| (found.c, found.search_c))
        };
        assert_eq!(of("2.5"), Ok((Some(2.5), false)));
        assert_eq!(of("null"), Ok((None, false)));
        assert_eq!(of(r#""cv""#), Ok((Some(1.0), true)));
        assert_eq!(parse("{}"), Ok(Training::default()));
        for wrong in ["0", r#""grid""#, "[1]"] {
            assert!(of(wrong).unwrap_err().contains("\"cv\""));
        }
    }

    #[test]
    fn balanced_classes_without_a_threshold_take_the_share_of_positives() {
        let rule = |more: &str| {
            let text = format!(r#"{{"class_weight": "balanced"{more}}}"#);
            parse(&text).map(|training| training.threshold_rule)
        };
        assert_eq!(rule(""), Ok(ThresholdRule::Prior));
        assert_eq!(rule(r#", "threshold": 0.5"#), Ok(ThresholdRule::Given));
    }
}
