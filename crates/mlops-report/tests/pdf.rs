//! The PDF: that readers can open, search and copy it, and that it is the same for the same report.
//!
//! Where pages end is tested beside the code (`src/pdf/mod.rs`).

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::collections::BTreeMap;
use std::io::Read as _;

use mlops_report::Report;
use mlops_report::pdf::render;

/// The objects of a PDF, as far as the tests need them.
struct Pdf {
    /// Dictionaries as text, with the unpacked stream, by number.
    objects: BTreeMap<u32, (String, Vec<u8>)>,
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|window| window == what).map(|at| at + from)
}

impl Pdf {
    fn parse(bytes: &[u8]) -> Self {
        assert!(bytes.starts_with(b"%PDF-1."));
        // The table at the end leads to every object.
        let text = String::from_utf8_lossy(bytes);
        let start: usize =
            text.rsplit("startxref\n").next().unwrap().lines().next().unwrap().parse().unwrap();
        let table = String::from_utf8_lossy(&bytes[start..]).into_owned();
        let mut objects = BTreeMap::new();
        for line in table.lines().filter(|line| line.trim_end().ends_with(" n")) {
            let at: usize = line.split(' ').next().unwrap().parse().unwrap();
            let head = String::from_utf8_lossy(&bytes[at..at + 20]).into_owned();
            let number: u32 = head.split(' ').next().unwrap().parse().unwrap();
            let end = find(bytes, b"endobj", at).unwrap();
            let stream = find(&bytes[..end], b"\nstream\n", at);
            let dict = String::from_utf8_lossy(&bytes[at..stream.unwrap_or(end)]).into_owned();
            let mut data = Vec::new();
            if let Some(from) = stream {
                let to = find(bytes, b"\nendstream", from).unwrap();
                let packed = &bytes[from + 8..to];
                flate2::read::ZlibDecoder::new(packed).read_to_end(&mut data).unwrap();
            }
            objects.insert(number, (dict, data));
        }
        Self { objects }
    }

    fn with(&self, word: &str) -> impl Iterator<Item = &(String, Vec<u8>)> {
        self.objects.values().filter(move |(dict, _)| dict.contains(word))
    }

    fn referred(&self, dict: &str, key: &str) -> &(String, Vec<u8>) {
        let rest = dict.split_once(&format!("/{key} ")).unwrap_or_else(|| panic!("{key}: {dict}"));
        let number: String = rest.1.chars().take_while(char::is_ascii_digit).collect();
        &self.objects[&number.parse().unwrap()]
    }

    fn pages(&self) -> Vec<&(String, Vec<u8>)> {
        let tree = self.with("/Type /Pages").next().unwrap();
        let kids = tree.0.split_once("/Kids [").unwrap().1.split_once(']').unwrap().0;
        kids.split(" 0 R")
            .filter_map(|n| n.trim().parse::<u32>().ok())
            .map(|n| &self.objects[&n])
            .collect()
    }

    /// The characters of the font `name` by number.
    fn characters(&self, name: &str) -> BTreeMap<u16, char> {
        let fonts = self.with("/Subtype /Type0");
        let (dict, _) = fonts.into_iter().find(|(dict, _)| dict.contains(name)).unwrap();
        let (_, map) = self.referred(dict, "ToUnicode");
        let map = String::from_utf8_lossy(map);
        let hex = |text: &str| text.trim_start_matches('<').trim_end_matches('>').to_owned();
        let pairs = map.lines().filter_map(|line| {
            let (number, char) = line.split_once("> <")?;
            let units: Vec<u16> = hex(char)
                .as_bytes()
                .chunks(4)
                .map(|unit| u16::from_str_radix(std::str::from_utf8(unit).unwrap(), 16).unwrap())
                .collect();
            let char = char::decode_utf16(units).next()?.ok()?;
            Some((u16::from_str_radix(&hex(number), 16).ok()?, char))
        });
        pairs.collect()
    }

    /// The texts of a page in the order in which they are drawn, pictures left out.
    fn texts(&self, page: &str) -> Vec<String> {
        let fonts = [self.characters("Regular"), self.characters("Bold")];
        let (_, content) = self.referred(page, "Contents");
        let mut texts = Vec::new();
        let mut font = 0;
        let mut at = 0;
        while let Some(start) = find(content, b"BT\n", at) {
            let end = find(content, b"\nET", start).unwrap();
            let part = &content[start..end];
            font = match (find(part, b"/F1", 0), find(part, b"/F2", 0)) {
                (Some(_), _) => 0,
                (_, Some(_)) => 1,
                _ => font,
            };
            texts.push(
                shown(part)
                    .chunks(2)
                    .map(|two| {
                        fonts[font]
                            .get(&u16::from_be_bytes([two[0], two[1]]))
                            .copied()
                            .unwrap_or('?')
                    })
                    .collect(),
            );
            at = end;
        }
        texts
    }
}

