//! A bounded queue of lines with a thread that writes them, so that callers never wait for a slow
//! reader.
//!
//! A line for which there is no room is dropped and counted. Not for the content of lines.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the writer waits at most to batch lines.
const WAIT: Duration = Duration::from_millis(200);
/// How long closing a queue may take if nobody reads its output.
const PATIENCE: Duration = Duration::from_secs(2);

/// A queue of lines and the thread that writes them.
pub struct Lines {
    shared: Arc<Shared>,
    room: usize,
    writing: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the writer: there are lines to write, or the queue is closing.
    wake: Condvar,
    /// Wakes waiting callers: lines were written, so that there is room again.
    done: Condvar,
    lost: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// The writer is writing.
    busy: bool,
    /// The queue is closing.
    over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Passes whole lines to `sink`, many at a time; `sink` returns how many of them it lost. At
    /// most `room` bytes are queued.
    pub fn start(
        name: &str,
        room: usize,
        mut sink: impl FnMut(&[u8]) -> u64 + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let writer = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut batch = Vec::new();
            loop {
                let mut state = ours.state();
                if state.waiting.is_empty() && !state.over {
                    let result = ours.wake.wait_timeout(state, WAIT);
                    state = result.unwrap_or_else(PoisonError::into_inner).0;
                }
                std::mem::swap(&mut state.waiting, &mut batch);
                state.busy = !batch.is_empty();
                let over = state.over && batch.is_empty();
                drop(state);
                if !batch.is_empty() {
                    let lost = sink(&batch);
                    ours.lost.fetch_add(lost, Ordering::Relaxed);
                    batch.clear();
                    ours.state().busy = false;
                }
                ours.done.notify_all();
                if over {
                    break;
                }
            }
        });
        Self { shared, room, writing: writer.is_ok() }
    }

    /// Writes to `sink`. After lines were lost, the line that `tell` makes of their number is
    /// written as soon as the sink accepts lines again.
    pub fn to(
        name: &str,
        room: usize,
        sink: impl Write + Send + 'static,
        tell: impl Fn(u64) -> String + Send + 'static,
    ) -> Self {
        let counted = Arc::new(Mutex::new(None::<Arc<Shared>>));
        let (shared, mut told) = (Arc::clone(&counted), 0);
        let mut sink = WholeLines::new(sink);
        let lines = Self::start(name, room, move |lines| {
            let mut lost = sink.write(lines).lost;
            let queue = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let all = lost + queue.as_ref().map_or(0, |s| s.lost.load(Ordering::Relaxed));
            if all > told && lost == 0 {
                lost += sink.write(tell(all - told).as_bytes()).lost;
                told = all;
            }
            lost
        });
        let shared = Some(Arc::clone(&lines.shared));
        *counted.lock().unwrap_or_else(PoisonError::into_inner) = shared;
        lines
    }

    /// Queues one or more lines, including their line breaks; they stay together.
    pub fn push(&self, lines: &[u8]) {
        self.push_within(lines, Duration::ZERO);
    }

    /// Queues lines like [`Self::push`], but waits up to `patience` for room.
    pub fn push_within(&self, lines: &[u8], patience: Duration) {
        let mut state = self.shared.state();
        if state.waiting.len() + lines.len() > self.room && !patience.is_zero() {
            let full = |state: &mut State| state.waiting.len() + lines.len() > self.room;
            self.shared.wake.notify_one();
            let result = self.shared.done.wait_timeout_while(state, patience, full);
            state = result.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.waiting.len() + lines.len() > self.room || !self.writing {
            drop(state);
            self.shared.lost.fetch_add(count(lines), Ordering::Relaxed);
            return;
        }
        let before = state.waiting.len();
        state.waiting.extend_from_slice(lines);
        // Wakes the writer when room gets short, not for every line.
        let short = self.room / 4;
        if before < short && state.waiting.len() >= short {
            drop(state);
            self.shared.wake.notify_one();
        }
    }

    /// How many lines were lost so far.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, but not for long, since the reader may have stalled.
    pub fn flush(&self) {
        let begun = Instant::now();
        let mut state = self.shared.state();
        self.shared.wake.notify_one();
        while self.writing && (state.busy || !state.waiting.is_empty()) {
            let Some(left) = PATIENCE.checked_sub(begun.elapsed()) else { return };
            let result = self.shared.done.wait_timeout(state, left);
            state = result.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("room", &self.room).finish_non_exhaustive()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.flush();
    }
}

/// The number of line breaks in `text`.
fn count(text: &[u8]) -> u64 {
    text.split_inclusive(|b| *b == b'\n').count() as u64
}

/// Writes whole lines to a sink that may fail in the middle of one. A torn line is terminated
/// before the next one is written, so that one lost line never damages another.
#[derive(Debug)]
pub struct WholeLines<W> {
    sink: W,
    torn: bool,
}

/// The outcome of writing some lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes that were written.
    pub bytes: u64,
    /// Lines not written at all, or only in part.
    pub lost: u64,
}

