//! A batch of rows, column by column: the common currency of files, models and statistics.
//!
//! Not for deciding whether two rows are equal: canonical bytes decide that, see `dataset::dedup`.

pub mod date;
pub mod quote;
pub mod schema;

use schema::{Role, Schema};

/// The texts of one column, in one buffer. An empty text is a missing value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextColumn {
    buffer: String,
    ends: Vec<usize>,
}

impl TextColumn {
    /// Appends a text.
    pub fn push(&mut self, text: &str) {
        self.buffer.push_str(text);
        self.ends.push(self.buffer.len());
    }

    /// Appends all of `texts`; returns false, and appends none, if one of them is not ASCII.
    pub(crate) fn extend(&mut self, texts: &RawTexts) -> bool {
        let ascii = std::str::from_utf8(&texts.bytes).ok().filter(|bytes| bytes.is_ascii());
        let Some(bytes) = ascii else { return false };
        let before = self.buffer.len();
        self.buffer.push_str(bytes);
        self.ends.extend(texts.ends.iter().map(|end| before + end));
        true
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of row `i`.
    ///
    /// # Panics
    /// If there is no row `i`.
    pub fn get(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.buffer[start..self.ends[i]]
    }

    /// All texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.buffer[std::mem::replace(&mut start, *end)..*end])
    }

    /// Whether no text is empty.
    pub(crate) fn has_no_gap(&self) -> bool {
        let mut before = 0;
        self.ends.iter().all(|end| std::mem::replace(&mut before, *end) < *end)
    }

    fn clear(&mut self) {
        self.buffer.clear();
        self.ends.clear();
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.buffer.truncate(self.ends.last().copied().unwrap_or(0));
    }
}

/// ASCII cells to be added to a text column, with one check for all of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawTexts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl RawTexts {
    /// Appends a cell.
    pub(crate) fn push(&mut self, cell: &[u8]) {
        self.bytes.extend_from_slice(cell);
        self.ends.push(self.bytes.len());
    }

    /// Removes all cells but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Rows of one schema. All columns have the same length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Id columns, in schema order; their texts are missing if ids were not asked for.
    pub ids: Vec<TextColumn>,
    /// Numeric columns, then dates as days since 1970; NaN is a missing value.
    pub numeric: Vec<Vec<f64>>,
    /// Categorical columns; an empty text is a missing value.
    pub categorical: Vec<TextColumn>,
    /// Whether the label is the positive one. Empty for rows to predict.
    pub labels: Vec<bool>,
    /// Identity of each row under the reader's key; empty when hashes were not asked for.
    pub hashes: Vec<u128>,
    /// For each id column, the cells with and without a text among the rows that a reader pushed
    /// since the table was cleared; counted even if texts were not asked for.
    pub(crate) id_cells: Vec<(u64, u64)>,
    rows: usize,
}

impl Table {
    /// An empty table with the columns of `schema`.
    pub fn new(schema: &Schema) -> Self {
        Self {
            ids: vec![TextColumn::default(); schema.count(Role::Id)],
            numeric: vec![Vec::new(); schema.numbers().count()],
            categorical: vec![TextColumn::default(); schema.count(Role::Categorical)],
            id_cells: vec![(0, 0); schema.count(Role::Id)],
            ..Self::default()
        }
    }

    /// Whether it has the columns of `schema`.
    pub(crate) fn is_of(&self, schema: &Schema) -> bool {
        let columns = [self.ids.len(), self.numeric.len(), self.categorical.len()];
        let [ids, categorical] = [Role::Id, Role::Categorical].map(|role| schema.count(role));
        columns == [ids, schema.numbers().count(), categorical]
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Removes all rows but keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
        self.id_cells.fill((0, 0));
    }

    /// Keeps only the first `rows` rows.
    pub fn truncate(&mut self, rows: usize) {
        self.ids
            .iter_mut()
            .chain(&mut self.categorical)
            .for_each(|c| if rows == 0 { c.clear() } else { c.truncate(rows) });
        self.numeric.iter_mut().for_each(|c| c.truncate(rows));
        self.labels.truncate(rows);
        self.hashes.truncate(rows);
        self.rows = self.rows.min(rows);
    }

    /// Appends a row of values without ids and label; `None` and empty texts are missing.
    pub fn push_values(&mut self, numeric: &[Option<f64>], categorical: &[String]) {
        for (column, value) in self.numeric.iter_mut().zip(numeric) {
            column.push(value.unwrap_or(f64::NAN));
        }
        for (column, text) in self.categorical.iter_mut().zip(categorical) {
            column.push(text);
        }
        self.rows += 1;
    }

