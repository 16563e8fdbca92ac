//! The members of an object that are columns, as a CSV record.
//!
//! Objects mostly have the same members in the same order, so that each name is compared with the one
//! that stood at its place in the object before. Not for where an object begins: see [`super::lines`].

use std::collections::BTreeSet;

use mlops_core::csv::record::line_ends;

use super::scan::{Problem, Scanner, Text, Value};
use crate::lanes::MOST_EXTRA;
use crate::spell;

/// Members of an object of which it is remembered what they are.
const MOST_KNOWN: usize = 1000;

/// Why an object is no row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The bytes end before the object does.
    End,
    /// In words.
    Told(String),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::End => Self::End,
            Problem::Syntax(message) => Self::Told(format!("this is no JSON object: {message}")),
        }
    }
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// The column with this number.
    Column(usize),
    /// An object in which there are columns; the number of its path.
    Path(usize),
    /// Nothing that anybody wants.
    Extra,
}

/// A name at its place in the object before.
struct Known {
    path: usize,
    /// Its spelling with quotes and colon.
    key: Vec<u8>,
    member: Member,
}

/// The columns that are looked for, and those of the present object.
pub(crate) struct Columns {
    names: Vec<String>,
    cells: Vec<Value>,
    /// The number of the last object that had the column.
    seen: Vec<u64>,
    object: u64,
    known: Vec<Known>,
    place: usize,
    /// Paths of objects in which there are columns, each with a point at its end; the first is empty.
    paths: Vec<String>,
    extra: BTreeSet<String>,
    /// Those of them that were not told yet.
    more_extra: Vec<String>,
    decimal: char,
}

impl Columns {
    /// Columns of these names, whose numbers have this decimal separator.
    pub(crate) fn of(names: &[String], decimal: char) -> Self {
        Self {
            names: names.to_vec(),
            cells: vec![Value::Null; names.len()],
            seen: vec![0; names.len()],
            object: 0,
            known: Vec::new(),
            place: 0,
            paths: vec![String::new()],
            extra: BTreeSet::new(),
            more_extra: Vec::new(),
            decimal,
        }
    }

    /// Whether each column has been in an object.
    pub(crate) fn are_complete(&self) -> bool {
        self.seen.iter().all(|object| *object > 0)
    }

    /// Those that have been in an object.
    pub(crate) fn present(&self) -> Vec<String> {
        let seen = self.names.iter().zip(&self.seen).filter(|(_, object)| **object > 0);
        seen.map(|(name, _)| name.clone()).collect()
    }

    /// Members of objects that are no columns.
    pub(crate) fn extra(&self) -> Vec<String> {
        self.extra.iter().cloned().collect()
    }

    /// Those that were met since this was last asked.
    pub(crate) fn more_extra(&mut self) -> Vec<String> {
        std::mem::take(&mut self.more_extra)
    }

    /// The number of columns.
    pub(crate) fn width(&self) -> usize {
        self.names.len()
    }

    /// Reads the object at which `scanner` is.
    pub(crate) fn read(&mut self, scanner: &mut Scanner) -> Result<(), Refusal> {
        self.object += 1;
        self.place = 0;
        self.members(scanner, 0)
    }

    fn members(&mut self, scanner: &mut Scanner, path: usize) -> Result<(), Refusal> {
        scanner.expect(b'{', "it does not begin with a brace")?;
        if scanner.takes(b'}')? {
            return Ok(());
        }
        loop {
            match self.member(scanner, path)? {
                Member::Column(column) => {
                    let value = scanner.value()?;
                    if self.seen[column] == self.object {
                        let name = mlops_core::text::name(&self.names[column]);
                        return Err(Refusal::Told(format!("\"{name}\" is there twice")));
                    }
                    self.seen[column] = self.object;
                    self.cells[column] = value;
                }
                Member::Path(path) if scanner.peek()? == b'{' => self.members(scanner, path)?,
                Member::Path(_) | Member::Extra => scanner.skip()?,
            }
            if !scanner.takes(b',')? {
                scanner.expect(b'}', "a comma or a closing brace is missing")?;
                return Ok(());
            }
        }
    }

    /// Takes the name of the next member with its colon.
    #[inline]
    fn member(&mut self, scanner: &mut Scanner, path: usize) -> Result<Member, Refusal> {
        let place = self.place;
        self.place += 1;
        scanner.peek()?;
        let rest = &scanner.bytes()[scanner.at..];
        if let Some(known) = self.known.get(place)
            && known.path == path
            && rest.starts_with(&known.key)
        {
            scanner.at += known.key.len();
            return Ok(known.member);
        }
        let key = scanner.key()?;
        let text = &scanner.bytes()[key.start..key.end];
        let member = self.look_up(path, text, key.escaped)?;
        let known = Known { path, key: [b"\"", text, b"\":"].concat(), member };
        match self.known.get_mut(place) {
            Some(before) => *before = known,
            None if place < MOST_KNOWN => self.known.push(known),
            None => {}
        }
        Ok(member)
    }

