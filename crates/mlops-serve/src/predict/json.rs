//! Parses the JSON of `/prediction` and `/scoring` straight into rows: one object, an array of
//! objects, `{"columns": […], "data": [[…]]}`, or the name of a file.
//!
//! No tree of values is built; text is interpreted as it is read.
//! Not for files themselves: see `super::file`.

use std::fmt;

use mlops_core::text;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::rows::{NAMES, OTHERS, Rows};
use super::scan::{Key as Scanned, Scanner};
use super::shape::Shape;

/// The result of parsing a document.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The file to be read instead.
    pub(crate) file: Option<FileName>,
}

/// A file as callers name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileName {
    /// `filepath`.
    pub(crate) path: Option<String>,
    /// `data_path`: a file, or the folder of `file_name`.
    pub(crate) data: Option<String>,
    /// `file_name`.
    pub(crate) name: Option<String>,
}

/// Parses `bytes` into `rows`. Errors are for the client: invalid JSON, or none of the formats.
pub(crate) fn read(bytes: &[u8], rows: &mut Rows) -> Result<Document, String> {
    match std::str::from_utf8(bytes).map_or(Plain::No, |text| plain(text, rows)) {
        Plain::Read => return Ok(Document::default()),
        Plain::No => {}
        Plain::Broken => {
            // For its words; the rows so far are of no use any more.
            parse(bytes, Top { rows, names: &mut None, second: false })?;
            return Err("the body is not JSON".to_owned());
        }
    }
    let mut names = None;
    let mut document = parse(bytes, Top { rows, names: &mut names, second: false })?;
    if document.data_first {
        // "data" came before "columns"; now the columns are known.
        rows.notes.ignored.clear();
        document = parse(bytes, Top { rows, names: &mut names, second: true })?;
    }
    if document.split && names.is_none() {
        return Err("\"data\" needs \"columns\", the list of its columns' names".to_owned());
    }
    Ok(Document { file: document.file })
}

/// How far reading plain rows came.
enum Plain {
    /// To the end.
    Read,
    /// Nowhere: the document is something else.
    No,
    /// To text that is no JSON.
    Broken,
}

/// Reads an array of rows, or one row, by the scanner; what that does not know in an array is read by the
/// general parser, row by row.
fn plain(text: &str, rows: &mut Rows) -> Plain {
    let mut scanner = Scanner::new(text);
    let mut fields = Vec::new();
    if !scanner.eat(b'[') {
        let read = scanner.object(&mut fields, |_| None) && scanner.is_done();
        let other = |key: &Scanned| matches!(key, Scanned::Name(name) if special(name).is_some());
        if !read || fields.iter().any(|(key, _)| other(key)) {
            return Plain::No;
        }
        rows.row(&fields);
        return Plain::Read;
    }
    let mut more = !scanner.eat(b']');
    let mut shape = Shape::default();
    while more {
        if !shape.read(&mut scanner, rows, &mut fields) {
            let from = scanner.start();
            if scanner.object(&mut fields, |place| rows.expected(place)) {
                shape.learn(&scanner, from, &fields, rows);
                rows.row(&fields);
            } else {
                let mut json = serde_json::Deserializer::from_str(scanner.rest());
                if RowObject(rows).deserialize(&mut json).is_err() {
                    return Plain::Broken;
                }
                scanner.skip(json.into_iter::<IgnoredAny>().byte_offset());
            }
        }
        more = scanner.eat(b',');
        if !more && !scanner.eat(b']') {
            return Plain::Broken;
        }
    }
    if scanner.is_done() { Plain::Read } else { Plain::Broken }
}

/// Parses a JSON text with `seed`.
pub(crate) fn parse<'de, S: DeserializeSeed<'de>>(
    bytes: &'de [u8],
    seed: S,
) -> Result<S::Value, String> {
    // Checked once as a whole, not string by string.
    let text = std::str::from_utf8(bytes).map_err(|_| strange(bytes))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    value.map_err(|e| if e.is_data() { e.to_string() } else { unsound(text, &e) })
}

/// The error for bytes that are not UTF-8.
fn strange(bytes: &[u8]) -> String {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the body is UTF-16: send UTF-8",
        _ => "the body is not UTF-8",
    }
    .to_owned()
}

