//! Tables of a PDF: the widths of columns, and a piece for each row.
//!
//! Not for the content of the cells: see `sections`.

use std::rc::Rc;

use pdf_writer::types::{StructRole, TableHeaderScope};

use super::piece::{Mark, Piece, baseline};
use super::tags::{Tag, Tags};
use super::text::{Fonts, Look, Set, extent, wrapped};
use crate::document::{Cell, Line, Table, line};
use crate::font::clean;
use crate::format;
use crate::theme;

/// Maximum number of rows; the page has more, and the files of the step all.
pub(super) const MOST: usize = 100;
/// Maximum number of lines of a cell.
const LINES: usize = 14;

const TEXT: Look = Look::new(8.0, theme::TEXT);
const HEAD: Look = Look::new(7.5, theme::MUTED).bold();
/// Free space at the sides of a cell, and above and below its text.
const SIDE: f64 = 4.0;
const ABOVE: f64 = 2.6;
/// No part of a text claims more than this by itself.
const WIDEST_PART: f64 = 110.0;
/// Bars of a histogram: width of each, and height.
const BAR: (f64, f64) = (3.2, 14.0);

/// The rows as pieces, the head first.
pub(super) fn pieces(fonts: &mut Fonts, tags: &mut Tags, table: &Table, room: f64) -> Vec<Piece> {
    let whole = tags.table(&table.name);
    let part = tags.add(whole, StructRole::THead);
    let shown = &table.rows[..table.rows.len().min(MOST)];
    let left = table.rows.len() - shown.len();
    let widths = widths(fonts, table, room);
    let head = head(fonts, (tags, part), table, &widths, room);
    let mut pieces = vec![Piece { gap: 8.0, ..head.clone() }];
    let head = Rc::new(head.untagged());
    let part = tags.add(whole, StructRole::TBody);
    for (k, cells) in shown.iter().enumerate() {
        let mut piece = row(fonts, (tags, part), table, cells, &widths, TEXT, k == 0);
        // Neither the first row nor the last is alone with the head, or with the totals.
        let lonely = k == 0 && shown.len() > 1 || k + 2 == shown.len() && k > 0;
        let totals = k + 1 == shown.len() && (table.total.is_some() || left > 0);
        piece.with_next = lonely || totals;
        piece.repeated = Some(Rc::clone(&head));
        pieces.push(piece);
    }
    if let Some(cells) = &table.total {
        let part = tags.add(whole, StructRole::TFoot);
        let mut piece = row(fonts, (tags, part), table, cells, &widths, TEXT.bold(), true);
        piece.marks.push(Mark::Tag(None));
        piece.marks.push(Mark::Rect([0.0, 0.0, room, 1.0], theme::AXIS.light));
        piece.repeated = Some(head);
        piece.with_next = left > 0;
        pieces.push(piece);
    }
    if left > 0 {
        let rest = format::counted(left as u64, "more row is", "more rows are");
        let line = line![format!("{rest} in report.html.")];
        let look = Look::new(8.0, theme::MUTED);
        let lines = wrapped(fonts, &line, look, room, 2);
        let piece = Piece::of_lines(lines, 0.0, look.size, look.leading());
        pieces.push(piece.tagged(tags.paragraph()).after(4.0));
    }
    pieces
}

fn lines_of(cell: &Cell) -> Vec<Line> {
    match cell {
        Cell::Line(line) => vec![line.clone()],
        Cell::List(items) => items.iter().map(|item| Line::from(item.as_str())).collect(),
        Cell::Bars(..) => Vec::new(),
    }
}

/// As much as each column needs, as far as there is room; as in HTML.
fn widths(fonts: &mut Fonts, table: &Table, room: f64) -> Vec<f64> {
    let mut least = Vec::new();
    let mut most = Vec::new();
    for (k, (heading, number)) in table.columns.iter().enumerate() {
        let (part, whole) = extent(fonts, &Line::from(*heading), HEAD);
        let (mut narrow, mut wide) = (part, whole);
        for cells in table.rows.iter().take(MOST).chain(&table.total) {
            let Some(cell) = cells.get(k) else { continue };
            if let Cell::Bars(heights, _) = cell {
                narrow = narrow.max(BAR.0 * heights.len() as f64);
                wide = wide.max(narrow);
            }
            for line in lines_of(cell) {
                let look = if k == 0 { TEXT.bold() } else { TEXT };
                let (part, whole) = extent(fonts, &line, look);
                // A number is not broken where that can be helped.
                let part = if *number { whole } else { part };
                narrow = narrow.max(part.min(WIDEST_PART));
                wide = wide.max(whole);
            }
        }
        least.push(narrow + 2.0 * SIDE);
        most.push(wide.max(narrow) + 2.0 * SIDE);
    }
    let (narrow, wide): (f64, f64) = (least.iter().sum(), most.iter().sum());
    if narrow >= room {
        return least.iter().map(|w| w * room / narrow).collect();
    }
    if wide > room {
        let share = (room - narrow) / (wide - narrow);
        return least.iter().zip(&most).map(|(a, b)| a + (b - a) * share).collect();
    }
    // The rest goes to all alike, so that numbers keep their distance.
    let more = (room - wide) / most.len().max(1) as f64;
    most.iter().map(|w| w + more).collect()
}

