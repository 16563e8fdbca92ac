//! Lines that wait to be written: a request leaves its line and goes on, a thread writes them.
//!
//! Never blocks a request and never grows beyond a bound: what finds no room is counted and lost.
//! Not for what the lines say.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long lines wait at most.
const WAIT: Duration = Duration::from_millis(200);

/// A queue of lines with the thread that writes them.
pub(crate) struct Lines {
    shared: Arc<Shared>,
    room: usize,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Vec<u8>>,
    wake: Condvar,
    over: AtomicBool,
    lost: AtomicU64,
}

impl Lines {
    /// Writes through `sink`, which gets whole lines, many at a time, and may fail: a log that
    /// cannot be written stops no service. At most `room` bytes wait.
    pub(crate) fn start(name: &str, room: usize, mut sink: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let writer = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut batch = Vec::new();
            loop {
                let over = ours.over.load(Ordering::Acquire);
                let waiting = ours.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let mut waiting = if over {
                    waiting
                } else {
                    let result = ours.wake.wait_timeout(waiting, WAIT);
                    result.unwrap_or_else(PoisonError::into_inner).0
                };
                std::mem::swap(&mut *waiting, &mut batch);
                drop(waiting);
                if !batch.is_empty() {
                    if sink.write_all(&batch).and_then(|()| sink.flush()).is_err() {
                        ours.lost.fetch_add(lines(&batch), Ordering::Relaxed);
                    }
                    batch.clear();
                }
                if over {
                    break;
                }
            }
        });
        Self { shared, room, writer: writer.ok() }
    }

    /// Leaves one or more lines, their ends included; they stay together.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() + line.len() > self.room || self.writer.is_none() {
            drop(waiting);
            self.shared.lost.fetch_add(lines(line), Ordering::Relaxed);
            return;
        }
        let before = waiting.len();
        waiting.extend_from_slice(line);
        // Woken once for each time that room gets short, not by every line.
        let short = self.room / 4;
        if before < short && waiting.len() >= short {
            drop(waiting);
            self.shared.wake.notify_one();
        }
    }

    /// Lines that were not written.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

/// How many lines `text` is.
fn lines(text: &[u8]) -> u64 {
    text.split_inclusive(|b| *b == b'\n').count() as u64
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        self.shared.wake.notify_all();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing left to say.
            let _ = writer.join();
        }
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
    fn lines_arrive_in_order_and_those_without_room_are_counted() {
        let sink = Slow::default();
        let lines = Lines::start("test", ROOM, sink.clone());
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
        let written = sink.0.lock().unwrap();
        assert_eq!(written.len() as u64, (40 - lost) * long.len() as u64);
    }
}
