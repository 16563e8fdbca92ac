//! `training.splines`, `training.bins`, `training.dates` and `training.scorecard`: how named columns
//! become features, and how log-odds become points.
//!
//! Not for learning knots and bins from rows, and not for the points of a row: see `model`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::section::Section;
use crate::table::date;
use crate::table::schema::{Role, Schema};

/// The columns that become features in another way than by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Shapes {
    /// The number of knots of numeric columns whose effect is a natural cubic spline.
    pub splines: BTreeMap<String, usize>,
    /// The rules for the bins of columns that become their weight of evidence.
    pub bins: BTreeMap<String, Binning>,
    /// What is made of columns of dates; those without an entry become their age at the newest.
    pub dates: BTreeMap<String, DateParts>,
    /// The points of a scorecard; `None` for no scorecard.
    pub scorecard: Option<Scale>,
}

/// What is made of a column of dates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DateParts {
    /// The day at which its age is taken.
    pub against: Against,
    /// Its month is a category.
    pub month: bool,
    /// Its weekday is a category.
    pub weekday: bool,
}

/// The day at which the age of a date is taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The newest value of the column in the training rows.
    #[default]
    Newest,
    /// So many days after 1970.
    Day(f64),
    /// The value of another column of dates in the same row.
    Column(String),
    /// No day: the age is no feature.
    Nothing,
}

/// How coarse the bins of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Binning {
    /// The least share of the training rows in a bin.
    pub min_share: f64,
    /// The largest number of bins, that of missing values not counted.
    pub max_bins: usize,
}

/// The points that stand for odds: `points0` for `odds0`, and `pdo` fewer for odds twice as high.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Points of a row whose odds are `odds0`.
    pub points0: f64,
    /// Odds of the positive class: its probability divided by that of the negative one.
    pub odds0: f64,
    /// How many points a row loses if its odds double; if negative, it gains points.
    pub pdo: f64,
}

impl Scale {
    /// What one unit of log-odds adds to the points: below 0 if `pdo` is above.
    pub fn factor(self) -> f64 {
        -self.pdo / std::f64::consts::LN_2
    }

    /// The points at log-odds of 0.
    pub fn offset(self) -> f64 {
        self.points0 - self.factor() * self.odds0.ln()
    }
}