fn head(
    fonts: &mut Fonts,
    (tags, part): (&mut Tags, Tag),
    table: &Table,
    widths: &[f64],
    room: f64,
) -> Piece {
    let cells: Vec<Cell> = table.columns.iter().map(|(name, _)| Cell::from(*name)).collect();
    let heads = |_| Some(TableHeaderScope::Column);
    let tags = (tags, part, &heads as &Scopes);
    let mut piece = laid(fonts, tags, table, &cells, widths, |_| HEAD);
    let bottom = piece.height;
    piece.marks.push(Mark::Tag(None));
    piece.marks.push(Mark::Rect([0.0, bottom - 0.8, room, 0.8], theme::AXIS.light));
    Piece { with_next: true, ..piece }
}

fn row(
    fonts: &mut Fonts,
    (tags, part): (&mut Tags, Tag),
    table: &Table,
    cells: &[Cell],
    widths: &[f64],
    look: Look,
    first: bool,
) -> Piece {
    let names = |k: usize| (k == 0).then_some(TableHeaderScope::Row);
    let tags = (tags, part, &names as &Scopes);
    let look = |k| if k == 0 { look.bold() } else { look };
    let mut piece = laid(fonts, tags, table, cells, widths, look);
    if !first {
        let room = widths.iter().sum();
        piece.marks.push(Mark::Tag(None));
        piece.marks.push(Mark::Rect([0.0, 0.0, room, 0.5], theme::GRID.light));
    }
    piece
}

/// What the cell of a column is a heading of, if it is one.
type Scopes = dyn Fn(usize) -> Option<TableHeaderScope>;

/// The cells of a row beside each other, as a row of the part `part` of the table.
fn laid(
    fonts: &mut Fonts,
    (tags, part, scopes): (&mut Tags, Tag, &Scopes),
    table: &Table,
    cells: &[Cell],
    widths: &[f64],
    look: impl Fn(usize) -> Look,
) -> Piece {
    let mut piece = Piece::default();
    let tag = tags.add(part, StructRole::TR);
    let mut left = 0.0;
    let mut tallest: f64 = 0.0;
    for (k, ((cell, width), (_, number))) in
        cells.iter().zip(widths).zip(&table.columns).enumerate()
    {
        let tag = tags.cell(tag, scopes(k));
        piece.marks.push(Mark::Tag(Some(tag)));
        let look = look(k);
        let room = (width - 2.0 * SIDE).max(1.0);
        let bulleted = matches!(cell, Cell::List(items) if items.len() > 1);
        let mut lines: Vec<Set> = Vec::new();
        for text in lines_of(cell) {
            let text = if bulleted { line!["• ", text] } else { text };
            lines.extend(wrapped(fonts, &text, look, room, LINES.saturating_sub(lines.len())));
        }
        let leading = look.leading();
        tallest = tallest.max(lines.len() as f64 * leading);
        for (k, set) in lines.into_iter().enumerate() {
            let shift = if *number { room - set.width } else { 0.0 };
            let y = ABOVE + baseline(k, look.size, leading);
            piece.marks.push(Mark::Text(left + SIDE + shift, y, set));
        }
        if let Cell::Bars(heights, words) = cell {
            piece.marks.push(Mark::Tag(Some(tags.figure(tag, &clean(words)))));
            tallest = tallest.max(BAR.1);
            for (at, height) in heights.iter().enumerate() {
                let tall = (height * BAR.1).clamp(if *height > 0.0 { 0.6 } else { 0.0 }, BAR.1);
                let x = left + SIDE + at as f64 * BAR.0;
                let bar = [x, ABOVE + BAR.1 - tall, BAR.0 - 0.6, tall];
                piece.marks.push(Mark::Rect(bar, theme::BLUE.light));
            }
        }
        left += width;
    }
    piece.height = tallest.max(TEXT.leading()) + 2.0 * ABOVE;
    piece
}
