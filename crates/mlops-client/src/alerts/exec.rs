//! Delivers an alert to a program, as JSON on its standard input.
//!
//! The program is started without a shell, in a process group of its own and in the folder of the configuration. It
//! inherits our standard error. Not for what the program does with the alert.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mlops_core::stage::alert::Message;
use mlops_core::text;
use rustix::process::{Pid, Signal, kill_process_group};

/// How often the end of the program is looked for.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) fn run(
    words: &[String],
    message: &Message,
    timeout: Duration,
    base: &Path,
) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("no program is named")?;
    let mut input = serde_json::to_vec(message).map_err(|error| error.to_string())?;
    input.push(b'\n');
    // A name with a slash is a path from the folder of the configuration, others are looked up.
    let path = if program.contains('/') { base.join(program) } else { PathBuf::from(program) };
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
    if !base.as_os_str().is_empty() {
        command.current_dir(base);
    }
    let name = text::name(program).into_owned();
    let mut child =
        command.spawn().map_err(|error| format!("\"{name}\" cannot be started: {error}"))?;
    let stdin = child.stdin.take();
    // A program may end without reading, or never read: a thread of its own writes.
    let writer = stdin.map(|mut stdin| thread::spawn(move || stdin.write_all(&input)));
    let ended = wait(&mut child, timeout);
    // What it left behind must not outlive it.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    match ended {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("\"{name}\" ended with {status}")),
        Ok(None) => {
            let _ = child.wait();
            drop(writer);
            Err(format!("\"{name}\" did not end within {} s", timeout.as_secs_f32()))
        }
        Err(error) => Err(format!("\"{name}\" was lost: {error}")),
    }
}

/// Waits for the end of `child`; `None` if it does not end in time.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let begun = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if begun.elapsed() >= timeout => return Ok(None),
            None => thread::sleep(PAUSE),
        }
    }
}
