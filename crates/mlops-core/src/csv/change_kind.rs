//! The kinds of changes that cleaning makes to a cell.
//!
//! Not for finding them: see [`super::cell_changes`]; not for the totals that every file has: see
//! [`super::clean::FormatChanges`].

use crate::ids::spelt;

spelt! {
    /// How cleaning changed a cell. One cell may be changed in several ways.
    pub enum ChangeKind {
        /// Whitespace around the value removed.
        Trimmed = "trimmed",
        /// Zero-width characters removed at the ends.
        Invisible = "invisible",
        /// Quotes removed that the value does not need.
        Unquoted = "unquoted",
        /// Quotes set that the value needs.
        Quoted = "quoted",
        /// `007` to `7` in a numeric column.
        LeadingZero = "leading_zero",
        /// `1,234` to `1234`.
        ThousandsSeparator = "thousands_separator",
        /// `0,125` to `0.125`.
        DecimalComma = "decimal_comma",
        /// `1.0` to `1`.
        DecimalToInteger = "decimal_to_integer",
        /// Another spelling of a number: `+5`, `1e3`, `.5`, `2.50`, `-0`.
        NumberFormat = "number_format",
        /// `YES` to `yes`, `1.0` to `1` in the label column.
        LabelCase = "label_case",
        /// A spelling of a missing value to nothing.
        Missing = "missing",
        /// A value of another type to nothing, as the contract says.
        Discarded = "discarded",
    }
}

/// Some kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeKinds(u16);

impl From<ChangeKind> for ChangeKinds {
    fn from(kind: ChangeKind) -> Self {
        Self(1 << kind as u16)
    }
}

impl ChangeKinds {
    /// Adds a kind if it `applies`.
    pub(super) fn add(&mut self, kind: ChangeKind, applies: bool) {
        self.0 |= u16::from(applies) << kind as u16;
    }

    /// Leaves a kind out if others remain.
    pub(super) fn leave_out(&mut self, kind: ChangeKind) {
        let others = self.0 & !(1 << kind as u16);
        if others != 0 {
            self.0 = others;
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds.
    pub fn iter(self) -> impl Iterator<Item = ChangeKind> {
        ChangeKind::ALL.iter().copied().filter(move |kind| self.0 & (1 << *kind as u16) != 0)
    }
}
