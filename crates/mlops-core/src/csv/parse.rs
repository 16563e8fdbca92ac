//! Turns a chunk of records into canonical rows, by a fast path and a slow path.
//!
//! Most rows are canonical already. The fast path verifies that in one pass and uses the row in
//! place; every other row is split, cleaned and written to a side buffer, or rejected with a
//! reason. Both paths give the same bytes.
//! Where a record ends and what makes it malformed is in [`super::record`], duplicates are in
//! [`crate::dataset::dedup`].

#![expect(clippy::inline_always, reason = "see `simd`")]

use std::ops::Range;
use std::sync::Arc;

use crate::config::{Ingestion, NumberFormat};
use crate::platform::simd::{Work, widest};
use crate::table::RawTexts;
use crate::table::schema::{Role, Schema};
use crate::text;

use super::checks::{Checks, Looked};
use super::clean::{self, FormatChanges, Labels};
use super::date_cell::{canonical_date, push_date};
use super::forgotten::Forgotten;
use super::formats::{Refused, Source, Why};
use super::number::{Number, missing_numbers, no_number, push_number};
pub(crate) use super::parsed::Parsed;
use super::quarantine::{ErrorType, Rejected, Sign};
use super::record::{self, Field, Malformed, Next, Shape};
use super::spelling::{self, BareLabels, Canonical, CanonicalRow, Cell, canonical_row};
use crate::csv::header::Layout;
use crate::csv::row_hash::{Extent, Row, RowHasher};
use crate::csv::structural_index::StructuralIndex;

/// Turns chunks of one file into rows.
#[derive(Debug, Clone)]
pub(crate) struct RowParser<'a> {
    pub(crate) schema: &'a Schema,
    pub(super) layout: Layout,
    pub(crate) options: &'a Ingestion,
    pub(crate) labels: Labels,
    /// `None` if the identities of rows are not needed.
    pub(crate) hasher: Option<RowHasher>,
    pub(crate) roles: Vec<Role>,
    /// The number format.
    pub(super) numbers: NumberFormat,
    /// Numbers that stand for a missing value.
    missing_numbers: Vec<Number>,
    /// Whether canonical numbers can be taken as they are: none stands for a missing value, and the
    /// decimal separator is a point.
    plain_numbers: bool,
    /// Whether the fast path applies: canonical numbers can be taken as they are, the columns are
    /// in schema order, and labels are not merely counted.
    pub(crate) fast: bool,
    /// The labels that the fast path accepts.
    pub(crate) bare_labels: BareLabels,
    fields: Vec<Field>,
    /// Columns of the current row without a value.
    empty: Vec<usize>,
    /// Texts of a column before they are added to a table.
    pub(crate) texts: RawTexts,
    /// The structural index of the current chunk, if the fast path applies.
    pub(crate) index: StructuralIndex,
    /// What is looked at in rows that are good.
    checks: Option<Arc<Checks>>,
    /// The people whose rows are left out.
    forgotten: Option<Arc<Forgotten>>,
}

impl<'a> RowParser<'a> {
    /// A parser for a file with `layout`.
    pub(crate) fn new(
        schema: &'a Schema,
        layout: Layout,
        options: &'a Ingestion,
        labels: Labels,
        hasher: RowHasher,
    ) -> Self {
        let roles = schema.columns().iter().map(|column| column.role).collect();
        let numbers = options.numbers;
        let missing_numbers = missing_numbers(&options.missing_values, numbers);
        let plain_numbers = numbers.decimal == '.' && missing_numbers.is_empty();
        let fast = layout.identical && plain_numbers && labels.census.is_none();
        let (bare_labels, fields, empty) = (BareLabels::default(), Vec::new(), Vec::new());
        let index = StructuralIndex::default();
        Self {
            schema,
            layout,
            options,
            labels,
            hasher: Some(hasher),
            roles,
            numbers,
            missing_numbers,
            plain_numbers,
            fast,
            bare_labels,
            fields,
            empty,
            texts: RawTexts::default(),
            index,
            checks: None,
            forgotten: None,
        }
    }

    /// The same parser with something to look at in good rows.
    pub(crate) fn checking(mut self, checks: Option<Arc<Checks>>) -> Self {
        self.checks = checks;
        self
    }

    /// The same parser without the rows of people who were erased.
    pub(crate) fn without(mut self, forgotten: Option<Arc<Forgotten>>) -> Self {
        self.forgotten = forgotten;
        self
    }

