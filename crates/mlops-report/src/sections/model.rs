//! The section on the model: how it was fitted, and what each coefficient means.
//!
//! Not for its quality: see `quality`.

use mlops_core::model::Counts;
use mlops_core::text;

use super::{tuned, verdict};
use crate::charts::weightiest;
use crate::document::{Block, Cell, Line, Span, Table, cells, name, paragraph, small};
use crate::font::clean;
use crate::format;
use crate::report::{Coefficient, Part, Report};

/// The section.
pub(super) fn section(report: &Report) -> Vec<Block> {
    let model = &report.model;
    if model.features.is_empty() && model.rows == 0 {
        return vec![paragraph("There is no model in this report.")];
    }
    let kind = if model.kind.is_empty() { "model" } else { &model.kind };
    let mut blocks = vec![
        paragraph(format!(
            "A {kind} with {}, fitted on {}.",
            format::counted(model.features.len() as u64, "feature", "features"),
            format::counted(model.rows, "row", "rows")
        )),
        Block::Facts(facts(report)),
        Block::Beside(vec!["coefficients"], words(report)),
    ];
    blocks.extend(tuned::section(report));
    if !model.attributes.is_empty() {
        blocks.push(Block::Beside(vec!["scorecard"], attributes(report)));
    }
    blocks
}

/// The bins and levels with what stands behind them.
fn attributes(report: &Report) -> Vec<Block> {
    let (columns, scorecard) = (&report.model.attributes, report.model.scorecard.is_some());
    let mut headings = vec![
        ("Column", false),
        ("Bin or level", false),
        ("Rows", true),
        ("Positive", true),
        ("Weight of evidence", true),
    ];
    if scorecard {
        headings.push(("Points", true));
    }
    let mut table = Table::new("Bins and levels", &headings);
    let none = "–".to_owned();
    for column in columns {
        for row in &column.rows {
            let share = |counts: Counts| counts.positives as f64 / counts.rows() as f64;
            let counts = row.counts.filter(|counts| counts.rows() > 0);
            let mut cells = cells![
                name(&column.name),
                row.attribute.to_string(),
                row.counts.map_or_else(|| none.clone(), |counts| format::count(counts.rows())),
                counts.map_or_else(|| none.clone(), |counts| format::percent(share(counts))),
                row.woe.map_or_else(|| none.clone(), format::number),
            ];
            if scorecard {
                let points = row.points.map_or_else(|| none.clone(), |p| p.rounded.to_string());
                cells.push(Cell::from(points));
            }
            table.row(cells);
        }
    }
    let values = columns.iter().filter_map(|column| {
        let value = format::number(column.information_value?);
        Some(format!("{} {value}", clean(&text::name(&column.name))))
    });
    let told = format!(
        "Weight of evidence: the logarithm of the share of the negative training rows in the bin, divided \
         by its share of the positive ones. Above 0, positives are rarer than on average. Information \
         values: {}.",
        text::names(values)
    );
    vec![Block::Table(table), small(told)]
}

fn facts(report: &Report) -> Vec<(String, Line)> {
    let model = &report.model;
    let mut facts =
        vec![("Data version".to_owned(), Span::Digest(report.data_version.clone()).into())];
    let mut fact = |name: &str, value: String| facts.push((name.to_owned(), Line::from(value)));
    if !model.solver.is_empty() {
        let mut fit = clean(&model.solver);
        if let Some(n) = model.iterations {
            fit = format!("{fit}, {}", format::counted(n, "step", "steps"));
        }
        if let Some(norm) = model.gradient_norm {
            fit = format!("{fit}, gradient {}", format::number(norm));
        }
        fact("Fit", fit);
    }
    let penalty =
        model.c.map_or_else(|| "none".to_owned(), |c| format!("C = {}", format::plain(c)));
    fact("Penalty", penalty);
    fact("Intercept", format::number(model.intercept));
    if !model.missing_policy.is_empty() {
        fact("Missing values", clean(&model.missing_policy));
    }
    facts
}

