//! A chart with two axes: plotters' chart context with its mesh and series, in our style.
//!
//! The horizontal axis always runs from 0 to 1; both start at 0. Not for the surroundings of the
//! plot: see `axes`.

use std::ops::Range;

use mlops_core::Result;
use plotters::chart::{ChartBuilder, ChartContext, LabelAreaPosition};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Circle, PathElement};
use plotters::prelude::{
    AreaSeries, Cartesian2d, DashedLineSeries, DrawingBackend, LineSeries, Rectangle, TRANSPARENT,
};

use crate::axes::{FIFTHS, Frame, share};
use crate::canvas::{CAPITALS, Canvas, Text, dashes, device, failed, fill, stroke};
use crate::theme::{self, Ink};

/// An axis from 0 to the last of its marks, at which its grid lines and labels are.
#[derive(Clone)]
struct Axis {
    scale: RangedCoordf64,
    marks: Vec<f64>,
}

impl Axis {
    fn new(marks: &[f64]) -> Self {
        let scale = (0.0..marks.last().copied().unwrap_or(1.0)).into();
        Self { scale, marks: marks.to_vec() }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.scale.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // There are no finer grid lines between the marks.
        if hint.weight().allow_light_points() { Vec::new() } else { self.marks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.scale.range()
    }
}

/// A plot, to be filled from back to front: areas, mesh, lines, discs.
pub(crate) struct Plot<'a, B: DrawingBackend> {
    chart: ChartContext<'a, B, Cartesian2d<Axis, Axis>>,
}

impl<B: DrawingBackend> Plot<'_, B> {
    /// A plot inside `frame`; the vertical axis ends at the last of `marks`.
    pub(crate) fn new(canvas: &Canvas<B>, frame: &Frame, marks: &[f64]) -> Result<Self> {
        let (left, top) = (device(frame.left), device(frame.top));
        let (width, height) = (device(frame.width), device(frame.height));
        let below = device(20.0);
        // plotters excludes the last pixel: without one more the plot would end a unit early.
        let whole = canvas.root().clone().shrink((0, top), (left + width + 1, height + 1 + below));
        let chart = ChartBuilder::on(&whole)
            .set_label_area_size(LabelAreaPosition::Left, left)
            .set_label_area_size(LabelAreaPosition::Bottom, below)
            .build_cartesian_2d(Axis::new(&FIFTHS), Axis::new(marks))
            .map_err(failed)?;
        Ok(Self { chart })
    }

    /// Draws grid lines, their labels (at the bottom only if asked for), and the bottom line.
    pub(crate) fn mesh(&mut self, labelled: bool, up: impl Fn(f64) -> String) -> Result<()> {
        let look = Text::new(theme::TICK_SIZE, theme::MUTED).style();
        let across = |x: &f64| share(*x);
        let up = |y: &f64| up(*y);
        let mut mesh = self.chart.configure_mesh();
        // Without axes plotters draws no labels, so that the axes are transparent. The tick marks
        // are too; they only set the distance of the labels, which is twice their size.
        mesh.axis_style(TRANSPARENT)
            .set_tick_mark_size(LabelAreaPosition::Left, device(3.5))
            .set_tick_mark_size(LabelAreaPosition::Bottom, device(4.2))
            .y_label_offset(device(CAPITALS * theme::TICK_SIZE))
            .bold_line_style(stroke(theme::GRID, 0.7))
            .label_style(look)
            .x_label_formatter(&across)
            .y_label_formatter(&up);
        if !labelled {
            mesh.disable_x_axis();
        }
        mesh.draw().map_err(failed)?;
        self.floor()
    }

    /// Draws the bottom line.
    pub(crate) fn floor(&mut self) -> Result<()> {
        let floor = PathElement::new([(0.0, 0.0), (1.0, 0.0)], stroke(theme::AXIS, 1.0));
        self.chart.plotting_area().draw(&floor).map_err(failed)
    }

    /// Fills the area under a curve.
    pub(crate) fn area(&mut self, curve: &[(f64, f64)], ink: Ink) -> Result<()> {
        let series = AreaSeries::new(self.thinned(curve), 0.0, fill(ink));
        self.chart.draw_series(series).map_err(failed).map(drop)
    }

    /// Draws a line through the points.
    pub(crate) fn line(&mut self, curve: &[(f64, f64)], width: f64, ink: Ink) -> Result<()> {
        let series = LineSeries::new(self.thinned(curve), stroke(ink, width));
        self.chart.draw_series(series).map_err(failed).map(drop)
    }

    /// Draws a straight dashed line.
    pub(crate) fn dashed(&mut self, ends: [(f64, f64); 2], width: f64, ink: Ink) -> Result<()> {
        let (dash, gap) = dashes(width);
        let series = DashedLineSeries::new(ends, dash, gap, stroke(ink, width));
        self.chart.draw_series(series).map_err(failed).map(drop)
    }

    /// Draws bars from the bottom, given by start, end and height.
    pub(crate) fn bars(
        &mut self,
        bars: impl IntoIterator<Item = (f64, f64, f64)>,
        ink: Ink,
    ) -> Result<()> {
        let bars = bars
            .into_iter()
            .map(|(from, to, height)| Rectangle::new([(from, height), (to, 0.0)], fill(ink)));
        self.chart.draw_series(bars).map_err(failed).map(drop)
    }

    /// Draws discs with a rim in the paper colour, which sets them off from the curve.
    pub(crate) fn spots(&mut self, at: &[(f64, f64)], radius: f64, ink: Ink) -> Result<()> {
        for at in at {
            for (radius, ink) in [(radius * 1.3, theme::PAPER), (radius, ink)] {
                let disc = Circle::new(*at, device(radius), fill(ink));
                self.chart.plotting_area().draw(&disc).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Drops points that look the same as the previous one, or that lie between their neighbours on
    /// a horizontal or vertical run.
    fn thinned(&self, curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let mut kept: Vec<(f64, f64)> = Vec::new();
        let mut seen: Vec<(i32, i32)> = Vec::new();
        for &point in curve {
            let p = self.chart.backend_coord(&point);
            if seen.last() == Some(&p) {
                continue;
            }
            if let [.., a, b] = seen[..] {
                let between = |a: i32, b: i32, c: i32| (a <= b && b <= c) || (a >= b && b >= c);
                let upright = a.0 == b.0 && b.0 == p.0 && between(a.1, b.1, p.1);
                let level = a.1 == b.1 && b.1 == p.1 && between(a.0, b.0, p.0);
                if upright || level {
                    seen.pop();
                    kept.pop();
                }
            }
            seen.push(p);
            kept.push(point);
        }
        kept
    }
}