    /// The same parser for a file of our own, whose numbers are canonical whatever the
    /// configuration.
    pub(crate) fn of_our_own(mut self) -> Self {
        self.numbers = NumberFormat::default();
        self.plain_numbers = self.missing_numbers.is_empty();
        self.fast = self.layout.identical && self.plain_numbers && self.labels.census.is_none();
        self
    }

    /// Skips the identities of rows, for readers that do not ask for them.
    pub(crate) fn without_hashes(mut self) -> Self {
        self.hasher = None;
        self
    }

    /// The identity of a row, or 0 if nobody asks for it.
    #[inline(always)]
    fn hash(&self, row: &[u8]) -> u128 {
        self.hasher.map_or(0, |hasher| hasher.hash(row))
    }

    /// The expected shape of the file's records.
    pub(crate) fn shape(&self) -> Shape {
        Shape { width: self.layout.width, max_bytes: self.options.max_line_bytes }
    }

    /// Parses the whole records in `chunk`, whose first byte is at `offset` in the file.
    pub(crate) fn parse(&mut self, chunk: &[u8], offset: u64, out: &mut Parsed) {
        out.clear(self.schema.width());
        let unknown = self.labels.negative.is_none();
        self.look(chunk);
        widest(ChunkRows { parser: self, chunk, offset, out });
        if let Some(forgotten) = &self.forgotten {
            let (shape, positions) = (self.shape(), &self.layout.positions);
            out.gone = forgotten.leave_out(&mut out.view(chunk, offset, shape), shape, positions);
        }
        if let Some(checks) = &self.checks {
            let forgiven = out.looked.forgiven;
            let looked = checks.look_at(&mut out.view(chunk, offset, self.shape()));
            out.looked = Looked { forgiven, ..looked };
        }
        self.tell_labels(unknown, out);
    }

    /// Stores in `out` what the chunk taught about the negative label.
    pub(crate) fn tell_labels(&mut self, unknown: bool, out: &mut Parsed) {
        if unknown {
            out.learned.clone_from(&self.labels.negative);
        }
        out.better = self.labels.better.take();
    }

    /// Parses the record at `at`; returns the start of the next one.
    #[inline(always)]
    fn row(&mut self, chunk: &[u8], at: usize, offset: u64, out: &mut Parsed) -> usize {
        let fast = if self.fast { self.canonical_row(chunk, at) } else { None };
        let Some((CanonicalRow { end, next }, empty_cells)) = fast else {
            return self.slow_path(chunk, at, offset, out);
        };
        if empty_cells {
            count_empty(&chunk[at..end], &mut out.missing);
        }
        if chunk[end] == b'\r' {
            count_line_end(&chunk[end..next], &mut out.changes);
            let start = out.side.len();
            out.side.extend_from_slice(&chunk[at..end]);
            out.side.push(b'\n');
            let hash = self.hash(&out.side[start..]);
            push_row(out, &(start..out.side.len()), true, 1, hash);
            return next;
        }
        let row = at..end + 1;
        let hash = self.hash(&chunk[row.clone()]);
        push_row(out, &row, false, 1, hash);
        row.end
    }

    /// Builds the structural index of `chunk`, if the fast path applies.
    pub(crate) fn look(&mut self, chunk: &[u8]) {
        if self.labels.census.is_none() {
            self.bare_labels = BareLabels::of(&self.labels);
        }
        if self.fast {
            self.index.look_at(chunk);
        }
    }

    /// The row in canonical spelling that starts at `at`, if there is one, and whether a cell of it is
    /// empty.
    #[inline(always)]
    fn canonical_row(&mut self, chunk: &[u8], at: usize) -> Option<(CanonicalRow, bool)> {
        let Self { index, roles, options, bare_labels, .. } = self;
        let shape = Shape { width: roles.len(), max_bytes: options.max_line_bytes };
        let mut empty_cells = false;
        let cells = Cells { roles, options, bare_labels, has_empty: &mut empty_cells };
        let row = canonical_row(index, chunk, at, shape, cells)?;
        Some((row, empty_cells))
    }