/// Takes the three keys from the section `training`.
pub(super) fn shapes(section: &mut Section, schema: &Schema) -> Shapes {
    let has = |name: &str, roles: &[Role]| {
        schema.columns().iter().any(|column| column.name == name && roles.contains(&column.role))
    };
    let mut shapes = Shapes::default();
    for (name, mut column) in section.named("splines") {
        if !has(&name, &[Role::Numeric]) {
            column.problem_here("is not a column of \"schema.numeric\": name one");
        }
        let knots = column.integer("knots", &(3..=7), 4);
        column.finish();
        shapes.splines.insert(name, usize::try_from(knots).unwrap_or(4));
    }
    for (name, mut column) in section.named("bins") {
        if !has(&name, &[Role::Numeric, Role::Categorical]) {
            column.problem_here(
                "is not a column of \"schema.numeric\" or \"schema.categorical\": name one",
            );
        }
        if shapes.splines.contains_key(&name) {
            column.problem_here("is in \"training.splines\" too: a column is either");
        }
        let min_share = column.number("min_share", &(0.0..=0.5), 0.05);
        let max_bins = usize::try_from(column.integer("max_bins", &(2..=20), 8)).unwrap_or(8);
        column.finish();
        shapes.bins.insert(name, Binning { min_share, max_bins });
    }
    for (name, mut column) in section.named("dates") {
        if !has(&name, &[Role::Date]) {
            column.problem_here("is not a column of \"schema.date\": name one");
        }
        let against = match column.text("against").as_deref() {
            None | Some("newest") => Against::Newest,
            Some("nothing") => Against::Nothing,
            Some(other) if other != name && has(other, &[Role::Date]) => {
                Against::Column(other.to_owned())
            }
            Some(text) => Against::Day(date::read(text, None).unwrap_or_else(|| {
                column.problem(
                    "against",
                    "must be a day such as \"2024-03-31\", another column of \"schema.date\", \
                     \"newest\" or \"nothing\"",
                );
                0.0
            })),
        };
        let (month, weekday) = (column.boolean("month", false), column.boolean("weekday", false));
        column.finish();
        shapes.dates.insert(name, DateParts { against, month, weekday });
    }
    if section.is_object("scorecard") {
        let mut card = section.section("scorecard");
        let scale = Scale {
            points0: card.number("points0", &(-1e6..=1e6), 600.0),
            odds0: card.number("odds0", &(1e-9..=1e9), 1.0 / 19.0),
            pdo: card.number("pdo", &(-1e5..=1e5), 50.0),
        };
        if scale.pdo == 0.0 {
            card.problem("pdo", "is 0, so that all rows would have the same points");
        }
        card.finish();
        if schema.names(Role::Date).next().is_some() {
            section.problem("scorecard", "is a table of points by bin, which dates do not have");
        }
        for name in schema.names(Role::Numeric).filter(|name| !shapes.bins.contains_key(*name)) {
            section.problem(
                "scorecard",
                &format!(
                    "is a table of points by bin: the numeric column \"{name}\" needs an entry in \
                     \"training.bins\", such as \"{name}\": {{}}"
                ),
            );
        }
        shapes.scorecard = Some(scale);
    } else if section.has("scorecard") {
        // Anything but an object is a mistake, which this reports.
        drop(section.section("scorecard"));
    }
    shapes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Result;
    use crate::config::Config;

    fn of(training: &str) -> Result<Shapes> {
        let text = format!(
            r#"{{"input_folder_path":"in","output_folder_path":"out","test_data_path":"test",
            "output_model_path":"model","prod_deployment_path":"live",
            "schema":{{"numeric":["age","income"],"categorical":["job"],"target":"default"}},
            "training":{{{training}}}}}"#
        );
        Config::parse(&text, Path::new("config.json")).map(|config| config.shapes)
    }

    #[test]
    fn columns_are_named_with_their_rules() {
        assert_eq!(of("").unwrap(), Shapes::default());
        let found =
            of(r#""splines":{"age":{}},"bins":{"income":{"max_bins":5},"job":{"min_share":0.1}}"#)
                .unwrap();
        assert_eq!(found.splines["age"], 4);
        assert_eq!(found.bins["income"], Binning { min_share: 0.05, max_bins: 5 });
        assert_eq!(found.bins["job"], Binning { min_share: 0.1, max_bins: 8 });
        assert_eq!(found.scorecard, None);
    }

    #[test]
    fn points_fall_by_pdo_where_odds_double() {
        let card =
            r#""bins":{"age":{},"income":{}},"scorecard":{"points0":600,"odds0":0.02,"pdo":20}"#;
        let scale = of(card).unwrap().scorecard.unwrap();
        let points = |odds: f64| scale.offset() + scale.factor() * odds.ln();
        assert!((points(0.02) - 600.0).abs() < 1e-9);
        assert!((points(0.04) - 580.0).abs() < 1e-9);
        let turned = Scale { pdo: -20.0, ..scale };
        assert!((turned.offset() + turned.factor() * 0.04_f64.ln() - 620.0).abs() < 1e-9);
    }

    #[test]
    fn mistakes_are_named() {
        for (wrong, expected) in [
            (
                r#""splines":{"job":{}}"#,
                "\"training.splines.job\" is not a column of \"schema.numeric\"",
            ),
            (r#""splines":{"age":{"knots":9}}"#, "whole number from 3 to 7"),
            (r#""bins":{"where":{}}"#, "\"training.bins.where\" is not a column"),
            (r#""bins":{"age":{}},"splines":{"age":{}}"#, "a column is either"),
            (r#""bins":{"age":{"max_bin":3}}"#, "did you mean \"training.bins.age.max_bins\"?"),
            (r#""bins":{"age":{}},"scorecard":{}"#, "the numeric column \"income\" needs an entry"),
            (r#""scorecard":3"#, "\"training.scorecard\" must be an object"),
        ] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
