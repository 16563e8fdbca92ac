//! What the parts of a PDF are, for readers that speak it or lay it out anew: headings, paragraphs,
//! lists, tables, and pictures with a text in their place.
//!
//! `flow` and `table` add the elements in the order in which they are read, and the marks of a piece
//! name the one that they draw. Marks of no element are decoration. Not for bookmarks: see `file`.

use pdf_writer::types::{StructRole, TableHeaderScope};
use pdf_writer::writers::StructTreeRoot;
use pdf_writer::{Finish as _, Pdf, Ref, TextStr};

/// An element of the structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(usize);

#[derive(Debug)]
struct Element {
    role: StructRole,
    parent: Option<Tag>,
    /// What a heading of a table is about.
    scope: Option<TableHeaderScope>,
    /// What is read instead of a picture, or before a table.
    words: Option<String>,
    kids: Vec<Kid>,
}

#[derive(Debug)]
enum Kid {
    Element(Tag),
    /// The part of a page with this number.
    Part {
        page: usize,
        number: i32,
    },
}

/// All elements of a document.
#[derive(Debug)]
pub(super) struct Tags {
    elements: Vec<Element>,
    /// The elements of each page's parts.
    pages: Vec<Vec<Tag>>,
}

impl Tags {
    /// The element that contains all others.
    pub(super) const DOCUMENT: Tag = Tag(0);

    pub(super) fn new() -> Self {
        let mut tags = Self { elements: Vec::new(), pages: Vec::new() };
        tags.push(None, StructRole::Document);
        tags
    }

    fn push(&mut self, parent: Option<Tag>, role: StructRole) -> Tag {
        let tag = Tag(self.elements.len());
        self.elements.push(Element { role, parent, scope: None, words: None, kids: Vec::new() });
        if let Some(parent) = parent {
            self.elements[parent.0].kids.push(Kid::Element(tag));
        }
        tag
    }

    /// Adds an element behind those that `parent` has.
    pub(super) fn add(&mut self, parent: Tag, role: StructRole) -> Tag {
        self.push(Some(parent), role)
    }

    /// Adds a paragraph to the document.
    pub(super) fn paragraph(&mut self) -> Tag {
        self.add(Self::DOCUMENT, StructRole::P)
    }

    /// Adds a picture with the words that are read instead of it.
    pub(super) fn figure(&mut self, parent: Tag, words: &str) -> Tag {
        let tag = self.add(parent, StructRole::Figure);
        self.elements[tag.0].words = Some(words.to_owned());
        tag
    }

    /// Adds a table with its name.
    pub(super) fn table(&mut self, name: &str) -> Tag {
        let tag = self.add(Self::DOCUMENT, StructRole::Table);
        self.elements[tag.0].words = Some(name.to_owned()).filter(|name| !name.is_empty());
        tag
    }

    /// Adds a cell to the row `row` of a table, a heading if it has a scope.
    pub(super) fn cell(&mut self, row: Tag, scope: Option<TableHeaderScope>) -> Tag {
        let role = if scope.is_some() { StructRole::TH } else { StructRole::TD };
        let tag = self.add(row, role);
        self.elements[tag.0].scope = scope;
        tag
    }

    /// The number of a new part of the page `page`, which belongs to `tag`.
    pub(super) fn part(&mut self, tag: Tag, page: usize) -> i32 {
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, Vec::new);
        }
        let number = number(self.pages[page].len());
        self.pages[page].push(tag);
        self.elements[tag.0].kids.push(Kid::Part { page, number });
        number
    }

    /// Writes all elements, whose parts are on `sheets`; returns the root.
    pub(super) fn write(&self, pdf: &mut Pdf, next: &mut Ref, sheets: &[Ref]) -> Ref {
        let root = next.bump();
        let ids: Vec<Ref> = self.elements.iter().map(|_| next.bump()).collect();
        let pages: Vec<Ref> = self.pages.iter().map(|_| next.bump()).collect();
        for (element, id) in self.elements.iter().zip(&ids) {
            element.write(pdf, *id, root, &ids, sheets);
        }
        for (tags, id) in self.pages.iter().zip(&pages) {
            pdf.indirect(*id).array().items(tags.iter().map(|tag| ids[tag.0]));
        }
        let mut tree = pdf.indirect(root).start::<StructTreeRoot<'_>>();
        tree.child(ids[Self::DOCUMENT.0]);
        let mut parents = tree.parent_tree();
        let mut numbers = parents.nums();
        for (page, id) in pages.iter().enumerate() {
            numbers.insert(number(page), *id);
        }
        numbers.finish();
        parents.finish();
        tree.parent_tree_next_key(number(pages.len()));
        tree.finish();
        root
    }
}

impl Element {
    fn write(&self, pdf: &mut Pdf, id: Ref, root: Ref, ids: &[Ref], sheets: &[Ref]) {
        let mut element = pdf.struct_element(id);
        element.kind(self.role).parent(self.parent.map_or(root, |parent| ids[parent.0]));
        let words = self.words.as_deref().map(TextStr);
        match (self.role, words) {
            (StructRole::Table, Some(words)) => {
                element.attributes().push().table().summary(words);
            }
            (_, Some(words)) => {
                element.alt(words);
            }
            (_, None) => {}
        }
        if let Some(scope) = self.scope {
            element.attributes().push().table().scope(scope);
        }
        // Most elements are on one page, which need not be named for each part.
        let first = self.kids.iter().find_map(|kid| match kid {
            Kid::Part { page, .. } => Some(*page),
            Kid::Element(_) => None,
        });
        if let Some(page) = first {
            element.page(sheets[page]);
        }
        if self.kids.is_empty() {
            return;
        }
        let mut kids = element.children();
        for kid in &self.kids {
            match kid {
                Kid::Element(tag) => {
                    kids.struct_element(ids[tag.0]);
                }
                Kid::Part { page, number } if Some(*page) == first => {
                    kids.marked_content_id(*number);
                }
                Kid::Part { page, number } => {
                    kids.marked_content_ref().page(sheets[*page]).marked_content_id(*number);
                }
            }
        }
    }
}

/// The number of a page or part, as PDF has it.
pub(super) fn number(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
