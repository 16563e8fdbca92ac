//! The section `card`: what only people can say about the model, for its card.
//!
//! Not for the card: see `mlops-export`. Not for `model.json`.

use super::section::Section;

/// What people say of the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardWords {
    /// What it is called.
    pub title: Option<String>,
    /// What it is for.
    pub intended_use: Option<String>,
    /// What it is not to be used for.
    pub out_of_scope: Vec<String>,
    /// What its users must know.
    pub limits: Vec<String>,
    /// The name of its licence, as Hugging Face spells it.
    pub license: Option<String>,
    /// The language of the texts in its data.
    pub language: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
}

pub(super) fn card(mut section: Section) -> CardWords {
    let card = CardWords {
        title: section.text("title"),
        intended_use: section.text("intended_use"),
        out_of_scope: section.texts_or_one("out_of_scope").unwrap_or_default(),
        limits: section.texts_or_one("limits").unwrap_or_default(),
        license: section.text("license"),
        language: section.text("language"),
        contact: section.text("contact"),
    };
    section.finish();
    card
}
