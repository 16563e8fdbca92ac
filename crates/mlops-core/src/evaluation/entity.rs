//! Entities (a client, a machine), whose rows are all used for training or all for testing.
//!
//! A model trained on Monday's row of a client knows something about Tuesday's, so a test on Tuesday's
//! row is too optimistic. Users name the columns that identify an entity in `holdout.group`; the word
//! "group" in the configuration means an entity here. By default these are the id columns; without ids
//! each row is an entity of its own. Entities are stored as 128-bit hashes keyed with the workspace's
//! secret. Duplicate rows are found in `dataset::dedup`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::config::Holdout;
use crate::table::schema::{Role, Schema};
use crate::table::{Table, TextColumn};

/// How entities are identified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Rows with the same cells in these columns belong to one entity.
    Columns(Vec<String>),
    /// Each row is an entity, and equal rows are the same one: the schema has ids.
    Rows,
    /// Each row is an entity, and equal rows are different ones that cannot be told apart.
    LookAlikes,
}

impl Identity {
    /// The identity that the configuration asks for.
    pub fn of(holdout: &Holdout, schema: &Schema) -> Self {
        let ids = || schema.names(Role::Id).map(str::to_owned);
        let columns = match &holdout.group {
            Some(group) => group.clone(),
            // Rows are split by time: an entity may be on both sides, earlier and later.
            None if holdout.time.is_some() => Vec::new(),
            None => ids().collect(),
        };
        match columns.is_empty() {
            false => Self::Columns(columns),
            true if ids().next().is_some() => Self::Rows,
            true => Self::LookAlikes,
        }
    }

    /// Whether equal hashes mean the same entity.
    pub fn tells(&self) -> bool {
        *self != Self::LookAlikes
    }

    /// Computes entities for tables of `schema` under `key`; `None` if the schema lacks a column.
    pub fn hasher(&self, schema: &Schema, key: u64) -> Option<Entities> {
        let columns = match self {
            Self::Columns(names) => {
                let place = |name: &String| Place::of(schema, name);
                names.iter().map(place).collect::<Option<Vec<_>>>()?
            }
            Self::Rows | Self::LookAlikes => Vec::new(),
        };
        let place = |column: &crate::table::schema::Column| Place::of(schema, &column.name);
        let all = schema.columns().iter().filter_map(place).collect();
        Some(Entities { columns, all, key })
    }
}

/// The position of a column in a [`Table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Id(usize),
    Numeric(usize),
    Categorical(usize),
}

impl Place {
    /// The position of the column `name`; `None` for the label and for unknown names.
    pub(crate) fn of(schema: &Schema, name: &str) -> Option<Self> {
        let at = |role| schema.names(role).position(|other| other == name);
        at(Role::Id)
            .map(Self::Id)
            .or_else(|| schema.numbers().position(|other| other == name).map(Self::Numeric))
            .or_else(|| at(Role::Categorical).map(Self::Categorical))
    }

    /// The text in row `i`; `None` for a numeric column.
    pub(crate) fn text(self, table: &Table, i: usize) -> Option<&str> {
        match self {
            Self::Id(j) => table.ids.get(j).map(|column| column.get(i)),
            Self::Categorical(j) => table.categorical.get(j).map(|column| column.get(i)),
            Self::Numeric(_) => None,
        }
    }

    /// The number in row `i`; `None` for a text column.
    pub(crate) fn number(self, table: &Table, i: usize) -> Option<f64> {
        match self {
            Self::Numeric(j) => table.numeric.get(j).map(|column| column[i]),
            Self::Id(_) | Self::Categorical(_) => None,
        }
    }
}

/// Computes the entities of a table's rows, which must have been read with their ids.
#[derive(Debug, Clone)]
pub struct Entities {
    /// Empty if each row is an entity of its own.
    columns: Vec<Place>,
    all: Vec<Place>,
    key: u64,
}

