//! Draws how time and memory grow with the number of rows, from the figures of `benches/growth.sh`.
//!
//! `cargo run -p mlops-report --example growth -- growth.tsv growth.svg growth.png`. Not for
//! measuring, and not part of any report.
#![expect(clippy::disallowed_methods, reason = "a half-written picture is drawn again")]

use std::error::Error;
use std::path::Path;

use mlops_report::theme::{self, Ink};
use mlops_report::{Align, Canvas, Chart, Text, font, format};
use plotters::prelude::DrawingBackend;

const USAGE: &str = "usage: growth FIGURES.tsv PICTURE.svg|PICTURE.png...";

/// The columns that `benches/growth.sh` writes.
const HEADER: [&str; 5] = ["work", "rows", "wall_s", "cpu_s", "peak_mib"];

/// What was measured at one size.
#[derive(Clone, Copy)]
struct Point {
    rows: f64,
    seconds: f64,
    mib: f64,
}

/// One work at all sizes.
struct Series {
    work: &'static Work,
    points: Vec<Point>,
}

/// What `benches/growth.sh` measures.
struct Work {
    /// What the figures call it.
    key: &'static str,
    /// What the picture calls it.
    name: &'static str,
    ink: Ink,
    /// A ring instead of a disc, where two lines may lie on each other.
    ring: bool,
}

/// More hues of Okabe and Ito, which the pictures of a report have no use for.
const GREEN: Ink = Ink { light: (0x00, 0x9E, 0x73), dark: (0x00, 0x9E, 0x73) };
const PURPLE: Ink = Ink { light: (0xCC, 0x79, 0xA7), dark: (0xCC, 0x79, 0xA7) };

static WORKS: [Work; 4] = [
    Work { key: "ingestion", name: "ingestion", ink: theme::BLUE, ring: false },
    Work { key: "ingestion_64MiB", name: "ingestion within 64\u{A0}MiB", ink: PURPLE, ring: true },
    Work { key: "training", name: "training", ink: theme::ORANGE, ring: false },
    Work { key: "diagnostics", name: "diagnostics", ink: GREEN, ring: false },
];

/// A logarithmic axis that begins and ends at powers of its base.
struct Axis {
    base: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64>, base: f64) -> Self {
        // A power of the base must not be rounded up to the next one.
        const SLACK: f64 = 1e-9;
        let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            let exponent = value.log(base);
            from = from.min((exponent + SLACK).floor());
            to = to.max((exponent - SLACK).ceil());
        }
        Self { base, from, to: to.max(from + 1.0) }
    }

    fn share(&self, value: f64) -> f64 {
        (value.log(self.base) - self.from) / (self.to - self.from)
    }

    fn ends(&self) -> [f64; 2] {
        [self.from, self.to].map(|e| self.base.powf(e))
    }

    /// The powers of the base, with their exponents.
    fn marks(&self) -> impl Iterator<Item = (f64, f64)> {
        let exponents = std::iter::successors(Some(self.from), |e| Some(e + 1.0));
        exponents.take_while(|e| *e < self.to + 0.5).map(|e| (e, self.base.powf(e)))
    }
}

/// Both panels.
struct Growth {
    series: Vec<Series>,
}

const TICK: Text = Text::new(theme::TICK_SIZE, theme::MUTED);
const TOP: f64 = 110.0;
const BOTTOM: f64 = 350.0;
/// Room for the numbers beside an axis.
const NUMBERS: f64 = 35.0;
/// Room for the marker of the smallest and of the largest size.
const INSET: f64 = 9.0;

/// Where one panel is, and what its axes mean.
struct Panel {
    left: f64,
    right: f64,
    across: Axis,
    up: Axis,
}

impl Panel {
    fn at(&self, rows: f64, value: f64) -> (f64, f64) {
        let room = self.right - self.left - 2.0 * INSET;
        (
            self.left + INSET + self.across.share(rows) * room,
            BOTTOM - self.up.share(value) * (BOTTOM - TOP),
        )
    }

