//! MLflow's scoring protocol: `POST /invocations`, with `/ping`, `/health` and `/version`.
//!
//! A body is CSV, or JSON with exactly one of `dataframe_split`, `dataframe_records`, `instances`
//! and `inputs`; the answer is `{"predictions": […]}`. MLflow's own client writes a missing number
//! as `NaN`, which is not JSON; it is read as null. Not for a row's values: see `predict::rows`.

use std::borrow::Cow;
use std::fmt;

use axum::body::Bytes;
use axum::response::Response;
use mlops_core::text;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::body::{self, Format};
use crate::call::Call;
use crate::columns::Slot;
use crate::predict::answer::{Part, Script, explanations};
use crate::predict::column::Elements;
use crate::predict::json::{Data, Header, Names, RowArray, RowObject, parse};
use crate::predict::rows::{NAMES, OTHERS, Rows};
use crate::predict::{Wishes, csv, explain, of_csv, of_rows, record, room_for};
use crate::problem::Problem;

/// Answers `POST /invocations`.
pub(crate) async fn invoke(call: Call) -> Result<Response, Problem> {
    let Call { app, id, request, max_body } = call;
    let loaded = app.live.get().ok_or_else(Problem::no_model)?;
    let mut explain = explain::of_query(request.uri())?;
    let body = body::read(request, &app, max_body).await?;
    body::work(body.large, move || {
        let mut body = body;
        let wishes = |explain| Wishes::of(&app, explain);
        let predicted = match body.format {
            Format::Csv => of_csv(csv::Source::body(&body, &loaded)?, &loaded, wishes(explain))?,
            Format::Json => {
                let bytes =
                    nan_to_null(&body.bytes).map_or(Cow::Borrowed(&body.bytes[..]), Cow::Owned);
                if let Some(most) = explain_of(&bytes)? {
                    explain = most;
                }
                of_rows(&loaded, &body, wishes(explain), |rows| {
                    read(&bytes, rows).map_err(Problem::malformed)
                })?
            }
        };
        body.bytes = Bytes::new();
        room_for(&app, &mut body.share, &predicted)?;
        record(&app, &loaded, &id, &predicted, body.large)?;
        let mut parts = vec![
            Part::Text(b"{\"predictions\":[".to_vec()),
            Part::Labels,
            Part::Text(b"]".to_vec()),
        ];
        if loaded.scorecard.is_some() {
            let points = Part::Points(predicted.points);
            parts.extend([
                Part::Text(b",\"points\":[".to_vec()),
                points,
                Part::Text(b"]".to_vec()),
            ]);
        }
        if predicted.contributions.is_some() {
            parts.extend(explanations(&loaded));
        }
        parts.push(Part::Text(b"}".to_vec()));
        let written =
            predicted.contributions.map(|found| found.with(&app.service().config.reasons));
        let script = Script::new(&loaded, predicted.probabilities, parts, body.share);
        Ok(body::json(script.explained(written).body(), &loaded))
    })
    .await
}

/// `params.explain` of a document, if it has that; what else is wrong with it is told when its rows are
/// read.
fn explain_of(bytes: &[u8]) -> Result<Option<usize>, Problem> {
    #[derive(Deserialize)]
    struct Asked {
        params: Option<Value>,
    }
    let quoted = format!("\"{}\"", explain::KEY);
    // Parameters may come after the rows, which are then read once more.
    if !bytes.windows(quoted.len()).any(|window| window == quoted.as_bytes()) {
        return Ok(None);
    }
    let asked = serde_json::from_slice::<Asked>(bytes).ok().and_then(|asked| asked.params);
    let value = asked.as_ref().and_then(|params| params.get(explain::KEY));
    value.map(|value| explain::of_json(Some(value))).transpose()
}

/// `bytes` with `null` for every `NaN` outside of strings; `None` if there is none.
fn nan_to_null(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.windows(3).any(|w| w == b"NaN") {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let (mut at, mut quoted) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => quoted = !quoted,
            b'\\' if quoted && at + 1 < bytes.len() => {
                out.push(bytes[at]);
                at += 1;
            }
            b'N' if !quoted && bytes[at..].starts_with(b"NaN") => {
                out.extend_from_slice(b"null");
                at += 3;
                continue;
            }
            _ => {}
        }
        out.push(bytes[at]);
        at += 1;
    }
    Some(out)
}

/// The four input formats.
const FORMS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

fn read(bytes: &[u8], rows: &mut Rows) -> Result<(), String> {
    // In "dataframe_split" the data may come before the columns; then they are read again.
    let mut columns = None;
    if parse(bytes, Top { rows, columns: &mut columns })? {
        rows.notes.ignored.clear();
        parse(bytes, Top { rows, columns: &mut columns })?;
    }
    Ok(())
}

/// The whole document; its value says whether it must be read again.
struct Top<'r, 'a> {
    rows: &'r mut Rows<'a>,
    columns: &'r mut Option<Header>,
}