/// A standard normal variable is between this and its negative with 95 %.
const NORMAL: f64 = 1.959_963_984_540_054;

const WITHOUT: [(&str, bool); 4] =
    [("Feature", false), ("Coefficient", true), ("Odds", true), ("In words", false)];
const WITH_ERRORS: [(&str, bool); 6] = [
    ("Feature", false),
    ("Coefficient", true),
    ("Standard error", true),
    ("95 % interval", true),
    ("Odds", true),
    ("In words", false),
];

fn words(report: &Report) -> Vec<Block> {
    let model = &report.model;
    let per = if model.standardised { "standard deviation" } else { "unit" };
    let errors = model.features.iter().any(|feature| feature.standard_error.is_some());
    let mut table = Table::new("Coefficients", if errors { &WITH_ERRORS[..] } else { &WITHOUT });
    for feature in weightiest(&model.features) {
        let mut cells = cells![name(&feature.name), format::number(feature.value)];
        if errors {
            let of = |text: fn(f64, f64) -> String| match feature.standard_error {
                Some(error) => text(feature.value, error),
                None => format::NONE.to_owned(),
            };
            cells.push(Cell::from(of(|_, error| format::number(error))));
            cells.push(Cell::from(of(|value, error| {
                let [low, high] = [-NORMAL, NORMAL].map(|z| format::number(value + z * error));
                format!("{low} to {high}")
            })));
        }
        cells.extend(cells![
            format!("× {}", format::number(feature.value.exp())),
            sentence(feature, report),
        ]);
        table.row(cells);
    }
    let odd = model.features.iter().filter(|f| !f.value.is_finite()).count();
    let category = model.features.iter().any(|f| f.against.is_some());
    let mut told = format!(
        "Odds: by how much one {per} more{} multiplies the odds of being among the {}, all else equal.",
        if category {
            ", or the category instead of its column’s most frequent one,"
        } else {
            ""
        },
        verdict::positives(report)
    );
    if errors {
        let formula = if model.c.is_some() {
            "the inverse of the Hessian of the penalised objective at the optimum, (X′WX + I/C)⁻¹, which takes the penalty \
             as a normal prior"
        } else {
            "the inverse of the observed information at the optimum, (X′WX)⁻¹"
        };
        told = format!(
            "{told} Standard errors and 95 % intervals are from {formula}; a coefficient whose interval contains 0 may \
             well be chance. They take the rows as independent and the settings as given."
        );
    }
    if odd > 0 {
        let features = format::counted(odd as u64, "feature is", "features are");
        told = format!("{told} {features} without a usable value and not shown.");
    }
    vec![Block::Table(table), small(told)]
}

fn sentence(feature: &Coefficient, report: &Report) -> String {
    let odds = feature.value.exp();
    if feature.part == Part::Curve {
        return "part of a curve: its terms have a meaning only together".to_owned();
    }
    let step = match (report.model.standardised, feature.deviation) {
        _ if feature.part == Part::Evidence => "one unit of evidence more".to_owned(),
        _ if feature.against.is_some() => {
            format!(
                "rather than “{}”",
                clean(&text::name(feature.against.as_deref().unwrap_or_default()))
            )
        }
        (true, Some(deviation)) => format!("{} more", format::plain(deviation)),
        (true, None) => "one deviation more".to_owned(),
        (false, _) => "one more".to_owned(),
    };
    if (odds - 1.0).abs() < 0.01 {
        return format!("{step}: hardly any difference");
    }
    let (change, direction) =
        if odds > 1.0 { (odds - 1.0, "raises") } else { (1.0 - odds, "lowers") };
    let by = if change > 1.0 {
        format!("{direction} the odds {} times", format::number(odds))
    } else {
        format!("{direction} the odds by {}", format::percent(change))
    };
    format!("{step} {by}")
}