    /// Counts a row; the caller must have pushed one value to each column that it uses.
    pub fn end_row(&mut self) {
        self.end_rows(1);
    }

    /// Counts several rows like [`Self::end_row`].
    pub fn end_rows(&mut self, rows: usize) {
        self.rows += rows;
    }

    /// Appends a canonical row as `ingest` writes it, newline included. Ids are stored only on
    /// demand.
    pub(crate) fn push_canonical(
        &mut self,
        row: &[u8],
        schema: &Schema,
        hash: Option<u128>,
        with_ids: bool,
    ) {
        let mut cells = Cells { row: row.strip_suffix(b"\n").unwrap_or(row), at: Some(0) };
        let (mut id, mut numeric, mut categorical) = (0, 0, 0);
        for column in schema.columns() {
            let Some((cell, quoted)) = cells.next() else { break };
            match column.role {
                Role::Id => {
                    self.count_ids(id, 1, u64::from(cell.is_empty()));
                    if with_ids {
                        push_cell(&mut self.ids[id], cell, quoted);
                    }
                    id += 1;
                }
                Role::Numeric => {
                    self.numeric[numeric].push(number(cell));
                    numeric += 1;
                }
                Role::Date => {
                    self.numeric[numeric].push(date::canonical(cell).unwrap_or(f64::NAN));
                    numeric += 1;
                }
                Role::Categorical => {
                    push_cell(&mut self.categorical[categorical], cell, quoted);
                    categorical += 1;
                }
                Role::Target if !cell.is_empty() => {
                    let mut text = TextColumn::default();
                    let positive = if quoted {
                        push_cell(&mut text, cell, quoted);
                        text.get(0) == schema.positive_label()
                    } else {
                        cell == schema.positive_label().as_bytes()
                    };
                    self.labels.push(positive);
                }
                Role::Target => {}
            }
        }
        self.hashes.extend(hash);
        self.rows += 1;
    }

    /// Counts `cells` cells of id column `j`, `empty` of which are empty.
    pub fn count_ids(&mut self, j: usize, cells: u64, empty: u64) {
        if let Some((there, missing)) = self.id_cells.get_mut(j) {
            *there += cells - empty;
            *missing += empty;
        }
    }

    /// A copy of the first `rows` rows, without hashes.
    pub(crate) fn first_rows(&self, rows: usize) -> Self {
        let rows = rows.min(self.rows);
        let start = |column: &TextColumn| {
            let mut copy = TextColumn::default();
            column.iter().take(rows).for_each(|text| copy.push(text));
            copy
        };
        Self {
            ids: self.ids.iter().map(start).collect(),
            numeric: self.numeric.iter().map(|column| column[..rows].to_vec()).collect(),
            categorical: self.categorical.iter().map(start).collect(),
            labels: self.labels.iter().take(rows).copied().collect(),
            hashes: Vec::new(),
            id_cells: vec![(0, 0); self.id_cells.len()],
            rows,
        }
    }

    /// Appends the features of all rows of `other`, which has the same columns; neither ids nor labels.
    pub fn append_features(&mut self, other: &Self) {
        for (column, more) in self.numeric.iter_mut().zip(&other.numeric) {
            column.extend_from_slice(more);
        }
        for (column, more) in self.categorical.iter_mut().zip(&other.categorical) {
            more.iter().for_each(|text| column.push(text));
        }
        self.rows += other.rows;
    }

    /// About how many bytes its features take.
    pub fn feature_bytes(&self) -> usize {
        let words = size_of::<usize>();
        let numeric = self.numeric.iter().map(|column| column.len() * size_of::<f64>());
        let texts = self.categorical.iter();
        let texts = texts.map(|column| column.buffer.len() + column.ends.len() * words);
        numeric.chain(texts).sum()
    }

    /// Removes the texts of all ids but keeps their memory.
    pub(crate) fn forget_ids(&mut self) {
        self.ids.iter_mut().for_each(TextColumn::clear);
    }

    /// Keeps the rows for which `keep`, given their index, returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let kept: Vec<usize> = (0..self.rows).filter(|i| keep(*i)).collect();
        if kept.len() == self.rows {
            return;
        }
        self.numeric.iter_mut().for_each(|c| pick(c, &kept));
        pick(&mut self.labels, &kept);
        pick(&mut self.hashes, &kept);
        for column in self.ids.iter_mut().chain(&mut self.categorical) {
            if !column.is_empty() {
                let mut picked = TextColumn::default();
                for i in &kept {
                    picked.push(column.get(*i));
                }
                *column = picked;
            }
        }
        self.rows = kept.len();
    }
}

