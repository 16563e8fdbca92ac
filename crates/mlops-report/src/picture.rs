//! Renders a chart as SVG text, as PNG bytes, or as shapes for the PDF.
//!
//! Each chart has one drawing routine; the backend is chosen here. Not for writing files.

use mlops_core::Result;
use plotters::prelude::{DrawingBackend, SVGBackend};

use crate::canvas::{Align, Canvas, Text, failed};
use crate::drawing::Drawing;
use crate::escape::escape;
use crate::{font, raster, theme};

/// Something that can be drawn.
pub trait Chart {
    /// A text alternative for people who cannot see the picture.
    fn alt(&self) -> String;

    /// Height in design units; the width is [`theme::WIDTH`] where no other one is asked for.
    fn height(&self) -> f64 {
        theme::HEIGHT
    }

    /// Height at this width, for charts that need more where there is less room beside each other.
    fn height_at(&self, _width: f64) -> f64 {
        self.height()
    }

    /// Draws it.
    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()>;
}

/// Renders the chart as an SVG document.
pub fn svg(chart: &impl Chart) -> Result<String> {
    svg_of_width(chart, theme::WIDTH)
}

/// The same, `width` design units wide: a phone or a whole page has another room than a report. Of the charts
/// that are as wide as their canvas.
pub fn svg_of_width(chart: &impl Chart, width: f64) -> Result<String> {
    let (width, height) = device_size(chart, width);
    let mut text = String::new();
    let mut canvas = Canvas::new(SVGBackend::with_string(&mut text, (width, height)))?;
    chart.paint(&mut canvas)?;
    canvas.root().present().map_err(failed)?;
    drop(canvas);
    let alt = escape(&font::clean(&chart.alt()));
    let scale = theme::SCALE;
    // plotters writes the size in device units and nothing for screen readers.
    let body = text.split_once('>').map_or("", |(_, body)| body);
    let body = one_line_texts(body).replace(" opacity=\"1\"", "").replace(
        "<polyline fill=\"none\"",
        "<polyline fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\"",
    );
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{}\" height=\"{}\" role=\"img\" aria-label=\"{alt}\">{body}",
        width / scale,
        height / scale,
    ))
}

/// Removes the line breaks that plotters puts around texts, which some viewers show as spaces.
fn one_line_texts(body: &str) -> String {
    let mut joined = String::with_capacity(body.len());
    let mut inside = false;
    for line in body.lines() {
        inside = (inside || line.starts_with("<text ")) && !line.starts_with("</text>");
        joined.push_str(line);
        if !inside {
            joined.push('\n');
        }
    }
    joined
}

/// Renders the chart as a PNG file, with three pixels per design unit.
pub fn png(chart: &impl Chart) -> Result<Vec<u8>> {
    let size = device_size(chart, theme::WIDTH);
    raster::png(size, theme::SCALE / theme::PIXELS, |band| chart.paint(&mut Canvas::new(band)?))
}

/// Keeps the chart as shapes.
pub(crate) fn drawing(chart: &impl Chart) -> Result<Drawing> {
    let mut drawing = Drawing::new(device_size(chart, theme::WIDTH));
    chart.paint(&mut Canvas::new(&mut drawing)?)?;
    Ok(drawing)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn device_size(chart: &impl Chart, width: f64) -> (u32, u32) {
    // Whole design units, so that the last pixels are complete.
    (
        width.clamp(50.0, 4000.0).round() as u32 * theme::SCALE,
        chart.height_at(width).clamp(50.0, 4000.0).round() as u32 * theme::SCALE,
    )
}

/// Draws title and subtitle, at the top of every chart.
pub(crate) fn heading<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    title: &str,
    subtitle: &str,
) -> Result<()> {
    let room = canvas.width - 2.0 * theme::MARGIN;
    let bold = Text::new(theme::TITLE_SIZE, theme::TEXT).bold();
    canvas.text_within(theme::MARGIN, 22.0, room, title, bold)?;
    let plain = Text::new(theme::LABEL_SIZE, theme::MUTED);
    canvas.text_within(theme::MARGIN, 42.0, room, subtitle, plain)
}

/// Draws a chart without enough data.
pub(crate) fn not_enough<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    title: &str,
    why: &str,
) -> Result<()> {
    heading(canvas, title, "")?;
    let (left, top) = (theme::MARGIN, 46.0);
    let (right, bottom) = (canvas.width - theme::MARGIN, canvas.height - theme::MARGIN);
    for (a, b) in [
        ((left, top), (right, top)),
        ((right, top), (right, bottom)),
        ((right, bottom), (left, bottom)),
        ((left, bottom), (left, top)),
    ] {
        canvas.dashed(a, b, 1.0, theme::AXIS)?;
    }
    let (x, y) = (canvas.width / 2.0, f64::midpoint(top, bottom));
    let large = Text::new(theme::TITLE_SIZE, theme::TEXT).align(Align::Center);
    canvas.text(x, y - 12.0, "not enough data", large)?;
    let small = Text::new(theme::LABEL_SIZE, theme::MUTED).align(Align::Center);
    canvas.text_within(x, y + 12.0, right - left - 24.0, why, small)
}
