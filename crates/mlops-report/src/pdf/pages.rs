//! Divides pieces between pages: nothing is cut, headings stay with what they are about, and tables
//! have their head on every page.
//!
//! Not for drawing: see `file`.

use super::piece::Piece;

/// A piece at its height on a page.
pub(super) type Placed<'a> = (f64, &'a Piece);

/// Places the pieces on pages of the height `room`.
pub(super) fn paginate(pieces: &[Piece], room: f64) -> Vec<Vec<Placed<'_>>> {
    let mut pages: Vec<Vec<Placed<'_>>> = vec![Vec::new()];
    let mut used = 0.0;
    let mut at = 0;
    while at < pieces.len() {
        // Pieces that stay together.
        let ends = pieces[at..].iter().position(|piece| !piece.with_next);
        let together = &pieces[at..ends.map_or(pieces.len(), |more| at + more + 1)];
        let height: f64 = together.iter().map(|piece| piece.height + piece.gap).sum();
        let fresh = |pages: &[Vec<_>]| pages.last().is_none_or(Vec::is_empty);
        // More than a page has no room anywhere: it goes on as single pieces.
        let whole = height - together[0].gap <= room;
        for (k, piece) in together.iter().enumerate() {
            let needed = if k == 0 && whole { height } else { piece.gap + piece.height };
            let full = (k == 0 || !whole) && used + needed > room;
            if !fresh(&pages) && (full || piece.new_page) {
                pages.push(Vec::new());
                used = 0.0;
            }
            if fresh(&pages) {
                if let Some(head) = &piece.repeated {
                    used = place(&mut pages, head, 0.0);
                    used = place(&mut pages, piece, used);
                } else {
                    used = place(&mut pages, piece, 0.0);
                }
            } else {
                used = place(&mut pages, piece, used + piece.gap);
            }
        }
        at += together.len();
    }
    pages
}

fn place<'a>(pages: &mut [Vec<Placed<'a>>], piece: &'a Piece, top: f64) -> f64 {
    if let Some(page) = pages.last_mut() {
        page.push((top, piece));
    }
    top + piece.height
}
