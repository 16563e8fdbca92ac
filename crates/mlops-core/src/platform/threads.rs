//! Work shared by several threads, which still gets done when the system gives none: at a limit of
//! processes (`ulimit -u`, `TasksMax`, `pids.max`) the calling thread does all of it.
//!
//! The result never depends on the number of threads. Threads that
//! outlive the call are started elsewhere, where a missing thread must be reported with its consequence.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::{self, Builder};

/// Runs `work` on this thread and on up to `helpers` more. Each call must claim its share of a
/// common pool until nothing is left.
pub fn together(helpers: usize, work: &(impl Fn() + Sync)) {
    thread::scope(|scope| {
        // If one thread cannot be had, the next cannot either.
        let had = |_: &usize| Builder::new().spawn_scoped(scope, work).is_ok();
        (0..helpers).take_while(had).for_each(drop);
        work();
    });
}

/// Runs `here` on this thread and `there` at the same time, or after it if no thread can be had.
pub fn both<A, B: Send, There: FnOnce() -> B + Send>(
    here: impl FnOnce() -> A,
    there: There,
) -> (A, B) {
    thread::scope(|scope| {
        // `there` is sent only once a thread exists: a failed spawn would drop the closure given to
        // it.
        let (give, take) = mpsc::channel::<There>();
        let work = move || take.into_iter().map(|there| there()).next();
        let Ok(thread) = Builder::new().spawn_scoped(scope, work) else {
            return (here(), there());
        };
        // The thread is waiting for it.
        let _ = give.send(there);
        drop(give);
        let here = here();
        match thread.join() {
            Ok(Some(there)) => (here, there),
            Ok(None) => unreachable!("the work was handed over"),
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// The results of `jobs`, in order; where possible `most` of them run at the same time.
pub fn each<T: Send>(jobs: &[&(dyn Fn() -> T + Sync)], most: usize) -> Vec<T> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    together(jobs.len().min(most).saturating_sub(1), &|| {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { break };
            let given = job();
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, given));
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, given)| given).collect()
}

/// Why there is no thread, with advice.
pub const NONE: &str = "the system gives this program no more threads: raise the limit of processes \
    (`ulimit -u`, TasksMax, pids.max)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_work_is_done_once_and_answers_come_in_the_order_of_the_jobs() {
        let (next, sum) = (AtomicUsize::new(0), AtomicUsize::new(0));
        together(3, &|| {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > 1000 {
                    break;
                }
                sum.fetch_add(number, Ordering::Relaxed);
            }
        });
        assert_eq!(sum.into_inner(), 500_500);
        let text = "moved".to_owned();
        assert_eq!(both(|| 1, move || text.len()), (1, 5));
        for most in [0, 1, 2, 9] {
            assert_eq!(each::<u32>(&[&|| 1, &|| 2, &|| 3], most), [1, 2, 3]);
            assert!(each::<u32>(&[], most).is_empty());
        }
    }

    #[test]
    fn a_panic_on_the_other_thread_is_one_here() {
        let outcome = std::panic::catch_unwind(|| both(|| 1, || panic!("as it happens")));
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"as it happens"));
    }
}
