//! A line of the log of predictions, as it is written and as it is read.
//!
//! ```text
//! {"recorded":"2026-11-30T01:02:03.004Z","request_id":"…","row":0,"model_version":"r-1-…",
//!  "prediction":"yes","probability":0.75,"inference_id":"…","customer":"c17",
//!  "features":{"age":41,"since":"2025-06-01","country":null}}
//! ```
//!
//! on one line. `inference_id` is the caller's own id, if the request had one. The id columns have
//! the names of the schema; one that is called like a key before it comes later. `features` has the
//! cleaned values as they were given, before the model fills what is missing. Not for files: see
//! [`super::files`].

use std::io::Write as _;

use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::ids::ReleaseId;
use crate::table::schema::{Role, Schema};
use crate::table::{Table, TextColumn, date};

/// The beginning of every line.
pub const BEGINNING: &[u8; 13] = b"{\"recorded\":\"";

/// The labels as they stand in lines, and whether they are numbers, which they are if both look like
/// whole ones.
pub fn labels_as_json(labels: [&str; 2]) -> ([String; 2], bool) {
    let number = |text: &str| text.parse::<i64>().is_ok_and(|n| n.to_string() == text);
    let numbers = labels.iter().all(|text| number(text));
    let json = |text: &str| if numbers { text.to_owned() } else { Value::from(text).to_string() };
    (labels.map(json), numbers)
}

/// Writes the lines of one release.
#[derive(Debug, Clone)]
pub struct LineWriter {
    /// What follows the number of the row, up to the label.
    release: String,
    /// The labels as JSON, the positive one first.
    labels: [String; 2],
    /// `,"name":` for each id column.
    ids: Vec<String>,
    /// `"name":` for each numeric column, each date and each category.
    numeric: Vec<String>,
    dates: Vec<String>,
    categorical: Vec<String>,
}

/// What all rows of a request have in common.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// When it was answered, RFC 3339.
    pub at: &'a str,
    /// Its id.
    pub id: &'a str,
    /// The caller's own id for it, if there is one.
    pub inference_id: Option<&'a str>,
}

/// The answer for a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// The number of the row in its request, or the line in its file.
    pub row: u64,
    /// Whether it is the positive class.
    pub positive: bool,
    /// The probability of the positive class.
    pub probability: f64,
}

impl LineWriter {
    /// A writer for `release`, whose model has `schema` and answers with these labels as JSON, the
    /// positive one first.
    pub fn new(release: &ReleaseId, schema: &Schema, labels: [String; 2]) -> Self {
        let names = |role, comma: &str| -> Vec<String> {
            schema.names(role).map(|name| format!("{comma}{}:", Value::from(name))).collect()
        };
        Self {
            release: format!(",\"model_version\":\"{release}\",\"prediction\":"),
            labels,
            ids: names(Role::Id, ","),
            numeric: names(Role::Numeric, ""),
            dates: names(Role::Date, ""),
            categorical: names(Role::Categorical, ""),
        }
    }

    /// What all lines of `request` begin with.
    pub fn head(&self, request: Request<'_>) -> Head<'_> {
        let before = format!(
            "{{\"recorded\":\"{}\",\"request_id\":{},\"row\":",
            request.at,
            Value::from(request.id)
        );
        let caller =
            request.inference_id.map(|id| format!(",\"inference_id\":{}", Value::from(id)));
        Head { writer: self, before, caller: caller.unwrap_or_default() }
    }
}

/// Writes the lines of one request.
#[derive(Debug)]
pub struct Head<'a> {
    writer: &'a LineWriter,
    before: String,
    caller: String,
}