impl<W: Write> WholeLines<W> {
    /// Writes to `sink`, whose content must be empty or end with a line break.
    pub fn new(sink: W) -> Self {
        Self { sink, torn: false }
    }

    /// Writes to `sink`, whose content ends in the middle of a line if `torn`.
    pub fn after_torn(sink: W, torn: bool) -> Self {
        Self { sink, torn }
    }

    /// Writes as many of `lines` as possible.
    pub fn write(&mut self, lines: &[u8]) -> Written {
        let mut bytes = 0;
        if self.torn {
            if self.push(b"\n") == 0 {
                return Written { bytes, lost: count(lines) };
            }
            (self.torn, bytes) = (false, 1);
        }
        let written = self.push(lines);
        let _ = self.sink.flush();
        let (done, rest) = lines.split_at(written);
        self.torn = !rest.is_empty() && done.last().is_some_and(|b| *b != b'\n');
        // The line that was cut is part of the rest and is counted.
        Written { bytes: bytes + written as u64, lost: count(rest) }
    }

    /// Writes as many bytes as possible and returns their number.
    fn push(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.sink.write(&bytes[written..]) {
                Ok(n) if n > 0 => written += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 1 << 20;

    /// A place to write to that keeps what it gets, once it is let.
    #[derive(Clone, Default)]
    struct Slow(Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_in_order_and_those_without_room_are_counted_and_told() {
        let sink = Slow::default();
        let lines = Lines::to("test", ROOM, sink.clone(), |n| format!("{n} lines lost\n"));
        let blocked = sink.0.lock().unwrap();
        let long = [vec![b'x'; ROOM / 8], b"\n".to_vec()].concat();
        for _ in 0..40 {
            lines.push(&long);
        }
        // One batch may be on its way, another waits; the sink took nothing meanwhile.
        assert!((24..=33).contains(&lines.lost()), "{}", lines.lost());
        let lost = lines.lost();
        drop(blocked);
        drop(lines);
        let written = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let told = format!("{lost} lines lost\n");
        assert!(written.contains(&told), "{lost} lines were lost and not told");
        assert_eq!(written.replace(&told, "").len() as u64, (40 - lost) * long.len() as u64);
    }

    #[test]
    fn a_sink_that_stalls_stops_neither_those_who_push_nor_the_end() {
        let sink = Slow::default();
        let lines = Lines::to("test", ROOM, sink.clone(), |_| String::new());
        let blocked = sink.0.lock().unwrap();
        for _ in 0..10 {
            lines.push(&vec![b'x'; ROOM / 2]);
        }
        assert!(lines.lost() > 0);
        // The sink is held all the while: this would never end if it waited for it.
        drop(lines);
        drop(blocked);
    }

    /// A disk with room for so many bytes.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let n = bytes.len().min(self.1 - self.0.len());
            self.0.extend_from_slice(&bytes[..n]);
            if n == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(n) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_a_full_disk_cut_takes_no_other_with_it() {
        let mut lines = WholeLines::new(Disk(Vec::new(), 7));
        assert_eq!(lines.write(b"one\ntwo\nthree\n"), Written { bytes: 7, lost: 2 });
        assert_eq!(lines.write(b"four\n"), Written { bytes: 0, lost: 1 });
        lines.sink.1 = 100;
        assert_eq!(lines.write(b"five\nsix\n"), Written { bytes: 10, lost: 0 });
        assert_eq!(lines.write(b"seven\n"), Written { bytes: 6, lost: 0 });
        assert_eq!(lines.sink.0, b"one\ntwo\nfive\nsix\nseven\n");
    }

    #[test]
    fn a_line_that_was_cut_just_before_its_end_is_lost_too() {
        let mut lines = WholeLines::new(Disk(Vec::new(), 3));
        assert_eq!(lines.write(b"one\n").lost, 1);
        lines.sink.1 = 100;
        assert_eq!(lines.write(b"two\n").lost, 0);
        assert_eq!(lines.sink.0, b"one\ntwo\n");
    }
}
