//! A kill, or an error of the disk, at each step that changes the disk. The steps are those of a
//! run that is only watched. Whatever happened, the next run ends where an undisturbed one does.
//!
//! A kill is one: a second process of this test's own program stops at the step, and gets a
//! SIGKILL there.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mlops_core::platform::disk::{Disk, DiskStep, Probe};

use crate::soak;
use crate::world::{Program, State, copy, mentions, must_be_sound};
use mlops_testkit::binary::scene::{Scene, alone};

/// What the second process does: a program, the step at which it stops, a workspace.
const TASK: &str = "MLOPS_TEST_TASK";
const STOPPED: &str = "stopped at the step";
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Counts the steps and does something before one of them.
struct Strike {
    at: usize,
    event: fn() -> io::Result<()>,
    count: AtomicUsize,
    steps: Mutex<Vec<(DiskStep, PathBuf)>>,
}

impl Strike {
    fn at(at: usize, event: fn() -> io::Result<()>) -> Arc<Self> {
        Arc::new(Self { at, event, count: AtomicUsize::new(0), steps: Mutex::default() })
    }
}

impl Probe for Strike {
    fn before(&self, step: DiskStep, path: &Path) -> io::Result<()> {
        self.steps.lock().unwrap().push((step, path.to_owned()));
        if self.count.fetch_add(1, Ordering::SeqCst) == self.at { (self.event)() } else { Ok(()) }
    }
}

/// The steps of an undisturbed run and where it ends; a second run changes nothing.
fn undisturbed(program: Program) -> (Vec<(DiskStep, PathBuf)>, State) {
    let scene = program.scene();
    let watcher = Strike::at(usize::MAX, || Ok(()));
    program.run(scene.root(), Disk::observed(watcher.clone())).unwrap();
    let steps = watcher.steps.lock().unwrap().clone();
    let expected = State::of(scene.root());
    nobody_erased_is_left(program, scene.root(), "undisturbed");
    program.run(scene.root(), Disk::default()).unwrap();
    State::of(scene.root()).must_be(&expected, "a second run");
    let inside = |path: &PathBuf| path.strip_prefix(scene.root()).unwrap_or(path).to_owned();
    let steps: Vec<_> = steps.iter().map(|(step, path)| (*step, inside(path))).collect();
    let kinds = [DiskStep::Write, DiskStep::Rename, DiskStep::SyncFile, DiskStep::Commit];
    let swap = (program != Program::Forget).then_some(DiskStep::SwapLink);
    for kind in kinds.into_iter().chain(swap) {
        assert!(steps.iter().any(|(step, _)| *step == kind), "no {kind:?} in {steps:?}");
    }
    (steps, expected)
}

/// After an erasure nothing of ours has the person.
fn nobody_erased_is_left(program: Program, folder: &Path, what: &str) {
    if program == Program::Forget {
        assert_eq!(mentions(folder), Vec::<PathBuf>::new(), "{what}");
    }
}

/// The second process: stops before the step, to be killed there.
#[test]
#[ignore = "the second process of other tests"]
fn second_process() {
    let Ok(task) = std::env::var(TASK) else { return };
    let mut words = task.splitn(3, ' ');
    let mut word = || words.next().unwrap();
    let (name, at, folder) = (word(), word().parse().unwrap(), word());
    let program = Program::ALL.into_iter().find(|p| p.name() == name).unwrap();
    let strike = Strike::at(at, || {
        let mut out = io::stdout();
        writeln!(out, "{STOPPED}").and_then(|()| out.flush()).unwrap();
        loop {
            std::thread::park();
        }
    });
    let result = program.run(folder.as_ref(), Disk::observed(strike));
    panic!("it ran to its end: {result:?}");
}

/// Starts a run in `folder` that is killed before step `at`; false when it ended before.
fn kill(program: Program, at: usize, folder: &Path) -> bool {
    let mut child = {
        let _alone = alone();
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "strike::second_process", "--ignored", "--nocapture"])
            .env(TASK, format!("{} {at} {}", program.name(), folder.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let stopped = lines.any(|line| line.unwrap().contains(STOPPED));
    child.kill().unwrap();
    child.wait().unwrap();
    stopped
}

/// Every step, or a share of them that differs between programs.
fn sweep(program: Program, strike: impl Fn(usize, &Path) -> String, quick: usize) {
    let (steps, expected) = undisturbed(program);
    let (least, quick) = if program == Program::Forget { (30, quick / 9) } else { (100, quick) };
    assert!(steps.len() > least, "{} steps are too few to be all", steps.len());
    let every = soak(quick, 1);
    let offset = program as usize % every;
    let mut strikes = 0;
    let scene = program.scene();
    let fresh = Scene::in_memory();
    copy(scene.root(), fresh.root());
    for (at, (step, path)) in steps.iter().enumerate().skip(offset).step_by(every) {
        std::fs::remove_dir_all(scene.root()).unwrap();
        std::fs::create_dir(scene.root()).unwrap();
        copy(fresh.root(), scene.root());
        let happened = strike(at, scene.root());
        let what = format!(
            "{}: {happened} at step {at} of {} ({step:?} {})",
            program.name(),
            steps.len(),
            path.display()
        );
        must_be_sound(scene.root(), &what);
        program.run(scene.root(), Disk::default()).unwrap_or_else(|e| panic!("{what}: then {e}"));
        State::of(scene.root()).must_be(&expected, &what);
        nobody_erased_is_left(program, scene.root(), &what);
        strikes += 1;
    }
    assert_eq!(strikes, (steps.len() - offset).div_ceil(every));
}

#[test]
fn killed_at_any_step_the_next_run_ends_as_an_undisturbed_one() {
    for program in Program::ALL {
        let strike = |at: usize, folder: &Path| {
            assert!(kill(program, at, folder), "no step {at}");
            // Every third time the run that puts things in order is killed as well, early on.
            if at.is_multiple_of(3) && kill(program, at * 7 % 12, folder) {
                "two kills, the first".to_owned()
            } else {
                "a kill".to_owned()
            }
        };
        sweep(program, strike, 29);
    }
}

fn fails_with(program: Program, at: usize, folder: &Path, code: i32) -> String {
    let strike = match code {
        EIO => Strike::at(at, || Err(io::Error::from_raw_os_error(EIO))),
        _ => Strike::at(at, || Err(io::Error::from_raw_os_error(ENOSPC))),
    };
    // Some failures are borne: an old release that cannot be removed is a warning.
    match program.run(folder, Disk::observed(strike)) {
        Ok(_) => format!("error {code}, borne,"),
        Err(error) => {
            let text = error.to_string();
            let place = folder.display().to_string();
            assert!(text.contains(&place), "step {at}: {text:?} names no place");
            format!("error {code}")
        }
    }
}

#[test]
fn an_input_output_error_at_any_step_is_put_in_order_by_the_next_run() {
    for program in Program::ALL {
        sweep(program, |at, folder| fails_with(program, at, folder, EIO), 41);
    }
}

#[test]
fn no_space_at_any_step_is_put_in_order_by_the_next_run() {
    for program in Program::ALL {
        sweep(program, |at, folder| fails_with(program, at, folder, ENOSPC), 37);
    }
}
