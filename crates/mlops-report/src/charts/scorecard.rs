//! The scorecard: the points of each bin and level, column by column, as numbers and bars.
//!
//! Not for the counts behind them: see `html::model`.

use mlops_core::Result;
use mlops_core::model::scorecard::{AttributeColumn, AttributeRow};
use plotters::prelude::DrawingBackend;

use crate::canvas::{Align, Canvas, Text};
use crate::format;
use crate::picture::{self, Chart};
use crate::report::PointsScale;
use crate::theme;

/// The maximum number of lines; the page and the card have all of them.
const MOST: usize = 150;
const ROW: f64 = 19.0;
const TOP: f64 = 72.0;
/// Where names of bins end and bars begin.
const NAMES: f64 = 214.0;
/// Room for a number beside the bars.
const NUMBER: f64 = 44.0;

/// The data of the scorecard.
#[derive(Debug, Clone, Copy)]
pub struct Scorecard<'a> {
    /// How points are made; `None` without a scorecard.
    pub scale: Option<&'a PointsScale>,
    /// The columns with their bins and levels.
    pub columns: &'a [AttributeColumn],
    /// The name of the class that becomes likelier where points fall.
    pub positive: &'a str,
}

/// A line of the picture.
enum Line<'a> {
    Base(i64),
    Column(&'a AttributeColumn),
    Attribute(&'a AttributeRow),
}

impl Scorecard<'_> {
    fn lines(&self) -> Vec<Line<'_>> {
        let Some(scale) = self.scale else { return Vec::new() };
        let mut lines = vec![Line::Base(scale.base)];
        for column in self.columns {
            lines.push(Line::Column(column));
            lines.extend(column.rows.iter().map(Line::Attribute));
        }
        lines
    }

    /// The lowest and the highest points of a bin or level, with 0 between them.
    fn range(&self) -> (f64, f64) {
        let points = self.columns.iter().flat_map(|column| &column.rows).filter_map(rounded);
        points.fold((0.0, 0.0), |(low, high), points| (low.min(points), high.max(points)))
    }
}

fn rounded(row: &AttributeRow) -> Option<f64> {
    row.points.map(|points| points.rounded as f64)
}

impl Chart for Scorecard<'_> {
    fn alt(&self) -> String {
        match self.scale {
            None => "Scorecard: not enough data".to_owned(),
            Some(scale) => {
                let attributes: usize = self.columns.iter().map(|column| column.rows.len()).sum();
                let attributes =
                    format::counted(attributes as u64, "bin or level", "bins and levels");
                format!("Scorecard: {} base points, and points for {attributes}", scale.base)
            }
        }
    }

    fn height(&self) -> f64 {
        match self.lines().len() {
            0 => 240.0,
            n => TOP + (n.min(MOST) + usize::from(n > MOST)) as f64 * ROW + 20.0,
        }
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let title = "Scorecard";
        let Some(scale) = self.scale else {
            return picture::not_enough(canvas, title, "the model has no scorecard");
        };
        let subtitle = format!(
            "Base points plus one bin of each column; {} {} the odds of “{}”",
            format::plain(scale.scale.pdo.abs()),
            if scale.scale.pdo > 0.0 { "more halve" } else { "more double" },
            self.positive,
        );
        picture::heading(canvas, title, &subtitle)?;
        let label = Text::new(theme::LABEL_SIZE, theme::TEXT);
        let tick = Text::new(theme::TICK_SIZE, theme::MUTED);
        let (low, high) = self.range();
        let (left, right) = (NAMES + 12.0 + NUMBER, canvas.width - theme::MARGIN - NUMBER);
        let width = (right - left) / (high - low).max(1.0);
        let zero = left - low * width;
        let lines = self.lines();
        for (at, line) in lines.iter().take(MOST).enumerate() {
            let y = TOP + (at as f64 + 0.5) * ROW;
            match line {
                Line::Base(points) => {
                    canvas.text(theme::MARGIN, y, "Base points of every row", label.bold())?;
                    let end = canvas.width - theme::MARGIN;
                    canvas.text(end, y, &points.to_string(), label.bold().align(Align::Right))?;
                }
                Line::Column(column) => {
                    canvas.line(
                        (theme::MARGIN, y - ROW / 2.0),
                        (canvas.width - theme::MARGIN, y - ROW / 2.0),
                        1.0,
                        theme::GRID,
                    )?;
                    let room = NAMES + 90.0 - theme::MARGIN;
                    canvas.text_within(theme::MARGIN, y, room, &column.name, label.bold())?;
                    if let Some(value) = column.information_value {
                        let value = format!("IV {}", format::number(value));
                        let end = canvas.width - theme::MARGIN;
                        canvas.text(end, y, &value, tick.align(Align::Right))?;
                    }
                }
                Line::Attribute(row) => {
                    let indent = theme::MARGIN + 12.0;
                    let name = row.attribute.to_string();
                    canvas.text_within(indent, y, NAMES - indent, &name, label)?;
                    let Some(points) = row.points else { continue };
                    // Where points fall, odds rise if `pdo` is above 0.
                    let likelier = (points.rounded < 0) == (scale.scale.pdo > 0.0);
                    let ink = if likelier { theme::ORANGE } else { theme::BLUE };
                    let length = points.rounded as f64 * width;
                    let text = points.rounded.to_string().replace('-', "−");
                    if points.rounded < 0 {
                        canvas.rect(zero + length, y - 5.5, -length, 11.0, ink)?;
                        canvas.text(zero + length - 6.0, y, &text, tick.align(Align::Right))?;
                    } else {
                        canvas.rect(zero, y - 5.5, length, 11.0, ink)?;
                        canvas.text(zero + length + 6.0, y, &text, tick)?;
                    }
                    let (above, below) = ((zero, y - ROW / 2.0), (zero, y + ROW / 2.0));
                    canvas.line(above, below, 1.0, theme::AXIS)?;
                }
            }
        }
        if lines.len() > MOST {
            let more = format!("and {} more lines", lines.len() - MOST);
            canvas.text(theme::MARGIN, TOP + (MOST as f64 + 0.5) * ROW, &more, tick)?;
        }
        Ok(())
    }
}
