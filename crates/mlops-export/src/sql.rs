//! A model as one SELECT statement, and a second one that tests it on the golden rows.
//!
//! The statement takes typed columns: numbers as any numeric type, dates as dates or timestamps without a
//! zone, texts as texts. All sums are made of doubles, whatever the types of the columns and of literals in
//! the dialect. Not for cleaning: the table must have values as a data set has them.

use std::fmt::Write as _;

use mlops_core::model::Golden;
use mlops_core::table::date::spell;

use crate::formula::{Formula, Scaled, Term, Until};

/// Terms of a sum that stand beside each other: SQLite refuses expressions that are deeper than 1,000.
const BESIDE: usize = 50;
/// Beyond it an exponential overflows, and the probability is 0 or 1 long before.
const FAR: f64 = 700.0;

/// A dialect of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    PostgreSql,
    /// SQLite, with its functions of mathematics.
    Sqlite,
    /// DuckDB.
    DuckDb,
    /// BigQuery.
    BigQuery,
}

impl Dialect {
    /// All, in the order in which help lists them.
    pub const ALL: [Self; 4] = [Self::PostgreSql, Self::Sqlite, Self::DuckDb, Self::BigQuery];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
            Self::Sqlite => "sqlite",
            Self::DuckDb => "duckdb",
            Self::BigQuery => "bigquery",
        }
    }

    fn double(self) -> &'static str {
        match self {
            Self::PostgreSql => "DOUBLE PRECISION",
            Self::Sqlite => "REAL",
            Self::DuckDb => "DOUBLE",
            Self::BigQuery => "FLOAT64",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::PostgreSql | Self::Sqlite | Self::DuckDb => "TEXT",
            Self::BigQuery => "STRING",
        }
    }

    /// A name of a column or table; what has dots is a path.
    fn name_of(self, name: &str) -> String {
        match self {
            Self::BigQuery => format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`")),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    fn table(self, path: &str) -> String {
        path.split('.').map(|part| self.name_of(part)).collect::<Vec<_>>().join(".")
    }

    fn literal(self, text: &str) -> String {
        match self {
            Self::BigQuery => {
                let text = text.replace('\\', "\\\\").replace('\'', "\\'");
                format!("'{}'", text.replace('\n', "\\n").replace('\r', "\\r"))
            }
            _ => format!("'{}'", text.replace('\'', "''")),
        }
    }

    /// A number that is a double in every dialect; without an exponent some read a decimal.
    fn number(self, x: f64) -> String {
        let exact = format!("{x:e}");
        match self {
            // PostgreSQL reads a decimal in any case, and keeps it beside another one.
            Self::PostgreSql => format!("CAST({exact} AS DOUBLE PRECISION)"),
            _ if x < 0.0 => format!("({exact})"),
            _ => exact,
        }
    }

    fn least(self, greatest: bool) -> &'static str {
        match (self, greatest) {
            (Self::Sqlite, true) => "MAX",
            (Self::Sqlite, false) => "MIN",
            (_, true) => "GREATEST",
            (_, false) => "LEAST",
        }
    }

    /// The column of numbers `name` as a double, NULL where it is missing.
    fn double_of(self, name: &str) -> String {
        let cast = format!("CAST({} AS {})", self.name_of(name), self.double());
        match self {
            Self::PostgreSql => format!("NULLIF({cast}, CAST('NaN' AS DOUBLE PRECISION))"),
            Self::DuckDb => format!("NULLIF({cast}, CAST('NaN' AS DOUBLE))"),
            // SQLite has no such number.
            Self::Sqlite => cast,
            Self::BigQuery => format!("IF(IS_NAN({cast}), NULL, {cast})"),
        }
    }

    /// A point in time as days since 1970.
    fn days(self, time: &str) -> String {
        match self {
            Self::PostgreSql => format!(
                "(CAST(EXTRACT(EPOCH FROM CAST({time} AS TIMESTAMP)) AS DOUBLE PRECISION) / \
                 CAST(86400 AS DOUBLE PRECISION))"
            ),
            Self::Sqlite => format!("(CAST(strftime('%s', {time}) AS REAL) / 8.64e4)"),
            Self::DuckDb => format!("(epoch(CAST({time} AS TIMESTAMP)) / 8.64e4)"),
            Self::BigQuery => format!(
                "(CAST(DATETIME_DIFF(CAST({time} AS DATETIME), DATETIME '1970-01-01', SECOND) AS FLOAT64) \
                 / 8.64e4)"
            ),
        }
    }

    /// The number of the month, from 1, or of the day of the week, from 0 for Monday.
    fn part(self, time: &str, weekday: bool) -> String {
        match (self, weekday) {
            (Self::PostgreSql, false) => format!("EXTRACT(MONTH FROM CAST({time} AS TIMESTAMP))"),
            (Self::PostgreSql, true) => {
                format!("(EXTRACT(ISODOW FROM CAST({time} AS TIMESTAMP)) - 1)")
            }
            (Self::Sqlite, false) => format!("CAST(strftime('%m', {time}) AS INTEGER)"),
            (Self::Sqlite, true) => format!("((CAST(strftime('%w', {time}) AS INTEGER) + 6) % 7)"),
            (Self::DuckDb, false) => format!("month(CAST({time} AS TIMESTAMP))"),
            (Self::DuckDb, true) => format!("(isodow(CAST({time} AS TIMESTAMP)) - 1)"),
            (Self::BigQuery, false) => format!("EXTRACT(MONTH FROM CAST({time} AS DATETIME))"),
            (Self::BigQuery, true) => {
                format!("MOD(EXTRACT(DAYOFWEEK FROM CAST({time} AS DATETIME)) + 5, 7)")
            }
        }
    }
}

/// The statement: the id columns of `table`, and for each row its log-odds, its probability and the
/// predicted label; all three are NULL where there is no prediction.
pub fn select(formula: &Formula, dialect: Dialect, table: &str, release: &str) -> String {
    let mut sql = String::new();
    let plain = |text: &str| text.replace(['\n', '\r'], " ");
    let _ = writeln!(
        sql,
        "-- Release {}: probability of the label {} for each row of a table, in the dialect of {}.\n-- Columns have \
         values as in a data set (cleaned); a probability above {} is predicted positive.",
        plain(release),
        plain(&dialect.literal(&formula.labels[0])),
        dialect.name(),
        formula.threshold,
    );
    sql.push_str(&statement(formula, dialect, &dialect.table(table), &formula.ids));
    sql.push_str(";\n");
    sql
}

/// A statement that computes the golden rows: how many there are, how many are wrong (one has a probability
/// and the other has none, or they differ by more than 1e-12), and the largest difference.
pub fn test(formula: &Formula, dialect: Dialect, golden: &Golden) -> String {
    let row = "golden_row".to_owned();
    let mut sql = String::from("WITH golden AS (\n");
    for (at, known) in golden.rows.iter().enumerate() {
        let mut cells = vec![format!("{at} AS {}", dialect.name_of(&row))];
        let number = |x: Option<f64>| match x {
            Some(x) => format!("CAST({} AS {})", dialect.number(x), dialect.double()),
            None => format!("CAST(NULL AS {})", dialect.double()),
        };
        let date = |x: Option<f64>| match (x, dialect) {
            (Some(x), Dialect::Sqlite) => dialect.literal(&spell(x)),
            (None, Dialect::Sqlite) => "NULL".to_owned(),
            (Some(x), Dialect::BigQuery) => {
                format!("CAST({} AS DATETIME)", dialect.literal(&spell(x)))
            }
            (None, Dialect::BigQuery) => "CAST(NULL AS DATETIME)".to_owned(),
            (Some(x), _) => format!("CAST({} AS TIMESTAMP)", dialect.literal(&spell(x))),
            (None, _) => "CAST(NULL AS TIMESTAMP)".to_owned(),
        };
        let plain = formula.numbers.len() - formula.dates;
        for (column, (name, x)) in formula.numbers.iter().zip(&known.numeric).enumerate() {
            let cell = if column < plain { number(*x) } else { date(*x) };
            cells.push(format!("{cell} AS {}", dialect.name_of(name)));
        }
        for (name, text) in formula.texts.iter().zip(&known.categorical) {
            let cell = format!("CAST({} AS {})", dialect.literal(text), dialect.text());
            cells.push(format!("{cell} AS {}", dialect.name_of(name)));
        }
        cells.push(format!("{} AS golden_probability", number(known.probability)));
        let union = if at == 0 { "  SELECT " } else { "  UNION ALL SELECT " };
        let _ = writeln!(sql, "{union}{}", cells.join(", "));
    }
    let keys = [row, "golden_probability".to_owned()];
    let inner = statement(formula, dialect, "golden", &keys);
    let _ = write!(
        sql,
        ")\nSELECT COUNT(*) AS golden_rows,\n  SUM(CASE WHEN probability IS NULL AND golden_probability IS \
         NULL THEN 0\n    WHEN ABS(probability - golden_probability) <= {} THEN 0 ELSE 1 END) AS wrong,\n  \
         MAX(ABS(probability - golden_probability)) AS largest_difference\nFROM (\n{inner}\n) AS computed;\n",
        dialect.number(1e-12),
    );
    sql
}

fn statement(formula: &Formula, dialect: Dialect, table: &str, keys: &[String]) -> String {
    let columns = |of: &str| -> String {
        keys.iter().fold(String::new(), |mut list, key| {
            let _ = write!(list, "{of}{}, ", dialect.name_of(key));
            list
        })
    };
    let number = |x: f64| dialect.number(x);
    let far = |z: &str, greatest: bool| {
        let limit = number(if greatest { -FAR } else { FAR });
        format!("{}({z}, {limit})", dialect.least(greatest))
    };
    let (one, zero) = (number(1.0), number(0.0));
    let (small, large) = (far("log_odds", true), far("log_odds", false));
    let [positive, negative] = [0, 1].map(|which| dialect.literal(&formula.labels[which]));
    format!(
        "SELECT {outer}log_odds, probability,\n  CASE WHEN probability > {threshold} THEN {positive} WHEN \
         probability IS NOT NULL THEN {negative} END AS predicted\nFROM (SELECT {outer}log_odds,\n  CASE \
         WHEN log_odds >= {zero} THEN {one} / ({one} + EXP(-{large}))\n    WHEN log_odds < {zero} THEN \
         EXP({small}) / ({one} + EXP({small})) END AS probability\nFROM (SELECT {outer}\n  {sum} AS \
         log_odds\nFROM {table}) AS sums) AS probabilities",
        outer = columns(""),
        threshold = number(formula.threshold),
        sum = sum(formula, dialect),
    )
}

/// The log-odds; NULL where there is no prediction.
fn sum(formula: &Formula, dialect: Dialect) -> String {
    let mut parts = vec![dialect.number(formula.intercept)];
    for term in &formula.terms {
        parts.extend(added(formula, dialect, term));
    }
    let groups = parts.chunks(BESIDE).map(|group| group.join("\n    + "));
    groups.map(|group| format!("({group})")).collect::<Vec<_>>().join("\n  + ")
}

fn added(formula: &Formula, dialect: Dialect, term: &Term) -> Vec<String> {
    let number = |x: f64| dialect.number(x);
    let filled = |value: String, fill: Option<f64>| match fill {
        Some(fill) => format!("COALESCE({value}, {})", number(fill)),
        None => value,
    };
    let double = |column: usize, fill| filled(dialect.double_of(&formula.numbers[column]), fill);
    let days = |column: usize, fill| {
        filled(dialect.days(&dialect.name_of(&formula.numbers[column])), fill)
    };
    let scaled = |of: Scaled, x: &str| {
        format!("{} * (({x} - {}) / {})", number(of.weight), number(of.mean), number(of.scale))
    };
    match term {
        Term::Line { column, fill, scaled: of } => vec![scaled(*of, &double(*column, *fill))],
        Term::Spline { column, fill, spline, scaled: of } => {
            let x = double(*column, *fill);
            let term =
                |(j, of): (usize, &Scaled)| scaled(*of, &curve(dialect, spline.knots(), j, &x));
            of.iter().enumerate().map(term).collect()
        }
        Term::Bins { column, edges, adds, missing } => {
            let x = double(*column, None);
            let missing = missing.map_or("NULL".to_owned(), number);
            let mut case = format!("CASE WHEN {x} IS NULL THEN {missing}");
            for (edge, add) in edges.iter().zip(adds) {
                let _ = write!(case, " WHEN {x} <= {} THEN {}", number(*edge), number(*add));
            }
            let last = adds.last().copied().unwrap_or_default();
            vec![format!("{case} ELSE {} END", number(last))]
        }
        Term::Texts { column, adds, other, missing } => {
            let text =
                format!("CAST({} AS {})", dialect.name_of(&formula.texts[*column]), dialect.text());
            let spellings = formula.missing.iter().map(String::as_str).chain([""]);
            let spellings: Vec<String> = spellings.map(|text| dialect.literal(text)).collect();
            let missing = missing.map_or("NULL".to_owned(), number);
            let mut case = format!(
                "CASE WHEN {text} IS NULL OR {text} IN ({}) THEN {missing}",
                spellings.join(", ")
            );
            for (known, add) in adds {
                let _ =
                    write!(case, " WHEN {text} = {} THEN {}", dialect.literal(known), number(*add));
            }
            vec![format!("{case} ELSE {} END", number(*other))]
        }
        Term::Age { column, fill, until, scaled: of } => {
            let until = match until {
                Until::Day(day) => number(*day),
                Until::Column { column, fill } => days(*column, *fill),
            };
            vec![scaled(*of, &format!("({until} - {})", days(*column, *fill)))]
        }
        Term::Calendar { column, fill, months, weekdays } => {
            let name = dialect.name_of(&formula.numbers[*column]);
            let time = match fill {
                Some(fill) => format!("COALESCE({name}, {})", moment(dialect, *fill)),
                None => name.clone(),
            };
            let case = |adds: &Vec<f64>, weekday: bool| {
                let mut case = format!("CASE {}", dialect.part(&time, weekday));
                for (at, add) in adds.iter().enumerate() {
                    let at = if weekday { at } else { at + 1 };
                    let _ = write!(case, " WHEN {at} THEN {}", number(*add));
                }
                case + " END"
            };
            let months = months.as_ref().map(|adds| case(adds, false));
            let mut parts: Vec<String> = months.into_iter().collect();
            parts.extend(weekdays.as_ref().map(|adds| case(adds, true)));
            if fill.is_none() && parts.is_empty() {
                // A missing date forbids a prediction even if only its age counts.
                parts.push(format!("CASE WHEN {name} IS NOT NULL THEN {} END", number(0.0)));
            }
            parts
        }
    }
}

/// A literal point in time.
fn moment(dialect: Dialect, days: f64) -> String {
    let spelt = dialect.literal(&spell(days));
    match dialect {
        Dialect::Sqlite => spelt,
        Dialect::BigQuery => format!("CAST({spelt} AS DATETIME)"),
        Dialect::PostgreSql | Dialect::DuckDb => format!("CAST({spelt} AS TIMESTAMP)"),
    }
}

/// Term `j` of the spline through `knots`, as `Spline::term` computes it.
fn curve(dialect: Dialect, knots: &[f64], j: usize, x: &str) -> String {
    let [first, .., before, last] = knots else { return x.to_owned() };
    if j == 0 {
        return x.to_owned();
    }
    let number = |x: f64| dialect.number(x);
    let unit = |value: f64| (value - first) / (last - first);
    let (knot, before) = (unit(knots[j - 1]), unit(*before));
    let u = format!("(({x} - {}) / {})", number(*first), number(last - first));
    let (from, to) = (number(knot), number(before));
    let (one, zero) = (number(1.0), number(0.0));
    let cube = |side: String| format!("({side} * {side} * {side})");
    let beyond =
        format!("{} * ({} * {u} - {from} - {to} - {one})", number(before - knot), number(3.0));
    let within = format!(
        "{} / {} - CASE WHEN {u} > {to} THEN {} / {} ELSE {zero} END",
        cube(format!("({u} - {from})")),
        number(1.0 - knot),
        cube(format!("({u} - {to})")),
        number(1.0 - before),
    );
    format!(
        "(CASE WHEN {u} <= {from} THEN {zero} WHEN {u} >= {one} THEN {beyond} WHEN {u} > {from} THEN {within} END)"
    )
}