/// The bytes of the string that `Tj` shows.
fn shown(part: &[u8]) -> Vec<u8> {
    if let Some(open) = find(part, b"<", 0).filter(|_| find(part, b"(", 0).is_none()) {
        let close = find(part, b">", open).unwrap();
        let digits = &part[open + 1..close];
        return digits
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect();
    }
    let open = find(part, b"(", 0).unwrap();
    let mut bytes = Vec::new();
    let mut rest = part[open + 1..].iter().copied().peekable();
    let mut depth = 0;
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => {
                let escaped = rest.next().unwrap();
                bytes.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'f' => 12,
                    b'0'..=b'7' => {
                        let mut value = escaped - b'0';
                        for _ in 0..2 {
                            let Some(digit) = rest.next_if(|b| (b'0'..=b'7').contains(b)) else {
                                break;
                            };
                            value = value.wrapping_mul(8).wrapping_add(digit - b'0');
                        }
                        value
                    }
                    other => other,
                });
            }
            b'(' => {
                depth += 1;
                bytes.push(b'(');
            }
            b')' if depth == 0 => break,
            b')' => {
                depth -= 1;
                bytes.push(b')');
            }
            other => bytes.push(other),
        }
    }
    bytes
}

#[test]
fn fonts_are_embedded_and_the_text_is_there_in_order() {
    let pdf = Pdf::parse(&render(&common::plausible()).unwrap());
    let files = pdf.with("/FontFile2").count();
    assert_eq!(files, 2, "both fonts are embedded");
    assert_eq!(pdf.with("/Subtype /Type0").count(), 2);
    assert_eq!(pdf.with("/Subtype /Type1").count() + pdf.with("/Subtype /TrueType").count(), 0);
    let pages = pdf.pages();
    assert!((5..12).contains(&pages.len()), "{} pages", pages.len());
    let first = pdf.texts(&pages[0].0).join("\n");
    for part in
        ["Which corporations are about to leave?", "Report of 2026-03-02, 09:14 UTC", "77\u{A0}%"]
    {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    let mut all = String::new();
    for (k, page) in pages.iter().enumerate() {
        let texts = pdf.texts(&page.0);
        let foot = format!("Page {} of {}", k + 1, pages.len());
        assert_eq!(texts.last().unwrap(), &foot);
        assert!(texts[texts.len() - 2].starts_with("Release 2026-03-02-r7"), "{texts:?}");
        assert!(texts[texts.len() - 2].contains("9f2c4e61ab03"), "{texts:?}");
        all.extend(["\n", &texts.join("\n"), "\n"]);
    }
    let mut at = 0;
    for heading in [
        "The verdict",
        "Ingested files",
        "The model",
        "Model quality",
        "The data",
        "Findings",
        "Provenance",
    ] {
        let found = all[at..].find(&format!("\n{heading}\n"));
        at += found.unwrap_or_else(|| panic!("{heading} is missing or not in order"));
    }
}

#[test]
fn it_has_a_title_a_language_and_bookmarks() {
    let pdf = Pdf::parse(&render(&common::plausible()).unwrap());
    let (catalog, _) = pdf.with("/Type /Catalog").next().unwrap();
    assert!(
        catalog.contains("/Lang (en)") && catalog.contains("/DisplayDocTitle true"),
        "{catalog}"
    );
    let (info, _) = pdf.with("/Title (Which corporations").next().unwrap();
    assert!(info.contains("/CreationDate (D:20260302091455"), "{info}");
    let (outline, _) = pdf.referred(catalog, "Outlines");
    let mut item = &pdf.referred(outline, "First").0;
    let mut titles = Vec::new();
    loop {
        let title = item.split_once("/Title (").unwrap().1.split_once(')').unwrap().0;
        titles.push(title.to_owned());
        if !item.contains("/Next ") {
            break;
        }
        item = &pdf.referred(item, "Next").0;
    }
    assert_eq!(titles[..3], ["The verdict", "Ingested files", "The model"]);
    assert!(titles.contains(&"Findings".to_owned()), "{titles:?}");
}

#[test]
fn pictures_are_vectors() {
    let pdf = Pdf::parse(&render(&common::plausible()).unwrap());
    assert_eq!(pdf.with("/Subtype /Image").count(), 0);
    assert_eq!(pdf.with("/Subtype /Form").count(), 9);
}

#[test]
fn the_same_report_is_the_same_file() {
    for report in [common::plausible(), common::hostile(), Report::default()] {
        assert_eq!(render(&report).unwrap(), render(&report).unwrap());
    }
}

#[test]
fn characters_without_a_glyph_can_still_be_copied() {
    let mut report = common::plausible();
    report.title = "שלום مرحبا 客户 🚀".to_owned();
    let pdf = Pdf::parse(&render(&report).unwrap());
    let first = pdf.texts(&pdf.pages()[0].0).join("\n");
    assert!(first.contains("שלום مرحبا 客户 🚀"), "{first}");
}
