//! Lines of text of a given width.
//!
//! Lines break after spaces, and after `_`, `=` and `/`; elsewhere only in a word that does not fit
//! by itself. Not for what is between the lines: see `flow`.

use mlops_core::Result;

use super::typeface::Typeface;
use crate::document::{Line, Span};
use crate::font::clean;
use crate::theme::{self, Ink, Rgb};

/// The fonts of a document.
pub(super) struct Fonts {
    pub(super) regular: Typeface,
    pub(super) bold: Typeface,
}

impl Fonts {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { regular: Typeface::new(false)?, bold: Typeface::new(true)? })
    }

    pub(super) fn face(&mut self, bold: bool) -> &mut Typeface {
        if bold { &mut self.bold } else { &mut self.regular }
    }

    /// The width of a text.
    pub(super) fn width(&mut self, text: &str, look: Look) -> f64 {
        let face = self.face(look.bold);
        text.chars().map(|c| face.advance(c)).sum::<f64>() * look.size
    }
}

/// How a text is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) ink: Rgb,
}

impl Look {
    pub(super) const fn new(size: f64, ink: Ink) -> Self {
        Self { size, bold: false, ink: ink.light }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// From the baseline of a line to that of the next.
    pub(super) fn leading(self) -> f64 {
        self.size * 1.36
    }
}

/// A part of a line that is set in one way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    /// From the left end of the line.
    pub(super) x: f64,
    pub(super) text: String,
    pub(super) look: Look,
}

/// A line that is not wider than it may be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Set {
    pub(super) runs: Vec<Run>,
    pub(super) width: f64,
}

/// A character with its look.
type Letter = (char, Look);

/// Longer texts are cut: no page has room for them.
const LONGEST: usize = 6_000;

fn letters(line: &Line, look: Look) -> Vec<Letter> {
    let mut letters = Vec::new();
    for span in &line.0 {
        let look = match span {
            Span::Strong(_) => look.bold(),
            Span::Link(..) => Look { ink: theme::BLUE.light, ..look },
            _ => look,
        };
        // Paper has no place where the rest of a digest would be.
        let seen = match span {
            Span::Digest(whole) if !whole.is_empty() => clean(&mlops_core::text::name(whole)),
            span => span.seen(),
        };
        letters.extend(seen.chars().map(|c| (c, look)));
        if letters.len() > LONGEST {
            letters.truncate(LONGEST);
            letters.push(('…', look));
            break;
        }
    }
    letters
}

/// Whether a line may end after `c`.
fn breaks(c: char) -> bool {
    c == ' ' || c == '_' || c == '=' || c == '/' || c == '\u{200B}'
}

/// The widths of the widest part that does not break, and of the whole in one line.
pub(super) fn extent(fonts: &mut Fonts, line: &Line, look: Look) -> (f64, f64) {
    let (mut widest, mut part, mut whole) = (0.0_f64, 0.0, 0.0);
    for (c, look) in letters(line, look) {
        let advance = fonts.face(look.bold).advance(c) * look.size;
        whole += advance;
        part += if c == ' ' { 0.0 } else { advance };
        widest = widest.max(part);
        if breaks(c) {
            part = 0.0;
        }
    }
    (widest, whole)
}

/// The text in lines of at most `room`; after `most` lines it ends in an ellipsis.
pub(super) fn wrapped(
    fonts: &mut Fonts,
    line: &Line,
    look: Look,
    room: f64,
    most: usize,
) -> Vec<Set> {
    let letters = letters(line, look);
    let mut advance = |(c, look): Letter| fonts.face(look.bold).advance(c) * look.size;
    let mut lines = Vec::new();
    let mut start = 0;
    while start < letters.len() && lines.len() < most {
        let (mut end, mut width, mut last) = (start, 0.0, None);
        while end < letters.len() {
            let letter = letters[end];
            width += advance(letter);
            // A space at the end of a line needs no room.
            if width > room + 1e-6 && letter.0 != ' ' && end > start {
                break;
            }
            end += 1;
            if breaks(letter.0) {
                last = Some(end);
            }
        }
        if end < letters.len() {
            end = last.unwrap_or(end);
        }
        let mut part = &letters[start..end];
        while let [rest @ .., (' ', _)] = part {
            part = rest;
        }
        let more = end < letters.len();
        let cut = more && lines.len() + 1 == most;
        let mut line = if cut { elided(part, room, &mut advance) } else { set(part, &mut advance) };
        // It is not seen, and whoever copies or hears the text has the words apart.
        let spaced = more && !cut && part.len() < end - start;
        if let Some(run) = line.runs.last_mut().filter(|_| spaced) {
            run.text.push(' ');
        }
        lines.push(line);
        start = end;
        while letters.get(start).is_some_and(|(c, _)| *c == ' ') {
            start += 1;
        }
    }
    lines
}

fn elided(part: &[Letter], room: f64, advance: &mut impl FnMut(Letter) -> f64) -> Set {
    let mut kept = part.to_vec();
    while let Some((_, look)) = kept.last().copied() {
        let more = ('…', look);
        if kept.iter().copied().map(&mut *advance).sum::<f64>() + advance(more) <= room {
            kept.push(more);
            break;
        }
        kept.pop();
    }
    set(&kept, advance)
}

fn set(part: &[Letter], advance: &mut impl FnMut(Letter) -> f64) -> Set {
    let mut set = Set::default();
    for &(c, look) in part {
        match set.runs.last_mut() {
            Some(run) if run.look == look => run.text.push(c),
            _ => set.runs.push(Run { x: set.width, text: c.to_string(), look }),
        }
        set.width += advance((c, look));
    }
    set
}
