//! What differs between two releases: what matters first, then scores, data, coefficients and the decisions between.
//!
//! Not for finding the releases: see `stage/since`.

use std::collections::BTreeMap;

use mlops_core::evaluation::metrics::{Evaluation, Interval};
use mlops_core::ids::DecisionOutcome;
use mlops_core::ledger::DecisionRecord;
use mlops_core::model::card::Card;
use mlops_core::text;

use crate::document::{
    Block, Document, Line, Section, Span, Table, Tone, cells, line, name, paragraph, small, strong,
};
use crate::format;

/// A shift of the mean above this share of a standard deviation matters.
const SHIFT: f64 = 0.2;
/// So does a change of a coefficient of a standardised feature.
const EFFECT: f64 = 0.2;
/// The most that is told of a kind before the tables.
const MOST: usize = 6;

/// One of the two releases.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) release: String,
    /// When it went live, RFC 3339.
    pub(crate) since: String,
    pub(crate) card: Card,
    /// Its figures on the test rows of its time.
    pub(crate) score: Option<Evaluation>,
    /// The data set that it was trained on, with the number of its rows, if known.
    pub(crate) data: (String, Option<u64>),
}

/// Two releases, and what was decided between them.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) then: Side,
    pub(crate) now: Side,
    pub(crate) decisions: Vec<DecisionRecord>,
    /// When it was made, RFC 3339.
    pub(crate) generated: String,
    pub(crate) tool_version: String,
}

/// The whole of it.
pub(crate) fn document(comparison: &Comparison) -> Document {
    let Comparison { then, now, .. } = comparison;
    let section = |id, heading, blocks| Section { id, heading, blocks };
    let better = match (&then.score, &now.score) {
        (Some(a), Some(b)) => b.f1 >= a.f1 || b.f1_interval.high >= a.f1_interval.low,
        _ => true,
    };
    let side = |side: &Side| {
        let data_digest = side.card.training_data.sha256.to_string();
        line![
            Span::Code(side.release.clone()),
            ", model ",
            Span::Digest(side.card.artifact.to_string()),
            format!(", {} ", side.data.0),
            Span::Digest(data_digest)
        ]
    };
    Document {
        title: format!("What changed from {} to {}", then.release, now.release),
        generated: comparison.generated.clone(),
        under_title: vec![
            line!["Comparison of ", Span::Time(comparison.generated.clone())],
            line![
                "live since ",
                Span::Time(then.since.clone()),
                " and ",
                Span::Time(now.since.clone())
            ],
        ],
        verdict: section("verdict", "What matters", summary(comparison)),
        good: better,
        sections: vec![
            section("scores", "Scores", scores(then, now)),
            section("data", "The data", data(then, now)),
            section("model", "The model", model(then, now)),
            section("decisions", "Decisions between them", decisions(comparison)),
        ],
        provenance: vec![
            ("Then".to_owned(), side(then)),
            ("Now".to_owned(), side(now)),
            ("Tool version".to_owned(), comparison.tool_version.as_str().into()),
            ("Generated".to_owned(), Span::Time(comparison.generated.clone()).into()),
        ],
        foot: format!("{} against {}", now.release, then.release),
    }
}

fn between(interval: &Interval) -> String {
    format!("{} to {}", format::score(interval.low), format::score(interval.high))
}

/// Whether two intervals have nothing in common: chance hardly explains the difference.
fn apart(a: &Interval, b: &Interval) -> bool {
    a.high < b.low || b.high < a.low
}

