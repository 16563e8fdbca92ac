//! Colours and sizes of all pictures, for light and dark mode.
//!
//! The hues are those of Okabe and Ito, which people with any common kind of colour blindness can
//! tell apart. Not for the page around the pictures: its style sheet is in `html::style`, its
//! colours are in `palette`.
//!
//! A picture is always drawn in the light colours. The HTML page swaps each one for its dark
//! counterpart by matching the attribute (`[fill="#0072B2"]`), so every light colour here must be
//! unlike all others.

/// Red, green and blue.
pub type Rgb = (u8, u8, u8);

/// One role of colour: what it looks like on light and on dark paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ink {
    /// On white paper; the one that is drawn.
    pub light: Rgb,
    /// What the page shows instead when the reader prefers dark.
    pub dark: Rgb,
}

/// A colour for both.
pub(crate) const fn ink(light: u32, dark: u32) -> Ink {
    Ink { light: rgb(light), dark: rgb(dark) }
}

const fn rgb(hex: u32) -> Rgb {
    let [_, red, green, blue] = hex.to_be_bytes();
    (red, green, blue)
}

/// The background.
pub const PAPER: Ink = ink(0xFF_FFFF, 0x16_1B22);
/// Titles and numbers.
pub const TEXT: Ink = ink(0x1F_2328, 0xE6_EDF3);
/// Subtitles, tick labels and axis names.
pub const MUTED: Ink = ink(0x57_606A, 0x9D_A9B6);
/// Grid lines.
pub const GRID: Ink = ink(0xDC_E2E8, 0x2A_323C);
/// Axes and reference lines.
pub const AXIS: Ink = ink(0x8C_959F, 0x75_808C);
/// The model, and the negative class.
pub const BLUE: Ink = ink(0x00_72B2, 0x56_B4E9);
/// Area under or behind something blue.
pub const BLUE_TINT: Ink = ink(0xE2_EFF7, 0x18_3246);
/// The positive class, and what stands out.
pub const ORANGE: Ink = ink(0xD5_5E00, 0xFF_9550);
/// A third curve beside blue and orange.
pub const GREEN: Ink = ink(0x00_9070, 0x3F_C79A);
/// Text on the pale steps of [`RAMP`].
pub const ON_PALE: Ink = ink(0x10_2A3C, 0xEA_F3FA);
/// Text on the strong steps of [`RAMP`].
pub const ON_STRONG: Ink = ink(0xFE_FEFE, 0x08_1824);

/// Shares from 0 to 1 in eleven steps, pale to strong.
pub const RAMP: [Ink; 11] = [
    ink(0xF1_F6FA, 0x1B_2530),
    ink(0xE0_ECF4, 0x1D_2E3D),
    ink(0xCE_E2EF, 0x1F_384C),
    ink(0xBB_D7E9, 0x21_435D),
    ink(0xA7_CBE3, 0x23_4E6E),
    ink(0x92_BFDC, 0x25_5A80),
    ink(0x27_76A8, 0x5F_A8D6),
    ink(0x1D_6C9F, 0x70_B5DF),
    ink(0x14_6599, 0x82_C1E7),
    ink(0x0B_598B, 0x94_CDEE),
    ink(0x05_4D7B, 0xA6_D8F4),
];

/// The first step of [`RAMP`] that is strong enough to want [`ON_STRONG`].
pub const FIRST_STRONG: usize = 6;

/// Every colour there is, for the style sheet to map.
pub fn inks() -> impl Iterator<Item = Ink> {
    [PAPER, TEXT, MUTED, GRID, AXIS, BLUE, BLUE_TINT, ORANGE, GREEN, ON_PALE, ON_STRONG]
        .into_iter()
        .chain(RAMP)
}

/// The cell colour for a share between 0 and 1, and the colour of text upon it.
pub fn cell(share: f64) -> (Ink, Ink) {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let step = (0..=10_u8).rev().find(|k| share * 10.0 + 0.5 >= f64::from(*k)).unwrap_or(0);
    let step = usize::from(step);
    (RAMP[step], if step < FIRST_STRONG { ON_PALE } else { ON_STRONG })
}

/// A colour as SVG and CSS write it, in capitals as plotters does.
pub fn hex((red, green, blue): Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Width of a picture in design units (CSS pixels).
pub const WIDTH: f64 = 480.0;
/// Pictures that are narrower than this are for phones.
pub const NARROW: f64 = 400.0;
/// Height of most pictures in design units.
pub const HEIGHT: f64 = 400.0;
/// Device units per design unit: SVG coordinates are whole numbers, so they are drawn fine.
pub const SCALE: u32 = 6;
/// Pixels of a PNG per design unit.
pub const PIXELS: u32 = 3;

/// Size of titles.
pub const TITLE_SIZE: f64 = 16.0;
/// Size of subtitles, legends and labels.
pub const LABEL_SIZE: f64 = 12.0;
/// Size of tick labels and axis names.
pub const TICK_SIZE: f64 = 11.0;
/// Free space at the left and right edges.
pub const MARGIN: f64 = 14.0;

#[cfg(test)]
fn luminance((r, g, b): Rgb) -> f64 {
    let linear = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

/// The contrast of two colours by WCAG, from 1 to 21.
#[cfg(test)]
pub(crate) fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_light_colour_has_one_meaning() {
        let all: Vec<_> = inks().map(|i| i.light).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn text_reaches_contrast_aa_in_both_themes() {
        for text in [TEXT, MUTED] {
            assert!(contrast(text.light, PAPER.light) >= 4.5, "{text:?}");
            assert!(contrast(text.dark, PAPER.dark) >= 4.5, "{text:?}");
        }
        for share in 0..=10 {
            let (fill, text) = cell(f64::from(share) / 10.0);
            assert!(contrast(text.light, fill.light) >= 4.5, "{share} light");
            assert!(contrast(text.dark, fill.dark) >= 4.5, "{share} dark");
        }
    }

    #[test]
    fn shapes_reach_three_to_one() {
        for shape in [BLUE, ORANGE, GREEN] {
            assert!(contrast(shape.light, PAPER.light) >= 3.0);
            assert!(contrast(shape.dark, PAPER.dark) >= 3.0);
        }
    }

    #[test]
    fn cells_take_any_number() {
        for share in [f64::NAN, -1.0, 0.0, 0.5, 1.0, 7.0, f64::INFINITY] {
            let _ = cell(share);
        }
        assert_eq!(cell(0.0).0, RAMP[0]);
        assert_eq!(cell(1.0).0, RAMP[10]);
    }
}
