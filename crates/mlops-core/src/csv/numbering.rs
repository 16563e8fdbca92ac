//! The numbers of the lines of a file, of any format, in an order in which they never fall back.
//!
//! The lines or rows of each part of a file, such as a row group or a member of an archive, are numbered anew where
//! the part is named. Here they go on, so that a number names one line of the whole file. Not for places in messages:
//! see [`super::formats::Place`].

use std::sync::Arc;

use super::formats::Place;

/// Numbers the lines of pieces that follow each other.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    /// The part of the piece before.
    part: Option<Arc<str>>,
    /// How many lines or rows the parts before it have.
    before: u64,
    /// The number of the last line so far.
    last: u64,
}

impl Numbering {
    /// The numbers of the lines of the next piece, counted from 0 in it, which has `lines` of them. In a plain file
    /// they begin at `first`.
    pub(crate) fn next<'a>(
        &mut self,
        place: Option<&'a Place>,
        first: u64,
        lines: u64,
    ) -> impl Fn(u64) -> u64 + use<'a> {
        if let Some(place) = place
            && place.part != self.part
        {
            self.part.clone_from(&place.part);
            self.before = self.last;
        }
        let before = self.before;
        let number = move |line| place.map_or(first + line, |place| before + place.number(line));
        if let Some(line) = lines.checked_sub(1) {
            self.last = number(line);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_file_and_go_on_in_its_next_part() {
        let mut numbering = Numbering::default();
        assert_eq!(numbering.next(None, 2, 5)(3), 5);

        // Lines of text that were translated: a title above, and a record over two lines.
        let mut numbering = Numbering::default();
        let place = Place { part: None, first: 3, offsets: vec![0, 2] };
        let number = numbering.next(Some(&place), 1, 2);
        assert_eq!((number(0), number(1)), (3, 5));

        let mut numbering = Numbering::default();
        let group = |n: u8, first| Place::rows(Some(format!("row group {n}").into()), first);
        for (place, lines, first) in [
            (group(0, 1), 10, 1),
            (group(0, 11), 5, 11),
            (group(1, 1), 7, 16),
            (group(2, 1), 0, 23),
            (group(3, 1), 1, 23),
        ] {
            assert_eq!(numbering.next(Some(&place), 99, lines)(0), first, "{place:?}");
        }
    }
}
