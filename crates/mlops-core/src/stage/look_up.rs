//! Looks rows of a data set up by their ids, in bounded memory.
//!
//! A CSV file is searched for the bytes of an id, and only records near them are split; a Parquet file is read row by row.
//! Not for predictions that were logged: see [`crate::prediction_log::lookup`].

use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use memchr::{memchr_iter, memmem, memrchr_iter};
use serde::Serialize;

use super::ingest::identity;
use crate::csv::reader::RowReader;
use crate::ids::{DatasetVersion, Form};
use crate::ledger::{DatasetRecord, Ledger};
use crate::platform::files;
use crate::run::context::Context;
use crate::table::quote::{push_text, records};
use crate::{Error, Result};

/// The most rows that are found at a time.
const MOST: usize = 50;
/// Bytes of a CSV file that are searched at a time, and read at once; a longer record is an error.
const BUDGET: u64 = 1 << 30;
const PIECE: usize = 4 << 20;
const LONGEST: usize = 64 << 20;

/// Rows of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FoundRows {
    /// The data set.
    pub dataset: DatasetVersion,
    /// The name of its file.
    pub file: String,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// The rows, each with its cells as they are spelt in the data set.
    pub rows: Vec<Vec<String>>,
    /// Where the search goes on, in bytes, if it did not reach the end.
    pub next: Option<u64>,
}

/// The rows of the newest data set, or of `version`, whose columns have the values `ids`, from byte `from` on; `None` if
/// there is no such data set any more.
///
/// # Errors
/// `Io` if it cannot be read; `Data` if a column is not there.
pub fn find(
    context: &Context,
    version: Option<DatasetVersion>,
    ids: &[(String, String)],
    from: u64,
) -> Result<Option<FoundRows>> {
    let Some(ledger) = Ledger::open_to_read(&context.config.ledger_path())? else {
        return Ok(None);
    };
    let data = match version {
        Some(version) => ledger.dataset(version)?,
        None => ledger.latest_dataset()?,
    };
    let Some(data) = data.filter(|data| data.location.is_file()) else { return Ok(None) };
    let mut found = FoundRows {
        dataset: data.version,
        file: data.name(),
        columns: data.columns.clone(),
        rows: Vec::new(),
        next: None,
    };
    match data.form() {
        Form::Csv => found.search(&data.location, ids, from)?,
        Form::Parquet => found.read(context, &ledger, &data, ids)?,
    }
    Ok(Some(found))
}

/// What is looked for: places of columns, with their texts.
struct Wanted(Vec<(usize, String)>);

impl Wanted {
    fn of(columns: &[String], ids: &[(String, String)]) -> Result<Self> {
        let place = |(name, text): &(String, String)| {
            let place = columns.iter().position(|column| column == name);
            let place = place.ok_or_else(|| {
                Error::data(format!("the data set has no column \"{}\"", crate::text::name(name)))
            })?;
            Ok((place, text.clone()))
        };
        ids.iter().map(place).collect::<Result<_>>().map(Self)
    }

    fn is(&self, row: &[String]) -> bool {
        self.0.iter().all(|(place, text)| row.get(*place) == Some(text))
    }

    /// The longest text as a data set spells it.
    fn needle(&self) -> Vec<u8> {
        let longest = self.0.iter().map(|(_, text)| text).max_by_key(|text| text.len());
        let mut needle = Vec::new();
        push_text(longest.map_or("", String::as_str), &mut needle);
        needle
    }
}

impl FoundRows {
    fn search(&mut self, path: &Path, ids: &[(String, String)], from: u64) -> Result<()> {
        let failed = |e| Error::io("read", path, e);
        let mut file = files::open(path).map_err(failed)?.0;
        let mut piece = Vec::new();
        fill(&mut file, &mut piece, path)?;
        let (head, names) = match records(&piece).next() {
            Some((raw, names)) => (raw.len() as u64, names),
            None => return Ok(()),
        };
        self.columns = names;
        let wanted = Wanted::of(&self.columns, ids)?;
        let needle = wanted.needle();
        let finder = memmem::Finder::new(&needle);
        let mut place = from.max(head);
        piece.clear();
        file.seek(SeekFrom::Start(place)).map_err(failed)?;
        let begin = place;
        loop {
            let at_end = fill(&mut file, &mut piece, path)?;
            let end = if at_end { piece.len() } else { last_end(&piece) };
            if end == 0 && at_end {
                return Ok(());
            }
            if finder.find(&piece[..end]).is_some() {
                let mut next = place;
                for (raw, row) in records(&piece[..end]) {
                    if self.rows.len() == MOST {
                        self.next = Some(next);
                        return Ok(());
                    }
                    next += raw.len() as u64;
                    if wanted.is(&row) {
                        self.rows.push(row);
                    }
                }
            }
            place += end as u64;
            piece.drain(..end);
            if at_end {
                return Ok(());
            }
            if place - begin >= BUDGET {
                self.next = Some(place);
                return Ok(());
            }
        }
    }