    fn look_up(&mut self, path: usize, key: &[u8], escaped: bool) -> Result<Member, Refusal> {
        let key = if escaped {
            unescaped(key)?
        } else {
            let key = std::str::from_utf8(key);
            key.map_err(|_| Refusal::Told("a name is not UTF-8".to_owned()))?.to_owned()
        };
        let name = format!("{}{key}", self.paths[path]);
        if let Some(column) = self.names.iter().position(|n| *n == name) {
            return Ok(Member::Column(column));
        }
        let inner = format!("{name}.");
        if self.names.iter().any(|n| n.starts_with(&inner)) {
            let known = self.paths.iter().position(|p| *p == inner);
            return Ok(Member::Path(known.unwrap_or_else(|| {
                self.paths.push(inner);
                self.paths.len() - 1
            })));
        }
        if self.extra.len() < MOST_EXTRA && self.extra.insert(name.clone()) {
            self.more_extra.push(name);
        }
        Ok(Member::Extra)
    }

    /// Appends the object that was read from `bytes` as a record with its line end, and returns the
    /// number of its lines.
    pub(crate) fn write(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<u32, Refusal> {
        let start = out.len();
        let mut spans = false;
        for (column, (value, seen)) in self.cells.iter().zip(&self.seen).enumerate() {
            if column > 0 {
                out.push(b',');
            }
            if *seen != self.object {
                continue;
            }
            match *value {
                Value::Null => {}
                Value::True => out.extend_from_slice(b"true"),
                Value::False => out.extend_from_slice(b"false"),
                Value::Infinite(negative) => {
                    out.extend_from_slice(if negative { b"-inf" } else { b"inf" });
                }
                Value::Number(a, b) => spell::push_number(&bytes[a..b], self.decimal, out),
                // Quotes and line ends would be escapes.
                Value::Text(Text { start, end, escaped: false, commas: false }) => {
                    out.extend_from_slice(&bytes[start..end]);
                }
                Value::Text(Text { start, end, escaped: false, .. }) => {
                    spell::push_quoted(&bytes[start..end], out);
                }
                Value::Text(Text { start, end, .. }) => {
                    let text = unescaped(&bytes[start..end])?;
                    spans |= text.contains(['\n', '\r']);
                    spell::push_cell(text.as_bytes(), out);
                }
                Value::Nested(a, b) => {
                    spans = true;
                    spell::push_cell(&bytes[a..b], out);
                }
            }
        }
        out.push(b'\n');
        let lines = if spans { line_ends(&out[start..]) } else { 1 };
        Ok(u32::try_from(lines).unwrap_or(u32::MAX))
    }
}

/// The text that is spelt by what stands between two quotes.
pub(super) fn unescaped(raw: &[u8]) -> Result<String, Refusal> {
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice(&quoted)
        .map_err(|_| Refusal::Told("a text has an escape that is not a character".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(columns: &mut Columns, object: &str) -> Result<String, Refusal> {
        let mut scanner = Scanner::of(object.as_bytes(), true);
        columns.read(&mut scanner)?;
        let mut out = Vec::new();
        columns.write(object.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn members_become_cells_by_their_path() {
        let names = ["id", "address.city", "address.geo.lat", "rate", "open"].map(str::to_owned);
        let mut columns = Columns::of(&names, '.');
        let mut read = |object: &str| record(&mut columns, object);
        assert_eq!(
            read(
                r#"{"id":"a,b","address":{"city":"Ulm \"x\"","geo":{"lat":48.40}},"rate":1e3,"open":true}"#
            ),
            Ok("\"a,b\",\"Ulm \"\"x\"\"\",48.40,1e3,true\n".to_owned())
        );
        // Another order, absent members, nulls, others.
        assert_eq!(
            read(
                r#"{ "rate" : 12345678901234567890 , "more" : [1,{"id":2}], "address":null,"id":null}"#
            ),
            Ok(",,,12345678901234567890,\n".to_owned())
        );
        assert_eq!(read(r#"{"i\u0064":"\u00e9\n"}"#), Ok("\"é\n\",,,,\n".to_owned()));
        assert_eq!(read(r#"{"id":1,"id":2}"#), Err(Refusal::Told("\"id\" is there twice".into())));
        assert_eq!(read(r#"{"id":1"#), Err(Refusal::End));
        assert!(matches!(read(r#"{"id":01}"#), Err(Refusal::Told(_))));
        assert!(matches!(read(r#"{"id":"\ud800"}"#), Err(Refusal::Told(_))));
        // What Python writes for numbers that are none, or too large.
        assert_eq!(
            read(r#"{"id":NaN,"rate":-Infinity,"open":Infinity}"#),
            Ok(",,,-inf,inf\n".to_owned())
        );
        assert_eq!(columns.extra(), ["more"]);
        let mut comma = Columns::of(&names[3..4], ',');
        assert_eq!(record(&mut comma, r#"{"rate":1.5}"#), Ok("\"1,5\"\n".to_owned()));
    }
}