/// The error for invalid JSON.
pub(crate) fn unsound(text: &str, error: &serde_json::Error) -> String {
    if text.starts_with('\u{feff}') {
        return "the body begins with a byte-order mark, which is no JSON: send it without"
            .to_owned();
    }
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let before = line.as_bytes().get(..error.column().min(line.len())).unwrap_or_default();
    let from = before.iter().rposition(|b| b",[:{ \t".contains(b)).map_or(0, |n| n + 1);
    let token = line.as_bytes().get(from..).unwrap_or_default();
    let token = token.strip_prefix(b"-").unwrap_or(token);
    for (name, advice) in [
        ("NaN", "send null for a missing value"),
        ("nan", "send null for a missing value"),
        ("Infinity", "send a finite number, or null for a missing value"),
        ("inf", "send a finite number, or null for a missing value"),
        ("None", "send null for a missing value"),
        ("True", "write true"),
        ("False", "write false"),
    ] {
        if token.starts_with(name.as_bytes()) {
            let (line, column) = (error.line(), error.column());
            return format!("{name} at line {line} column {column} is no JSON: {advice}");
        }
    }
    format!("the body is not JSON: {error}")
}

#[derive(Debug, Default)]
struct Found {
    file: Option<FileName>,
    split: bool,
    data_first: bool,
}

/// The whole document. `names` are the columns of "data", once they were read.
struct Top<'r, 'a> {
    rows: &'r mut Rows<'a>,
    names: &'r mut Option<Header>,
    second: bool,
}

