//! A configuration that is proposed for a sample of rows, with the reason for each choice.
//!
//! Not for reading the rows: see `data`; not for the files that say it: see `evidence`.

use mlops_core::config::Ingestion;
use mlops_core::{Error, Result, text};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::columns::{self, Proposed, Use};
use crate::facts::{Facts, Spelling};
use crate::sample::{Column, Sample};
use crate::target::{self, Target};

/// From which share of rows that cannot be taken on the limit for whole files is raised.
const MANY_BAD: f64 = 0.04;
/// The rarer class needs so many rows for a threshold to be chosen by cross-validation.
const FEWEST: usize = 20;
/// So many values of a category have features of their own.
const MAX_LEVELS: usize = 50;
/// How many values of a column are shown.
const EXAMPLES: usize = 4;

/// What somebody said about the data, which is not guessed then.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The label column.
    pub target: Option<String>,
    /// The label to find.
    pub positive: Option<String>,
    /// The id columns.
    pub ids: Option<Vec<String>>,
    /// The columns to leave out.
    pub left_out: Option<Vec<String>>,
}

/// A key of the configuration besides the columns.
#[derive(Debug, Clone, Serialize)]
pub struct Chosen {
    /// Its section and name.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
    /// Why.
    pub why: String,
}

/// The proposal.
#[derive(Debug, Clone, Serialize)]
pub struct Proposal {
    /// Readable rows.
    pub rows: u64,
    /// How many of them were looked at.
    pub looked_at: usize,
    /// Lines that are no rows.
    pub bad: u64,
    /// The label.
    pub target: Target,
    /// All columns in the order of the data.
    pub columns: Vec<Proposed>,
    /// Other keys.
    pub chosen: Vec<Chosen>,
    /// What somebody should look at.
    pub doubts: Vec<String>,
}

impl Proposal {
    /// What `sample`, the rows of `files` files, suggests.
    pub fn of(sample: &Sample, files: usize, wishes: &Wishes) -> Result<Self> {
        if sample.looked_at() == 0 {
            return Err(Error::data(
                "there is a header, but no row below it: with rows a configuration can be proposed",
            ));
        }
        let spelling = Spelling::of(sample);
        let facts: Vec<Facts> =
            sample.columns.iter().map(|column| Facts::of(column, &spelling)).collect();
        let here = |column: &Column| !column.twice && column.absent == 0;
        let named: Vec<(&str, &Facts)> = sample
            .columns
            .iter()
            .zip(&facts)
            .filter(|(column, _)| here(column))
            .map(|(column, facts)| (column.name.as_str(), facts))
            .collect();
        let asked = target::Asked {
            column: wishes.target.as_deref(),
            positive: wishes.positive.as_deref(),
        };
        let target = target::choose(&named, asked)?;
        let labels = labels(sample, &target, &spelling);
        let mut proposed = Vec::new();
        for (column, facts) in sample.columns.iter().zip(&facts) {
            proposed.push(one(column, facts, files, &target, &labels, wishes));
        }
        let mut doubts = Vec::new();
        keep_some_feature(&mut proposed, &mut doubts)?;
        let mut proposal = Self {
            rows: sample.rows,
            looked_at: sample.looked_at(),
            bad: sample.bad,
            target,
            columns: proposed,
            chosen: Vec::new(),
            doubts,
        };
        proposal.choose(sample, &spelling, &facts);
        proposal.doubt(sample, &spelling);
        Ok(proposal)
    }

    /// The names of the columns that are to be `wanted`.
    pub fn names(&self, wanted: Use) -> Vec<&str> {
        let all = self.columns.iter().filter(|column| column.to_be == wanted);
        all.map(|column| column.name.as_str()).collect()
    }

    /// The share of positives among the rows that were looked at.
    pub fn share(&self) -> f64 {
        let (positives, all) = self.target.positives;
        positives as f64 / all.max(1) as f64
    }

    /// The section `schema`.
    pub fn schema(&self) -> Map<String, Value> {
        let mut schema = Map::new();
        for (key, wanted) in [
            ("id", Use::Id),
            ("numeric", Use::Numeric),
            ("date", Use::Date),
            ("categorical", Use::Categorical),
        ] {
            let names = self.names(wanted);
            // An absent list of ids would be that of the example.
            if !names.is_empty() || key == "id" {
                schema.insert(key.to_owned(), json!(names));
            }
        }
        schema.insert("target".to_owned(), json!(self.target.column));
        schema.insert("positive_label".to_owned(), json!(self.target.positive));
        schema.insert("negative_label".to_owned(), json!(self.target.negative));
        schema
    }

