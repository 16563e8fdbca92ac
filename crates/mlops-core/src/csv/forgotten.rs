//! The people who were erased: recognises their rows in whatever is read, so that none comes back.
//!
//! A person is identified by the values of some text columns, usually the ids. Only the HMAC-SHA256 of these
//! values under a secret of the workspace is kept, so the records name nobody, although anyone who has both can
//! test a guess. A record that cannot be split into its columns counts as the person's if any of its cells
//! has the value, since an erased person must not stay in a quarantine. The records are in
//! `ledger::forgotten`, erasing is in `stage::forget`.

use std::collections::HashSet;
use std::sync::Arc;

use ring::hmac::{HMAC_SHA256, Key, sign};
use serde::{Deserialize, Serialize};

use super::aside::Rows;
use super::canonical_cells::CanonicalCells;
use super::clean::{self, FormatChanges};
use super::formats::Refused;
use super::parsed::{Gone, Parsed};
use super::quarantine::Rejected;
use super::record::{self, Field, Next, Shape};
use crate::platform::digest::Digest;
use crate::table::schema::{Role, Schema};
use crate::{Error, Result, text};

/// The secret under which people are remembered.
pub type Secret = [u8; 32];

/// A person who was erased.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tombstone {
    /// The columns whose values name the person.
    pub columns: Vec<String>,
    /// The keyed hash of these values.
    pub hash: Digest,
}

impl Tombstone {
    /// The tombstone of the person who has `values` in `columns`.
    pub fn of(secret: &Secret, columns: &[String], values: &[String]) -> Self {
        let key = Key::new(HMAC_SHA256, secret);
        let hash = hash(&key, values.iter().map(String::as_bytes));
        Self { columns: columns.to_vec(), hash }
    }
}

/// The keyed hash of values: each with its length, so that the border between two of them counts.
fn hash<'v>(key: &Key, values: impl Iterator<Item = &'v [u8]>) -> Digest {
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        bytes.extend_from_slice(value);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(sign(key, &bytes).as_ref());
    Digest::from(hash)
}

/// People who are named by the values of the same columns.
#[derive(Debug)]
struct Named {
    /// The numbers of the columns in the schema.
    columns: Vec<usize>,
    hashes: HashSet<Digest>,
}

/// The people who were erased, for rows of one schema.
#[derive(Debug)]
pub struct Forgotten {
    key: Key,
    named: Vec<Named>,
}

impl Forgotten {
    /// Those of `tombstones`; `None` if there are none.
    ///
    /// # Errors
    /// `Config` if the schema lacks a column by which somebody was named: their rows could come back.
    pub fn of(
        secret: &Secret,
        tombstones: &[Tombstone],
        schema: &Schema,
    ) -> Result<Option<Arc<Self>>> {
        let mut named: Vec<Named> = Vec::new();
        for Tombstone { columns, hash } in tombstones {
            let place = |name: &String| {
                let is = |role| matches!(role, Role::Id | Role::Categorical);
                let found = schema.columns().iter().position(|c| c.name == *name && is(c.role));
                found.ok_or_else(|| {
                    Error::data(format!(
                        "people were erased by their values of the column \"{}\", which \"schema\" does \
                         not have as an id or a category any more: their rows could come back. Put the \
                         column back; nothing was changed",
                        text::name(name)
                    ))
                })
            };
            let columns = columns.iter().map(place).collect::<Result<Vec<usize>>>()?;
            match named.iter_mut().find(|named| named.columns == columns) {
                Some(named) => _ = named.hashes.insert(*hash),
                None => named.push(Named { columns, hashes: HashSet::from([*hash]) }),
            }
        }
        let key = Key::new(HMAC_SHA256, secret);
        Ok((!named.is_empty()).then(|| Arc::new(Self { key, named })))
    }

