//! The colours of pages as variables of a style sheet, for light and dark mode: those of the report and of the
//! service.
//!
//! Pictures are drawn in the light colours of [`theme`]; in dark mode each colour is replaced by matching the
//! attribute that has it. Not for what a page uses each colour for: see the style sheets.

use std::fmt::Write as _;

use crate::theme::{self, Ink, hex, ink};

/// The variables that every page has, with what is drawn behind and around text.
const NAMED: [(&str, Ink); 18] = [
    ("paper", theme::PAPER),
    ("text", theme::TEXT),
    ("muted", theme::MUTED),
    ("line", theme::GRID),
    ("blue", theme::BLUE),
    ("orange", theme::ORANGE),
    ("ground", ink(0xF3_F5F7, 0x0D_1117)),
    ("link", ink(0x00_5A8E, 0x7C_C4F2)),
    ("button", ink(0x00_5A8E, 0x00_5A8E)),
    ("field", ink(0x79_838E, 0x79_838E)),
    ("good", ink(0x14_6C3E, 0x5B_D19A)),
    ("bad", ink(0xB3_261E, 0xFF_9A92)),
    ("warning", ink(0x7A_4600, 0xF0_B050)),
    ("good-bg", ink(0xE6_F4EC, 0x12_301F)),
    ("bad-bg", ink(0xFD_ECEA, 0x3A_1A1A)),
    ("warning-bg", ink(0xFF_F4E0, 0x33_260F)),
    ("neutral-bg", ink(0xE9_EEF3, 0x24_2D38)),
    ("band", ink(0x9C_CBE8, 0x2F_6C94)),
];

/// The beginning of a style sheet: the variables, and what dark mode changes in pictures.
pub fn sheet() -> String {
    let variables = |pick: fn(Ink) -> theme::Rgb| {
        NAMED.iter().fold(String::new(), |mut css, (name, ink)| {
            let _ = write!(css, "--{name}:{};", hex(pick(*ink)));
            css
        })
    };
    let mut swaps = String::new();
    for ink in theme::inks() {
        let (light, dark) = (hex(ink.light), hex(ink.dark));
        let _ = writeln!(swaps, "figure [fill=\"{light}\"]{{fill:{dark}}}");
        let _ = writeln!(swaps, "figure [stroke=\"{light}\"]{{stroke:{dark}}}");
    }
    format!(
        ":root{{color-scheme:light dark;{}--shade:#00000026}}\n\
         @media screen and (prefers-color-scheme:dark){{\n:root{{{}--shade:#000000B0}}\n{swaps}}}\n",
        variables(|ink| ink.light),
        variables(|ink| ink.dark)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::contrast;

    fn named(name: &str) -> Ink {
        NAMED.iter().find(|(of, _)| *of == name).expect(name).1
    }

    #[test]
    fn text_in_a_colour_reaches_contrast_aa_on_all_that_is_behind_it() {
        for (text, grounds) in [
            ("text", ["paper", "ground", "neutral-bg", "warning-bg"]),
            ("muted", ["paper", "ground", "paper", "ground"]),
            ("link", ["paper", "ground", "neutral-bg", "paper"]),
            ("good", ["paper", "ground", "good-bg", "paper"]),
            ("bad", ["paper", "ground", "bad-bg", "paper"]),
            ("warning", ["paper", "ground", "warning-bg", "paper"]),
        ] {
            for ground in grounds {
                let (text_ink, ground_ink) = (named(text), named(ground));
                for (a, b) in [(text_ink.light, ground_ink.light), (text_ink.dark, ground_ink.dark)]
                {
                    let found = contrast(a, b);
                    assert!(found >= 4.5, "{text} on {ground}: {found:.2}");
                }
            }
        }
        assert!(contrast((255, 255, 255), named("button").dark) >= 4.5);
        assert!(contrast(named("field").light, named("paper").light) >= 3.0);
        assert!(contrast(named("field").dark, named("paper").dark) >= 3.0);
    }
}
