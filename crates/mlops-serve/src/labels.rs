//! `POST /labels`: outcomes of predictions, kept before they are acknowledged.
//!
//! JSON becomes the CSV that the core reads, so that both have the same rules. Not for keeping and joining
//! them: see `mlops_core::stage::received`.

use std::borrow::Cow;
use std::fmt;
use std::sync::PoisonError;

use axum::response::Response;
use mlops_core::stage::received;
use mlops_core::table::quote::push_text;
use mlops_core::{Error, ErrorKind};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::json;

use crate::access::Scope;
use crate::body::{self, Format};
use crate::call::Call;
use crate::predict::faults::{Fault, Faults};
use crate::predict::json::parse;
use crate::problem::Problem;
use crate::writing;

/// Answers `POST /labels`.
pub(crate) async fn take(call: Call) -> Result<Response, Problem> {
    let Call { app, request, max_body, .. } = call;
    if !app.context.config.labels.receive {
        return Err(writing::not_there(
            "labels are not taken here: set \"labels.receive\" to true",
        ));
    }
    let who = writing::holder(&app.service().tokens, &request, Scope::Labels)?;
    let body = body::read(request, &app, max_body).await?;
    let disk = body::disk(&app).await?;
    body::work(true, move || {
        let _disk = disk;
        let context = &app.context;
        let csv = match body.format {
            Format::Csv => Cow::Borrowed(body.bytes.as_ref()),
            Format::Json => Cow::Owned(csv(&body.bytes, &received::columns(context))?),
        };
        let batch = received::read(context, &csv).map_err(|e| refused(&e))?;
        let batch = batch.map_err(|unread| {
            let mut faults = Faults::default();
            for fault in unread {
                let line = Some(fault.line).filter(|l| *l > 0 && body.format == Format::Csv);
                let column = Some(fault.column).filter(|c| !c.is_empty());
                faults.add(|| Fault { row: fault.row, line, column, reason: fault.message });
            }
            Problem::labels(faults)
        })?;
        if batch.rows == 0 {
            return Err(Problem::malformed("the body has no labels: send rows"));
        }
        let (counts, known) = {
            // One after the other: their order counts.
            let _only = app.receiving.lock().unwrap_or_else(PoisonError::into_inner);
            // A label that cannot be counted is kept all the same.
            let counts = received::count(context, &batch).inspect_err(|error| {
                tracing::warn!("labels that were sent are not counted: {error}");
            });
            (counts.ok(), received::keep(context, &batch).map_err(|e| writing::failed(&e))?)
        };
        let (digest, rows) = (batch.digest.to_string(), batch.rows);
        tracing::info!(batch = digest, rows, known, who, "labels received");
        if let Some(renewal) = app.renewal.as_ref().filter(|_| !known) {
            renewal.labels_came();
        }
        let answer = json!({ "batch": digest, "rows": rows, "known": known, "counts": counts });
        Ok(body::typed(answer.to_string(), "application/json"))
    })
    .await
}

/// The answer to a batch that cannot be read.
fn refused(error: &Error) -> Problem {
    match error.kind() {
        ErrorKind::Schema { message, .. } | ErrorKind::Data(message) => {
            Problem::malformed(message.clone())
        }
        ErrorKind::Missing(message) => writing::not_there(message.clone()),
        ErrorKind::Conflict(message) => writing::conflict(message.clone()),
        _ => writing::failed(error),
    }
}

/// The rows of a JSON text as CSV with `columns`.
fn csv(bytes: &[u8], columns: &[String]) -> Result<Vec<u8>, Problem> {
    let mut rows = Rows { columns, csv: Vec::new(), row: 0, faults: Faults::default() };
    for column in columns {
        rows.cell(column);
    }
    rows.end();
    rows.row = 0;
    parse(bytes, Whole(&mut rows)).map_err(Problem::malformed)?;
    if rows.faults.count > 0 { Err(Problem::labels(rows.faults)) } else { Ok(rows.csv) }
}

/// The CSV so far.
struct Rows<'a> {
    columns: &'a [String],
    csv: Vec<u8>,
    /// The number of the row, from 0.
    row: u64,
    faults: Faults,
}

impl Rows<'_> {
    fn cell(&mut self, text: &str) {
        push_text(text, &mut self.csv);
        self.csv.push(b',');
    }

    fn end(&mut self) {
        // In the place of the last comma.
        self.csv.pop();
        self.csv.push(b'\n');
        self.row += 1;
    }

    fn fault(&mut self, column: Option<&str>, reason: &str) {
        let (row, column) = (self.row, column.map(str::to_owned));
        self.faults.add(|| Fault { row, line: None, column, reason: reason.to_owned() });
    }
}

/// One row, or an array of them.
struct Whole<'r, 'a>(&'r mut Rows<'a>);

impl<'de> DeserializeSeed<'de> for Whole<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of objects, each with one label, or one such object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(One(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        One(self.0).visit_map(map)
    }
}

/// One row.
struct One<'r, 'a>(&'r mut Rows<'a>);

impl<'de> DeserializeSeed<'de> for One<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for One<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with one label")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let rows = self.0;
        let mut cells: Vec<Option<Cell>> = vec![None; rows.columns.len()];
        while let Some(name) = map.next_key::<Cow<str>>()? {
            let Some(c) = rows.columns.iter().position(|column| *column == name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if cells[c].replace(map.next_value_seed(Value)?).is_some() {
                rows.fault(Some(&name), "is there twice");
            }
        }
        for (c, cell) in cells.into_iter().enumerate() {
            let column = &rows.columns[c];
            match cell {
                Some(Cell::Text(text)) => rows.cell(&text),
                Some(Cell::Odd(reason)) => {
                    rows.fault(Some(column), reason);
                    rows.cell("");
                }
                None => rows.cell(""),
            }
        }
        rows.end();
        Ok(())
    }
}

/// A value in a row.
#[derive(Clone)]
enum Cell {
    Text(String),
    /// What it is instead.
    Odd(&'static str),
}

/// Reads one.
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Cell;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cell, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Cell, E> {
        Ok(Cell::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Cell, E> {
        Ok(Cell::Text(value.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Cell, E> {
        Ok(Cell::Odd(
            "is a number with a fraction or of over 64 bits, which has several spellings: send a text",
        ))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Cell, E> {
        Ok(Cell::Text(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Text(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Cell::Odd("is an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Cell::Odd("is an object"))
    }
}
