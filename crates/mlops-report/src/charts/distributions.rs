//! A column's training rows beside its new rows, value by value, as bars from the left.
//!
//! Each sample is shown as shares of itself. Not for the test: its verdict is given.

use mlops_core::Result;
use mlops_core::drift::ColumnDrift;
use plotters::prelude::DrawingBackend;

use crate::canvas::{Align, Canvas, Text};
use crate::picture::{self, Chart};
use crate::{format, theme};

const ROW: f64 = 30.0;
const TOP: f64 = 88.0;
/// The most values that are shown; the smallest are joined.
const MOST: usize = 14;

/// The data of the chart.
#[derive(Debug, Clone, Copy)]
pub struct Distributions<'a> {
    /// The column, with both samples counted.
    pub column: &'a ColumnDrift,
}

/// A value with the share of the training rows and of the new rows that have it.
struct Bar {
    label: String,
    shares: [f64; 2],
}

impl Distributions<'_> {
    fn title(self) -> String {
        format!(
            "{}: {}",
            self.column.column,
            if self.column.drifted { "drifted" } else { "no drift" }
        )
    }

    fn totals(self) -> [u64; 2] {
        let of = |counts: fn(&mlops_core::drift::Cell) -> u64| {
            self.column.cells.iter().map(counts).sum()
        };
        [of(|cell| cell.reference), of(|cell| cell.new)]
    }

    fn bars(self) -> Vec<Bar> {
        let totals = self.totals();
        let share = |n: u64, all: u64| n as f64 / all.max(1) as f64;
        let cells = &self.column.cells;
        let mut kept: Vec<usize> = (0..cells.len()).collect();
        if cells.len() > MOST {
            // The last cell has the missing values.
            let weight = |k: &usize| {
                let cell = &cells[*k];
                share(cell.reference, totals[0]).max(share(cell.new, totals[1]))
            };
            kept.pop();
            kept.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then(a.cmp(b)));
            kept.truncate(MOST - 2);
            kept.sort_unstable();
            kept.push(cells.len() - 1);
        }
        let bar = |label: &str, reference: u64, new: u64| Bar {
            label: label.to_owned(),
            shares: [share(reference, totals[0]), share(new, totals[1])],
        };
        let mut bars: Vec<Bar> =
            kept.iter().map(|k| &cells[*k]).map(|c| bar(&c.label, c.reference, c.new)).collect();
        if kept.len() < cells.len() {
            let shown = |of: fn(&mlops_core::drift::Cell) -> u64| -> u64 {
                kept.iter().map(|k| of(&cells[*k])).sum()
            };
            let label =
                format!("{} other values", format::count((cells.len() - kept.len()) as u64));
            let rest = [totals[0] - shown(|c| c.reference), totals[1] - shown(|c| c.new)];
            let last = bars.len().saturating_sub(1);
            bars.insert(last, bar(&label, rest[0], rest[1]));
        }
        bars
    }
}

impl Chart for Distributions<'_> {
    fn alt(&self) -> String {
        let [reference, new] = self.totals();
        format!(
            "{}: {} training rows against {} new rows",
            self.title(),
            format::count(reference),
            format::count(new)
        )
    }

    fn height(&self) -> f64 {
        match self.column.cells.len().min(MOST) {
            0 => 200.0,
            rows => TOP + rows as f64 * ROW + 14.0,
        }
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let (title, bars, totals) = (self.title(), self.bars(), self.totals());
        if bars.is_empty() || totals.contains(&0) {
            let why = "the record has no distribution of this column";
            return picture::not_enough(canvas, &title, why);
        }
        let subtitle = "Share of each sample, missing values last";
        picture::heading(canvas, &title, subtitle)?;
        let label = Text::new(theme::LABEL_SIZE, theme::TEXT);
        let tick = Text::new(theme::TICK_SIZE, theme::MUTED);
        // The legend.
        let mut x = theme::MARGIN;
        for (ink, what, n) in
            [(theme::BLUE, "training", totals[0]), (theme::ORANGE, "new", totals[1])]
        {
            canvas.rect(x, 61.0, 9.0, 9.0, ink)?;
            let text = format!("{what} ({})", format::counted(n, "row", "rows"));
            canvas.text(x + 14.0, 66.0, &text, tick)?;
            x += 14.0 + crate::font::width(&text, tick.size, false)? * 1.12 + 18.0;
        }
        let names = (canvas.width * 0.34).clamp((canvas.width * 0.46).min(160.0), 220.0);
        let (left, right) = (names + 8.0, canvas.width - theme::MARGIN - 46.0);
        let most = bars.iter().flat_map(|bar| bar.shares).fold(0.0_f64, f64::max).max(1e-12);
        for (row, bar) in bars.iter().enumerate() {
            let y = TOP + (row as f64 + 0.5) * ROW - 4.0;
            let room = names - theme::MARGIN;
            canvas.text_within(names, y, room, &bar.label, label.align(Align::Right))?;
            for (share, ink, dy) in
                [(bar.shares[0], theme::BLUE, -11.0), (bar.shares[1], theme::ORANGE, 0.5)]
            {
                let length =
                    (share / most * (right - left)).max(if share > 0.0 { 1.0 } else { 0.0 });
                canvas.rect(left, y + dy, length, 10.5, ink)?;
                canvas.text(left + length + 5.0, y + dy + 5.2, &format::percent(share), tick)?;
            }
        }
        let bottom = TOP + bars.len() as f64 * ROW;
        canvas.line((left, TOP - 4.0), (left, bottom), 1.0, theme::AXIS)
    }
}