    /// Chooses the other keys.
    fn choose(&mut self, sample: &Sample, spelling: &Spelling, facts: &[Facts]) {
        let mut chosen = Vec::new();
        let mut set = |key, value, why: &str| {
            chosen.push(Chosen { key, value, why: why.to_owned() });
        };
        let default = Ingestion::default();
        if spelling.numbers != default.numbers {
            let numbers = spelling.numbers;
            if numbers.decimal != default.numbers.decimal {
                set(
                    "ingestion.decimal",
                    json!(numbers.decimal.to_string()),
                    "more columns are numbers with it",
                );
            }
            let usual = if numbers.decimal == ',' { '.' } else { ',' };
            if let Some(thousands) = numbers.thousands.filter(|sign| *sign != usual) {
                let why = "more columns are numbers with it";
                set("ingestion.thousands", json!(thousands.to_string()), why);
            }
        }
        let dates = !self.names(Use::Date).is_empty();
        if let Some(pattern) = spelling.date.filter(|_| dates) {
            set("ingestion.date_pattern", json!(pattern), "dates are spelt so");
        }
        if !spelling.more_missing.is_empty() {
            let why = format!(
                "columns of numbers also have {}; the others are the defaults",
                quoted(&spelling.more_missing)
            );
            set("ingestion.missing_values", json!(spelling.missing), &why);
        }
        let bad = self.bad_share(sample, facts);
        if bad > MANY_BAD {
            let limit = ((bad * 1.5 * 20.0).ceil() / 20.0).min(0.9);
            let why = format!(
                "{:.1} % of the rows have no label or a cell that cannot be read; they go to the quarantine, and with \
                 the default, 0.05, the whole file would be refused",
                100.0 * bad
            );
            set("ingestion.max_rejected_share", json!(limit), &why);
        }
        let wide =
            |column: &&Proposed| column.to_be == Use::Categorical && column.different > MAX_LEVELS;
        if self.columns.iter().any(|column| wide(&column)) {
            let why = "a column has more values; the rarest ones share a feature";
            set("schema.max_levels", json!(MAX_LEVELS), why);
        }
        let (positives, all) = self.target.positives;
        if positives.min(all - positives) >= FEWEST {
            let why = format!(
                "{:.1} % of the rows are positive, and a model goes live only if its F1 beats that of the best \
                 constant answer; so the threshold is where F1 is highest in a cross-validation of the training rows",
                100.0 * self.share()
            );
            set("training.threshold", json!({"maximize": "f1"}), &why);
        } else {
            let why = format!(
                "only {} of the rarer class, too few to choose a threshold by cross-validation: it is the share of \
                 positive training rows",
                text::plural(positives.min(all - positives) as u64, "row")
            );
            set("training.threshold", json!("prior"), &why);
        }
        self.chosen = chosen;
    }

    /// The share of rows that the quarantine would get, at most.
    fn bad_share(&self, sample: &Sample, facts: &[Facts]) -> f64 {
        let rows = sample.looked_at() as f64;
        let mut bad = rows - self.target.positives.1 as f64;
        for (column, facts) in self.columns.iter().zip(facts) {
            if column.to_be.is_feature() {
                bad += facts.odd as f64;
            }
        }
        let unreadable = sample.bad as f64 / (sample.bad + sample.rows).max(1) as f64;
        bad / rows + unreadable
    }

    fn doubt(&mut self, sample: &Sample, spelling: &Spelling) {
        let target = &self.target;
        if !target.others.is_empty() && target.why != "it was named" {
            self.doubts.push(format!(
                "the label may be another column with two values: {}; then run again with --target",
                text::names(&target.others)
            ));
        }
        if !target.stray.is_empty() {
            self.doubts.push(format!(
                "a few rows have other labels, and go to the quarantine: {}",
                text::names(&target.stray)
            ));
        }
        if let (Some(date), Some(rival)) = (spelling.date, spelling.rival) {
            self.doubts.push(format!(
                "dates could also be spelt {rival} instead of {date}: look at \"ingestion.date_pattern\""
            ));
        }
        if let Some(date) = spelling.date.filter(|date| date.contains("%y")) {
            self.doubts.push(format!(
                "years of dates have two digits (\"{date}\"): 69 to 99 are read as 1969 to 1999, 00 to 68 as \
                 2000 to 2068; if some are older or newer, write years with four digits"
            ));
        }
        if !sample.only_later.is_empty() {
            self.doubts.push(format!(
                "some files have more columns than the first one, which are left out: {}",
                text::names(&sample.only_later)
            ));
        }
        if sample.headerless {
            self.doubts.push(
                "the first line has no names, so the columns were named by their number; better names go into \
                 \"ingestion.format.names\""
                    .to_owned(),
            );
        }
        let leaks: Vec<&str> = self
            .columns
            .iter()
            .filter(|column| column.leak && column.to_be == Use::LeftOut)
            .map(|column| column.name.as_str())
            .collect();
        if !leaks.is_empty() {
            self.doubts.push(format!(
                "what may give the label away is left out ({}): list it in \"schema\" only if it is known before the \
                 outcome",
                text::names(&leaks)
            ));
        }
    }
}

