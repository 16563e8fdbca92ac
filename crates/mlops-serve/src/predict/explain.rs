//! Explanations of predictions: how a request asks for them, and how rows of them are written.
//!
//! Their number is bounded by that of the columns and, for a request as a whole, by [`MOST`]. Not for
//! what a contribution is: see `mlops_core::model::Explainer`.

use axum::http::{StatusCode, Uri};
use mlops_core::config::Reasons;
use mlops_core::model::{Contribution, Explainer, Explanations, Model};
use mlops_core::table::Table;
use serde_json::Value;

use crate::live::Loaded;
use crate::problem::Problem;

/// The most contributions of a request, over all rows.
pub(crate) const MOST: usize = 1 << 20;
/// The key by which requests ask for explanations.
pub(crate) const KEY: &str = "explain";

/// The number of contributions for each row that the query of `uri` asks for; 0 without explanations.
pub(crate) fn of_query(uri: &Uri) -> Result<usize, Problem> {
    let pairs = uri.query().unwrap_or_default().split('&');
    // A key without a value asks for something, too.
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut asked =
        pairs.filter(|(key, _)| *key == KEY).map(|(_, value)| value.parse::<u32>().ok());
    match (asked.next(), asked.next()) {
        (None, _) => Ok(0),
        (Some(Some(most)), None) => Ok(most as usize),
        _ => Err(wrong()),
    }
}

/// The same for the value of the key in a JSON document.
pub(crate) fn of_json(value: Option<&Value>) -> Result<usize, Problem> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(0) };
    let most = value.as_u64().and_then(|most| u32::try_from(most).ok());
    most.map(|most| most as usize).ok_or_else(wrong)
}

fn wrong() -> Problem {
    Problem::malformed(
        "\"explain\" must be one whole number from 0 to 4294967295: how many columns to name for each row, 0 \
         for none; more than there are columns means all",
    )
}

/// Contributions to the predictions of a request.
#[derive(Debug, Default)]
pub(crate) struct Contributions {
    found: Explanations,
    /// There would be more than [`MOST`].
    too_many: bool,
}

impl Contributions {
    /// Explains the rows of `table`; returns the first row, if any, with a number that is not finite.
    pub(crate) fn append(&mut self, model: &Model, table: &Table, most: usize) -> Vec<usize> {
        let explainer = Explainer::new(model);
        let most = most.min(explainer.columns());
        self.too_many |= (self.found.rows() + table.len()).saturating_mul(most) > MOST;
        if self.too_many {
            return Vec::new();
        }
        let mut found = Explanations::default();
        explainer.explain(table, most, &mut found);
        self.found.append(&found);
        (0..found.rows()).filter(|row| !found.is_finite(*row)).collect()
    }

    /// # Errors
    /// 413 if there are too many.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if !self.too_many {
            return Ok(());
        }
        let detail = format!(
            "the rows times \"explain\" are over {MOST} contributions: send fewer rows at a time, ask for \
             fewer columns, or use `diagnostics --output --explain`"
        );
        Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
    }

    /// The memory that they take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.found.bytes()
    }

    /// Those of the rows of an answer, with the texts `reasons`.
    pub(crate) fn with(self, reasons: &Reasons) -> Written {
        Written { found: self.found, reasons: reasons.clone() }
    }
}

/// A list of values of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// An object with everything.
    Whole,
    LogOdds,
    Column,
    Contribution,
    Reason,
    Others,
}

/// Explanations as they are written into an answer.
pub(crate) struct Written {
    found: Explanations,
    reasons: Reasons,
}

impl Written {
    /// Number of contributions to each row.
    pub(crate) fn each(&self) -> usize {
        self.found.each()
    }

    /// Whether any column has a text.
    pub(crate) fn has_reasons(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// About the most bytes that `field` takes for all rows.
    pub(crate) fn size(&self, field: Field, loaded: &Loaded) -> usize {
        let reasons = &self.reasons;
        let longest =
            loaded.explained.columns().map(|(json, name)| json.len() + reasons.longest(name));
        let one = 80 + longest.max().unwrap_or(0);
        match field {
            Field::LogOdds | Field::Others => 26 * self.found.rows(),
            _ => self.found.rows() * (100 + self.each() * one),
        }
    }

    /// Writes `field` of `row`.
    pub(crate) fn write(&self, field: Field, row: usize, loaded: &Loaded, out: &mut Vec<u8>) {
        let found = &self.found;
        match field {
            Field::LogOdds => number(out, found.log_odds(row)),
            Field::Others => number(out, found.others(row)),
            Field::Whole => {
                out.extend_from_slice(b"{\"log_odds\":");
                number(out, found.log_odds(row));
                out.extend_from_slice(b",\"contributions\":[");
                for (i, contribution) in found.largest(row).iter().enumerate() {
                    out.extend_from_slice(if i > 0 { b",{\"column\":" } else { b"{\"column\":" });
                    out.extend_from_slice(name(loaded, *contribution).0.as_bytes());
                    out.extend_from_slice(b",\"contribution\":");
                    number(out, contribution.value);
                    if let Some(text) = self.reason(loaded, *contribution) {
                        out.extend_from_slice(b",\"reason\":");
                        out.extend_from_slice(Value::from(text).to_string().as_bytes());
                    }
                    out.push(b'}');
                }
                out.extend_from_slice(b"],\"others\":");
                number(out, found.others(row));
                out.push(b'}');
            }
            Field::Column | Field::Contribution | Field::Reason => {
                for (i, contribution) in found.largest(row).iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    match field {
                        Field::Column => {
                            out.extend_from_slice(name(loaded, *contribution).0.as_bytes());
                        }
                        Field::Reason => {
                            let text = self.reason(loaded, *contribution).unwrap_or_default();
                            out.extend_from_slice(Value::from(text).to_string().as_bytes());
                        }
                        _ => number(out, contribution.value),
                    }
                }
            }
        }
    }

    /// The text for a contribution, if its column has one.
    fn reason(&self, loaded: &Loaded, contribution: Contribution) -> Option<&str> {
        self.reasons.text(&name(loaded, contribution).1, contribution.value)
    }
}

/// The name of a contribution's column, as JSON and as it is.
fn name(loaded: &Loaded, contribution: Contribution) -> &(String, String) {
    loaded.explained.column(contribution.column as usize)
}

fn number(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_has_one_whole_number_or_none() {
        let of = |text: &str| of_query(&text.parse().unwrap()).ok();
        for (uri, expected) in [
            ("/prediction", Some(0)),
            ("/prediction?explain=4", Some(4)),
            ("/prediction?a=b&explain=0&c", Some(0)),
            ("/prediction?explain=4294967295", Some(4_294_967_295)),
            ("/prediction?explain=", None),
            ("/prediction?explain", None),
            ("/prediction?explain=-1", None),
            ("/prediction?explain=all", None),
            ("/prediction?explain=1&explain=2", None),
            ("/prediction?explain=99999999999999999999", None),
        ] {
            assert_eq!(of(uri), expected, "{uri}");
        }
        assert_eq!(of_json(None).ok(), Some(0));
        assert_eq!(of_json(Some(&Value::Null)).ok(), Some(0));
        assert_eq!(of_json(Some(&Value::from(3))).ok(), Some(3));
        for wrong in [Value::from(-1), Value::from("4"), Value::from(1.5), Value::from(true)] {
            assert!(of_json(Some(&wrong)).is_err(), "{wrong}");
        }
    }
}
