//! Scores over time with their intervals, and the decisions on the time axis.
//!
//! Not for computing scores: see `mlops_core::stage::performance`.

use mlops_core::Result;
use mlops_core::ids::DecisionOutcome;
use mlops_core::ledger::Action;
use mlops_core::stage::performance::{Basis, Performance, Point, seconds};
use mlops_core::table::date::spell;
use mlops_core::text;
use plotters::prelude::DrawingBackend;

use crate::axes::{self, Frame, Mark};
use crate::canvas::{Align, Canvas, Text};
use crate::picture::{self, Chart};
use crate::scale::{self, Scale};
use crate::theme::{self, Ink};
use crate::{font, format};

/// The data of the chart.
#[derive(Debug, Clone, Copy)]
pub struct Trend<'a> {
    /// The scores and decisions of a period.
    pub performance: &'a Performance,
}

/// The colour of scores of a kind.
fn ink(basis: Basis) -> Ink {
    match basis {
        Basis::HoldOut => theme::BLUE,
        Basis::NewRows => theme::TEXT,
        Basis::Realised => theme::ORANGE,
        Basis::Estimated => theme::GREEN,
        Basis::Challenger => theme::AXIS,
    }
}

/// A period in seconds since 1970.
#[derive(Clone, Copy)]
struct Period {
    first: i64,
    last: i64,
}

impl Period {
    fn share(self, at: i64) -> f64 {
        (at - self.first) as f64 / (self.last - self.first).max(1) as f64
    }

    /// Days, or times of a day, for labels below the axis.
    fn ticks(self, most: usize) -> Vec<(f64, String)> {
        const DAY: i64 = 86_400;
        let span = self.last - self.first;
        let steps = [
            60,
            300,
            600,
            1_800,
            3_600,
            3 * 3_600,
            6 * 3_600,
            12 * 3_600,
            DAY,
            2 * DAY,
            7 * DAY,
            14 * DAY,
            30 * DAY,
            91 * DAY,
            182 * DAY,
            365 * DAY,
            730 * DAY,
            1_826 * DAY,
            3_652 * DAY,
        ];
        let most = i64::try_from(most.max(1)).unwrap_or(4);
        let step = steps.into_iter().find(|step| span / step <= most).unwrap_or(span.max(1));
        let mut at = self.first.div_euclid(step) * step + step;
        let mut ticks = Vec::new();
        while at <= self.last && ticks.len() < 20 {
            let day = spell(at.div_euclid(DAY) as f64);
            let of_day = at.rem_euclid(DAY);
            let label = if step >= DAY {
                day
            } else {
                format!("{:02}:{:02}", of_day / 3_600, of_day % 3_600 / 60)
            };
            ticks.push((self.share(at), label));
            at += step;
        }
        ticks
    }
}

impl<'a> Trend<'a> {
    fn title(self) -> String {
        format!("{} over time", text::capitalised(self.performance.metric.words()))
    }

    fn points(self) -> Vec<(i64, &'a Point)> {
        let finite = self.performance.points.iter().filter(|point| point.value.is_finite());
        finite.filter_map(|point| Some((seconds(&point.at)?, point))).collect()
    }

    /// From the first to the last score or decision, with some room on both sides.
    fn period(self, points: &[(i64, &Point)]) -> Option<Period> {
        let decided = self.performance.decisions.items.iter().filter_map(|d| seconds(&d.at));
        let changed = self.performance.releases.iter().filter_map(|r| seconds(&r.at));
        let times = || points.iter().map(|(at, _)| *at);
        let all: Vec<i64> = times().chain(decided).chain(changed).collect();
        let (first, last) = (*all.iter().min()?, *all.iter().max()?);
        let room = if last > first { ((last - first) / 30).max(1) } else { 43_200 };
        Some(Period { first: first - room, last: last + room })
    }
}