    /// Splits and cleans the record at `at`; returns the start of the next one.
    #[inline(never)]
    pub(crate) fn slow_path(
        &mut self,
        chunk: &[u8],
        at: usize,
        offset: u64,
        out: &mut Parsed,
    ) -> usize {
        let mut fields = std::mem::take(&mut self.fields);
        let (end, lines, problem) = match record::next(chunk, at, self.shape(), &mut fields) {
            Next::Record { end, lines, problem } => (end, lines, problem),
            Next::Blank(end) => {
                out.blank_lines += 1;
                out.lines += 1;
                self.fields = fields;
                return end;
            }
        };
        let start = out.side.len();
        let checked = match problem {
            Some(problem) => Err(self.malformed(problem)),
            None => self.clean(&chunk[at..end], at, &fields, out),
        };
        match checked {
            Ok(()) => {
                count_line_end(&chunk[at..end], &mut out.changes);
                let hash = self.hash(&out.side[start..]);
                push_row(out, &(start..out.side.len()), true, lines, hash);
            }
            Err(Reason { column, error, message, sign }) => {
                out.side.truncate(start);
                out.rejected.push(Rejected {
                    line: u64::from(out.lines),
                    lines,
                    position: offset + at as u64,
                    column: column.map(|c| (c + 1, self.column_name(c))),
                    error,
                    record: record::without_line_end(&chunk[at..end]).to_vec(),
                    message,
                    sign,
                });
                out.lines += lines;
            }
        }
        self.fields = fields;
        end
    }

    /// Writes the canonical row of `record`, which is at `at` in the chunk, to the side buffer.
    /// Counts are added only if the whole row is good.
    fn clean(
        &mut self,
        record: &[u8],
        at: usize,
        fields: &[Field],
        out: &mut Parsed,
    ) -> Result<(), Reason> {
        let text = std::str::from_utf8(record).map_err(|e| {
            let bad = at + e.valid_up_to();
            let column = fields.iter().position(|f| bad < f.end.max(f.start + 1));
            let message =
                "the bytes are not UTF-8: save the file as UTF-8, or name its encoding in \
                           \"ingestion.format.encoding\", such as \"windows-1252\""
                    .to_owned();
            Reason { column, error: ErrorType::InvalidUnicode, message, sign: Sign::Nothing }
        })?;
        self.refuse_extra(fields)?;
        let schema = self.schema;
        let mut changes = FormatChanges::default();
        let mut forgiven = 0;
        self.empty.clear();
        for (index, column) in schema.columns().iter().enumerate() {
            if index > 0 {
                out.side.push(b',');
            }
            let Some(position) = self.layout.positions[index] else { continue };
            let field = fields[position];
            if let Some(length) = self.push_canonical(column.role, record, at, field, out) {
                if length == 0 {
                    self.empty.push(index);
                }
                continue;
            }
            let raw = &text[field.start - at..field.end - at];
            let value = clean::bare(raw, field.quoted, field.escaped, &mut changes);
            let feature = matches!(column.role, Role::Numeric | Role::Date | Role::Categorical);
            let spelt_missing = || self.options.missing_values.iter().any(|m| *m == value);
            let target = column.role == Role::Target;
            let missing = value.is_empty()
                || (feature && spelt_missing())
                || (column.role == Role::Numeric && self.is_missing_number(&value))
                || (target && spelt_missing() && !self.labels.knows(&value));
            if missing {
                if target {
                    return Err(Reason::no_label(position));
                }
                self.empty.push(index);
                continue;
            }
            let before = out.side.len();
            let pushed = match column.role {
                Role::Id | Role::Categorical => {
                    crate::table::quote::push_text(&value, &mut out.side);
                    Ok(())
                }
                Role::Numeric => push_number(&value, self.numbers, &mut out.side, &mut changes),
                Role::Date => push_date(&value, self.options, &mut out.side, &mut changes),
                Role::Target => self.push_label(&value, &mut out.side, &mut changes),
            };
            if let (Role::Numeric | Role::Date, Err((Sign::Nothing, _))) = (column.role, &pushed)
                && self.checks.as_ref().is_some_and(|checks| checks.forgives_types)
            {
                out.side.truncate(before);
                forgiven += 1;
                self.empty.push(index);
                continue;
            }
            pushed.map_err(|(sign, message)| {
                // A later cell may say more about the whole file.
                let reason = Reason::cast(position, sign, message);
                self.other_decimal(index + 1, (text, at), fields).unwrap_or(reason)
            })?;
        }
        out.side.push(b'\n');
        for index in &self.empty {
            out.missing[*index] += 1;
        }
        out.changes.add(&changes);
        out.looked.forgiven += forgiven;
        Ok(())
    }

