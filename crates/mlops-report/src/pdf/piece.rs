//! Pieces of a page, which are never cut, and what is drawn in them.
//!
//! Lengths are points, down and to the right of the top left corner of the piece. Not for dividing
//! them between pages: see `pages`.

use std::rc::Rc;

use super::tags::Tag;
use super::text::Set;
use crate::theme::Rgb;

/// Something that is drawn.
#[derive(Debug, Clone)]
pub(super) enum Mark {
    /// A line of text whose baseline begins at the point.
    Text(f64, f64, Set),
    /// A filled rectangle: left, top, width, height.
    Rect([f64; 4], Rgb),
    /// A filled disc: centre, radius.
    Disc((f64, f64), f64, Rgb),
    /// What follows belongs to this element, or is decoration, as the first marks of a piece are.
    Tag(Option<Tag>),
    /// The part of the picture `index` between two heights in its units, scaled.
    Picture { index: usize, x: f64, y: f64, scale: f64, from: f64, to: f64 },
}

/// A piece of a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Piece {
    pub(super) height: f64,
    /// The gap above, except at the top of a page.
    pub(super) gap: f64,
    pub(super) marks: Vec<Mark>,
    /// It stays on the page of the piece after it.
    pub(super) with_next: bool,
    /// It is a paragraph that may introduce a table.
    pub(super) introduces: bool,
    /// What is repeated above it if it begins a page: the head of its table.
    pub(super) repeated: Option<Rc<Piece>>,
    /// It begins a page.
    pub(super) new_page: bool,
    /// Level, from 0, and text in the outline.
    pub(super) outline: Option<(usize, String)>,
}

impl Piece {
    /// Lines of text from the top down, the first column at `x`.
    pub(super) fn of_lines(lines: Vec<Set>, x: f64, size: f64, leading: f64) -> Self {
        let mut piece = Self { height: lines.len() as f64 * leading, ..Self::default() };
        for (k, line) in lines.into_iter().enumerate() {
            piece.marks.push(Mark::Text(x, baseline(k, size, leading), line));
        }
        piece
    }

    /// The same as a part of the element `tag`.
    pub(super) fn tagged(mut self, tag: Tag) -> Self {
        self.marks.insert(0, Mark::Tag(Some(tag)));
        self
    }

    /// The same as decoration: what is repeated is not read again.
    pub(super) fn untagged(mut self) -> Self {
        self.marks.retain(|mark| !matches!(mark, Mark::Tag(_)));
        self
    }

    /// The same with a gap above it.
    pub(super) fn after(self, gap: f64) -> Self {
        Self { gap, ..self }
    }
}

/// The baseline of line `k`.
pub(super) fn baseline(k: usize, size: f64, leading: f64) -> f64 {
    // Capitals reach 0.714 of the em above it: the middle of the line is theirs.
    k as f64 * leading + leading / 2.0 + 0.357 * size
}