/// A row of the table of scores: name, then, now, each with its interval.
type Pair = (&'static str, (f64, Option<Interval>), (f64, Option<Interval>));

fn pairs(a: &Evaluation, b: &Evaluation) -> Vec<Pair> {
    let optional = |x: Option<f64>| x.unwrap_or(f64::NAN);
    vec![
        ("F1", (a.f1, Some(a.f1_interval)), (b.f1, Some(b.f1_interval))),
        ("Precision", (a.precision, a.precision_interval), (b.precision, b.precision_interval)),
        ("Recall", (a.recall, a.recall_interval), (b.recall, b.recall_interval)),
        (
            "Accuracy",
            (a.accuracy, Some(a.accuracy_interval)),
            (b.accuracy, Some(b.accuracy_interval)),
        ),
        (
            "ROC AUC",
            (optional(a.roc_auc), a.roc_auc_interval),
            (optional(b.roc_auc), b.roc_auc_interval),
        ),
        ("Brier score", (a.brier, None), (b.brier, None)),
        ("Log loss", (a.log_loss, None), (b.log_loss, None)),
    ]
}

fn summary(comparison: &Comparison) -> Vec<Block> {
    let Comparison { then, now, decisions, .. } = comparison;
    let mut blocks = vec![Block::Text(Tone::Lead, lead(then, now))];
    let sized = |(name, rows): &(String, Option<u64>)| match rows {
        Some(rows) => format!("{name}, {}", format::counted(*rows, "row", "rows")),
        None => name.clone(),
    };
    let trained = |side: &Side| format::counted(side.card.rows, "training row", "training rows");
    let told = |of: DecisionOutcome| decisions.iter().filter(|d| d.outcome == of).count() as u64;
    let (promoted, refused) = (told(DecisionOutcome::Promoted), told(DecisionOutcome::Refused));
    let made = match decisions.len() as u64 {
        0 => "none".to_owned(),
        n => format!(
            "{}: {} promoted a new model, {} refused one",
            format::count(n),
            format::count(promoted),
            format::count(refused)
        ),
    };
    blocks.push(Block::Facts(vec![
        ("Data then".to_owned(), format!("{}; {}", sized(&then.data), trained(then)).into()),
        ("Data now".to_owned(), format!("{}; {}", sized(&now.data), trained(now)).into()),
        ("Decisions between".to_owned(), made.into()),
    ]));
    let matters = matters(then, now);
    blocks.push(Block::Heading("Differences that matter".to_owned()));
    if matters.is_empty() {
        blocks.push(paragraph(
            "None: scores, settings, columns, means and coefficients are as they were, as far as the \
             limits below tell.",
        ));
    } else {
        blocks.push(Block::List(matters));
    }
    blocks.push(small(format!(
        "What counts: intervals of scores that have nothing in common; settings and columns that changed; \
         means that moved by more than {SHIFT} standard deviations; coefficients of standardised features \
         that changed by more than {EFFECT} or changed sign."
    )));
    blocks
}

fn lead(then: &Side, now: &Side) -> Line {
    let (Some(a), Some(b)) = (&then.score, &now.score) else {
        return "One of the two releases has no score on record, so that their quality cannot be \
                compared."
            .into();
    };
    let chance = if apart(&a.f1_interval, &b.f1_interval) {
        "The intervals have nothing in common: chance hardly explains the difference."
    } else {
        "The intervals overlap: chance may explain the difference."
    };
    line![
        "F1 was ",
        strong(format::score(a.f1)),
        format!(" ({}) and is ", between(&a.f1_interval)),
        strong(format::score(b.f1)),
        format!(" ({}), each on the test rows of its time. {chance}", between(&b.f1_interval))
    ]
}

fn matters(then: &Side, now: &Side) -> Vec<Line> {
    let mut found: Vec<Line> = Vec::new();
    if let (Some(a), Some(b)) = (&then.score, &now.score) {
        for (name, (was, before), (is, after)) in pairs(a, b) {
            if let (Some(before), Some(after)) = (before, after)
                && apart(&before, &after)
            {
                let how = if is > was { "rose" } else { "fell" };
                let told =
                    format!("{name} {how} from {} to {}.", format::score(was), format::score(is));
                found.push(told.into());
            }
        }
    }
    for (key, was, is) in settings(then, now) {
        found.push(format!("The setting {key} was {was} and is {is}.").into());
    }
    let (a, b) = (columns(&then.card), columns(&now.card));
    let named = |of: Vec<&str>, what: &str| {
        (!of.is_empty()).then(|| Line::from(format!("{what}: {}.", text::names(&of))))
    };
    found.extend(named(b.iter().filter(|c| !a.contains(*c)).copied().collect(), "New features"));
    found.extend(named(
        a.iter().filter(|c| !b.contains(*c)).copied().collect(),
        "Features that are gone",
    ));
    let moved: Vec<String> = shifts(then, now)
        .into_iter()
        .filter(|shift| shift.deviations.abs() > SHIFT)
        .take(MOST)
        .map(|shift| format!("{} by {}", text::name(shift.feature), signed(shift.deviations)))
        .collect();
    if !moved.is_empty() {
        let told = format!("Means that moved, in standard deviations: {}.", moved.join("; "));
        found.push(told.into());
    }
    let changed: Vec<String> = effects(then, now)
        .into_iter()
        .filter(|effect| {
            let sign = effect.was.signum() * effect.is.signum() < 0.0;
            let (was, is) = (effect.was.abs(), effect.is.abs());
            (effect.is - effect.was).abs() > EFFECT || sign && was.min(is) > EFFECT / 4.0
        })
        .take(MOST)
        .map(|e| {
            format!(
                "{} from {} to {}",
                text::name(e.feature),
                format::number(e.was),
                format::number(e.is)
            )
        })
        .collect();
    if !changed.is_empty() {
        found.push(format!("Coefficients that changed: {}.", changed.join("; ")).into());
    }
    found
}

/// A number with its sign.
fn signed(x: f64) -> String {
    if x > 0.0 { format!("+{}", format::number(x)) } else { format::number(x) }
}

fn columns(card: &Card) -> Vec<&str> {
    card.features.iter().map(String::as_str).collect()
}

/// Hyper-parameters that differ: name, then, now.
fn settings(then: &Side, now: &Side) -> Vec<(String, String, String)> {
    let none = serde_json::Value::Null;
    let of = |side: &Side| side.card.hyperparameters.as_object().cloned().unwrap_or_default();
    let (a, b) = (of(then), of(now));
    let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    let differ = |key: &&String| a.get(*key) != b.get(*key);
    let value = |of: &serde_json::Map<String, serde_json::Value>, key: &str| {
        of.get(key).unwrap_or(&none).to_string()
    };
    keys.into_iter()
        .filter(differ)
        .map(|key| (key.clone(), value(&a, key), value(&b, key)))
        .collect()
}

/// The mean of a feature then and now.
struct Shift<'a> {
    feature: &'a str,
    was: f64,
    is: f64,
    /// The difference in standard deviations of then.
    deviations: f64,
}

