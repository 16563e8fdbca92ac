//! Ends a run if one of its stages takes too long.
//!
//! It ends the process, because nothing else ends a thread that waits for a disk or a network. That
//! is safe: a run may be cut off at any instruction, its lock is released with it, and the next run
//! completes or undoes what it left. Not for work that can be asked to stop.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Watches the duration of the current stage.
#[derive(Debug, Default)]
pub struct Watchdog {
    watch: Option<(Sender<&'static str>, JoinHandle<()>)>,
}

/// The reaction to a stage that takes too long.
pub(crate) struct Alarm<W, E> {
    /// Called with the name of the stage. It may log and ping, and may itself block on the same
    /// resource.
    pub on_timeout: W,
    /// How long to wait for `on_timeout`.
    pub grace: Duration,
    /// Ends the process afterwards.
    pub exit: E,
}

impl Watchdog {
    /// A watchdog without a limit, for tests and attended runs.
    pub fn off() -> Self {
        Self::default()
    }

    /// Starts watching on a thread of its own, beginning with the stage `first`.
    pub(crate) fn start<W, E>(
        limit: Option<Duration>,
        first: &'static str,
        alarm: Alarm<W, E>,
    ) -> Self
    where
        W: FnOnce(&str) + Send + 'static,
        E: FnOnce() + Send + 'static,
    {
        let Some(limit) = limit else { return Self::off() };
        let (sender, stages) = channel();
        let watch = move || {
            let (mut stage, mut begun) = (first, Instant::now());
            loop {
                match stages.recv_timeout(limit.saturating_sub(begun.elapsed())) {
                    Ok(next) => (stage, begun) = (next, Instant::now()),
                    Err(RecvTimeoutError::Disconnected) => return,
                    // A wait may end slightly early.
                    Err(RecvTimeoutError::Timeout) if begun.elapsed() < limit => {}
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            let Alarm { on_timeout, grace, exit } = alarm;
            let (sender, said) = channel();
            let spoken = std::thread::Builder::new().spawn(move || {
                on_timeout(stage);
                // If nobody is listening any more, the process is ending anyway.
                let _ = sender.send(());
            });
            if spoken.is_ok() {
                // Whether it finished or not, the process ends now.
                let _ = said.recv_timeout(grace);
            }
            exit();
        };
        match std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch) {
            Ok(thread) => Self { watch: Some((sender, thread)) },
            Err(e) => {
                tracing::warn!("stages have no time limit: cannot start a thread: {e}");
                Self::off()
            }
        }
    }

    /// Starts the time limit for `stage`.
    pub fn stage(&self, stage: &'static str) {
        tracing::info!(stage, "stage");
        if let Some((sender, _)) = &self.watch {
            // Once the alarm is raised nobody listens, and the process is about to end.
            let _ = sender.send(stage);
        }
    }
}

impl Drop for Watchdog {
    /// The work is done. If the alarm was raised first, the process ends here.
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.watch.take() {
            drop(sender);
            // Its result does not matter; a panic in it was already printed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    /// A watchdog with what its alarm does.
    fn watched(on_timeout: impl FnOnce(&str) + Send + 'static) -> (Watchdog, Receiver<Instant>) {
        let (sender, ended) = channel();
        let exit = move || sender.send(Instant::now()).unwrap();
        let alarm = Alarm { on_timeout, grace: LIMIT, exit };
        (Watchdog::start(Some(LIMIT), "recovery", alarm), ended)
    }

    #[test]
    fn the_stage_that_takes_too_long_is_named_and_the_process_ended() {
        let (sender, said) = channel();
        let begun = Instant::now();
        let (watchdog, ended) = watched(move |stage| sender.send(stage.to_owned()).unwrap());
        watchdog.stage("training");
        let at = ended.recv_timeout(20 * LIMIT).unwrap();
        assert!(at - begun >= LIMIT);
        assert_eq!(said.try_recv().unwrap(), "training");
    }

    #[test]
    fn last_words_that_hang_do_not_save_it() {
        let (_watchdog, ended) = watched(|_| std::thread::sleep(100 * LIMIT));
        ended.recv_timeout(20 * LIMIT).unwrap();
    }

    #[test]
    fn many_short_stages_may_take_longer_together_and_a_finished_run_is_left_alone() {
        let (watchdog, ended) = watched(|stage| panic!("{stage} took too long"));
        for _ in 0..15 {
            watchdog.stage("scoring");
            std::thread::sleep(LIMIT / 10);
        }
        drop(watchdog);
        // The alarm is gone, unraised.
        assert!(ended.recv().is_err());
    }
}