    fn mesh<B: DrawingBackend>(
        &self,
        canvas: &mut Canvas<B>,
        name: &str,
    ) -> mlops_core::Result<()> {
        let (left, right) = (self.left, self.right);
        for (_, value) in self.up.marks() {
            let (_, y) = self.at(1.0, value);
            canvas.line((left, y), (right, y), 0.7, theme::GRID)?;
            canvas.text(left - 7.0, y, &format::plain(value), TICK.align(Align::Right))?;
        }
        for (exponent, value) in self.across.marks() {
            let (x, _) = self.at(value, 1.0);
            canvas.line((x, TOP), (x, BOTTOM), 0.7, theme::GRID)?;
            let power = format!("10{}", raised(exponent));
            canvas.text(x, BOTTOM + 15.0, &power, TICK.align(Align::Center))?;
        }
        canvas.line((left, BOTTOM), (right, BOTTOM), 1.0, theme::AXIS)?;
        canvas.text(left - NUMBERS, TOP - 17.0, name, TICK)?;
        let middle = f64::midpoint(left, right);
        canvas.text(middle, BOTTOM + 33.0, "Rows of input", TICK.align(Align::Center))
    }

    fn draw<B: DrawingBackend>(
        &self,
        canvas: &mut Canvas<B>,
        series: &[Series],
        value: impl Fn(&Point) -> f64,
    ) -> mlops_core::Result<()> {
        let place = |p: &Point| self.at(p.rows, value(p));
        for series in series {
            for ends in series.points.windows(2) {
                canvas.line(place(&ends[0]), place(&ends[1]), 2.0, series.work.ink)?;
            }
        }
        // A ring is wide enough to be seen around a disc at the same place.
        for ring in [true, false] {
            for series in series.iter().filter(|s| s.work.ring == ring) {
                for point in &series.points {
                    marker(canvas, place(point), series.work)?;
                }
            }
        }
        Ok(())
    }

    /// A dashed line from edge to edge on which twice the rows take twice the time, and its name.
    fn proportional<B: DrawingBackend>(
        &self,
        canvas: &mut Canvas<B>,
        per_row: f64,
    ) -> mlops_core::Result<()> {
        let [fewest, most] = self.across.ends();
        let [lowest, highest] = self.up.ends();
        let (from, to) = (fewest.max(lowest / per_row), most.min(highest / per_row));
        let (start, end) = (self.at(from, from * per_row), self.at(to, to * per_row));
        let lines = ["proportional", "to rows"];
        // Other fonts may be wider than the one that is measured.
        let width = font::width(lines[0], TICK.size, TICK.bold)? * 1.1;
        let slope = (end.1 - start.1) / (end.0 - start.0);
        let (left, top) = (end.0 - width, end.1 - slope * width + 14.0);
        // With few sizes there may be no room for its name, or for the line itself.
        if from >= to || top > BOTTOM - 24.0 {
            return Ok(());
        }
        canvas.dashed(start, end, 1.2, theme::AXIS)?;
        canvas.rect(left, top - 8.0, width, 30.0, theme::PAPER)?;
        for (line, y) in lines.iter().zip([top, top + 14.0]) {
            canvas.text(end.0, y, line, TICK.align(Align::Right))?;
        }
        Ok(())
    }
}

fn marker<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    at: (f64, f64),
    work: &Work,
) -> mlops_core::Result<()> {
    if work.ring {
        canvas.disc(at, 5.6, work.ink)?;
        canvas.disc(at, 3.8, theme::PAPER)
    } else {
        canvas.disc(at, 3.3, work.ink)
    }
}

/// A whole number in small raised digits.
fn raised(exponent: f64) -> String {
    let digits = format!("{exponent:.0}");
    digits
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            c => c.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(c),
        })
        .collect()
}

impl Growth {
    fn points(&self) -> impl Iterator<Item = &Point> {
        self.series.iter().flat_map(|s| &s.points)
    }

    fn panel(&self, (left, right): (f64, f64), base: f64, value: fn(&Point) -> f64) -> Panel {
        let across = Axis::around(self.points().map(|p| p.rows), 10.0);
        let up = Axis::around(self.points().map(value), base);
        Panel { left, right, across, up }
    }

