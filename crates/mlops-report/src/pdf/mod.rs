//! The report as a PDF: pages of A4 with the same content as the page, and nothing from outside.
//!
//! Fonts are embedded, pictures are vectors, text can be searched, copied and read aloud. Not for the content:
//! see `sections`.

mod file;
mod flow;
mod pages;
mod piece;
mod table;
mod tags;
mod text;
mod typeface;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use mlops_core::{Error, Result};

use crate::document::Document;
use crate::pictures::{self, Drawn};
use crate::report::Report;
use crate::sections;
use flow::Flow;
use text::Fonts;

/// The size of a sheet, A4, in points.
const SHEET: (f64, f64) = (595.276, 841.89);
const LEFT: f64 = 48.0;
const WIDTH: f64 = SHEET.0 - 2.0 * LEFT;
const TOP: f64 = 50.0;
/// Below the text; the foot begins [`FOOT`] into it.
const BOTTOM: f64 = 62.0;
const FOOT: f64 = 20.0;
/// The height of the text of a page.
const ROOM: f64 = SHEET.1 - TOP - BOTTOM;

/// Renders the report as a PDF, pictures included.
pub fn render(report: &Report) -> Result<Vec<u8>> {
    of(&sections::document(report), &report.tool_version, &pictures::drawings(report)?)
}

/// Renders `document` with the given pictures.
pub(crate) fn of(document: &Document, tool_version: &str, pictures: &[Drawn]) -> Result<Vec<u8>> {
    let mut fonts = Fonts::new()?;
    let mut flow = Flow::new(&mut fonts, pictures);
    flow.document(document)?;
    let Flow { pieces, tags, .. } = flow;
    let pages = pages::paginate(&pieces, ROOM);
    file::write(document, tool_version, &pages, (pictures, tags), &mut fonts)
}

/// Compressed bytes.
fn packed(bytes: &[u8]) -> Result<Vec<u8>> {
    let failed = |e| Error::backend("flate2", e);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).map_err(failed)?;
    encoder.finish().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::piece::Piece;
    use super::*;
    use crate::report::{ColumnRow, Finding, IngestedFile, Severity};

    /// A report with `columns` columns, `files` files and `findings` findings, all named `name`.
    fn report(columns: usize, files: usize, findings: usize, name: &str) -> Report {
        let named = |k: usize| format!("{name}{k}");
        let column =
            |k| ColumnRow { name: named(k), kind: name.to_owned(), ..ColumnRow::default() };
        let file = |k| IngestedFile {
            name: named(k),
            note: (k % 3 == 0).then(|| name.repeat(k % 7)),
            ..IngestedFile::default()
        };
        let finding =
            |k| Finding { severity: Severity::Warning, text: named(k), ..Finding::default() };
        Report {
            title: name.to_owned(),
            columns: (0..columns).map(column).collect(),
            ingested: (0..files).map(file).collect(),
            warnings: (0..findings).map(finding).collect(),
            ..Report::default()
        }
    }

    fn check(report: &Report) {
        let document = sections::document(report);
        let drawings = pictures::drawings(report).unwrap();
        let mut fonts = Fonts::new().unwrap();
        let mut flow = Flow::new(&mut fonts, &drawings);
        flow.document(&document).unwrap();
        let pieces = flow.pieces;
        let pages = pages::paginate(&pieces, ROOM);
        let mut seen = 0;
        for (k, page) in pages.iter().enumerate() {
            let mut bottom = 0.0;
            for (top, piece) in page {
                assert!(*top >= bottom - 1e-9, "pieces overlap on page {}", k + 1);
                bottom = top + piece.height;
                assert!(bottom <= ROOM + 1e-6, "a piece is cut on page {}", k + 1);
                for mark in &piece.marks {
                    if let piece::Mark::Text(x, y, set) = mark {
                        assert!(x + set.width <= WIDTH + 1.0, "{set:?} is too wide");
                        assert!(*y <= piece.height + 3.0, "{set:?} is below its piece");
                    }
                }
            }
            let last = page.last().unwrap().1;
            let whole = pieces.iter().any(|piece| std::ptr::eq(piece, last));
            assert!(whole && !last.with_next, "page {} ends with a heading", k + 1);
            let body = |(_, piece): &&(f64, &Piece)| pieces.iter().any(|p| std::ptr::eq(p, *piece));
            seen += page.iter().filter(body).count();
            // A table that goes on has its head again.
            if let Some(head) = &page[0].1.repeated {
                panic!("page {} begins with a row without {} marks", k + 1, head.marks.len());
            }
        }
        assert_eq!(seen, pieces.len(), "every piece is on one page");
    }

    #[test]
    fn no_heading_is_alone_and_no_row_is_cut() {
        let long = "a_very_long_name_without_a_space_".repeat(20);
        for name in ["x", "a label of some words ", &long, "שם ארוך מאוד ", ""] {
            for columns in [0, 1, 2, 10, 57, 99, 100, 101, 500] {
                for files in [0, 1, 3, 41] {
                    check(&report(columns, files, (columns + files) % 30, name));
                }
            }
        }
        check(&Report::default());
    }

    #[test]
    fn pages_break_at_every_height() {
        // Rows of every height pass the end of a page somewhere.
        for words in 0..60 {
            check(&report(30, words % 13, 3 + words % 5, &"word ".repeat(words)));
        }
    }
}