    /// Whether the canonical `row` is one of theirs; `cells` is only used for memory.
    pub(crate) fn has_row(&self, row: &[u8], cells: &mut CanonicalCells) -> bool {
        cells.look_at(row);
        self.named.iter().any(|named| {
            let values: Vec<_> = named.columns.iter().map(|at| cells.value(row, *at)).collect();
            named.hashes.contains(&hash(&self.key, values.iter().map(|value| &**value)))
        })
    }

    /// Whether a row is one of theirs whose text in a column of the schema, by its number, is `value`.
    pub(crate) fn has_values<'v>(&self, value: impl Fn(usize) -> Option<&'v str>) -> bool {
        self.named.iter().any(|named| {
            let values: Option<Vec<&str>> = named.columns.iter().map(|at| value(*at)).collect();
            values.is_some_and(|values| {
                named.hashes.contains(&hash(&self.key, values.iter().map(|v| v.as_bytes())))
            })
        })
    }

    /// Whether a record of which nobody knows the columns may be one of theirs: neighbouring cells, however
    /// they are separated, have their values.
    pub(crate) fn may_have(&self, record: &[u8]) -> bool {
        let mut fields = Vec::new();
        record::scan_header(record, true, &mut fields);
        let whole = fields.iter().map(|field| value(record, *field).unwrap_or_default()).collect();
        let record = String::from_utf8_lossy(record);
        let separators = |c: char| ",;|\t:{}[]\"\n\r".contains(c);
        let pieces = record.split(separators).map(cleaned).filter(|piece| !piece.is_empty());
        let words = record.split_whitespace().map(cleaned);
        let (pieces, words): (Vec<String>, Vec<String>) = (pieces.collect(), words.collect());
        [whole, pieces, words].iter().any(|cells| self.is_among(cells))
    }

    fn is_among(&self, cells: &[String]) -> bool {
        self.named.iter().any(|named| {
            cells.windows(named.columns.len()).any(|values| {
                named.hashes.contains(&hash(&self.key, values.iter().map(String::as_bytes)))
            })
        })
    }

    /// Whether a rejected record is one of theirs, of a file whose fields have these `positions` in the schema.
    fn has_record(&self, record: &[u8], shape: Shape, positions: &[Option<usize>]) -> bool {
        let mut fields = Vec::new();
        let whole = Shape { max_bytes: usize::MAX, ..shape };
        let split = record::next(record, 0, whole, &mut fields);
        if !matches!(split, Next::Record { problem: None, .. }) {
            return self.may_have(record);
        }
        self.named.iter().any(|named| {
            let values: Option<Vec<String>> = named
                .columns
                .iter()
                .map(|column| value(record, *fields.get((*positions.get(*column)?)?)?))
                .collect();
            values.is_some_and(|values| {
                named.hashes.contains(&hash(&self.key, values.iter().map(String::as_bytes)))
            })
        })
    }

    /// Takes their rows out of a piece of records of `shape`, whose fields have these `positions`; returns
    /// where they were.
    pub(super) fn leave_out(
        &self,
        rows: &mut Rows,
        shape: Shape,
        positions: &[Option<usize>],
    ) -> Vec<Gone> {
        let mut cells = CanonicalCells::default();
        let mut gone = Vec::new();
        rows.leave_out(
            |row, bytes| {
                let is = self.has_row(bytes, &mut cells);
                gone.extend(is.then_some(Gone { line: u64::from(row.line), lines: row.lines }));
                is
            },
            |_| false,
        );
        let is = |rejected: &Rejected| self.has_record(&rejected.record, shape, positions);
        take_out(rows.rejected, &mut gone, is);
        gone.sort_by_key(|gone| gone.line);
        gone
    }

    /// Takes their records out of those that a decoder refused, whose own bytes are known by now.
    pub(super) fn leave_out_refused(&self, parsed: &mut Parsed, refused: &[Refused]) {
        let Parsed { rejected, gone, .. } = parsed;
        take_out(rejected, gone, |rejected| {
            refused.binary_search_by_key(&rejected.line, |r| u64::from(r.line)).is_ok()
                && self.may_have(&rejected.record)
        });
        gone.sort_by_key(|gone| gone.line);
    }
}

