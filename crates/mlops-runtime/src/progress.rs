//! Progress on standard error, if that is a terminal: a bar with bytes and rows while a file is read, and
//! the name of the step with its seconds while anything else takes long; for a fit its iteration and gradient.
//!
//! Not for logs: with `-v` nothing is drawn among their lines.

use std::fmt;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mlops_core::ids::Step;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Context;

use crate::Common;

/// Called with bytes done, bytes in total, and rows.
type Progress = Arc<dyn Fn(u64, u64, u64) + Send + Sync>;
/// Called when a step begins.
type Begins = Arc<dyn Fn(Step) + Send + Sync>;

/// Where events of iterations come from.
const FITS: &str = "mlops_core::model::fit";
/// A step that takes no longer than this is not shown.
const SHORT: Duration = Duration::from_secs(1);
/// How often the seconds are renewed.
const TICK: Duration = Duration::from_millis(500);

/// The one line, shared with whatever else prints.
static LINE: OnceLock<Line> = OnceLock::new();

struct Line {
    bar: ProgressBar,
    working: Mutex<Option<Working>>,
}

/// The step at work; while a file is read, the bar stands for it.
#[derive(Clone, Copy)]
struct Working {
    step: Step,
    since: Instant,
    fit: Option<Iteration>,
}

/// How far a fit is.
#[derive(Clone, Copy, Default)]
struct Iteration {
    number: u64,
    gradient: f64,
}

impl Line {
    fn set(&self, step: Option<Step>) {
        let working = step.map(|step| Working { step, since: Instant::now(), fit: None });
        *self.working.lock().unwrap_or_else(PoisonError::into_inner) = working;
    }

    fn iterated(&self, fit: Iteration) {
        if let Some(working) = &mut *self.working.lock().unwrap_or_else(PoisonError::into_inner) {
            working.fit = Some(fit);
        }
    }

    /// Draws the step that works, if it does so for long and nothing better is known of it.
    fn renew(&self) {
        let working = *self.working.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(working) = working.filter(|working| working.since.elapsed() >= SHORT) else {
            return;
        };
        if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let bytes = self.bar.length().is_some_and(|total| self.bar.position() < total);
        if bytes {
            self.bar.tick();
        } else {
            self.bar.set_style(style("{msg}"));
            self.bar.set_message(working.to_string());
        }
    }
}

impl fmt::Display for Working {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} s", self.step.as_str(), self.since.elapsed().as_secs())?;
        match self.fit {
            Some(Iteration { number, gradient }) => {
                write!(f, ", iteration {number}, gradient {gradient:.1e}")
            }
            None => Ok(()),
        }
    }
}

/// Notes the iterations of fits for the line.
pub(crate) struct Iterations;

impl Iterations {
    /// The layer, which sees nothing but the events of fits.
    pub(crate) fn layer<S>() -> impl Layer<S>
    where
        S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        Self.with_filter(Targets::new().with_target(FITS, LevelFilter::DEBUG))
    }
}

impl<S: Subscriber> Layer<S> for Iterations {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fit = Iteration::default();
        event.record(&mut fit);
        if let Some(line) = LINE.get().filter(|_| fit.number > 0) {
            line.iterated(fit);
        }
    }
}

impl Visit for Iteration {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "iteration" {
            self.number = value;
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "gradient" {
            self.gradient = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Whether there is somebody who looks.
pub(crate) fn is_wanted(common: &Common) -> bool {
    !common.quiet && !common.json && std::io::stderr().is_terminal()
}

/// A line that appears when a file is read or a step takes long, so that short work shows none.
pub(crate) fn line(common: &Common) -> Option<(Progress, Begins)> {
    if !is_wanted(common) {
        return None;
    }
    let line = LINE.get_or_init(|| Line { bar: ProgressBar::hidden(), working: Mutex::new(None) });
    let bytes: Progress = Arc::new(|done, total, rows| {
        if line.bar.length() != Some(total) {
            line.bar.set_length(total);
            line.bar.reset_eta();
            line.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        line.bar.set_style(style(
            "{bar:30} {bytes}/{total_bytes}  {binary_bytes_per_sec}  {msg}  {eta} left",
        ));
        line.bar.set_position(done);
        line.bar.set_message(format!("{rows} rows"));
        if done >= total {
            line.bar.set_draw_target(ProgressDrawTarget::hidden());
        }
    });
    // Lines of a log would be drawn over.
    let begins: Begins = if common.verbose > 0 {
        Arc::new(|_| {})
    } else {
        let renew = || {
            loop {
                std::thread::sleep(TICK);
                line.renew();
            }
        };
        // Without this thread the line is not renewed, which does no harm.
        let _ = std::thread::Builder::new().name("progress".to_owned()).spawn(renew);
        Arc::new(|step| {
            // A file whose last bytes were not reported belongs to the step before.
            line.bar.set_position(line.bar.length().unwrap_or(0));
            line.bar.finish_and_clear();
            line.bar.reset();
            line.bar.set_draw_target(ProgressDrawTarget::hidden());
            line.bar.set_length(0);
            line.set(Some(step));
        })
    };
    Some((bytes, begins))
}

/// Prints something while the line is hidden.
pub(crate) fn aside<T>(print: impl FnOnce() -> T) -> T {
    match LINE.get() {
        Some(line) => line.bar.suspend(print),
        None => print(),
    }
}

/// Removes the line: the work is done.
pub(crate) fn end() {
    if let Some(line) = LINE.get() {
        line.set(None);
        line.bar.finish_and_clear();
    }
}