fn by_name<'a>(card: &'a Card, values: &'a [f64]) -> BTreeMap<&'a str, f64> {
    card.features.iter().map(String::as_str).zip(values.iter().copied()).collect()
}

/// The largest first.
fn shifts<'a>(then: &'a Side, now: &'a Side) -> Vec<Shift<'a>> {
    let was = by_name(&then.card, &then.card.scaler.mean);
    let scale = by_name(&then.card, &then.card.scaler.scale);
    let is = by_name(&now.card, &now.card.scaler.mean);
    let mut shifts: Vec<Shift<'_>> = was
        .iter()
        .filter_map(|(feature, was)| {
            let (is, scale) = (*is.get(feature)?, *scale.get(feature)?);
            // The deviation of a feature that is 0 or 1 is not in the scaler.
            let share = feature.contains('=').then(|| (was * (1.0 - was)).max(1e-12).sqrt());
            let deviations = (is - was) / share.unwrap_or(scale);
            Some(Shift { feature, was: *was, is, deviations })
        })
        .collect();
    shifts.sort_by(|a, b| {
        b.deviations.abs().total_cmp(&a.deviations.abs()).then(a.feature.cmp(b.feature))
    });
    shifts
}

/// A coefficient then and now.
struct Effect<'a> {
    feature: &'a str,
    was: f64,
    is: f64,
}

/// The largest change first.
fn effects<'a>(then: &'a Side, now: &'a Side) -> Vec<Effect<'a>> {
    let was = by_name(&then.card, &then.card.coefficients);
    let is = by_name(&now.card, &now.card.coefficients);
    let mut effects: Vec<Effect<'_>> = was
        .iter()
        .filter_map(|(feature, was)| Some(Effect { feature, was: *was, is: *is.get(feature)? }))
        .collect();
    let change = |e: &Effect<'_>| (e.is - e.was).abs();
    effects.sort_by(|a, b| change(b).total_cmp(&change(a)).then(a.feature.cmp(b.feature)));
    effects
}