    fn read(
        &mut self,
        context: &Context,
        ledger: &Ledger,
        data: &DatasetRecord,
        ids: &[(String, String)],
    ) -> Result<()> {
        let schema = identity::schema_of(context, ledger)?;
        let wanted = Wanted::of(&self.columns, ids)?;
        let needle = wanted.needle();
        let finder = memmem::Finder::new(&needle);
        let reader = RowReader::labelled(&schema, &context.config.ingestion);
        reader.without_hashes().without_digest().rows(&data.location, |row| {
            if self.rows.len() < MOST && finder.find(row).is_some() {
                self.rows.extend(records(row).map(|(_, row)| row).filter(|row| wanted.is(row)));
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Reads until `piece` has a whole record; returns whether the file ended.
fn fill(file: &mut std::fs::File, piece: &mut Vec<u8>, path: &Path) -> Result<bool> {
    loop {
        let before = piece.len();
        let read = file.by_ref().take(PIECE as u64).read_to_end(piece);
        let read = read.map_err(|e| Error::io("read", path, e))?;
        if read == 0 {
            return Ok(true);
        }
        if last_end(piece) > 0 {
            return Ok(false);
        }
        if before > LONGEST {
            let error = std::io::Error::new(ErrorKind::InvalidData, "a record is too long");
            return Err(Error::io("read", path, error));
        }
    }
}

/// The end of the last whole record of `piece`, which begins with one; a line end within quotes is none.
fn last_end(piece: &[u8]) -> usize {
    let mut before = memchr_iter(b'"', piece).count();
    let mut end = piece.len();
    for line_end in memrchr_iter(b'\n', piece) {
        before -= memchr_iter(b'"', &piece[line_end..end]).count();
        end = line_end;
        if before.is_multiple_of(2) {
            return line_end + 1;
        }
    }
    0
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a plain file is the scene"
)]
mod tests {
    use super::*;

    fn search(text: &str, ids: &[(&str, &str)], from: u64) -> FoundRows {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut found = FoundRows {
            dataset: DatasetVersion(1),
            file: String::new(),
            columns: Vec::new(),
            rows: Vec::new(),
            next: None,
        };
        let ids: Vec<_> = ids.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        found.search(file.path(), &ids, from).unwrap();
        found
    }

    #[test]
    fn rows_are_found_by_all_their_ids_wherever_a_piece_ends() {
        let mut text = "client,day,note,exited\n".to_owned();
        for i in 0..120_000 {
            text += &format!("c{i},2026-01-01,\"a, \"\"b\"\"\nc{i}\",0\n");
        }
        text += "c7,2026-02-01,x,1\n\"c,\"\"\",2026-02-01,c7,1\n";
        assert!(text.len() > PIECE, "{}", text.len());
        let found = search(&text, &[("client", "c7")], 0);
        let days: Vec<&str> = found.rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!((days, found.next), (vec!["2026-01-01", "2026-02-01"], None));
        assert_eq!(found.rows[0][2], "a, \"b\"\nc7");
        let both = search(&text, &[("client", "c7"), ("day", "2026-02-01")], 0);
        assert_eq!(both.rows, [found.rows[1].clone()]);
        for i in [0, 61_234, 119_999] {
            assert_eq!(
                search(&text, &[("client", &format!("c{i}"))], 0).rows.len(),
                1 + usize::from(i == 7)
            );
        }
        assert_eq!(search(&text, &[("client", "c,\"")], 0).rows.len(), 1);
        assert!(search(&text, &[("client", "nobody")], 0).rows.is_empty());
        // Many rows come in parts.
        let (mut from, mut all) = (0, 0);
        loop {
            let part = search(&text, &[("day", "2026-01-01")], from);
            all += part.rows.len();
            match part.next {
                Some(next) if all < 500 => from = next,
                _ => break,
            }
        }
        assert_eq!(all, 500);
    }

    #[test]
    fn a_column_that_is_not_there_is_told_and_an_empty_file_has_nothing() {
        assert!(search("", &[("a", "b")], 0).rows.is_empty());
        assert!(search("a\n", &[("a", "b")], 0).rows.is_empty());
        assert_eq!(search("a\nb", &[("a", "b")], 0).rows, [["b"]]);
        assert!(Wanted::of(&["a".to_owned()], &[("b".to_owned(), String::new())]).is_err());
    }
}
