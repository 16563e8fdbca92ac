//! A disk that hangs: what waits for it, and what does not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use mlops_core::platform::clock::{Clock, SystemClock};
use mlops_core::run::context::Context;
use serde_json::json;

use crate::scene::{Scene, rows};

/// A clock at which the follower of releases, who asks for the time before and after each look at the
/// disk, can be stopped as by a disk that hangs.
#[derive(Default)]
struct Stopping {
    real: SystemClock,
    /// Seconds that are added.
    later: AtomicU64,
    hangs: Mutex<bool>,
    goes_on: Condvar,
    stopped: AtomicBool,
}

impl Stopping {
    fn hang(&self, hangs: bool) {
        *self.hangs.lock().unwrap() = hangs;
        self.goes_on.notify_all();
    }
}

impl Clock for Stopping {
    fn now(&self) -> DateTime<Utc> {
        self.real.now()
    }

    fn elapsed(&self) -> Duration {
        if std::thread::current().name() == Some("follow") {
            let mut hangs = self.hangs.lock().unwrap();
            while *hangs {
                self.stopped.store(true, Ordering::Relaxed);
                hangs = self.goes_on.wait(hangs).unwrap();
            }
        }
        self.real.elapsed() + Duration::from_secs(self.later.load(Ordering::Relaxed))
    }

    fn sleep(&self, time: Duration) {
        self.real.sleep(time);
    }
}

#[test]
fn a_follower_that_hangs_is_said_and_predictions_go_on() {
    let scene = Scene::deployed(&json!({}));
    let clock = Arc::new(Stopping::default());
    let known = scene.context();
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let context = Context::new(known.config.clone(), shared, known.disk.clone(), "test");
    let service = Scene::serve_in(context, mlops_serve::Options::default());
    assert_eq!(service.get("/readyz").ends_with(200).json()["status"], "ready");
    clock.hang(true);
    eventually(|| clock.stopped.load(Ordering::Relaxed));
    assert_eq!(service.get("/readyz").ends_with(200).json()["status"], "ready");
    clock.later.store(60, Ordering::Relaxed);
    let ready = service.get("/readyz").ends_with(200).json();
    assert_eq!(ready["status"], "degraded", "{ready}");
    assert!(ready["trouble"]["reason"].as_str().unwrap().contains("disk may hang"), "{ready}");
    service.csv("/prediction", &rows(2, 1, false)).ends_with(200);
    clock.hang(false);
    eventually(|| service.get("/readyz").json()["status"] == "ready");
    clock.hang(true);
    // Nor does it keep the service from its end.
    assert!(service.ended().drained);
    clock.hang(false);
}

fn eventually(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(2));
        std::thread::sleep(Duration::from_millis(10));
    }
}