/// The labels of the rows.
fn labels(sample: &Sample, target: &Target, spelling: &Spelling) -> Vec<Option<bool>> {
    let column = sample.columns.iter().find(|column| column.name == target.column);
    let Some(column) = column else { return Vec::new() };
    let key = |text: &str| target::same(text);
    let (positive, negative) = (key(&target.positive), key(&target.negative));
    let of = |text: &String| match key(text) {
        _ if spelling.is_gap(text) => None,
        found if found == positive => Some(true),
        found if found == negative => Some(false),
        _ => None,
    };
    let by_code: Vec<Option<bool>> = column.levels.iter().map(of).collect();
    column.codes.iter().map(|code| by_code[*code as usize]).collect()
}

/// What is proposed for one column.
fn one(
    column: &Column,
    facts: &Facts,
    files: usize,
    target: &Target,
    labels: &[Option<bool>],
    wishes: &Wishes,
) -> Proposed {
    let examples = facts.texts.iter().take(EXAMPLES);
    let mut proposed = Proposed {
        name: column.name.clone(),
        to_be: Use::LeftOut,
        why: String::new(),
        leak: false,
        otherwise: Use::LeftOut,
        different: facts.texts.len(),
        missing: facts.missing_share(),
        examples: examples.map(|(text, _)| text::name(text).into_owned()).collect(),
    };
    if column.name == target.column && !column.twice {
        (proposed.to_be, proposed.why) = (Use::Target, target.why.clone());
        return proposed;
    }
    let named = |list: &Option<Vec<String>>| list.as_ref().map(|list| list.contains(&column.name));
    let (mut to_be, mut why) = columns::by_itself(column, facts, files);
    let usable = !column.twice && column.absent == 0 && !facts.texts.is_empty();
    if named(&wishes.left_out) == Some(true) {
        if to_be != Use::LeftOut {
            let leak = columns::leak(column, facts, to_be, labels);
            (to_be, why) = (Use::LeftOut, leak.unwrap_or_else(|| "it was named".to_owned()));
        }
    } else if named(&wishes.ids) == Some(true) && usable {
        (to_be, why) = (Use::Id, "it was named".to_owned());
    } else if (named(&wishes.ids) == Some(false) && to_be == Use::Id)
        || (named(&wishes.left_out) == Some(false) && to_be == Use::LeftOut && usable)
    {
        let by_cells = if !facts.numbers.is_empty() {
            Use::Numeric
        } else if !facts.days.is_empty() {
            Use::Date
        } else {
            Use::Categorical
        };
        (to_be, why) = (by_cells, "it was taken out of the proposed list".to_owned());
    }
    if to_be == Use::Numeric
        && let Some(codes) = columns::codes(facts, labels)
    {
        (to_be, why) = (Use::Categorical, codes);
    }
    if to_be.is_feature()
        && named(&wishes.left_out).is_none()
        && let Some(leak) = columns::leak(column, facts, to_be, labels)
    {
        proposed.otherwise = to_be;
        (to_be, why, proposed.leak) = (Use::LeftOut, leak, true);
    }
    (proposed.to_be, proposed.why) = (to_be, why);
    proposed
}

/// A model needs a feature: if all of them give the label away, they stay.
fn keep_some_feature(columns: &mut [Proposed], doubts: &mut Vec<String>) -> Result<()> {
    if columns.iter().any(|column| column.to_be.is_feature()) {
        return Ok(());
    }
    if columns.iter().any(|column| column.leak) {
        for column in columns.iter_mut().filter(|column| column.leak) {
            column.to_be = column.otherwise;
        }
        doubts.push(
            "every feature may give the label away, so that a model of them proves nothing"
                .to_owned(),
        );
    }
    if columns.iter().any(|column| column.to_be.is_feature()) {
        return Ok(());
    }
    if columns.len() < 2 {
        return Err(Error::data(
            "there is no column besides the label, so that there is nothing to learn from; if there should be more, \
             their separator was not recognised: it is a comma, a semicolon, a tab or |",
        ));
    }
    let why = columns
        .iter()
        .filter(|column| column.to_be != Use::Target)
        .take(text::MOST_NAMES)
        .map(|column| format!("\n  - \"{}\": {}", text::name(&column.name), column.why));
    Err(Error::data(format!(
        "no column could be a feature, from which a model learns:{}",
        why.collect::<String>()
    )))
}

/// Texts between quotes.
fn quoted(texts: &[String]) -> String {
    text::names(texts.iter().map(|text| format!("\"{text}\"")))
}