impl<'de> DeserializeSeed<'de> for Top<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "an object with exactly one of {}", FORMS.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Self { rows, columns } = self;
        let (mut forms, mut again) = (0, false);
        while let Some(key) = map.next_key::<String>()? {
            forms += usize::from(FORMS.contains(&key.as_str()));
            if forms > 1 {
                break;
            }
            match key.as_str() {
                "dataframe_split" => again = map.next_value_seed(Split { rows, columns })?,
                "dataframe_records" => map.next_value_seed(Records { rows, arrays: false })?,
                "instances" => map.next_value_seed(Records { rows, arrays: true })?,
                "inputs" => map.next_value_seed(Inputs(rows))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if forms != 1 {
            let message = format!("send exactly one of {}", FORMS.join(", "));
            return Err(A::Error::custom(message));
        }
        Ok(again)
    }
}

/// `{"columns": […], "data": [[…]]}`, with or without an index.
struct Split<'r, 'a> {
    rows: &'r mut Rows<'a>,
    columns: &'r mut Option<Header>,
}

impl<'de> DeserializeSeed<'de> for Split<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Split<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with \"columns\" and \"data\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Self { rows, columns } = self;
        let (mut data, mut again) = (false, false);
        let (mut all, mut named) = (0, 0);
        while let Some(key) = map.next_key::<String>()? {
            all += usize::from(key == "data");
            named += usize::from(key == "columns");
            if all > 1 || named > 1 {
                return Err(A::Error::custom(format!("{key:?} is there twice")));
            }
            match (key.as_str(), columns.as_ref()) {
                ("columns", _) => *columns = Some(map.next_value_seed(Names(rows))?),
                ("data", Some(header)) => {
                    data = true;
                    map.next_value_seed(Data { rows, header })?;
                }
                (name, _) => {
                    again |= name == "data";
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if columns.is_none() || !(data || again) {
            return Err(A::Error::custom("\"dataframe_split\" needs \"columns\" and \"data\""));
        }
        Ok(again)
    }
}

/// Rows as objects, or as arrays of the features if those are allowed.
struct Records<'r, 'a> {
    rows: &'r mut Rows<'a>,
    arrays: bool,
}

impl<'de> DeserializeSeed<'de> for Records<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { rows, arrays } = self;
        if !arrays {
            while seq.next_element_seed(RowObject(rows))?.is_some() {}
            return Ok(());
        }
        let header = features(rows);
        while seq.next_element_seed(Instance { rows, header: &header })?.is_some() {}
        Ok(())
    }
}

/// The features in order, which is the meaning of a bare array.
fn features(rows: &Rows) -> Header {
    let columns = &rows.loaded.columns;
    let feature = |c: &usize| !matches!(columns.slot(*c), Slot::Id(_) | Slot::Target);
    Header::of((0..columns.len()).filter(feature))
}

/// A row as an object or an array.
struct Instance<'r, 'a> {
    rows: &'r mut Rows<'a>,
    header: &'r Header,
}

impl<'de> DeserializeSeed<'de> for Instance<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Instance<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a row, which is an object or an array of all features")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        RowArray { rows: self.rows, header: self.header }.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        RowObject(self.rows).visit_map(map)
    }
}

/// `inputs`: an object of columns, or rows as in `instances`.
struct Inputs<'r, 'a>(&'r mut Rows<'a>);

impl<'de> DeserializeSeed<'de> for Inputs<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inputs<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of columns, or an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Records { rows: self.0, arrays: true }.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let rows = self.0;
        let mut columns: Vec<(usize, &RawValue)> = Vec::new();
        let (mut length, mut extra, mut others) = (None, Vec::new(), 0);
        while let Some(name) = map.next_key::<Cow<str>>()? {
            let values = map.next_value::<&RawValue>()?;
            let n = Elements::of(values.get()).count();
            let expected = *length.get_or_insert(n);
            if n != expected {
                let message = format!(
                    "column {name:?} has {}, another has {expected}",
                    text::plural(n as u64, "value")
                );
                return Err(A::Error::custom(message));
            }
            match rows.loaded.columns.find(&name, columns.len()) {
                Some(c) if columns.iter().any(|(other, _)| *other == c) => {
                    return Err(A::Error::custom(format!("column {name:?} is there twice")));
                }
                Some(c) => columns.push((c, values)),
                None if extra.len() < NAMES => extra.push(name.into_owned()),
                None => others += 1,
            }
        }
        let length = length.unwrap_or_default();
        let mut columns: Vec<_> =
            columns.into_iter().map(|(c, values)| (c, Elements::of(values.get()))).collect();
        for _ in 0..length {
            for (c, elements) in &mut columns {
                if let Some(element) = elements.next() {
                    element.put(rows, *c).map_err(A::Error::custom)?;
                }
            }
            rows.end();
        }
        for name in &extra {
            rows.notes.ignore(name, length as u64);
        }
        if others > 0 {
            rows.notes.ignore(OTHERS, (length as u64).saturating_mul(others));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_nan_becomes_null() {
        let text = br#"{"NaN": [NaN, "NaN", "\"NaN", 1, NaN]}"#;
        let expected = br#"{"NaN": [null, "NaN", "\"NaN", 1, null]}"#;
        assert_eq!(nan_to_null(text).as_deref(), Some(expected.as_slice()));
        assert_eq!(nan_to_null(b"[1]"), None);
    }
}
