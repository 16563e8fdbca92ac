//! Writes the joined rows as a CSV file: all rows of the left file in order, then those rows of the
//! right file that have no partner, in order.
//!
//! If all columns are compared, a line is the row and `_merge`. With `--on`, it is the key, the
//! other cells of the left row, those of the right row, `_rows` (how often the key occurs on each
//! side, as `2:1`) and `_merge`. Not for classifying rows: see [`crate::join`].

use std::collections::HashSet;
use std::path::Path;

use mlops_core::platform::disk::{Disk, NewFile};
use mlops_core::table::quote::push_text;
use mlops_core::{Error, Result, text};

use crate::columns::Columns;
use crate::groups::Counts;
use crate::rows::Numbered;
use crate::spool::Spool;

/// The column that says in which files a row is.
pub const MERGE: &str = "_merge";
const ROWS: &str = "_rows";
const BUFFER_BYTES: usize = 1 << 20;

/// In which files a row, or its key, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    LeftOnly,
    RightOnly,
    Both,
}

impl Merge {
    /// The end of a line.
    fn ending(self) -> &'static [u8] {
        match self {
            Self::LeftOnly => b",left_only\n",
            Self::RightOnly => b",right_only\n",
            Self::Both => b",both\n",
        }
    }
}

/// The file of joined rows, not yet published.
#[derive(Debug)]
pub(crate) struct JoinedFile {
    file: NewFile,
    buffer: Vec<u8>,
    rows: u64,
}

impl JoinedFile {
    /// Starts a file that will be published as `path`, with its header.
    pub(crate) fn create(disk: &Disk, path: &Path, columns: &Columns) -> Result<Self> {
        let mut joined = Self { file: disk.new_file(path)?, buffer: Vec::new(), rows: 0 };
        for (i, name) in names(columns)?.iter().enumerate() {
            if i > 0 {
                joined.buffer.push(b',');
            }
            push_text(name, &mut joined.buffer);
        }
        joined.buffer.push(b'\n');
        Ok(joined)
    }

    /// Appends a line.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(line);
        self.rows += 1;
        self.flush(BUFFER_BYTES)
    }

    fn flush(&mut self, least: usize) -> Result<()> {
        if self.buffer.len() >= least {
            self.file.write_all(&self.buffer)?;
            self.file.start_writeback()?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes the rest; returns the file, to be published, and the number of its rows.
    pub(crate) fn finish(mut self) -> Result<(NewFile, u64)> {
        self.flush(1)?;
        Ok((self.file, self.rows))
    }
}

/// The header.
fn names(columns: &Columns) -> Result<Vec<String>> {
    let mut names = columns.on.clone();
    if columns.keyed {
        for side in ["left", "right"] {
            names.extend(columns.compared.iter().map(|name| format!("{name}_{side}")));
        }
        names.push(ROWS.to_owned());
    }
    names.push(MERGE.to_owned());
    let mut known = HashSet::new();
    match names.iter().find(|name| !known.insert(name.as_str())) {
        Some(name) => Err(Error::data(format!(
            "the joined rows would have two columns \"{}\": rename that column in both files, \
             or compare without --output",
            text::visible(name)
        ))),
        None => Ok(names),
    }
}

/// The destination of joined rows.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// Joined rows are not wanted.
    Nowhere,
    /// The file, in the order in which they come.
    File(&'a mut JoinedFile),
    /// A run of lines that will be merged with others by their numbers.
    Run(&'a mut Spool, usize),
}

/// Formats joined rows as lines.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    target: Target<'a>,
    /// The number of cells after the key; `None` on all columns.
    others: Option<usize>,
    line: Vec<u8>,
}

impl<'a> Sink<'a> {
    /// A sink for a comparison of `columns`.
    pub(crate) fn new(target: Target<'a>, columns: &Columns) -> Self {
        let others = columns.keyed.then_some(columns.compared.len());
        Self { target, others, line: Vec::new() }
    }

    /// Adds the row of either file, or of both; for equal rows the left one suffices.
    #[inline]
    pub(crate) fn put(
        &mut self,
        ordinal: u64,
        merge: Merge,
        rows: (Option<Numbered>, Option<Numbered>),
        counts: Counts,
    ) -> Result<()> {
        match &mut self.target {
            Target::Nowhere => Ok(()),
            Target::File(file) => {
                push_line(&mut file.buffer, self.others, merge, rows, counts);
                file.rows += 1;
                file.flush(BUFFER_BYTES)
            }
            Target::Run(spool, run) => {
                self.line.clear();
                push_line(&mut self.line, self.others, merge, rows, counts);
                spool.push(*run, ordinal, &self.line, 0)
            }
        }
    }
}

fn push_line(
    out: &mut Vec<u8>,
    others: Option<usize>,
    merge: Merge,
    (left, right): (Option<Numbered>, Option<Numbered>),
    counts: Counts,
) {
    let Some(row) = left.or(right) else { return };
    let without_newline = |row: &Numbered| row.row.len() - 1;
    let Some(others) = others else {
        out.extend_from_slice(&row.row[..without_newline(&row)]);
        out.extend_from_slice(merge.ending());
        return;
    };
    out.extend_from_slice(row.key_bytes());
    for side in [left, right] {
        match side {
            Some(row) => out.extend_from_slice(&row.row[row.key as usize..without_newline(&row)]),
            None => out.resize(out.len() + others, b','),
        }
    }
    out.push(b',');
    let mut number = itoa::Buffer::new();
    out.extend_from_slice(number.format(counts.left).as_bytes());
    out.push(b':');
    out.extend_from_slice(number.format(counts.right).as_bytes());
    out.extend_from_slice(merge.ending());
}
