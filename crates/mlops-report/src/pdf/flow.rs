//! The blocks of a document as pieces of pages.
//!
//! Not for the content: see `sections`.

use mlops_core::Result;
use pdf_writer::types::StructRole;

use super::piece::{Mark, Piece, baseline};
use super::table;
use super::tags::{Tag, Tags};
use super::text::{Fonts, Look, wrapped};
use super::{ROOM, WIDTH};
use crate::document::{Block, Document, Gauge, Line, Section, Tile, Tone, line, strong};
use crate::pictures::Drawn;
use crate::report::Severity;
use crate::theme::{self, Ink, Rgb};

const TITLE: Look = Look::new(20.0, theme::TEXT).bold();
const SECTION: Look = Look::new(14.0, theme::TEXT).bold();
const HEADING: Look = Look::new(10.5, theme::TEXT).bold();
const PLAIN: Look = Look::new(9.5, theme::TEXT);
const SMALL: Look = Look::new(8.0, theme::MUTED);
const LEAD: Look = Look::new(12.5, theme::TEXT);

const GOOD: Rgb = (0x1A, 0x7F, 0x4B);
const POOR: Rgb = (0xB3, 0x26, 0x1E);
const WARNING: Rgb = (0x9A, 0x5B, 0x00);
const SERIOUS_TINT: Rgb = (0xFD, 0xEC, 0xEA);
const WARNING_TINT: Rgb = (0xFF, 0xF4, 0xE0);
const NOTE_TINT: Rgb = (0xED, 0xF4, 0xFA);
const BAND: Rgb = (0x9C, 0xCB, 0xE8);
const TRACK: Rgb = (0xE6, 0xEA, 0xEE);

/// The width of a picture, with its caption beside it.
const PICTURE: f64 = 345.0;
/// Lines of a paragraph that is not cut; a longer one may be, but not just after its first line or
/// before its last.
const WHOLE: usize = 8;
/// Maximum number of lines of a paragraph.
const LONGEST: usize = 80;

pub(super) struct Flow<'a> {
    pub(super) fonts: &'a mut Fonts,
    pub(super) pictures: &'a [Drawn],
    pub(super) pieces: Vec<Piece>,
    pub(super) tags: Tags,
}

impl<'a> Flow<'a> {
    pub(super) fn new(fonts: &'a mut Fonts, pictures: &'a [Drawn]) -> Self {
        Self { fonts, pictures, pieces: Vec::new(), tags: Tags::new() }
    }
}