impl<'de> DeserializeSeed<'de> for Top<'_, '_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            "an object with one row, an array of such objects, {\"columns\": […], \"data\": [[…]]} \
             or {\"filepath\": \"…\"}",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found, A::Error> {
        while seq.next_element_seed(RowObject(self.rows))?.is_some() {}
        Ok(Found::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let Self { rows, names, second } = self;
        let mut found = Found::default();
        let mut file = FileName::default();
        let (mut fields, mut data, mut place) = (false, false, 0);
        while let Some(key) = map.next_key_seed(Key { rows, place, top: true })? {
            place += 1;
            match key {
                Field::Column(c) => {
                    fields = true;
                    map.next_value_seed(Cell { rows, c })?;
                }
                Field::Columns => {
                    found.split = true;
                    let header = map.next_value_seed(Names(rows))?;
                    if names.replace(header).is_some() && !second {
                        return Err(A::Error::custom("\"columns\" is there twice"));
                    }
                }
                Field::Data => {
                    found.split = true;
                    if std::mem::replace(&mut data, true) {
                        return Err(A::Error::custom("\"data\" is there twice"));
                    }
                    if let Some(header) = names.as_ref() {
                        map.next_value_seed(Data { rows, header })?;
                    } else {
                        found.data_first = true;
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Field::File(name) => {
                    let text = map.next_value::<String>()?;
                    match name {
                        "filepath" => file.path = Some(text),
                        "data_path" => file.data = Some(text),
                        _ => file.name = Some(text),
                    }
                }
                Field::Extra => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let named = file != FileName::default();
        if named && (fields || found.split) || fields && found.split {
            return Err(A::Error::custom(
                "send one row, or \"columns\" with \"data\", or the name of a file: not several",
            ));
        }
        if found.split && !data {
            return Err(A::Error::custom("\"columns\" needs \"data\", the list of its rows"));
        }
        if named {
            found.file = Some(file);
        } else if !found.split {
            rows.end();
        }
        Ok(found)
    }
}

/// The meaning of a key in an object.
enum Field {
    Column(usize),
    Columns,
    Data,
    File(&'static str),
    Extra,
}

/// The meaning of a name that no column has, beside the fields of a single row.
fn special(name: &str) -> Option<Field> {
    match name {
        "columns" => Some(Field::Columns),
        "data" => Some(Field::Data),
        "filepath" => Some(Field::File("filepath")),
        "data_path" => Some(Field::File("data_path")),
        "file_name" => Some(Field::File("file_name")),
        _ => None,
    }
}

struct Key<'r, 'a> {
    rows: &'r mut Rows<'a>,
    /// The position of the key in its object.
    place: usize,
    top: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Field, E> {
        if let Some(c) = self.rows.find(name, self.place) {
            return Ok(Field::Column(c));
        }
        Ok(special(name).filter(|_| self.top).unwrap_or_else(|| {
            self.rows.notes.ignore(name, 1);
            Field::Extra
        }))
    }
}

/// One row as an object.
pub(crate) struct RowObject<'r, 'a>(pub(crate) &'r mut Rows<'a>);

impl<'de> DeserializeSeed<'de> for RowObject<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl RowObject<'_, '_> {
    fn refuse(self, what: &str) {
        self.0.fault(None, || format!("the row is {what}, not an object of its fields"));
        self.0.end();
    }
}

impl<'de> Visitor<'de> for RowObject<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (rows, mut place) = (self.0, 0);
        while let Some(key) = map.next_key_seed(Key { rows, place, top: false })? {
            place += 1;
            match key {
                Field::Column(c) => map.next_value_seed(Cell { rows, c })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        rows.end();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.refuse("an array");
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.refuse("a text");
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.refuse("a number");
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.refuse("a number");
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.refuse("a number");
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.refuse("a truth value");
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.refuse("null");
        Ok(())
    }
}

/// The value of column `c` in the current row.
pub(crate) struct Cell<'r, 'a> {
    pub(crate) rows: &'r mut Rows<'a>,
    pub(crate) c: usize,
}

impl<'de> DeserializeSeed<'de> for Cell<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cell<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.rows.integer(self.c, value as f64, value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.rows.integer(self.c, value as f64, value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.rows.number(self.c, value);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.rows.text(self.c, text);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.rows.truth(self.c, value);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.rows.null(self.c);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.rows.misfit(self.c, "an array");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.rows.misfit(self.c, "an object");
        Ok(())
    }
}

/// The columns of rows that are arrays: for each position its column, if there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Header {
    places: Vec<u32>,
    /// The first names without a column.
    extra: Vec<String>,
    /// The number of further ones.
    others: u64,
}

/// A position without a column.
const NOWHERE: u32 = u32::MAX;

impl Header {
    /// A header in which the positions mean `columns`, in order.
    pub(crate) fn of(columns: impl Iterator<Item = usize>) -> Self {
        let places = columns.map(|c| u32::try_from(c).unwrap_or(NOWHERE)).collect();
        Self { places, ..Self::default() }
    }

    /// The column at a position.
    fn column(&self, place: usize) -> Option<usize> {
        self.places.get(place).filter(|c| **c != NOWHERE).map(|c| *c as usize)
    }
}

/// Reads the list of columns.
pub(crate) struct Names<'r, 'a>(pub(crate) &'r mut Rows<'a>);

impl<'de> DeserializeSeed<'de> for Names<'_, '_> {
    type Value = Header;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Header, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Names<'_, '_> {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the list of the columns' names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        let mut seen = vec![false; self.0.loaded.columns.len()];
        while let Some(name) = seq.next_element::<String>()? {
            let found = self.0.loaded.columns.find(&name, header.places.len());
            let place = found.and_then(|c| u32::try_from(c).ok()).unwrap_or(NOWHERE);
            if found.is_some_and(|c| std::mem::replace(&mut seen[c], true)) {
                return Err(A::Error::custom(format_args!("\"columns\" names {name:?} twice")));
            }
            if place == NOWHERE && header.extra.len() < NAMES {
                header.extra.push(name);
            } else if place == NOWHERE {
                header.others += 1;
            }
            header.places.push(place);
        }
        Ok(header)
    }
}

/// Rows that are arrays.
pub(crate) struct Data<'r, 'a> {
    pub(crate) rows: &'r mut Rows<'a>,
    pub(crate) header: &'r Header,
}

impl<'de> DeserializeSeed<'de> for Data<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Data<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of rows, which are arrays")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { rows, header } = self;
        let before = rows.notes.rows;
        while seq.next_element_seed(RowArray { rows, header })?.is_some() {}
        let read = rows.notes.rows - before;
        for name in &header.extra {
            rows.notes.ignore(name, read);
        }
        if header.others > 0 {
            rows.notes.ignore(OTHERS, read.saturating_mul(header.others));
        }
        Ok(())
    }
}

/// One row as an array.
pub(crate) struct RowArray<'r, 'a> {
    pub(crate) rows: &'r mut Rows<'a>,
    pub(crate) header: &'r Header,
}

impl<'de> DeserializeSeed<'de> for RowArray<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowArray<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a row, which is an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { rows, header } = self;
        let mut values = 0;
        loop {
            let more = match header.column(values) {
                Some(c) => seq.next_element_seed(Cell { rows, c })?.is_some(),
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
            values += 1;
        }
        let width = header.places.len();
        if values != width {
            rows.fault(None, || {
                let values = text::plural(values as u64, "value");
                format!("the row has {values} for {}", text::plural(width as u64, "column"))
            });
        }
        rows.end();
        Ok(())
    }
}