impl Chart for Trend<'_> {
    fn alt(&self) -> String {
        let points = self.points();
        match points.iter().rev().find(|(_, point)| point.basis != Basis::Challenger) {
            None => format!("{}: not enough data", self.title()),
            Some((_, last)) => format!(
                "{}: {}, {} and {}; the last one is {} ({})",
                self.title(),
                format::counted(points.len() as u64, "score", "scores"),
                format::counted(
                    self.performance.decisions.items.len() as u64,
                    "decision",
                    "decisions"
                ),
                format::counted(self.performance.releases.len() as u64, "release", "releases"),
                format::score(last.value),
                last.basis.words()
            ),
        }
    }

    fn height(&self) -> f64 {
        436.0
    }

    fn height_at(&self, width: f64) -> f64 {
        // On a phone each entry of the legend has a line of its own.
        if width < theme::NARROW { self.height() + 72.0 } else { self.height() }
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let points = self.points();
        let Some(period) = self.period(&points).filter(|_| !points.is_empty()) else {
            let why = "no release or decision has a score yet";
            return picture::not_enough(canvas, &self.title(), why);
        };
        picture::heading(
            canvas,
            &self.title(),
            "With 95 % intervals; each triangle is a decision",
        )?;
        let frame = Frame::within(canvas.width, 330.0);
        let lows = points.iter().map(|(_, p)| p.interval.map_or(p.value, |i| i.low.min(p.value)));
        let highs = points.iter().map(|(_, p)| p.interval.map_or(p.value, |i| i.high.max(p.value)));
        let up = Scale::of_shares(lows.fold(1.0, f64::min), highs.fold(0.0, f64::max), 6);
        frame.name_above(canvas, self.performance.metric.words())?;
        scale::grid(canvas, &frame, &up)?;
        let place = |at: i64, value: f64| frame.at(period.share(at), up.share(value));
        Self::dates(canvas, &frame, period)?;
        self.changes(canvas, &frame, period)?;
        Self::held_out(canvas, &points, period, &frame, &up)?;
        // Where intervals would cover each other, the table has them.
        let crowded = points.len() as f64 * 6.0 > frame.width;
        for basis in [Basis::Challenger, Basis::Estimated, Basis::NewRows, Basis::Realised] {
            let own: Vec<_> = points.iter().filter(|(_, p)| p.basis == basis).collect();
            let line: Vec<_> = own.iter().map(|(at, p)| place(*at, p.value)).collect();
            if line.len() > 1 && basis != Basis::Challenger {
                canvas.path(&line, 1.4, ink(basis))?;
            }
            for (at, point) in own {
                let (x, y) = place(*at, point.value);
                if let Some(interval) = point.interval.filter(|_| !crowded) {
                    let (low, high) = (place(*at, interval.low).1, place(*at, interval.high).1);
                    canvas.line((x, low), (x, high), 1.0, ink(basis))?;
                }
                let radius = if crowded { 2.0 } else { 3.4 };
                canvas.disc((x, y), radius + 1.2, theme::PAPER)?;
                canvas.disc((x, y), radius, ink(basis))?;
                if basis == Basis::Challenger {
                    canvas.disc((x, y), radius - 1.3, theme::PAPER)?;
                }
            }
        }
        self.decisions(canvas, &frame, period)?;
        let mut entries: Vec<(Mark, Ink, &str)> = Vec::new();
        for basis in Basis::ALL {
            if points.iter().any(|(_, point)| point.basis == basis) {
                let mark = if basis == Basis::HoldOut { Mark::Line } else { Mark::Disc };
                entries.push((mark, ink(basis), basis.words()));
            }
        }
        if !self.performance.releases.is_empty() {
            entries.push((Mark::Dashes, theme::AXIS, "another release went live"));
        }
        let below = Frame { height: frame.height + 18.0, ..frame };
        axes::rows(canvas, &below, &entries).map(drop)
    }
}

