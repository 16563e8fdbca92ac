//! Limits on the size and time of a body while it is read.
//!
//! Not for the memory of all bodies together: see `budget`.

use std::time::Duration;

use crate::budget::Share;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::state::State;

/// The limits of one body, with the memory reserved for it so far.
#[derive(Debug)]
pub(crate) struct Limits {
    one: usize,
    total: usize,
    pub(crate) time: Duration,
    pub(crate) share: Share,
}

impl Limits {
    /// The limits for a body of at most `one` bytes.
    pub(crate) fn of(app: &State, one: usize) -> Self {
        let service = app.service();
        Self {
            one,
            total: service.max_total_body_bytes,
            time: service.body_timeout,
            share: app.budget.share(),
        }
    }

    /// Refuses a body whose declared length is too large.
    pub(crate) fn announced(&self, bytes: u64) -> Result<(), Problem> {
        if bytes > self.one as u64 { Err(self.too_large()) } else { Ok(()) }
    }

    /// Allows a body of `len` bytes to grow by `more`.
    pub(crate) fn grow(&mut self, len: usize, more: usize) -> Result<(), Problem> {
        if len + more > self.one {
            return Err(self.too_large());
        }
        if self.share.grow(more, self.total) { Ok(()) } else { Err(full()) }
    }

    fn too_large(&self) -> Problem {
        let detail = format!(
            "the body is larger than {} bytes, the limit service.max_body_bytes: send fewer rows \
             at a time",
            self.one
        );
        Problem::refused(Refusal::TooLarge, detail)
    }

    #[cfg(test)]
    pub(crate) fn test(one: usize) -> Self {
        let share = std::sync::Arc::<crate::budget::Budget>::default().share();
        Self { one, total: usize::MAX, time: Duration::ZERO, share }
    }
}

/// Reserves memory for a file of `size` bytes, whose answer is held like that for a body.
pub(crate) fn room_for_file(app: &State, size: u64) -> Result<Share, Problem> {
    let total = app.service().max_total_body_bytes;
    let mut share = app.budget.share();
    if share.grow(usize::try_from(size).unwrap_or(usize::MAX), total) {
        Ok(share)
    } else {
        Err(full())
    }
}

/// Adds `bytes` of explanations to the `share` of a request, whose other bytes stand for eight each.
pub(crate) fn room_for_explanations(
    app: &State,
    share: &mut Share,
    bytes: usize,
) -> Result<(), Problem> {
    let total = app.service().max_total_body_bytes;
    if share.grow(bytes / 8, total) { Ok(()) } else { Err(full()) }
}

fn full() -> Problem {
    Problem::busy(
        "the bodies of other requests fill service.max_total_body_bytes: try again, or send fewer \
         rows at a time",
    )
}