impl Head<'_> {
    /// Appends a line to `out`: the ids and, if they are wanted, the features are those of row `i`
    /// of the given columns.
    pub fn line(
        &self,
        out: &mut Vec<u8>,
        answer: Answer,
        i: usize,
        ids: &[TextColumn],
        features: Option<&Table>,
    ) {
        let LineWriter { release, labels, ids: names, .. } = self.writer;
        out.extend_from_slice(self.before.as_bytes());
        out.extend_from_slice(itoa::Buffer::new().format(answer.row).as_bytes());
        out.extend_from_slice(release.as_bytes());
        out.extend_from_slice(labels[usize::from(!answer.positive)].as_bytes());
        out.extend_from_slice(b",\"probability\":");
        number(out, answer.probability);
        out.extend_from_slice(self.caller.as_bytes());
        for (name, column) in names.iter().zip(ids) {
            out.extend_from_slice(name.as_bytes());
            text(out, if i < column.len() { column.get(i) } else { "" });
        }
        if let Some(table) = features {
            self.features(out, table, i);
        }
        out.extend_from_slice(b"}\n");
    }

    fn features(&self, out: &mut Vec<u8>, table: &Table, i: usize) {
        out.extend_from_slice(b",\"features\":{");
        let LineWriter { numeric, dates, categorical, .. } = self.writer;
        let mut comma = false;
        let mut name = |out: &mut Vec<u8>, name: &str| {
            if std::mem::replace(&mut comma, true) {
                out.push(b',');
            }
            out.extend_from_slice(name.as_bytes());
        };
        let (numbers, days) = table.numeric.split_at(numeric.len().min(table.numeric.len()));
        for (key, column) in numeric.iter().zip(numbers) {
            name(out, key);
            number(out, column[i]);
        }
        for (key, column) in dates.iter().zip(days) {
            name(out, key);
            match date::spell(column[i]) {
                spelt if spelt.is_empty() => out.extend_from_slice(b"null"),
                spelt => text(out, &spelt),
            }
        }
        for (key, column) in categorical.iter().zip(&table.categorical) {
            name(out, key);
            match column.get(i) {
                "" => out.extend_from_slice(b"null"),
                category => text(out, category),
            }
        }
        out.push(b'}');
    }
}

/// Appends a number in the shortest spelling that reads back exactly; `null` for a missing one.
fn number(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends a text as JSON.
fn text(out: &mut Vec<u8>, text: &str) {
    let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing to a vector cannot fail.
        let _ = write!(out, "{}", Value::from(text));
    }
}

/// A line as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// When the row was answered.
    pub recorded: DateTime<Utc>,
    /// The id of its request; of a run for rows that `diagnostics` recorded.
    pub request_id: String,
    /// The number of the row in its request, from 0; for rows of a run the line in its file.
    pub row: u64,
    /// The release that answered.
    pub release: ReleaseId,
    /// The predicted label.
    pub prediction: String,
    /// The probability of the positive class.
    pub probability: f64,
    /// The caller's own id for the request.
    pub inference_id: Option<String>,
    /// The id columns with their names.
    pub ids: Vec<(String, String)>,
    /// The features with their names, if the line has them and they were wanted.
    pub features: Option<Vec<(String, Feature)>>,
}

/// The cleaned value of a feature, before a missing one is filled.
#[derive(Debug, Clone, PartialEq)]
pub enum Feature {
    /// A missing value.
    Missing,
    /// A number.
    Number(f64),
    /// A category, or a date in its canonical spelling.
    Text(String),
}

impl Line {
    /// Reads a line without its end; `None` if it is not of our format. Features are skipped unless
    /// they are wanted.
    pub fn read(bytes: &[u8], with_features: bool) -> Option<Self> {
        if !bytes.starts_with(BEGINNING) {
            return None;
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let found = json.deserialize_map(Fields { with_features }).ok()?;
        json.end().ok()?;
        Some(found)
    }

    /// The text of the id column `name`.
    pub fn id(&self, name: &str) -> Option<&str> {
        self.ids.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str())
    }