    /// One row of names for both panels.
    fn legend<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> mlops_core::Result<()> {
        const SAMPLE: f64 = 20.0;
        let label = Text::new(theme::TICK_SIZE, theme::TEXT);
        let (mut x, y) = (theme::MARGIN, 66.0);
        for series in &self.series {
            canvas.line((x, y), (x + SAMPLE, y), 2.0, series.work.ink)?;
            marker(canvas, (x + SAMPLE / 2.0, y), series.work)?;
            x += SAMPLE + 6.0;
            canvas.text(x, y, series.work.name, label)?;
            x += font::width(series.work.name, label.size, label.bold)? * 1.1 + 10.0;
        }
        Ok(())
    }
}

impl Chart for Growth {
    fn alt(&self) -> String {
        let mut parts = vec!["Wall time and peak memory by rows, on logarithmic axes".to_owned()];
        for series in &self.series {
            if let Some(last) = series.points.last() {
                let (seconds, mib) = (format::number(last.seconds), format::number(last.mib));
                let (name, rows) = (series.work.name, format::plain(last.rows));
                parts.push(format!("{name} of {rows} rows: {seconds} s, {mib} MiB"));
            }
        }
        parts.join("; ")
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> mlops_core::Result<()> {
        let bold = Text::new(theme::TITLE_SIZE, theme::TEXT).bold();
        canvas.text(theme::MARGIN, 22.0, "Time and memory by rows", bold)?;
        let plain = Text::new(theme::LABEL_SIZE, theme::MUTED);
        let subtitle = "Whole processes; all axes are logarithmic";
        canvas.text(theme::MARGIN, 42.0, subtitle, plain)?;
        self.legend(canvas)?;

        let time = self.panel((theme::MARGIN + NUMBERS, 236.0), 10.0, |p| p.seconds);
        time.mesh(canvas, "Wall time, seconds")?;
        // Below everything at the largest size, so that it crosses only what grows less than it.
        let largest = self.points().map(|p| p.rows).fold(0.0, f64::max);
        let last = self.points().filter(|p| p.rows >= largest);
        let per_row = last.map(|p| p.seconds / p.rows).fold(f64::INFINITY, f64::min) / 2.0;
        time.proportional(canvas, per_row)?;
        time.draw(canvas, &self.series, |p| p.seconds)?;

        let memory = self.panel((251.0 + NUMBERS, theme::WIDTH - 7.0), 2.0, |p| p.mib);
        memory.mesh(canvas, "Peak memory, MiB")?;
        memory.draw(canvas, &self.series, |p| p.mib)
    }
}

/// The figures, each work's by size.
fn read(text: &str) -> Result<Growth, Box<dyn Error>> {
    let mut lines = text.lines();
    if lines.next().is_none_or(|line| !line.split('\t').eq(HEADER)) {
        return Err(format!("the first line must name the columns {}", HEADER.join(", ")).into());
    }
    let mut series: Vec<_> = WORKS.iter().map(|work| Series { work, points: Vec::new() }).collect();
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        let [key, rows, wall, _, peak] = cells[..] else {
            return Err(format!("not {} columns: {line}", HEADER.len()).into());
        };
        let point = Point { rows: rows.parse()?, seconds: wall.parse()?, mib: peak.parse()? };
        if ![point.rows, point.seconds, point.mib].iter().all(|n| n.is_finite() && *n > 0.0) {
            return Err(format!("a logarithm needs numbers above zero: {line}").into());
        }
        let of_work = series.iter_mut().find(|s| s.work.key == key);
        of_work.ok_or_else(|| format!("no such work: {line}"))?.points.push(point);
    }
    series.retain(|s| !s.points.is_empty());
    if series.is_empty() {
        return Err("there are no figures".into());
    }
    for series in &mut series {
        series.points.sort_by(|a, b| a.rows.total_cmp(&b.rows));
    }
    Ok(Growth { series })
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [figures, pictures @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
    let growth = read(&std::fs::read_to_string(figures)?)?;
    for picture in pictures {
        match Path::new(picture).extension().and_then(|e| e.to_str()) {
            Some("svg") => std::fs::write(picture, mlops_report::svg(&growth)?)?,
            Some("png") => std::fs::write(picture, mlops_report::png(&growth)?)?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(())
}
