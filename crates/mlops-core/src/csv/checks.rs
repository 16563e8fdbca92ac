//! What is checked in the rows of a piece once they are canonical: business dates and the contract.
//!
//! A file without such checks costs nothing extra: the parser asks once per piece. Not for cleaning and
//! rejecting cells: see [`super::parse`].

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::aside::{Aside, Rows};
use super::canonical_cells::CanonicalCells;
use super::contract::{Breakage, Rules};
use super::newest::BusinessDate;
use super::row_hash::{Extent, Row};
use crate::config::Config;
use crate::config::contract::Shape;
use crate::table::schema::Schema;

/// What is looked at in the rows of one source.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    /// The newest business date.
    pub date: Option<BusinessDate>,
    /// The rules for single rows.
    pub rules: Option<Rules>,
    /// A number that is none is missing, instead of a reason to reject its row.
    pub forgives_types: bool,
    /// A row with a value in a column that the schema does not have is rejected.
    pub refuses_extra: bool,
}

/// What was seen in the rows of a piece.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// The newest business date.
    pub(crate) newest: Option<NaiveDate>,
    /// How often rules are broken.
    pub(crate) broken: Vec<Breakage>,
    /// One token per row and unique column.
    pub(crate) tokens: Vec<u128>,
    /// Numbers that are none and count as missing.
    pub(crate) forgiven: u64,
}

impl Checks {
    /// What is looked at in the rows of the file at `path`, at the time `now`; `None` if nothing is.
    pub fn at(
        path: &Path,
        config: &Config,
        schema: &Schema,
        now: DateTime<Utc>,
    ) -> Option<Arc<Self>> {
        let contract = config.contract_at(path);
        let expectation = config.expectation_at(path);
        let date = expectation.and_then(|expectation| {
            let name = expectation.business_date.as_ref()?;
            let column = schema.columns().iter().position(|column| column.name == *name)?;
            let today = now.with_timezone(&expectation.zone).date_naive();
            Some(BusinessDate { column, latest: today.succ_opt().unwrap_or(today) })
        });
        let forgiving = |shape| matches!(shape, Shape::DiscardValue | Shape::Evolve);
        let checks = Self {
            date,
            rules: contract.and_then(|contract| Rules::of(contract, schema)),
            forgives_types: contract.is_some_and(|contract| forgiving(contract.type_changes)),
            refuses_extra: contract.is_some_and(|c| c.new_columns == Shape::DiscardRow),
        };
        Some(checks).filter(|checks| !checks.is_empty()).map(Arc::new)
    }

    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.date.is_none() && self.rules.is_none() && !self.forgives_types && !self.refuses_extra
    }

    /// Looks at rows, and moves those that go to the quarantine to the rejected ones.
    pub(crate) fn look_at(&self, rows: &mut Rows) -> Looked {
        let mut looked = Looked::default();
        if let Some(rules) = &self.rules {
            let broken = rules.look_at(rows.good, |extent| rows.bytes(extent));
            looked.broken = broken.counts;
            let aside = broken.aside.into_iter().map(|(row, rule, how)| Aside { row, rule, how });
            rows.set_aside(rules, &aside.collect::<Vec<_>>());
            looked.tokens = rules.tokens(rows.good, |extent| rows.bytes(extent));
        }
        looked.newest = self.newest(rows.good, |extent| rows.bytes(extent));
        looked
    }

    fn newest<'a>(&self, rows: &[Row], bytes: impl Fn(Extent) -> &'a [u8]) -> Option<NaiveDate> {
        let date = self.date?;
        let mut cells = CanonicalCells::default();
        let mut newest = None;
        for row in rows {
            let row = bytes(row.extent);
            cells.look_at(row);
            newest = date.newer(&cells.value(row, date.column), newest).or(newest);
        }
        newest
    }
}