    /// Appends the row to `table`, which has the columns of `schema`. Returns false, and appends
    /// nothing, if the line lacks one of the features or has another kind of value for it, as a
    /// line of a release with other columns may.
    pub fn push_to(&self, schema: &Schema, table: &mut Table) -> bool {
        let Some(features) = &self.features else { return false };
        // The features of a line mostly are those of the schema, in its order.
        let find = |place: usize, name: &str| {
            let expected = features.get(place).filter(|(key, _)| key == name);
            expected.or_else(|| features.iter().find(|(key, _)| key == name)).map(|(_, v)| v)
        };
        let columns =
            schema.columns().iter().filter(|c| !matches!(c.role, Role::Id | Role::Target));
        let mut numbers = Vec::with_capacity(table.numeric.len());
        let mut texts = Vec::with_capacity(table.categorical.len());
        for (place, column) in columns.enumerate() {
            match (column.role, find(place, &column.name)) {
                (Role::Categorical, Some(Feature::Missing)) => texts.push(""),
                (Role::Categorical, Some(Feature::Text(text))) => texts.push(text),
                (_, Some(Feature::Missing)) => numbers.push(f64::NAN),
                (Role::Numeric, Some(Feature::Number(value))) => numbers.push(*value),
                (Role::Date, Some(Feature::Text(text))) => match date::canonical(text.as_bytes()) {
                    Some(days) => numbers.push(days),
                    None => return false,
                },
                _ => return false,
            }
        }
        for (column, value) in table.numeric.iter_mut().zip(numbers) {
            column.push(value);
        }
        for (column, text) in table.categorical.iter_mut().zip(texts) {
            column.push(text);
        }
        for (column, name) in table.ids.iter_mut().zip(schema.names(Role::Id)) {
            column.push(self.id(name).unwrap_or_default());
        }
        table.end_row();
        true
    }
}

/// The fields of a line: the first of each name that is ours, then the ids.
struct Fields {
    with_features: bool,
}

impl<'de> Visitor<'de> for Fields {
    type Value = Line;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a line of the log of predictions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let recorded: String = field(&mut map, "recorded")?;
        let recorded = DateTime::parse_from_rfc3339(&recorded).map_err(Error::custom)?;
        let mut line = Line {
            recorded: recorded.to_utc(),
            request_id: field(&mut map, "request_id")?,
            row: field(&mut map, "row")?,
            release: field::<String, _>(&mut map, "model_version")?
                .parse()
                .map_err(Error::custom)?,
            prediction: match field(&mut map, "prediction")? {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                _ => return Err(Error::custom("the prediction is not a label")),
            },
            probability: field(&mut map, "probability")?,
            inference_id: None,
            ids: Vec::new(),
            features: None,
        };
        let mut first = true;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "inference_id" if first => line.inference_id = Some(map.next_value()?),
                "features" if line.features.is_none() => match map.next_value_seed(Last(&self))? {
                    Ended::Features(features) => line.features = features,
                    Ended::Id(text) => line.ids.push((key, text)),
                },
                _ => line.ids.push((key, map.next_value()?)),
            }
            first = false;
        }
        Ok(line)
    }
}

/// The value of the next key, which must be `name`.
fn field<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
    name: &'static str,
) -> Result<T, A::Error> {
    match map.next_key::<String>()? {
        Some(key) if key == name => map.next_value(),
        _ => Err(Error::missing_field(name)),
    }
}

/// The value of a key `features`, which may also be an id column.
struct Last<'a>(&'a Fields);

enum Ended {
    Features(Option<Vec<(String, Feature)>>),
    Id(String),
}