impl Trend<'_> {
    /// Draws the times below the axis, each where the one before leaves room.
    fn dates<B: DrawingBackend>(
        canvas: &mut Canvas<B>,
        frame: &Frame,
        period: Period,
    ) -> Result<()> {
        let look = Text::new(theme::TICK_SIZE, theme::MUTED);
        let (_, bottom) = frame.at(0.0, 0.0);
        let mut free = theme::MARGIN;
        let most = if canvas.width < theme::NARROW { 3 } else { 6 };
        for (share, label) in period.ticks(most) {
            let (x, _) = frame.at(share, 0.0);
            canvas.line((x, bottom), (x, bottom + 4.0), 1.0, theme::AXIS)?;
            let half = font::width(&label, look.size, false)? * 0.56;
            if x - half >= free && x + half <= canvas.width - 4.0 {
                canvas.text(x, bottom + 32.0, &label, look.align(Align::Center))?;
                free = x + half + 6.0;
            }
        }
        // Within one day the hours need it.
        let day = |at: i64| spell(at.div_euclid(86_400) as f64);
        if period.last - period.first < 6 * 86_400 {
            let text = if day(period.first) == day(period.last) {
                format!("{}, UTC", day(period.first))
            } else {
                format!("{} to {}, UTC", day(period.first), day(period.last))
            };
            canvas.text(
                canvas.width - theme::MARGIN,
                frame.top - 14.0,
                &text,
                look.align(Align::Right),
            )?;
        }
        Ok(())
    }

    /// Draws a line where another release went live.
    fn changes<B: DrawingBackend>(
        self,
        canvas: &mut Canvas<B>,
        frame: &Frame,
        period: Period,
    ) -> Result<()> {
        for change in &self.performance.releases {
            let Some(at) = seconds(&change.at) else { continue };
            let ink = match change.action {
                Action::Deploy => theme::AXIS,
                Action::Rollback => theme::ORANGE,
            };
            let (x, bottom) = frame.at(period.share(at), 0.0);
            if x >= frame.left {
                canvas.dashed((x, frame.top), (x, bottom), 1.0, ink)?;
            }
        }
        Ok(())
    }

    /// Draws the scores of releases on held-out rows, each from when it went live to the next.
    fn held_out<B: DrawingBackend>(
        canvas: &mut Canvas<B>,
        points: &[(i64, &Point)],
        period: Period,
        frame: &Frame,
        up: &Scale,
    ) -> Result<()> {
        let own: Vec<_> = points.iter().filter(|(_, p)| p.basis == Basis::HoldOut).collect();
        let end = |k: usize| own.get(k + 1).map_or(period.last, |(at, _)| *at);
        for (k, (at, point)) in own.iter().enumerate() {
            let (from, _) = frame.at(period.share(*at).max(0.0), 0.0);
            let (to, _) = frame.at(period.share(end(k)), 0.0);
            if let Some(interval) = point.interval {
                let (high, low) = (up.share(interval.high), up.share(interval.low));
                let (top, bottom) = (frame.at(0.0, high).1, frame.at(0.0, low).1);
                canvas.rect(from, top, (to - from).max(1.0), bottom - top, theme::BLUE_TINT)?;
            }
        }
        for (k, (at, point)) in own.iter().enumerate() {
            let (from, y) = frame.at(period.share(*at).max(0.0), up.share(point.value));
            let (to, _) = frame.at(period.share(end(k)), 0.0);
            canvas.line((from, y), (to.max(from + 1.0), y), 2.4, theme::BLUE)?;
        }
        Ok(())
    }

    /// Marks decisions under the axis: filled where the live release changed, hollow where it stayed.
    fn decisions<B: DrawingBackend>(
        self,
        canvas: &mut Canvas<B>,
        frame: &Frame,
        period: Period,
    ) -> Result<()> {
        for decision in &self.performance.decisions.items {
            let Some(at) = seconds(&decision.at) else { continue };
            let (x, bottom) = frame.at(period.share(at), 0.0);
            let y = bottom + 13.0;
            let ink = match decision.outcome {
                DecisionOutcome::Promoted => theme::BLUE,
                DecisionOutcome::Refused => theme::ORANGE,
                _ => theme::AXIS,
            };
            let corners = [(x, y - 6.0), (x + 5.0, y + 4.0), (x - 5.0, y + 4.0)];
            canvas.area(&corners, ink)?;
        }
        Ok(())
    }
}