    /// Rejects a record with a value in a column that the schema does not have, if the contract asks for it.
    fn refuse_extra(&self, fields: &[Field]) -> Result<(), Reason> {
        if !self.checks.as_ref().is_some_and(|checks| checks.refuses_extra) {
            return Ok(());
        }
        let taken = |at: usize| self.layout.positions.contains(&Some(at));
        let filled =
            |(at, field): (usize, &Field)| (field.end > field.start && !taken(at)).then_some(at);
        match fields.iter().enumerate().find_map(filled) {
            None => Ok(()),
            Some(at) => Err(Reason {
                column: Some(at),
                error: ErrorType::Contract,
                message:
                    "it has a value in a column that is not in \"schema\", which the contract forbids"
                        .to_owned(),
                sign: Sign::Nothing,
            }),
        }
    }

    /// Whether `value` is, in any spelling, a number that stands for a missing value.
    pub(super) fn is_missing_number(&self, value: &str) -> bool {
        !self.missing_numbers.is_empty()
            && Number::read(value, self.numbers).is_some_and(|n| self.missing_numbers.contains(&n))
    }

    /// The reason to reject the first number with the other decimal separator, from column `first`
    /// on.
    fn other_decimal(
        &self,
        first: usize,
        (text, at): (&str, usize),
        fields: &[Field],
    ) -> Option<Reason> {
        let columns = self.schema.columns().iter().zip(&self.layout.positions).skip(first);
        columns.filter(|(column, _)| column.role == Role::Numeric).find_map(|(_, position)| {
            let field = fields[(*position)?];
            let raw = &text[field.start - at..field.end - at];
            let mut ignored = FormatChanges::default();
            let value = clean::bare(raw, field.quoted, field.escaped, &mut ignored);
            let (sign, message) = no_number(&value, self.numbers);
            let found = sign == Sign::OtherDecimal;
            found.then_some(Reason::cast((*position)?, sign, message))
        })
    }

    /// Appends a cell that is already canonical and returns its length; most cells are, even in a
    /// row with one that is not. Returns `None`, and appends nothing, for other cells.
    fn push_canonical(
        &self,
        role: Role,
        record: &[u8],
        at: usize,
        field: Field,
        out: &mut Parsed,
    ) -> Option<usize> {
        let (start, end) = (field.start - at, field.end - at);
        let cell = &record[start..end];
        let canonical = match role {
            Role::Numeric => self.plain_numbers && spelling::is_number(cell),
            Role::Date => canonical_date(self.options, cell).is_some(),
            Role::Id => spelling::is_text(cell),
            // Missing categories have spellings of their own.
            Role::Categorical => false,
            Role::Target => {
                start < end && self.bare_labels.find(Cell { chunk: record, start, end }).0
            }
        };
        if !canonical || field.quoted {
            return None;
        }
        out.side.extend_from_slice(cell);
        Some(cell.len())
    }

    fn push_label(
        &mut self,
        value: &str,
        out: &mut Vec<u8>,
        changes: &mut FormatChanges,
    ) -> Result<(), (Sign, String)> {
        match self.labels.resolve(value, changes) {
            Some(true) => crate::table::quote::push_text(&self.labels.positive, out),
            Some(false) => crate::table::quote::push_text(
                self.labels.negative.as_deref().unwrap_or(value),
                out,
            ),
            None => {
                let message = format!(
                    "unknown label \"{}\": expected \"{}\" or \"{}\" (\"schema.positive_label\" \
                     and \"schema.negative_label\" name them)",
                    text::visible(value),
                    self.labels.positive,
                    self.labels.negative.as_deref().unwrap_or_default(),
                );
                return Err((Sign::OtherLabel, message));
            }
        }
        Ok(())
    }

    fn malformed(&self, problem: Malformed) -> Reason {
        let (column, error) = match problem {
            Malformed::TooFew(found) => (Some(found), ErrorType::MissingColumns),
            Malformed::TooMany(_) => (Some(self.layout.width), ErrorType::TooManyColumns),
            Malformed::Quote(field) => (Some(field), ErrorType::UnquotedValue),
            Malformed::TooLong => (None, ErrorType::LineSizeOverMaximum),
        };
        let message = problem.in_words(self.shape());
        Reason { column, error, message, sign: Sign::Nothing }
    }

