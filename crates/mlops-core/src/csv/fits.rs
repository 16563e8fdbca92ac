//! Whether the header of a file has the columns of the schema, under the names that its source has for them.
//!
//! Not for its rows: see [`super::parse`].

use std::path::Path;

use crate::Result;
use crate::config::Ingestion;
use crate::config::contract::Contract;
use crate::table::schema::Schema;
use crate::text;

use super::chunk::{CHUNK_BYTES, ChunkReader};
use super::clean::FormatChanges;
use super::formats;
use super::header::{Layout, Purpose, names};

/// What is wrong with the columns of the file at `path`, read as `options` say and held against `contract`;
/// `None` if nothing is, or if it has no header yet.
pub fn fault(
    path: &Path,
    options: &Ingestion,
    schema: &Schema,
    contract: Option<&Contract>,
) -> Result<Option<String>> {
    let (opened, _) = formats::open(path, options, &options.columns.theirs(schema), 1)?;
    let mut reader = ChunkReader::of(opened, path, CHUNK_BYTES).without_digest();
    let Some(header) = reader.header()? else { return Ok(None) };
    let place = path.display().to_string();
    let found = names(&header.bytes, &header.fields, &place, &mut FormatChanges::default())?;
    let absent = |theirs: &&String| !found.contains(theirs);
    let gone: Vec<&String> = options.columns.0.keys().filter(absent).collect();
    if !gone.is_empty() {
        return Ok(Some(format!(
            "\"columns\" names {}, which the file does not have; it has: {}. Correct \"columns\"",
            text::names(gone),
            text::names(&found)
        )));
    }
    let purpose = Purpose::of_rows(contract);
    let layout = Layout::of(&header, &options.columns, schema, purpose, &place);
    Ok(layout.err().map(|error| error.to_string()))
}