/// Keeps the values at the ascending indices `kept`; does nothing to an empty column.
fn pick<T: Copy>(column: &mut Vec<T>, kept: &[usize]) {
    if !column.is_empty() {
        for (to, from) in kept.iter().enumerate() {
            column[to] = column[*from];
        }
        column.truncate(kept.len());
    }
}

/// The cells of a canonical row, each with a flag for quotes.
struct Cells<'a> {
    row: &'a [u8],
    at: Option<usize>,
}

impl<'a> Iterator for Cells<'a> {
    type Item = (&'a [u8], bool);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at?;
        let rest = &self.row[start..];
        let quoted = rest.first() == Some(&b'"');
        let (cell, end) = if quoted {
            let mut end = 1;
            loop {
                match (rest.get(end), rest.get(end + 1)) {
                    (Some(b'"'), Some(b'"')) => end += 2,
                    (Some(b'"') | None, _) => break,
                    _ => end += 1,
                }
            }
            (&rest[1..end], end + 1)
        } else {
            let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
            (&rest[..end], end)
        };
        self.at = (end < rest.len()).then_some(start + end + 1);
        Some((cell, quoted))
    }
}

fn push_cell(column: &mut TextColumn, cell: &[u8], quoted: bool) {
    // Canonical rows are UTF-8 by construction.
    let text = String::from_utf8_lossy(cell);
    if quoted { column.push(&text.replace("\"\"", "\"")) } else { column.push(&text) }
}

const POWERS_OF_TEN: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The double nearest to a canonical number; NaN for an empty cell.
pub fn number(cell: &[u8]) -> f64 {
    let (negative, digits) = match cell.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, cell),
    };
    // Up to 15 digits and powers of ten up to 15 are exact, so that the one division is the only
    // rounding (Clinger 1990).
    let (mut value, mut places, mut plain) = (0_u64, 0, !digits.is_empty() && digits.len() <= 16);
    let mut point = false;
    for byte in digits.iter().take(16) {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + u64::from(byte - b'0');
                places += usize::from(point);
            }
            b'.' if !point => point = true,
            _ => plain = false,
        }
    }
    if plain && digits.len() - usize::from(point) <= 15 && (!point || places > 0) {
        let value = value as f64 / POWERS_OF_TEN[places];
        return if negative { -value } else { value };
    }
    std::str::from_utf8(cell).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::schema::SchemaFields;
    use super::*;

    #[test]
    fn reads_back_what_ingest_writes() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let schema = Schema::new(SchemaFields {
            id: &names(&["id"]),
            numeric: &names(&["x", "y"]),
            categorical: &names(&["c"]),
            target: "t",
            positive_label: "yes",
            ..SchemaFields::default()
        });
        let mut table = Table::new(&schema);
        table.push_canonical(b"\"a, \"\"b\"\"\",-12,0.25,red,yes\n", &schema, Some(1), true);
        table.push_canonical(b",,1e-7,,no\n", &schema, Some(2), true);
        assert_eq!(table.len(), 2);
        assert_eq!(table.ids[0].iter().collect::<Vec<_>>(), ["a, \"b\"", ""]);
        assert!(table.numeric[0][1].is_nan());
        assert_eq!(table.numeric[0][0].to_string(), "-12");
        assert_eq!(table.numeric[1].iter().sum::<f64>().to_string(), "0.2500001");
        assert_eq!(table.categorical[0].iter().collect::<Vec<_>>(), ["red", ""]);
        assert_eq!(table.labels, [true, false]);
        let mut second = table.clone();
        second.retain(|i| i == 1);
        assert_eq!((second.len(), second.ids[0].get(0), &second.hashes[..]), (1, "", &[2][..]));
        assert_eq!(second.labels, [false]);
        table.truncate(1);
        assert_eq!((table.len(), table.ids[0].get(0)), (1, "a, \"b\""));
    }

    #[test]
    fn numbers_are_the_nearest_doubles() {
        let mut texts: Vec<String> =
            ["", "0", "-5", "0.1", "-0.3", "123456789012345", "1e-7", "1e300"]
                .map(str::to_owned)
                .to_vec();
        for i in 1..2_000_u64 {
            let digits = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000_000_000_000;
            for places in 1..16 {
                let text = format!("{digits:016}");
                let (whole, fraction) = text.split_at(16 - places);
                let whole = whole.trim_start_matches('0');
                let whole = if whole.is_empty() { "0" } else { whole };
                texts.push(format!("{whole}.{fraction}"));
            }
        }
        for text in texts {
            let expected: f64 = text.parse().unwrap_or(f64::NAN);
            assert_eq!(number(text.as_bytes()).to_bits(), expected.to_bits(), "{text}");
        }
    }
}