    /// Tells of rejected records what they are in a file of another format, and why its decoder refused
    /// them, if it did. Their positions must be those in the chunk.
    pub(crate) fn amend(&self, out: &mut Parsed, source: &Source, refused: &[Refused]) {
        if source.bytes.is_empty() && refused.is_empty() {
            return;
        }
        for rejected in &mut out.rejected {
            let line = rejected.line;
            let start = usize::try_from(rejected.position).unwrap_or(usize::MAX);
            let text = start..start.saturating_add(rejected.record.len());
            if let Some(range) = source.range(line, rejected.lines, text) {
                rejected.position = source.offset.unwrap_or(0) + range.start as u64;
                rejected.record = record::without_line_end(&source.bytes[range]).to_vec();
            }
            let Ok(at) = refused.binary_search_by_key(&line, |r| u64::from(r.line)) else {
                continue;
            };
            let reason = match &refused[at].why {
                Why::Malformed(problem) => self.malformed(*problem),
                Why::Other(error, message) => Reason {
                    column: None,
                    error: *error,
                    message: message.clone(),
                    sign: Sign::Nothing,
                },
            };
            rejected.column = reason.column.map(|c| (c + 1, self.column_name(c)));
            rejected.error = reason.error;
            rejected.message = reason.message;
            rejected.sign = reason.sign;
        }
        if let Some(forgotten) = &self.forgotten {
            forgotten.leave_out_refused(out, refused);
        }
    }

    fn column_name(&self, field: usize) -> String {
        let mapped = self.layout.positions.iter().position(|p| *p == Some(field));
        mapped.map_or_else(String::new, |index| self.schema.columns()[index].name.clone())
    }
}

/// The rows of a chunk.
struct ChunkRows<'a, 'p> {
    parser: &'a mut RowParser<'p>,
    chunk: &'a [u8],
    offset: u64,
    out: &'a mut Parsed,
}

impl Work for ChunkRows<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { parser, chunk, offset, out } = self;
        let mut at = 0;
        while at < chunk.len() {
            at = parser.row(chunk, at, offset, out);
        }
    }
}

/// The cells of rows whose fields are the columns of the schema.
struct Cells<'a> {
    roles: &'a [Role],
    options: &'a Ingestion,
    bare_labels: &'a BareLabels,
    /// Set when one is empty.
    has_empty: &'a mut bool,
}

impl Canonical for Cells<'_> {
    #[inline(always)]
    fn is_canonical(&mut self, field: usize, cell: Cell) -> bool {
        *self.has_empty |= cell.is_empty();
        match self.roles[field] {
            Role::Numeric => cell.is_number(),
            Role::Date => canonical_date(self.options, cell.bytes()).is_some(),
            Role::Id => cell.is_text(),
            Role::Categorical => cell.is_text() && !spells_missing(self.options, cell.bytes()),
            Role::Target => self.bare_labels.find(cell).0,
        }
    }
}

/// Whether a category that is not empty is a spelling of a missing value.
pub(crate) fn spells_missing(options: &Ingestion, category: &[u8]) -> bool {
    !category.is_empty() && options.missing_values.iter().any(|m| m.as_bytes() == category)
}

/// Counts the line end of a good row, unless it is LF.
fn count_line_end(row: &[u8], changes: &mut FormatChanges) {
    changes.crlf += u64::from(row.ends_with(b"\r\n"));
    changes.carriage_return += u64::from(row.ends_with(b"\r"));
}

/// Why a record is rejected.
struct Reason {
    /// Field of the file, from 0.
    column: Option<usize>,
    error: ErrorType,
    message: String,
    sign: Sign,
}

impl Reason {
    fn cast(column: usize, sign: Sign, message: String) -> Self {
        Self { column: Some(column), error: ErrorType::Cast, message, sign }
    }

    fn no_label(column: usize) -> Self {
        let (error, message) = (ErrorType::MissingLabel, "the label is missing".to_owned());
        Self { column: Some(column), error, message, sign: Sign::Nothing }
    }
}

#[inline(always)]
fn push_row(out: &mut Parsed, range: &Range<usize>, side: bool, lines: u32, hash: u128) {
    out.rows.push(Row { extent: Extent::new(range, side), line: out.lines, lines, hash });
    out.lines += lines;
}

/// Counts the empty cells of a canonical row; text cells of the fast path contain no quotes.
fn count_empty(row: &[u8], missing: &mut [u64]) {
    for (cell, count) in row.split(|b| *b == b',').zip(missing) {
        *count += u64::from(cell.is_empty());
    }
}