fn scores(then: &Side, now: &Side) -> Vec<Block> {
    let (Some(a), Some(b)) = (&then.score, &now.score) else {
        return vec![paragraph("One of the two releases has no score on record.")];
    };
    let mut table = Table::new(
        "Scores",
        &[
            ("Score", false),
            ("Then", true),
            ("Interval", true),
            ("Now", true),
            ("Interval", true),
            ("Difference", true),
            ("Intervals", false),
        ],
    );
    let told = |interval: Option<Interval>| {
        interval.map_or_else(|| format::NONE.to_owned(), |interval| between(&interval))
    };
    for (name, (was, before), (is, after)) in pairs(a, b) {
        let verdict = match (before, after) {
            (Some(before), Some(after)) if apart(&before, &after) => strong("apart"),
            (Some(_), Some(_)) => Span::Text("overlap".to_owned()),
            _ => Span::Text(format::NONE.to_owned()),
        };
        table.row(cells![
            name,
            format::score(was),
            told(before),
            format::score(is),
            told(after),
            signed(is - was),
            verdict,
        ]);
    }
    let rows = format!(
        "Then on {}, {} of them positive; now on {}, {} positive.",
        format::counted(a.n, "test row", "test rows"),
        format::count(a.positives),
        format::counted(b.n, "test row", "test rows"),
        format::count(b.positives)
    );
    vec![paragraph(rows), Block::Table(table)]
}

fn data(then: &Side, now: &Side) -> Vec<Block> {
    let share = |side: &Side| {
        let data = &side.card.training_data;
        format!(
            "{} of {} positive ({})",
            format::count(data.positives),
            format::counted(data.rows, "training row", "training rows"),
            format::percent(data.positives as f64 / data.rows.max(1) as f64)
        )
    };
    let mut table = Table::new(
        "Means of features",
        &[
            ("Feature", false),
            ("Mean then", true),
            ("Mean now", true),
            ("Difference", true),
            ("In standard deviations", true),
        ],
    );
    for shift in shifts(then, now) {
        table.row(cells![
            name(shift.feature),
            format::number(shift.was),
            format::number(shift.is),
            signed(shift.is - shift.was),
            signed(shift.deviations),
        ]);
    }
    vec![
        Block::Facts(vec![
            ("Class balance then".to_owned(), share(then).into()),
            ("Class balance now".to_owned(), share(now).into()),
        ]),
        Block::Heading("Means of the features".to_owned()),
        paragraph(
            "Those that moved most come first. The mean of a category is its share of the rows.",
        ),
        Block::Table(table),
    ]
}

fn model(then: &Side, now: &Side) -> Vec<Block> {
    let mut blocks = Vec::new();
    let differing = settings(then, now);
    if differing.is_empty() {
        blocks.push(paragraph("The settings of training are the same."));
    } else {
        let mut table =
            Table::new("Settings", &[("Setting", false), ("Then", false), ("Now", false)]);
        for (key, was, is) in differing {
            table.row(cells![name(&key), was, is]);
        }
        blocks.push(Block::Table(table));
    }
    let mut table = Table::new(
        "Coefficients",
        &[
            ("Feature", false),
            ("Coefficient then", true),
            ("Coefficient now", true),
            ("Difference", true),
            ("Odds then", true),
            ("Odds now", true),
        ],
    );
    for effect in effects(then, now) {
        let odds = |value: f64| format!("× {}", format::number(value.exp()));
        table.row(cells![
            name(effect.feature),
            format::number(effect.was),
            format::number(effect.is),
            signed(effect.is - effect.was),
            odds(effect.was),
            odds(effect.is),
        ]);
    }
    blocks.push(Block::Heading("Coefficients".to_owned()));
    blocks.push(paragraph(
        "Of standardised features, those that changed most first. Odds: by how much one standard \
         deviation more multiplies the odds of the positive class.",
    ));
    blocks.push(Block::Table(table));
    blocks
}

fn decisions(comparison: &Comparison) -> Vec<Block> {
    if comparison.decisions.is_empty() {
        return vec![paragraph("No decision was made between them.")];
    }
    let mut table = Table::new(
        "Decisions",
        &[
            ("When", false),
            ("Outcome", false),
            ("Live release", false),
            ("F1 on new rows", true),
            ("Run", false),
        ],
    );
    for decision in comparison.decisions.iter().rev() {
        table.row(cells![
            Span::Time(decision.recorded.clone()),
            decision.outcome.as_str().replace('_', " "),
            decision.release.as_ref().map_or_else(String::new, ToString::to_string),
            decision.f1.map_or_else(|| format::NONE.to_owned(), format::score),
            Span::Code(decision.run_id.to_string()),
        ]);
    }
    vec![
        paragraph("The newest first; `fullprocess --explain RUN` shows one in full."),
        Block::Table(table),
    ]
}