impl Entities {
    /// Writes the entity of each row of `table` to `out`.
    pub fn of(&self, table: &Table, out: &mut Vec<u128>) {
        out.clear();
        if let Some(texts) = self.only_id(table) {
            out.extend(texts.iter().map(|text| named_entity(text, self.key)));
            return;
        }
        let mut bytes = Vec::new();
        for i in 0..table.len() {
            bytes.clear();
            let named = Self::spell(&self.columns, table, i, &mut bytes);
            if !named {
                // A row without any value in these columns is an entity of its own.
                bytes.clear();
                Self::spell(&self.all, table, i, &mut bytes);
                bytes.push(u8::from(table.labels.get(i).copied().unwrap_or_default()));
            }
            out.push(xxh3_128_with_seed(&bytes, self.key));
        }
    }

    /// The id column that identifies the entity, if there is exactly one and no row lacks a value
    /// in it.
    fn only_id<'a>(&self, table: &'a Table) -> Option<&'a TextColumn> {
        let [Place::Id(j)] = self.columns[..] else { return None };
        table.ids.get(j).filter(|texts| texts.len() == table.len() && texts.has_no_gap())
    }

    /// Writes the cells at `places` unambiguously; returns whether any of them has a value.
    fn spell(places: &[Place], table: &Table, i: usize, bytes: &mut Vec<u8>) -> bool {
        let mut named = false;
        for place in places {
            if let Some(number) = place.number(table, i) {
                named |= !number.is_nan();
                // Both zeros are one value, and all NaNs are one.
                let bits = if number.is_nan() { u64::MAX } else { (number + 0.0).to_bits() };
                bytes.extend_from_slice(&bits.to_le_bytes());
            } else if let Some(text) = place.text(table, i) {
                named |= !text.is_empty();
                bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
        }
        named
    }
}

/// The hash of the output of [`Entities::spell`] for a single text. Training computes it for every
/// row, so that texts of up to 56 bytes are formatted on the stack.
fn named_entity(text: &str, key: u64) -> u128 {
    const LENGTH: usize = size_of::<u64>();
    let mut bytes = [0; 64];
    bytes[..LENGTH].copy_from_slice(&(text.len() as u64).to_le_bytes());
    let end = LENGTH + text.len();
    if let Some(place) = bytes.get_mut(LENGTH..end) {
        place.copy_from_slice(text.as_bytes());
        return xxh3_128_with_seed(&bytes[..end], key);
    }
    xxh3_128_with_seed(&[&bytes[..LENGTH], text.as_bytes()].concat(), key)
}

/// Entities with the number of their rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(pub BTreeMap<u128, u32>);

/// The format version of [`Members::to_bytes`].
const FORMAT: u8 = 1;
/// Bytes of an entity and its count.
const ENTRY: usize = 20;

impl Members {
    /// Adds a row of `entity`.
    pub fn add(&mut self, entity: u128) {
        let rows = self.0.entry(entity).or_default();
        *rows = rows.saturating_add(1);
    }

    /// Takes a row of `entity` away; an entity without rows is no member.
    pub fn take(&mut self, entity: u128) {
        if let Some(rows) = self.0.get_mut(&entity) {
            *rows = rows.saturating_sub(1);
            if *rows == 0 {
                self.0.remove(&entity);
            }
        }
    }

