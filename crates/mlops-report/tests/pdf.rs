//! The PDF: that readers can open, search and copy it, and that it is the same for the same report.
//!
//! Where pages end is tested beside the code (`src/pdf/mod.rs`).

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::collections::BTreeMap;
use std::io::Read as _;

use mlops_report::pdf::render;
use mlops_report::{ColumnRow, Report};

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
        self.texts_of(&self.referred(page, "Contents").1)
    }

    fn texts_of(&self, content: &[u8]) -> Vec<String> {
        let fonts = [self.characters("Regular"), self.characters("Bold")];
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

/// An element of the structure, with the parts of pages that it has itself.
struct Element {
    depth: usize,
    role: String,
    dict: String,
    texts: Vec<String>,
}

impl Pdf {
    /// The texts of a page by the number of their part; `None` is decoration.
    fn parts(&self, page: &str) -> Vec<(Option<usize>, Vec<String>)> {
        let (_, content) = self.referred(page, "Contents");
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(end) = find(content, b"EMC", at) {
            let part = &content[at..end];
            let decorative = find(part, b"/Artifact", 0).is_some();
            let head = find(part, b"BDC", 0).or(find(part, b"BMC", 0)).expect("content of no part");
            assert!(self.texts_of(&part[..head]).is_empty(), "a text of no part");
            let number = String::from_utf8_lossy(&part[..head]).into_owned();
            let number = number.split_once("/MCID ").map(|(_, rest)| {
                rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
            });
            assert_eq!(number.is_none(), decorative);
            parts.push((number, self.texts_of(&part[head..])));
            at = end + 3;
        }
        assert!(self.texts_of(&content[at..]).is_empty(), "a text of no part");
        parts
    }

    /// All elements in the order of reading. Panics unless each is a child of its parent, and each
    /// part of a page belongs to the element that the page's list names.
    fn structure(&self) -> Vec<Element> {
        let (catalog, _) = self.with("/Type /Catalog").next().unwrap();
        assert!(catalog.contains("/Marked true"), "{catalog}");
        let (root, _) = self.referred(catalog, "StructTreeRoot");
        let pages = self.pages();
        let parts: Vec<_> = pages.iter().map(|page| self.parts(&page.0)).collect();
        let numbers = |text: &str| -> Vec<u32> {
            text.split_whitespace().filter_map(|n| n.parse().ok()).collect()
        };
        let lists = root.split_once("/Nums [").unwrap().1.split_once(']').unwrap().0;
        let lists: Vec<u32> =
            numbers(&lists.replace(" 0 R", "")).chunks(2).map(|two| two[1]).collect();
        let owners: Vec<Vec<u32>> = lists
            .iter()
            .map(|list| {
                numbers(
                    &self.objects[list]
                        .0
                        .split_once('[')
                        .unwrap()
                        .1
                        .split_once(']')
                        .unwrap()
                        .0
                        .replace(" 0 R", ""),
                )
            })
            .collect();
        for (k, page) in pages.iter().enumerate() {
            assert!(page.0.contains(&format!("/StructParents {k}\n")), "{}", page.0);
            let mut found: Vec<usize> = parts[k].iter().filter_map(|(number, _)| *number).collect();
            found.sort_unstable();
            assert_eq!(found, (0..owners[k].len()).collect::<Vec<_>>(), "page {}", k + 1);
        }
        let page_of = |dict: &str| {
            let page = &self.referred(dict, "Pg").0;
            pages.iter().position(|(other, _)| other == page).unwrap()
        };
        let first = root.split_once("/K ").unwrap().1.split_once(' ').unwrap().0.parse().unwrap();
        let (mut elements, mut open) = (Vec::new(), vec![(first, 0)]);
        let mut seen = 0;
        while let Some((id, depth)) = open.pop() {
            let dict = &self.objects[&id].0;
            let role = dict.split_once("/S /").unwrap().1.split_whitespace().next().unwrap();
            let kids =
                dict.split_once("/K [").map_or("", |(_, kids)| kids.split_once(']').unwrap().0);
            let (mut texts, mut below) = (Vec::new(), Vec::new());
            let mut page = dict.contains("/Pg ").then(|| page_of(dict));
            let mut words = kids.split_whitespace().peekable();
            while let Some(word) = words.next() {
                let Ok(number) = word.parse::<u32>() else {
                    // A part of another page is a dictionary with that page.
                    if word == "/Pg" {
                        let id: u32 = words.next().unwrap().parse().unwrap();
                        page = pages.iter().position(|(d, _)| *d == self.objects[&id].0);
                        words.next();
                        words.next();
                    }
                    continue;
                };
                if words.next_if_eq(&"0").is_some() && words.next_if_eq(&"R").is_some() {
                    let parent = format!("/P {id} 0 R");
                    assert!(self.objects[&number].0.contains(&parent), "{number} is not of {id}");
                    below.push((number, depth + 1));
                } else {
                    let page = page.expect("the page of a part");
                    let number = number as usize;
                    assert_eq!(owners[page][number], id, "part {number} of page {}", page + 1);
                    let part = parts[page].iter().find(|(other, _)| *other == Some(number));
                    texts.extend(part.unwrap().1.iter().cloned());
                    seen += 1;
                }
            }
            elements.push(Element { depth, role: role.to_owned(), dict: dict.clone(), texts });
            open.extend(below.into_iter().rev());
        }
        assert_eq!(seen, owners.iter().map(Vec::len).sum::<usize>(), "every part is read once");
        elements
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

#[test]
fn readers_are_told_headings_lists_tables_and_pictures() {
    let pdf = Pdf::parse(&render(&common::plausible()).unwrap());
    let elements = pdf.structure();
    let of = |role: &'static str| elements.iter().filter(move |e| e.role == role);
    let texts = |role| of(role).map(|e| e.texts.concat()).collect::<Vec<_>>();
    assert_eq!((elements[0].role.as_str(), of("Document").count()), ("Document", 1));
    assert_eq!(texts("H1"), ["Which corporations are about to leave?"]);
    assert_eq!(texts("H2")[..3], ["The verdict", "Ingested files", "The model"]);
    assert!(texts("H3").contains(&"Confusion matrix".to_owned()), "{:?}", texts("H3"));
    assert!(of("P").count() > 10 && of("LI").count() > 10);
    assert!(of("Lbl").all(|label| label.depth == 3));
    // The words on both sides of the end of a line are two words.
    let spoken = texts("P").concat();
    assert!(spoken.contains("rows that it was not trained on"), "{spoken}");
    assert_eq!(of("THead").count(), of("Table").count());
    assert!(of("TH").all(|cell| cell.dict.contains("/Scope /")));
    let first = elements.iter().position(|e| e.role == "Table").unwrap();
    assert!(elements[first].dict.contains("/Summary ("), "{}", elements[first].dict);
    let roles: Vec<&str> = elements[first..].iter().map(|e| e.role.as_str()).take(4).collect();
    assert_eq!(roles, ["Table", "THead", "TR", "TH"]);
    let row = elements[first..].iter().position(|e| e.role == "TBody").unwrap() + first + 1;
    assert_eq!(elements[row].role, "TR");
    assert!(elements[row + 1].dict.contains("/Scope /Row"), "{}", elements[row + 1].dict);
    assert_eq!(elements[row + 2].role, "TD");
    // The pictures, the gauge, and a histogram in each row of the columns.
    assert!(of("Figure").count() > 10);
    assert!(of("Figure").all(|figure| figure.dict.contains("/Alt ")));
}

#[test]
fn all_texts_are_read_in_the_order_of_the_pages_and_what_is_repeated_is_not() {
    let mut long = common::plausible();
    long.columns = (0..150)
        .map(|k| ColumnRow { name: format!("column_{k}"), ..ColumnRow::default() })
        .collect();
    for report in [common::plausible(), common::hostile(), long, Report::default()] {
        let pdf = Pdf::parse(&render(&report).unwrap());
        let (mut shown, mut left) = (Vec::new(), Vec::new());
        for page in pdf.pages() {
            for (number, texts) in pdf.parts(&page.0) {
                if number.is_some() { &mut shown } else { &mut left }.extend(texts);
            }
        }
        let read: Vec<String> = pdf.structure().into_iter().flat_map(|e| e.texts).collect();
        assert_eq!(read, shown);
        let feet = left.iter().filter(|text| text.starts_with("Page ")).count();
        assert_eq!(feet, pdf.pages().len());
        let heads = read.iter().filter(|text| *text == "missing").count();
        assert!(heads <= 1, "the head of a table is read {heads} times");
    }
}