impl<'de> serde::de::DeserializeSeed<'de> for Last<'_> {
    type Value = Ended;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Ended, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Last<'_> {
    type Value = Ended;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("features")
    }

    fn visit_str<E>(self, text: &str) -> Result<Ended, E> {
        Ok(Ended::Id(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ended, A::Error> {
        if !self.0.with_features {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Ended::Features(None));
        }
        let mut features = Vec::new();
        while let Some(entry) = map.next_entry::<String, Feature>()? {
            features.push(entry);
        }
        Ok(Ended::Features(Some(features)))
    }
}

impl<'de> Deserialize<'de> for Feature {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfFeature;
        impl Visitor<'_> for OfFeature {
            type Value = Feature;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a number, a text or null")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Feature, E> {
                Ok(Feature::Number(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Feature, E> {
                Ok(Feature::Number(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Feature, E> {
                Ok(Feature::Number(value as f64))
            }

            fn visit_str<E>(self, text: &str) -> Result<Feature, E> {
                Ok(Feature::Text(text.to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Feature, E> {
                Ok(Feature::Missing)
            }
        }
        from.deserialize_any(OfFeature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schema::SchemaFields;

    fn schema() -> Schema {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        Schema::new(SchemaFields {
            id: &names(&["customer", "row", "features"]),
            numeric: &names(&["age", "a \"b\""]),
            date: &names(&["since"]),
            categorical: &names(&["country"]),
            target: "t",
            positive_label: "yes",
            ..SchemaFields::default()
        })
    }

    fn table() -> Table {
        let mut table = Table::new(&schema());
        table.ids[0].push("c\n\"17\"");
        table.ids[1].push("9");
        table.ids[2].push("f");
        table.numeric[0].push(0.1 + 0.2);
        table.numeric[1].push(f64::NAN);
        table.numeric[2].push(20_000.25);
        table.categorical[0].push("");
        table.end_row();
        table
    }

    fn written(features: bool, inference_id: Option<&str>) -> Vec<u8> {
        let release: ReleaseId = "r-1-0123456789ab".parse().unwrap();
        let labels = ["\"yes\"", "\"no\""].map(str::to_owned);
        let writer = LineWriter::new(&release, &schema(), labels);
        let request = Request { at: "2026-11-30T01:02:03.004Z", id: "r\"1", inference_id };
        let (mut out, table) = (Vec::new(), table());
        let answer = Answer { row: 3, positive: true, probability: 0.75 };
        let features = features.then_some(&table);
        writer.head(request).line(&mut out, answer, 0, &table.ids, features);
        out
    }

    #[test]
    fn a_line_is_read_back_as_it_was_written() {
        let out = written(true, Some("mine"));
        let expected = r#"{"recorded":"2026-11-30T01:02:03.004Z","request_id":"r\"1","row":3,"model_version":"r-1-0123456789ab","prediction":"yes","probability":0.75,"inference_id":"mine","customer":"c\n\"17\"","row":"9","features":"f","features":{"age":0.30000000000000004,"a \"b\"":null,"since":"2024-10-04T06:00:00","country":null}}"#;
        assert_eq!(String::from_utf8_lossy(&out), format!("{expected}\n"));
        let line = Line::read(expected.as_bytes(), true).unwrap();
        assert_eq!(
            (line.row, line.request_id.as_str(), line.prediction.as_str()),
            (3, "r\"1", "yes")
        );
        assert_eq!(line.inference_id.as_deref(), Some("mine"));
        assert_eq!([line.id("customer"), line.id("row")], [Some("c\n\"17\""), Some("9")]);
        assert_eq!(line.id("features"), Some("f"));
        let mut read = Table::new(&schema());
        assert!(line.push_to(&schema(), &mut read));
        // NaN differs from itself.
        assert_eq!(format!("{read:?}"), format!("{:?}", table()));
        let without = Line::read(expected.as_bytes(), false).unwrap();
        assert_eq!((without.features.clone(), without.id("features")), (None, Some("f")));
        assert!(!without.push_to(&schema(), &mut read));
        assert_eq!(read.len(), 1);
    }

    #[test]
    fn a_line_without_the_new_keys_is_what_earlier_versions_wrote() {
        let out = written(false, None);
        let expected = r#"{"recorded":"2026-11-30T01:02:03.004Z","request_id":"r\"1","row":3,"model_version":"r-1-0123456789ab","prediction":"yes","probability":0.75,"customer":"c\n\"17\"","row":"9","features":"f"}"#;
        assert_eq!(String::from_utf8_lossy(&out), format!("{expected}\n"));
        let line = Line::read(expected.as_bytes(), true).unwrap();
        assert_eq!((line.features.as_ref(), line.inference_id.as_ref()), (None, None));
    }

    #[test]
    fn what_is_not_understood_is_none() {
        let good = String::from_utf8(written(true, None)).unwrap();
        let good = good.trim_end();
        for cut in 0..good.len() {
            assert_eq!(Line::read(&good.as_bytes()[..cut], true), None, "{cut}");
        }
        let bad = [
            good.replace("r-1-0123456789ab", "v1"),
            good.replace("\"row\":3", "\"row\":-3"),
            good.replace("0.75", "null"),
            good.replace("2026-11-30T", "2026-13-30T"),
            format!("{good}{good}"),
            good.replace("\"age\":0.30000000000000004", "\"age\":[1]"),
        ];
        for line in bad {
            assert_eq!(Line::read(line.as_bytes(), true), None, "{line}");
        }
        let other = good.replace("\"age\"", "\"income\"");
        let line = Line::read(other.as_bytes(), true).unwrap();
        assert!(!line.push_to(&schema(), &mut Table::new(&schema())));
    }
}
