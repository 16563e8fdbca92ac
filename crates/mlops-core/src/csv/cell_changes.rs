//! What cleaning changed in the cells of good rows: found afterwards, by comparing the records of a piece
//! with the rows that were made of them, so that cleaning itself pays nothing for it.
//!
//! Not for which of these rows are kept: see `dataset::read_again`.

use std::borrow::Cow;
use std::ops::Range;

use super::canonical_cells::CanonicalCells;
use super::change_kind::{ChangeKind, ChangeKinds};
use super::clean::{self, FormatChanges};
use super::number::count_changes;
use super::parse::RowParser;
use super::parsed::Parsed;
use super::record::{self, Field, Next};
use crate::table::schema::Role;

/// A cell that is not in the row as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CellChange {
    /// The number of its row among the good ones of the piece.
    pub(crate) row: usize,
    /// The number of its column in the schema.
    pub(crate) column: usize,
    /// What it was.
    pub(crate) from: Vec<u8>,
    /// What it is.
    pub(crate) to: Vec<u8>,
    /// The differences; at least one.
    pub(crate) kinds: ChangeKinds,
}

/// What counts as a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cells {
    /// The text between two commas, with its quotes: of files that are comma-separated themselves.
    Texts,
    /// The content without quotes, which decoders of other formats set as they need them.
    Contents,
}

impl RowParser<'_> {
    /// Finds the changes in the rows `parsed` from `chunk`, in their order; replaces those in `out`.
    pub(crate) fn cell_changes(
        &mut self,
        chunk: &[u8],
        cells: Cells,
        parsed: &Parsed,
        out: &mut Vec<CellChange>,
    ) {
        out.clear();
        let mut fields = Vec::new();
        let mut canonical = CanonicalCells::default();
        let (mut at, mut line) = (0, 0);
        let mut rows = parsed.rows.iter().enumerate().peekable();
        while at < chunk.len()
            && let Some((number, row)) = rows.peek().copied()
        {
            if row.line == line
                && let Some(place) = row.extent.in_chunk()
            {
                // It is there as it should be.
                rows.next();
                (at, line) = (place.end, line + row.lines);
                continue;
            }
            let (end, spans) = match record::next(chunk, at, self.shape(), &mut fields) {
                Next::Record { end, lines, .. } => (end, lines),
                Next::Blank(end) => (end, 1),
            };
            if row.line == line {
                rows.next();
                let bytes = parsed.bytes(chunk, row.extent);
                canonical.look_at(bytes);
                let length = record::without_line_end(&chunk[at..end]).len();
                let record = Record { chunk, end: at + length, fields: &fields, cells };
                self.compare(number, record, (bytes, &canonical), out);
            }
            line += spans;
            at = end;
        }
    }

    fn compare(
        &mut self,
        row: usize,
        record: Record,
        (bytes, canonical): (&[u8], &CanonicalCells),
        out: &mut Vec<CellChange>,
    ) {
        let schema = self.schema;
        for (column, of) in schema.columns().iter().enumerate() {
            let Some(position) = self.layout.positions[column] else { continue };
            let (from, to) = match record.cells {
                Cells::Texts => (
                    Cow::Borrowed(&record.chunk[record.place(position)]),
                    Cow::Borrowed(canonical.spelt(bytes, column)),
                ),
                Cells::Contents => (record.content(position), canonical.value(bytes, column)),
            };
            if from == to {
                continue;
            }
            let is = canonical.value(bytes, column);
            let kinds = self.kinds(of.role, record, position, &is);
            let (from, to) = (from.into_owned(), to.into_owned());
            out.push(CellChange { row, column, from, to, kinds });
        }
    }

    /// How the cell in the field `position` of `record` differs from its value `is`.
    fn kinds(&self, role: Role, record: Record, position: usize, is: &[u8]) -> ChangeKinds {
        let field = record.fields[position];
        // The whole record is UTF-8, or it would not be a row.
        let raw = std::str::from_utf8(&record.chunk[field.start..field.end]).unwrap_or_default();
        let mut changes = FormatChanges::default();
        let value = clean::bare(raw, field.quoted, field.escaped, &mut changes);
        let mut kinds = ChangeKinds::default();
        let gone = is.is_empty() && !value.is_empty();
        if gone {
            let missing = self.options.missing_values.iter().any(|spelling| *spelling == value)
                || (role == Role::Numeric && self.is_missing_number(&value));
            kinds.add(ChangeKind::Missing, missing);
            kinds.add(ChangeKind::Discarded, !missing);
        } else if role == Role::Numeric && !is.is_empty() {
            count_changes(&value, self.numbers, is, &mut changes);
        } else if role == Role::Date {
            changes.number_format += u64::from(value.as_bytes() != is);
        } else if role == Role::Target {
            changes.label_case += u64::from(value.as_bytes() != is);
        }
        let blanks = field.quoted && record.place(position).end > field.end + 1;
        for (kind, applies) in [
            (ChangeKind::Trimmed, changes.trimmed > 0 || blanks),
            (ChangeKind::Invisible, changes.invisible > 0),
            (ChangeKind::Unquoted, changes.unquoted > 0),
            (ChangeKind::LeadingZero, changes.leading_zero > 0),
            (ChangeKind::ThousandsSeparator, changes.thousands_separator > 0),
            (ChangeKind::DecimalComma, changes.decimal_comma > 0),
            (ChangeKind::DecimalToInteger, changes.decimal_to_integer > 0),
            (ChangeKind::NumberFormat, changes.number_format > 0),
            (ChangeKind::LabelCase, changes.label_case > 0),
        ] {
            kinds.add(kind, applies);
        }
        if record.cells == Cells::Contents {
            kinds.leave_out(ChangeKind::Unquoted);
        }
        // What else may differ are the quotes of a value that needs them.
        kinds.add(ChangeKind::Quoted, kinds.is_empty());
        kinds
    }
}

/// A record with its fields.
#[derive(Clone, Copy)]
struct Record<'a> {
    chunk: &'a [u8],
    /// Where its line end begins.
    end: usize,
    fields: &'a [Field],
    cells: Cells,
}

impl<'a> Record<'a> {
    /// Where the text of the field `at` is, with quotes and what stands beside them.
    fn place(self, at: usize) -> Range<usize> {
        let start = |field: &Field| field.start - usize::from(field.quoted);
        let end = self.fields.get(at + 1).map_or(self.end, |next| start(next) - 1);
        start(&self.fields[at])..end
    }

    /// The content of the field `at`.
    fn content(self, at: usize) -> Cow<'a, [u8]> {
        let field = self.fields[at];
        let raw = &self.chunk[field.start..field.end];
        if !field.escaped {
            return Cow::Borrowed(raw);
        }
        let mut content = Vec::with_capacity(raw.len());
        let mut bytes = raw.iter();
        while let Some(byte) = bytes.next() {
            content.push(*byte);
            if *byte == b'"' {
                bytes.next();
            }
        }
        Cow::Owned(content)
    }
}
