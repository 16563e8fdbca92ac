//! The bytes of a PDF: pages, pictures, outline and fonts.
//!
//! Two documents that look the same are the same bytes: there is no time but that of the report, and
//! no id. Not for what is where: see `flow` and `pages`.

use std::collections::HashMap;

use mlops_core::Result;
use pdf_writer::types::{ArtifactType, LineCapStyle, LineJoinStyle, OutlineItemFlags, PageMode};
use pdf_writer::{Content, Date, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::pages::Placed;
use super::piece::{Mark, baseline};
use super::tags::{Tag, Tags, number};
use super::text::{Fonts, Look, Set, wrapped};
use super::{BOTTOM, FOOT, LEFT, SHEET, TOP, WIDTH, packed};
use crate::document::{Document, Line};
use crate::drawing::{Drawing, Shape};
use crate::pictures::Drawn;
use crate::theme::{self, Rgb};

const FONTS: [Name<'static>; 2] = [Name(b"F1"), Name(b"F2")];
/// The name of content that belongs to an element, which says what it is.
const PART: Name<'static> = Name(b"Span");
/// That of decoration, which is not read.
const ARTIFACT: Name<'static> = Name(b"Artifact");
/// How far the control points of a quarter of a circle are from its ends.
const ROUND: f64 = 0.552_284_75;

/// Numbers of objects that others refer to.
struct Ids {
    next: Ref,
    pages: Ref,
    fonts: [Ref; 2],
}

/// Writes the file.
pub(super) fn write(
    document: &Document,
    tool_version: &str,
    pages: &[Vec<Placed<'_>>],
    (pictures, mut tags): (&[Drawn], Tags),
    fonts: &mut Fonts,
) -> Result<Vec<u8>> {
    let mut pdf = Pdf::new();
    let mut next = Ref::new(1);
    let (catalog, info) = (next.bump(), next.bump());
    let mut ids = Ids { pages: next.bump(), fonts: [next.bump(), next.bump()], next };
    let sheets: Vec<Ref> = pages.iter().map(|_| ids.next.bump()).collect();
    let mut forms: HashMap<usize, Ref> = HashMap::new();
    for (k, page) in pages.iter().enumerate() {
        let mut content = Content::new();
        let mut used: Vec<usize> = Vec::new();
        let mut open = Open::Nothing;
        for (top, piece) in page {
            let mut tag = None;
            for mark in &piece.marks {
                if let Mark::Tag(next) = mark {
                    tag = *next;
                    continue;
                }
                open.part_of(tag, k, &mut content, &mut tags);
                draw(&mut content, mark, *top, fonts, pictures);
                if let Mark::Picture { index, .. } = mark
                    && !used.contains(index)
                {
                    used.push(*index);
                }
            }
        }
        open.close(&mut content);
        foot(&mut content, fonts, &document.foot, k + 1, pages.len());
        for index in &used {
            if !forms.contains_key(index) {
                let id = ids.next.bump();
                form(&mut pdf, id, &ids, &pictures[*index].drawing, fonts)?;
                forms.insert(*index, id);
            }
        }
        let stream = ids.next.bump();
        let bytes = packed(content.finish().as_slice())?;
        pdf.stream(stream, &bytes).filter(Filter::FlateDecode);
        let mut sheet = pdf.page(sheets[k]);
        let (width, height) = (short(SHEET.0), short(SHEET.1));
        sheet.parent(ids.pages).contents(stream).media_box(Rect::new(0.0, 0.0, width, height));
        sheet.struct_parents(number(k));
        let mut resources = sheet.resources();
        let mut dict = resources.fonts();
        for (name, id) in FONTS.into_iter().zip(ids.fonts) {
            dict.pair(name, id);
        }
        dict.finish();
        let mut dict = resources.x_objects();
        for index in used {
            dict.pair(Name(picture_name(index).as_bytes()), forms[&index]);
        }
        dict.finish();
        resources.finish();
        sheet.finish();
    }
    let count = i32::try_from(sheets.len()).unwrap_or(i32::MAX);
    pdf.pages(ids.pages).kids(sheets.iter().copied()).count(count);
    let outline = outline(&mut pdf, &mut ids.next, pages, &sheets);
    let structure = tags.write(&mut pdf, &mut ids.next, &sheets);
    fonts.regular.embed(&mut pdf, ids.fonts[0], &mut ids.next)?;
    fonts.bold.embed(&mut pdf, ids.fonts[1], &mut ids.next)?;
    let mut root = pdf.catalog(catalog);
    root.pages(ids.pages).lang(TextStr("en"));
    root.viewer_preferences().display_doc_title(true);
    root.mark_info().marked(true);
    root.pair(Name(b"StructTreeRoot"), structure);
    if let Some(outline) = outline {
        root.outlines(outline).page_mode(PageMode::UseOutlines);
    }
    root.finish();
    let mut about = pdf.document_info(info);
    about.title(TextStr(&document.title)).creator(TextStr(&format!("reporting {tool_version}")));
    if let Some(date) = date(&document.generated) {
        about.creation_date(date).modified_date(date);
    }
    about.finish();
    Ok(pdf.finish())
}

fn picture_name(index: usize) -> String {
    format!("P{index}")
}

/// The bookmarks: sections, and the headings in them.
fn outline(
    pdf: &mut Pdf,
    next: &mut Ref,
    pages: &[Vec<Placed<'_>>],
    sheets: &[Ref],
) -> Option<Ref> {
    struct Item<'a> {
        id: Ref,
        level: usize,
        text: &'a str,
        sheet: Ref,
        top: f64,
    }
    let mut items: Vec<Item<'_>> = Vec::new();
    for (page, sheet) in pages.iter().zip(sheets) {
        for (top, piece) in page {
            if let Some((level, text)) = &piece.outline {
                // A heading before the first section is a section.
                let level = if items.is_empty() { 0 } else { *level };
                items.push(Item { id: next.bump(), level, text, sheet: *sheet, top: *top });
            }
        }
    }
    let root = next.bump();
    let sections: Vec<usize> = (0..items.len()).filter(|k| items[*k].level == 0).collect();
    let (first, last) = (*sections.first()?, *sections.last()?);
    pdf.outline(root).first(items[first].id).last(items[last].id).count(number(sections.len()));
    for (k, item) in items.iter().enumerate() {
        let section = sections.iter().rev().find(|s| **s <= k).copied().unwrap_or(first);
        let next_section = sections.iter().find(|s| **s > k).copied();
        let mut entry = pdf.outline_item(item.id);
        entry.title(TextStr(item.text));
        entry.dest().page(item.sheet).xyz(short(LEFT), short(SHEET.1 - TOP - item.top + 8.0), None);
        if item.level == 0 {
            entry.parent(root);
            let before = sections.iter().rev().find(|s| **s < k);
            if let Some(before) = before {
                entry.prev(items[*before].id);
            }
            if let Some(next) = next_section {
                entry.next(items[next].id);
            }
            let inner = k + 1..next_section.unwrap_or(items.len());
            if !inner.is_empty() {
                entry.first(items[inner.start].id).last(items[inner.end - 1].id);
                // Folded.
                entry.count(-number(inner.len()));
            }
            entry.flags(OutlineItemFlags::BOLD);
        } else {
            entry.parent(items[section].id);
            if k > section + 1 {
                entry.prev(items[k - 1].id);
            }
            if k + 1 < next_section.unwrap_or(items.len()) {
                entry.next(items[k + 1].id);
            }
        }
    }
    Some(root)
}

/// A time of a record, which is in UTC, as PDF spells it.
fn date(rfc3339: &str) -> Option<Date> {
    let part = |from: usize, to: usize| rfc3339.get(from..to)?.parse::<u16>().ok();
    let small = |from, to| part(from, to).and_then(|n| u8::try_from(n).ok());
    Some(
        Date::new(part(0, 4)?)
            .month(small(5, 7)?)
            .day(small(8, 10)?)
            .hour(small(11, 13)?)
            .minute(small(14, 16)?)
            .second(small(17, 19)?)
            .utc_offset_hour(0)
            .utc_offset_minute(0),
    )
}

fn foot(content: &mut Content, fonts: &mut Fonts, text: &str, page: usize, of: usize) {
    let look = Look::new(7.5, theme::MUTED);
    let number = format!("Page {page} of {of}");
    let width = fonts.width(&number, look);
    let y = SHEET.1 - BOTTOM + FOOT;
    let mut decoration = content.begin_marked_content_with_properties(ARTIFACT);
    decoration.properties().artifact().kind(ArtifactType::Pagination);
    decoration.finish();
    rect(content, [LEFT, y, WIDTH, 0.5], theme::GRID.light);
    let down = y + 4.0 + baseline(0, look.size, look.leading());
    let room = WIDTH - width - 20.0;
    for set in wrapped(fonts, &Line::from(text), look, room, 1) {
        put(content, &set, LEFT, down, fonts);
    }
    for set in wrapped(fonts, &Line::from(number), look, width + 1.0, 1) {
        put(content, &set, LEFT + WIDTH - width, down, fonts);
    }
    content.end_marked_content();
}

/// What the content that is being drawn belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Nothing,
    Decoration,
    Element(Tag),
}

impl Open {
    /// Goes on with content of the page `page` that belongs to `tag`, or else is decoration.
    fn part_of(&mut self, tag: Option<Tag>, page: usize, content: &mut Content, tags: &mut Tags) {
        let wanted = tag.map_or(Self::Decoration, Self::Element);
        if *self == wanted {
            return;
        }
        self.close(content);
        if let Some(tag) = tag {
            let number = tags.part(tag, page);
            content.begin_marked_content_with_properties(PART).properties().identify(number);
        } else {
            content.begin_marked_content(ARTIFACT);
        }
        *self = wanted;
    }

    fn close(&mut self, content: &mut Content) {
        if *self != Self::Nothing {
            content.end_marked_content();
        }
        *self = Self::Nothing;
    }
}

fn draw(content: &mut Content, mark: &Mark, top: f64, fonts: &mut Fonts, pictures: &[Drawn]) {
    let top = TOP + top;
    match mark {
        Mark::Text(x, y, set) => put(content, set, LEFT + x, top + y, fonts),
        Mark::Rect([x, y, width, height], ink) => {
            rect(content, [LEFT + x, top + y, *width, *height], *ink);
        }
        Mark::Disc((x, y), radius, ink) => {
            fill(content, *ink);
            circle(content, (LEFT + x, SHEET.1 - top - y), *radius);
            content.fill_nonzero();
        }
        Mark::Tag(_) => {}
        Mark::Picture { index, x, y, scale, from, to } => {
            let whole = f64::from(pictures[*index].drawing.height);
            let width = f64::from(pictures[*index].drawing.width);
            let bottom = SHEET.1 - top - y - (to - from) * scale;
            content.save_state();
            content
                .rect(
                    short(LEFT + x),
                    short(bottom),
                    short(width * scale),
                    short((to - from) * scale),
                )
                .clip_nonzero()
                .end_path();
            // The form has its origin at the bottom left.
            let down = bottom - (whole - to) * scale;
            let scale = short(*scale);
            content.transform([scale, 0.0, 0.0, scale, short(LEFT + x), short(down)]);
            content.x_object(Name(picture_name(*index).as_bytes()));
            content.restore_state();
        }
    }
}

fn put(content: &mut Content, set: &Set, x: f64, y: f64, fonts: &mut Fonts) {
    for run in &set.runs {
        fill(content, run.look.ink);
        let at = (x + run.x, SHEET.1 - y);
        show(content, &run.text, run.look.size, run.look.bold, at, fonts);
    }
}

fn show(
    content: &mut Content,
    text: &str,
    size: f64,
    bold: bool,
    at: (f64, f64),
    fonts: &mut Fonts,
) {
    let bytes = fonts.face(bold).encode(text);
    content.begin_text();
    content.set_font(FONTS[usize::from(bold)], short(size));
    content.next_line(short(at.0), short(at.1));
    content.show(Str(&bytes));
    content.end_text();
}

fn rect(content: &mut Content, [x, y, width, height]: [f64; 4], ink: Rgb) {
    fill(content, ink);
    content.rect(short(x), short(SHEET.1 - y - height), short(width), short(height));
    content.fill_nonzero();
}

fn share(byte: u8) -> f32 {
    (f32::from(byte) / 255.0 * 1000.0).round() / 1000.0
}

fn fill(content: &mut Content, (r, g, b): Rgb) {
    content.set_fill_rgb(share(r), share(g), share(b));
}

fn circle(content: &mut Content, (x, y): (f64, f64), radius: f64) {
    let (r, c) = (radius, radius * ROUND);
    content.move_to(short(x + r), short(y));
    for [a, b, end] in [
        [(r, c), (c, r), (0.0, r)],
        [(-c, r), (-r, c), (-r, 0.0)],
        [(-r, -c), (-c, -r), (0.0, -r)],
        [(c, -r), (r, -c), (r, 0.0)],
    ] {
        content.cubic_to(
            short(x + a.0),
            short(y + a.1),
            short(x + b.0),
            short(y + b.1),
            short(x + end.0),
            short(y + end.1),
        );
    }
    content.close_path();
}

/// A picture, to be drawn wherever it is asked for.
fn form(pdf: &mut Pdf, id: Ref, ids: &Ids, drawing: &Drawing, fonts: &mut Fonts) -> Result<()> {
    let (width, height) = (f64::from(drawing.width), f64::from(drawing.height));
    let mut content = Content::new();
    content.set_line_cap(LineCapStyle::RoundCap).set_line_join(LineJoinStyle::RoundJoin);
    let up = |(x, y): (i32, i32)| (short(f64::from(x)), short(height - f64::from(y)));
    let path = |content: &mut Content, points: &[(i32, i32)]| {
        for (k, point) in points.iter().enumerate() {
            let (x, y) = up(*point);
            if k == 0 {
                content.move_to(x, y)
            } else {
                content.line_to(x, y)
            };
        }
    };
    for shape in &drawing.shapes {
        match shape {
            Shape::Line(points, thick, (r, g, b)) => {
                content.set_stroke_rgb(share(*r), share(*g), share(*b));
                content.set_line_width(short(f64::from(*thick)));
                path(&mut content, points);
                content.stroke();
            }
            Shape::Area(points, ink) => {
                fill(&mut content, *ink);
                path(&mut content, points);
                content.close_path().fill_nonzero();
            }
            Shape::Disc((x, y), radius, ink) => {
                fill(&mut content, *ink);
                let centre = (f64::from(*x), height - f64::from(*y));
                circle(&mut content, centre, f64::from(*radius));
                content.fill_nonzero();
            }
            Shape::Text { start, em, bold, ink, text } => {
                fill(&mut content, *ink);
                show(&mut content, text, *em, *bold, (start.0, height - start.1), fonts);
            }
        }
    }
    let bytes = packed(content.finish().as_slice())?;
    let mut form = pdf.form_xobject(id, &bytes);
    form.filter(Filter::FlateDecode);
    form.bbox(Rect::new(0.0, 0.0, short(width), short(height)));
    let mut resources = form.resources();
    let mut dict = resources.fonts();
    for (name, id) in FONTS.into_iter().zip(ids.fonts) {
        dict.pair(name, id);
    }
    dict.finish();
    resources.finish();
    form.finish();
    Ok(())
}

/// A length with a hundredth of a point, which is less than anybody sees.
#[expect(clippy::cast_possible_truncation, reason = "sheets of paper are small")]
fn short(length: f64) -> f32 {
    ((length * 1000.0).round() / 1000.0) as f32
}
