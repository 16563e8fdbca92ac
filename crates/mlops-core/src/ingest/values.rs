//! A chunk of records straight to typed columns, for readers that do not need the rows' bytes.
//!
//! Our own data sets are spelt canonically. A row that proves to be so on the way, cell by cell, is
//! read where it stands; any other row, also one that stops being plain half-way, is taken back and
//! goes the general way ([`super::parse`]), whose canonical bytes are then read. Both ways give the
//! same values. Not for writing, and not for counting how rows were spelt.

use crate::table::{Table, number};

use super::parse::{Kind, Parsed, RowParser};
use super::spelling;

/// What a reader needs of a row besides its features and its label.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The texts of id columns.
    pub(crate) ids: bool,
    /// The identity of the row.
    pub(crate) hashes: bool,
}

impl RowParser<'_> {
    /// Reads the whole records in `chunk`, whose first byte stands at `offset` in the file, into
    /// `table`, which is cleared first. `out` gets what was rejected, and the lines.
    pub(crate) fn values(
        &mut self,
        chunk: &[u8],
        offset: u64,
        wanted: Wanted,
        out: &mut Parsed,
        table: &mut Table,
    ) {
        out.clear(self.schema.width());
        table.clear();
        let unknown = self.labels.negative.is_none();
        self.look_for_labels();
        // Labels that need quotes are not among the bare ones.
        let positive_first =
            self.bare_labels.first().is_some_and(|l| *l == self.labels.positive.as_bytes());
        let mut at = 0;
        while at < chunk.len() {
            if self.fast {
                let rows = table.len();
                if let Some(next) = self.plain_row(chunk, at, wanted, positive_first, table) {
                    out.lines += 1;
                    at = next;
                    continue;
                }
                table.truncate(rows);
            }
            at = self.row(chunk, at, offset, out);
            if let Some(row) = out.rows.pop() {
                let bytes = out.bytes(chunk, &row);
                let hash = wanted.hashes.then_some(row.hash);
                table.push_canonical(bytes, self.schema, hash, wanted.ids);
            }
        }
        if unknown {
            out.learned.clone_from(&self.labels.negative);
        }
    }

    /// Reads the row at `start` if it is plain: canonical, without quotes, ending in a bare newline.
    /// Returns where the next one starts. Else some of its cells may have been pushed.
    #[inline]
    fn plain_row(
        &self,
        bytes: &[u8],
        start: usize,
        wanted: Wanted,
        positive_first: bool,
        table: &mut Table,
    ) -> Option<usize> {
        let mut at = start;
        let (mut id, mut numeric, mut categorical) = (0_u32, 0, 0);
        let last = self.kinds.len() - 1;
        // Counted only when the whole row is good.
        let mut ids_missing = 0_u64;
        for (column, kind) in self.kinds.iter().enumerate() {
            match kind {
                Kind::Numeric => {
                    let short = spelling::short_number(bytes, at);
                    let (value, end) = short.or_else(|| {
                        let end = spelling::number_end(bytes, at)?;
                        Some((number(&bytes[at..end]), end))
                    })?;
                    table.numeric[numeric].push(value);
                    numeric += 1;
                    at = end;
                }
                Kind::Id => {
                    let end = spelling::text_end(bytes, at)?;
                    if wanted.ids {
                        table.ids[id as usize].push(std::str::from_utf8(&bytes[at..end]).ok()?);
                    }
                    // More than 64 id columns go the general way.
                    ids_missing |= u64::from(end == at).checked_shl(id)?;
                    id += 1;
                    at = end;
                }
                Kind::Categorical => {
                    let end = spelling::text_end(bytes, at)?;
                    let text = &bytes[at..end];
                    if self.options.missing_values.iter().any(|m| m.as_bytes() == text)
                        && !text.is_empty()
                    {
                        return None;
                    }
                    table.categorical[categorical].push(std::str::from_utf8(text).ok()?);
                    categorical += 1;
                    at = end;
                }
                Kind::Target => {
                    let rest = &bytes[at..];
                    let label = self.bare_labels.iter().position(|l| spelling::is_cell(rest, l))?;
                    table.labels.push(positive_first && label == 0);
                    at += self.bare_labels[label].len();
                }
            }
            let separator = if column == last { b'\n' } else { b',' };
            if bytes.get(at) != Some(&separator) {
                return None;
            }
            at += 1;
        }
        if at - 1 - start > self.options.max_line_bytes.saturating_sub(2) {
            return None;
        }
        if wanted.hashes {
            table.hashes.push(self.hasher.hash(&bytes[start..at]));
        }
        for j in 0..id {
            table.count_id(j as usize, ids_missing >> j & 1 == 1);
        }
        table.end_row();
        Some(at)
    }
}