impl Flow<'_> {
    /// The whole document.
    pub(super) fn document(&mut self, document: &Document) -> Result<()> {
        let title = self.text(&Line::from(document.title.as_str()), TITLE, 0.0, 4);
        let tag = self.tags.add(Tags::DOCUMENT, StructRole::H1);
        self.pieces.push(Piece { with_next: true, outline: None, ..title.tagged(tag) });
        for (k, part) in document.under_title.iter().enumerate() {
            let piece = self.text(part, Look { ink: theme::MUTED.light, ..PLAIN }, 0.0, 2);
            let gap = if k == 0 { 4.0 } else { 0.0 };
            let piece = piece.tagged(self.tags.paragraph());
            self.pieces.push(Piece { with_next: true, gap, ..piece });
        }
        let rule = [0.0, 0.0, WIDTH, 2.4];
        let ink = if document.good { GOOD } else { POOR };
        let marks = vec![Mark::Rect(rule, ink)];
        self.pieces.push(Piece {
            height: 2.4,
            gap: 10.0,
            marks,
            with_next: true,
            ..Piece::default()
        });
        self.section(&document.verdict)?;
        for (k, section) in document.sections.iter().enumerate() {
            let first = self.pieces.len();
            self.section(section)?;
            // The first page is complete in itself.
            self.pieces[first].new_page = k == 0;
        }
        let first = self.pieces.len();
        self.heading("Provenance");
        self.pieces[first].gap = 22.0;
        self.facts(&document.provenance);
        Ok(())
    }

    fn section(&mut self, section: &Section) -> Result<()> {
        let piece = self.text(&Line::from(section.heading), SECTION, 0.0, 3);
        let piece = piece.tagged(self.tags.add(Tags::DOCUMENT, StructRole::H2));
        let outline = Some((0, section.heading.to_owned()));
        self.pieces.push(Piece { gap: 22.0, with_next: true, outline, ..piece });
        self.blocks(&section.blocks)
    }

    fn blocks(&mut self, blocks: &[Block]) -> Result<()> {
        blocks.iter().try_for_each(|block| self.block(block))
    }

    fn block(&mut self, block: &Block) -> Result<()> {
        match block {
            Block::Heading(text) => self.heading(text),
            Block::Text(Tone::Plain, text) => self.paragraph(text, PLAIN, 6.0),
            Block::Text(Tone::Small, text) => {
                // What explains a table stays with its last row.
                if let Some(before) = self.pieces.last_mut() {
                    before.with_next |= before.repeated.is_some();
                }
                self.paragraph(text, SMALL, 5.0);
            }
            Block::Text(Tone::Lead, text) => self.paragraph(text, LEAD, 6.0),
            Block::Text(Tone::Alarm, text) => {
                let piece = self.boxed(text, PLAIN, (POOR, SERIOUS_TINT));
                self.pieces.push(piece.after(8.0));
            }
            Block::Facts(items) => self.facts(items),
            Block::List(items) => {
                let list = self.tags.add(Tags::DOCUMENT, StructRole::L);
                for item in items {
                    let lines = wrapped(self.fonts, item, PLAIN, WIDTH - 14.0, 14);
                    let (label, body) = self.labelled(list);
                    let mut piece = Piece::of_lines(lines, 14.0, PLAIN.size, PLAIN.leading());
                    let y = PLAIN.leading() / 2.0;
                    let disc = Mark::Disc((5.0, y), 1.6, theme::TEXT.light);
                    piece = piece.tagged(body);
                    piece.marks.splice(..0, [Mark::Tag(Some(label)), disc]);
                    self.pieces.push(piece.after(3.0));
                }
            }
            Block::Table(table) => {
                self.introduce();
                let rows = table::pieces(self.fonts, &mut self.tags, table, WIDTH);
                self.pieces.extend(rows);
            }
            Block::Figures(names) => {
                self.introduce();
                for name in names {
                    self.figure(name);
                }
            }
            Block::Beside(names, others) => {
                self.introduce();
                for name in names {
                    self.figure(name);
                }
                self.blocks(others)?;
            }
            Block::Findings(findings) => {
                for (severity, text) in findings {
                    let (word, colours) = match severity {
                        Severity::Serious => ("Serious", (POOR, SERIOUS_TINT)),
                        Severity::Warning => ("Warning", (WARNING, WARNING_TINT)),
                        Severity::Note => ("Note", (theme::BLUE.light, NOTE_TINT)),
                    };
                    let line = line![strong(word), "  ", text.as_str()];
                    let piece = self.boxed(&line, PLAIN, colours);
                    self.pieces.push(piece.after(5.0));
                }
            }
            Block::Tiles(tiles) => self.tiles(tiles),
            Block::Gauge(gauge) => self.gauge(gauge),
        }
        Ok(())
    }

    /// A text as one piece.
    fn text(&mut self, line: &Line, look: Look, x: f64, most: usize) -> Piece {
        let lines = wrapped(self.fonts, line, look, WIDTH - x, most);
        Piece::of_lines(lines, x, look.size, look.leading())
    }

    fn heading(&mut self, text: &str) {
        let tag = self.tags.add(Tags::DOCUMENT, StructRole::H3);
        let piece = self.text(&Line::from(text), HEADING, 0.0, 3).tagged(tag);
        let outline = Some((1, text.to_owned()));
        self.pieces.push(Piece { gap: 14.0, with_next: true, outline, ..piece });
    }

    fn paragraph(&mut self, text: &Line, look: Look, gap: f64) {
        let lines = wrapped(self.fonts, text, look, WIDTH, LONGEST);
        let (count, tag) = (lines.len(), self.tags.paragraph());
        if count <= WHOLE {
            let piece = Piece::of_lines(lines, 0.0, look.size, look.leading()).tagged(tag);
            let introduces = look == PLAIN;
            self.pieces.push(Piece { gap, introduces, ..piece });
            return;
        }
        for (k, line) in lines.into_iter().enumerate() {
            let piece = Piece::of_lines(vec![line], 0.0, look.size, look.leading()).tagged(tag);
            let with_next = k == 0 || k + 2 == count;
            let gap = if k == 0 { gap } else { 0.0 };
            self.pieces.push(Piece { gap, with_next, ..piece });
        }
    }

    /// A text on a tinted ground with a coloured edge.
    fn boxed(&mut self, line: &Line, look: Look, (edge, tint): (Rgb, Rgb)) -> Piece {
        let lines = wrapped(self.fonts, line, look, WIDTH - 24.0, 24);
        let leading = look.leading();
        let height = lines.len() as f64 * leading + 10.0;
        let mut marks = vec![
            Mark::Rect([0.0, 0.0, WIDTH, height], tint),
            Mark::Rect([0.0, 0.0, 3.0, height], edge),
            Mark::Tag(Some(self.tags.paragraph())),
        ];
        for (k, set) in lines.into_iter().enumerate() {
            marks.push(Mark::Text(12.0, 5.0 + baseline(k, look.size, leading), set));
        }
        Piece { height, marks, ..Piece::default() }
    }

    fn facts(&mut self, items: &[(String, Line)]) {
        const NAMES: f64 = 130.0;
        let list = self.tags.add(Tags::DOCUMENT, StructRole::L);
        for (k, (name, value)) in items.iter().enumerate() {
            let muted = Look { ink: theme::MUTED.light, ..PLAIN };
            let names = wrapped(self.fonts, &Line::from(name.as_str()), muted, NAMES - 10.0, 8);
            let values = wrapped(self.fonts, value, PLAIN, WIDTH - NAMES, 16);
            let leading = PLAIN.leading();
            let height = names.len().max(values.len()) as f64 * leading;
            let (label, body) = self.labelled(list);
            let mut piece = Piece::of_lines(names, 0.0, PLAIN.size, leading).tagged(label);
            let values = Piece::of_lines(values, NAMES, PLAIN.size, leading).tagged(body);
            piece.marks.extend(values.marks);
            let with_next = k + 1 < items.len();
            let gap = if k == 0 { 6.0 } else { 2.0 };
            self.pieces.push(Piece { height, gap, with_next, ..piece });
        }
    }

    /// A new item of `list`: what names it, and the rest.
    fn labelled(&mut self, list: Tag) -> (Tag, Tag) {
        let item = self.tags.add(list, StructRole::LI);
        (self.tags.add(item, StructRole::Lbl), self.tags.add(item, StructRole::LBody))
    }

    /// Keeps the paragraph that introduces something on the page where that begins.
    fn introduce(&mut self) {
        if let Some(before) = self.pieces.last_mut() {
            before.with_next |= before.introduces;
        }
    }

    /// A picture with its caption beside it; one that is taller than a page goes on on the next.
    fn figure(&mut self, name: &str) {
        let Some(index) = self.pictures.iter().position(|p| p.name == name) else { return };
        let Drawn { drawing, caption, alt, .. } = &self.pictures[index];
        let picture = self.tags.figure(Tags::DOCUMENT, alt);
        let below = self.tags.paragraph();
        let scale = PICTURE / f64::from(drawing.width.max(1));
        let most = (ROOM - 40.0) / scale;
        let side = WIDTH - PICTURE - 16.0;
        let caption = wrapped(self.fonts, &Line::from(*caption), SMALL, side, 30);
        let mut caption = Some(caption);
        let mut from = 0.0;
        while from < f64::from(drawing.height) {
            let to = drawing.cut(from, most);
            let height = (to - from) * scale + 2.0;
            let frame = theme::GRID.light;
            let mut marks = vec![
                Mark::Tag(Some(picture)),
                Mark::Picture { index, x: 0.0, y: 0.0, scale, from, to },
                Mark::Tag(None),
                Mark::Rect([0.0, 0.0, PICTURE, 0.6], frame),
                Mark::Rect([0.0, height, PICTURE, 0.6], frame),
                Mark::Rect([0.0, 0.0, 0.6, height], frame),
                Mark::Rect([PICTURE, 0.0, 0.6, height + 0.6], frame),
                Mark::Tag(Some(below)),
            ];
            for (k, set) in caption.take().unwrap_or_default().into_iter().enumerate() {
                let y = 6.0 + baseline(k, SMALL.size, SMALL.leading());
                marks.push(Mark::Text(PICTURE + 16.0, y, set));
            }
            self.pieces.push(Piece { height: height + 1.0, gap: 12.0, marks, ..Piece::default() });
            from = to;
        }
    }

    fn tiles(&mut self, tiles: &[Tile]) {
        const GAP: f64 = 8.0;
        let n = tiles.len().max(1) as f64;
        let width = (WIDTH - GAP * (n - 1.0)) / n;
        let value = Look::new(19.0, theme::TEXT).bold();
        let mut piece = Piece { height: 80.0, gap: 12.0, ..Piece::default() };
        let list = self.tags.add(Tags::DOCUMENT, StructRole::L);
        for (k, tile) in tiles.iter().enumerate() {
            let x = k as f64 * (width + GAP);
            let (label, body) = self.labelled(list);
            piece.marks.push(Mark::Tag(None));
            frame(&mut piece.marks, [x, 0.0, width, 80.0], theme::GRID);
            let room = width - 16.0;
            let mut put = |tag: Tag, text: &str, look: Look, y: f64, most| {
                let tag = self.tags.add(tag, StructRole::P);
                piece.marks.push(Mark::Tag(Some(tag)));
                let lines = wrapped(self.fonts, &Line::from(text), look, room, most);
                for (k, set) in lines.into_iter().enumerate() {
                    let down = y + baseline(k, look.size, look.leading());
                    piece.marks.push(Mark::Text(x + 8.0, down, set));
                }
            };
            put(label, tile.name, SMALL, 5.0, 1);
            let wide = tile.value.chars().count() as f64;
            // A number must not be cut.
            let size = value.size.min(room / wide.max(1.0) * 1.7);
            put(body, &tile.value, Look { size, ..value }, 15.0, 1);
            put(body, &tile.text, SMALL, 42.0, 3);
        }
        self.pieces.push(piece);
    }

    fn gauge(&mut self, gauge: &Gauge) {
        let at = |share: f64| share * WIDTH;
        let (low, high) = gauge.interval.unwrap_or((gauge.score, gauge.score));
        let mut piece = Piece { height: 44.0, gap: 12.0, ..Piece::default() };
        let marks = &mut piece.marks;
        marks.push(Mark::Tag(Some(self.tags.figure(Tags::DOCUMENT, &gauge.alt))));
        marks.push(Mark::Rect([0.0, 5.0, WIDTH, 8.0], TRACK));
        marks.push(Mark::Rect([at(low), 5.0, at(high - low).max(1.0), 8.0], BAND));
        marks.push(Mark::Rect([at(gauge.constant) - 1.0, 2.0, 2.0, 14.0], theme::ORANGE.light));
        marks.push(Mark::Disc((at(gauge.score), 9.0), 5.4, theme::PAPER.light));
        marks.push(Mark::Disc((at(gauge.score), 9.0), 4.6, theme::BLUE.light));
        let tick = SMALL;
        for (share, text) in [(0.0, "0"), (0.5, "F1"), (1.0, "1")] {
            let width = self.fonts.width(text, tick);
            let set = wrapped(self.fonts, &Line::from(text), tick, 40.0, 1);
            let x = at(share) - width * share;
            let y = 17.0 + baseline(0, tick.size, tick.leading());
            piece.marks.extend(set.into_iter().map(|set| Mark::Text(x, y, set)));
        }
        let (model, interval, best) = &gauge.key;
        let mut x = 0.0;
        let y = 31.0;
        let entries = [Some((0, model)), interval.as_ref().map(|text| (1, text)), Some((2, best))];
        for (kind, text) in entries.into_iter().flatten() {
            let middle = y + tick.leading() / 2.0;
            piece.marks.push(match kind {
                0 => Mark::Disc((x + 5.0, middle), 4.0, theme::BLUE.light),
                1 => Mark::Rect([x, middle - 3.0, 14.0, 6.0], BAND),
                _ => Mark::Rect([x + 4.0, middle - 5.0, 2.0, 10.0], theme::ORANGE.light),
            });
            let start = x + if kind == 1 { 19.0 } else { 13.0 };
            let set = wrapped(self.fonts, &Line::from(text.as_str()), tick, WIDTH - start, 1);
            let down = y + baseline(0, tick.size, tick.leading());
            piece.marks.extend(set.into_iter().map(|set| Mark::Text(start, down, set)));
            x = start + self.fonts.width(text, tick) + 18.0;
        }
        self.pieces.push(piece);
    }
}

/// The outline of a rectangle.
fn frame(marks: &mut Vec<Mark>, [x, y, width, height]: [f64; 4], ink: Ink) {
    let thin = 0.7;
    let edges = [
        [x, y, width, thin],
        [x, y + height - thin, width, thin],
        [x, y, thin, height],
        [x + width - thin, y, thin, height],
    ];
    marks.extend(edges.into_iter().map(|edge| Mark::Rect(edge, ink.light)));
}
