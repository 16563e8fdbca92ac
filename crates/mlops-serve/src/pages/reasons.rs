//! Why a row got its prediction, as pages show it: a waterfall and a table.
//!
//! Not for what a contribution is: see `mlops_core::model::Explainer`.

use maud::{Markup, html};
use mlops_core::config::Reasons as Texts;
use mlops_core::model::{Explainer, Explanations, Model, Reference};
use mlops_core::table::Table;
use mlops_report::charts::{Step, Waterfall};
use mlops_report::format;
use serde::Serialize;

use super::charts::chart;
use super::parts::label;
use super::table::{numbers, table, texts};

/// The most columns with a bar of their own.
const MOST: usize = 12;

/// What each column adds to the log-odds of a row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Reasons {
    /// The log-odds of the row.
    pub(crate) log_odds: f64,
    /// The log-odds of the row that others are compared with.
    pub(crate) reference: f64,
    /// All columns, the largest contribution first.
    pub(crate) contributions: Vec<Part>,
    /// The label that a contribution above 0 makes more likely.
    pub(crate) positive: String,
}

/// What one column adds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Part {
    /// The column.
    pub(crate) column: String,
    /// Its value in the row.
    pub(crate) value: String,
    /// With what the value is compared.
    pub(crate) against: String,
    /// The difference in log-odds.
    pub(crate) contribution: f64,
    /// The configured text, if the column has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Reasons {
    /// The reasons for the first row of `row`, whose values by column are `value_of`; `None` if a number is not
    /// finite, as without a prediction.
    pub(crate) fn of(
        model: &Model,
        texts: &Texts,
        row: &Table,
        value_of: impl Fn(&str) -> String,
    ) -> Option<Self> {
        let explainer = Explainer::new(model);
        let mut found = Explanations::default();
        explainer.explain(row, explainer.columns(), &mut found);
        if found.rows() == 0 || !found.is_finite(0) {
            return None;
        }
        let part = |contribution: &mlops_core::model::Contribution| {
            let column = explainer.name(contribution.column as usize);
            let against = match explainer.reference(contribution.column as usize) {
                Reference::Mean(mean) => format!("mean {}", format::plain(mean)),
                Reference::Level(level) => level.to_owned(),
                Reference::AverageLevel => "average".to_owned(),
            };
            Part {
                column: column.to_owned(),
                value: value_of(column),
                against,
                contribution: contribution.value,
                reason: texts.text(column, contribution.value).map(str::to_owned),
            }
        };
        Some(Self {
            log_odds: found.log_odds(0),
            reference: explainer.reference_log_odds(),
            contributions: found.largest(0).iter().map(part).collect(),
            positive: model.label(true).to_owned(),
        })
    }

    /// As a waterfall, with all numbers as a table.
    pub(crate) fn shown(&self) -> Markup {
        let named = |part: &Part| Step {
            label: format!(
                "{} = {}",
                part.column,
                if part.value.is_empty() { "missing" } else { &part.value }
            ),
            value: part.contribution,
        };
        let (first, rest) = self.contributions.split_at(self.contributions.len().min(MOST));
        let steps: Vec<Step> = first.iter().map(named).collect();
        let waterfall = Waterfall {
            reference: self.reference,
            steps: &steps,
            others: rest.iter().fold(0.0, |sum, part| sum + part.contribution),
            other_columns: rest.len(),
            log_odds: self.log_odds,
            positive: &self.positive,
        };
        let with_texts = self.contributions.iter().any(|part| part.reason.is_some());
        let mut columns =
            vec![texts("Column"), texts("Value"), texts("Compared with"), numbers("Contribution")];
        if with_texts {
            columns.push(texts("Reason"));
        }
        let rows = self.contributions.iter().map(|part| {
            let value = if part.value.is_empty() { "missing" } else { &part.value };
            let mut row = vec![
                label(&part.column),
                label(value),
                label(&part.against),
                html! { (format::number(part.contribution)) },
            ];
            if with_texts {
                row.push(label(part.reason.as_deref().unwrap_or_default()));
            }
            row
        });
        let caption = "Each bar is what a column adds to the log-odds, compared with a row that has the mean of each \
                       number and the most frequent category. Together they lead from its probability to that of this row.";
        let reasons = self.contributions.iter().take(MOST).filter_map(|part| part.reason.as_ref());
        let reasons: Vec<&String> = reasons.take(4).collect();
        html! {
            (chart(&waterfall, caption, &table("Contributions", &columns, rows)))
            @if !reasons.is_empty() {
                h3 { "Reasons" }
                ol { @for reason in reasons { li { (label(reason)) } } }
            }
        }
    }
}