fn take_out(rejected: &mut Vec<Rejected>, gone: &mut Vec<Gone>, is: impl Fn(&Rejected) -> bool) {
    rejected.retain(|rejected| {
        let is = is(rejected);
        gone.extend(is.then_some(Gone { line: rejected.line, lines: rejected.lines }));
        !is
    });
}

/// The value of a field of `record`; `None` if it is not in it.
fn value(record: &[u8], field: Field) -> Option<String> {
    let text = String::from_utf8_lossy(record.get(field.start..field.end)?);
    let mut ignored = FormatChanges::default();
    Some(clean::bare(&text, field.quoted, field.escaped, &mut ignored).into_owned())
}

/// A value as ingestion would clean it.
pub(crate) fn cleaned(value: &str) -> String {
    clean::bare(value, false, false, &mut FormatChanges::default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schema::SchemaFields;

    const SECRET: Secret = [7; 32];

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn schema(id: &[&str]) -> Schema {
        Schema::new(SchemaFields {
            id: &names(id),
            numeric: &names(&["x"]),
            target: "y",
            positive_label: "1",
            ..SchemaFields::default()
        })
    }

    fn of(id: &[&str], columns: &[&str], values: &[&str]) -> Arc<Forgotten> {
        let tombstone = Tombstone::of(&SECRET, &names(columns), &names(values));
        Forgotten::of(&SECRET, &[tombstone], &schema(id)).unwrap().unwrap()
    }

    #[test]
    fn a_person_is_found_by_all_named_values_and_by_nothing_less() {
        let mut cells = CanonicalCells::default();
        let mut has =
            |forgotten: &Forgotten, row: &str| forgotten.has_row(row.as_bytes(), &mut cells);
        let one = of(&["client", "day"], &["client"], &["Smith, John"]);
        assert!(has(&one, "\"Smith, John\",1,5,1\n") && has(&one, "\"Smith, John\",2,7,0\n"));
        assert!(!has(&one, "Smith,\"Smith, John\",5,1\n"));
        let both = of(&["client", "day"], &["client", "day"], &["ab", "c"]);
        assert!(has(&both, "ab,c,5,1\n") && !has(&both, "a,bc,5,1\n") && !has(&both, "ab,,5,1\n"));
    }

    #[test]
    fn the_hash_depends_on_the_secret_and_tells_nothing() {
        let (columns, values) = (names(&["client"]), names(&["c17"]));
        let one = Tombstone::of(&SECRET, &columns, &values);
        assert_ne!(one, Tombstone::of(&[8; 32], &columns, &values));
        assert!(!serde_json::to_string(&one).unwrap().contains("c17"));
    }

    #[test]
    fn a_schema_without_the_column_is_refused() {
        let tombstone = Tombstone::of(&SECRET, &names(&["gone"]), &names(&["a"]));
        let error = Forgotten::of(&SECRET, &[tombstone], &schema(&["client"])).unwrap_err();
        assert!(error.to_string().contains("\"gone\""), "{error}");
        assert!(Forgotten::of(&SECRET, &[], &schema(&["client"])).unwrap().is_none());
    }

    #[test]
    fn records_that_cannot_be_split_are_searched_cell_by_cell() {
        let one = of(&["client"], &["client"], &["c17"]);
        for record in
            ["c17,5", "x;c17;7;8", "{\"client\": \"c17\", \"x\": ", "\"c17\",5,1,1", " c17 |5"]
        {
            assert!(one.may_have(record.as_bytes()), "{record}");
        }
        for record in ["c170,5", "xc17,5", "", "c 17"] {
            assert!(!one.may_have(record.as_bytes()), "{record}");
        }
        // Where the columns are known, only they count.
        let shape = Shape { width: 3, max_bytes: 100 };
        let positions = [Some(1), Some(0), Some(2)];
        assert!(one.has_record(b"bad, c17 ,1", shape, &positions));
        assert!(!one.has_record(b"c17,other,1", shape, &positions));
    }
}
