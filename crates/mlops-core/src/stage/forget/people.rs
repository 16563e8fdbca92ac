//! The people to be erased, as the user gives them: one CSV record for each, with the values of the id
//! columns.
//!
//! Not for recognising their rows: see [`crate::csv::forgotten`].

use std::path::Path;
use std::sync::Arc;

use super::Request;
use crate::csv::forgotten::{Forgotten, Secret, Tombstone, cleaned};
use crate::platform::files;
use crate::table::schema::{Role, Schema};
use crate::{Error, Result, text};

/// The people who are to be erased.
pub(super) struct People {
    pub(super) tombstones: Vec<Tombstone>,
    /// The values that name each.
    pub(super) values: Vec<Vec<String>>,
    /// Recognises their rows.
    pub(super) forgotten: Arc<Forgotten>,
    /// How many of them were erased before.
    pub(super) known: u64,
}

impl People {
    /// Those whom `request` names, of whom some are `known`; the columns `kept` are beside the ids of `schema` and
    /// identify nobody. No error repeats a value.
    pub(super) fn of(
        request: &Request,
        (schema, kept): (&Schema, &[String]),
        secret: &Secret,
        known: &[Tombstone],
    ) -> Result<Self> {
        let columns = columns(request, schema, kept)?;
        let (mut tombstones, mut values) = (Vec::new(), Vec::new());
        let from_file = request.file.as_deref().map(listed).transpose()?;
        for (at, record) in request.people.iter().chain(&from_file).enumerate() {
            let of = format!("entry {} of the people to forget", at + 1);
            let mut reader = ::csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(record.as_bytes());
            for record in reader.records() {
                let record = record.map_err(|_| Error::data(format!("{of} is no CSV record")))?;
                if record.len() != columns.len() {
                    return Err(Error::data(format!(
                        "{of} has {}, but a person is identified by {}: {}. Quote a value that contains a \
                         comma. Nothing was changed",
                        text::plural(record.len() as u64, "value"),
                        text::plural(columns.len() as u64, "column"),
                        text::names(&columns)
                    )));
                }
                let named: Vec<String> = record.iter().map(cleaned).collect();
                if named.iter().all(String::is_empty) {
                    return Err(Error::data(format!("{of} is empty, and names nobody")));
                }
                let tombstone = Tombstone::of(secret, &columns, &named);
                if !tombstones.contains(&tombstone) {
                    tombstones.push(tombstone);
                    values.push(named);
                }
            }
        }
        let Some(forgotten) = Forgotten::of(secret, &tombstones, schema)? else {
            return Err(Error::data("nobody is named who is to be forgotten"));
        };
        let before = tombstones.iter().filter(|tombstone| known.contains(tombstone)).count();
        Ok(Self { tombstones, values, forgotten, known: before as u64 })
    }
}

/// The text of a list of people.
fn listed(path: &Path) -> Result<String> {
    let failed = |e| Error::io("read", path, e);
    if path == Path::new("-") {
        return std::io::read_to_string(std::io::stdin()).map_err(failed);
    }
    let bytes = files::read(path).map_err(failed)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::data(format!("{} is not UTF-8: convert it", path.display())))
}

/// The columns that name a person.
fn columns(request: &Request, schema: &Schema, kept: &[String]) -> Result<Vec<String>> {
    let texts: Vec<&str> = schema.names(Role::Id).chain(schema.names(Role::Categorical)).collect();
    if let Some(unknown) = request.by.iter().find(|name| !texts.contains(&name.as_str())) {
        return Err(Error::data(format!(
            "\"{}\" is neither an id nor a category of \"schema\": there are {}",
            text::name(unknown),
            text::names(&texts)
        )));
    }
    let ids = || {
        let ids = schema.names(Role::Id).map(str::to_owned);
        ids.filter(|name| !kept.contains(name)).collect()
    };
    let columns: Vec<String> = if request.by.is_empty() { ids() } else { request.by.clone() };
    if columns.is_empty() {
        return Err(Error::data(
            "\"schema.id\" is empty, so that no row belongs to a person: name the columns by which \
             people are known with `--by`",
        ));
    }
    Ok(columns)
}