    /// Serialises a format byte and 20 bytes per entity, in ascending order.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + ENTRY * self.0.len());
        bytes.push(FORMAT);
        for (entity, rows) in &self.0 {
            bytes.extend_from_slice(&entity.to_le_bytes());
            bytes.extend_from_slice(&rows.to_le_bytes());
        }
        bytes
    }

    /// Reads the output of [`Members::to_bytes`]; empty for another format.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let entries = bytes.strip_prefix(&[FORMAT]).unwrap_or_default();
        let (entries, _) = entries.as_chunks::<ENTRY>();
        let read = |entry: &[u8; ENTRY]| {
            let (entity, rows) = entry.split_at(16);
            Some((
                u128::from_le_bytes(entity.try_into().ok()?),
                u32::from_le_bytes(rows.try_into().ok()?),
            ))
        };
        Self(entries.iter().filter_map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schema::SchemaFields;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn schema(id: &[&str]) -> Schema {
        Schema::new(SchemaFields {
            id: &names(id),
            numeric: &names(&["x"]),
            categorical: &names(&["town"]),
            target: "y",
            positive_label: "1",
            ..SchemaFields::default()
        })
    }

    fn entities(identity: &Identity, schema: &Schema, rows: &[&[u8]]) -> Vec<u128> {
        let mut table = Table::new(schema);
        for row in rows {
            table.push_canonical(row, schema, None, true);
        }
        let mut out = vec![7];
        identity.hasher(schema, 42).unwrap().of(&table, &mut out);
        out
    }

    #[test]
    fn the_configuration_names_the_columns_ids_are_the_default() {
        let holdout = |group: Option<&[&str]>, time: Option<&str>| Holdout {
            group: group.map(names),
            time: time.map(str::to_owned),
            ..Holdout::default()
        };
        let (with, without) = (schema(&["client", "day"]), schema(&[]));
        let columns = |list: &[&str]| Identity::Columns(names(list));
        assert_eq!(Identity::of(&holdout(None, None), &with), columns(&["client", "day"]));
        assert_eq!(Identity::of(&holdout(Some(&["town"]), None), &without), columns(&["town"]));
        assert_eq!(Identity::of(&holdout(Some(&[]), None), &with), Identity::Rows);
        assert_eq!(Identity::of(&holdout(None, None), &without), Identity::LookAlikes);
        assert_eq!(Identity::of(&holdout(None, Some("day")), &with), Identity::Rows);
        let both = holdout(Some(&["client"]), Some("day"));
        assert_eq!(Identity::of(&both, &with), columns(&["client"]));
        assert!(columns(&["gone"]).hasher(&with, 1).is_none());
        assert!(!Identity::LookAlikes.tells() && Identity::Rows.tells());
    }

    #[test]
    fn rows_of_one_entity_have_one_hash_and_others_have_others() {
        let schema = schema(&["client", "day"]);
        let rows: [&[u8]; 6] = [
            b"a,1,5,x,1\n",
            b"a,2,6,x,0\n",
            b"ab,1,5,x,1\n",
            b",,5,x,1\n",
            b",,5,x,0\n",
            b"a,1,5,x,1\n",
        ];
        let found = entities(&Identity::Columns(names(&["client"])), &schema, &rows);
        assert_eq!(found[0], found[1]);
        assert!(found[0] != found[2] && found[2] != found[3]);
        assert_ne!(found[3], found[4], "a row whose entity has no name stands for itself");
        let found = entities(&Identity::Rows, &schema, &rows);
        assert!(found[0] != found[1] && found[0] == found[5]);
        // The border between two cells counts.
        let pair = Identity::Columns(names(&["client", "day"]));
        let found = entities(&pair, &schema, &[b"ab,c,1,,1\n", b"a,bc,1,,1\n"]);
        assert_ne!(found[0], found[1]);
        let number = Identity::Columns(names(&["x"]));
        let found = entities(&number, &schema, &[b"a,1,0,,1\n", b"b,1,-0,,1\n", b"b,1,0.5,,1\n"]);
        assert!(found[0] == found[1] && found[1] != found[2]);
    }

    #[test]
    fn a_single_id_gives_the_same_entity_whether_its_neighbours_have_one_or_not() {
        let schema = schema(&["client"]);
        let one = Identity::Columns(names(&["client"]));
        for name in ["a", "seven78", "eight890", "zürich", &"long ".repeat(20), &"x".repeat(56)] {
            let row = format!("{name},5,x,1\n");
            let alone = entities(&one, &schema, &[row.as_bytes()]);
            let beside = entities(&one, &schema, &[b",6,x,0\n", row.as_bytes()]);
            assert_eq!(alone[0], beside[1], "{name}");
        }
    }

    #[test]
    fn members_come_back_from_their_bytes() {
        let mut members = Members::default();
        for entity in [3, u128::MAX, 3, 0] {
            members.add(entity);
        }
        let bytes = members.to_bytes();
        assert_eq!(bytes.len(), 1 + 3 * 20);
        assert_eq!(Members::from_bytes(&bytes), members);
        assert_eq!(members.0[&3], 2);
        assert_eq!(Members::from_bytes(&[9, 1, 2]), Members::default());
    }
}
