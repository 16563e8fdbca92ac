//! The log file of each unattended run, `logs/{run}.log` in the output folder, and the removal of
//! old ones.
//!
//! The only code besides core's `platform::disk` that opens a file for writing: a log is appended
//! to line by line and must survive a crash without having been published. Not for its content: see
//! [`crate::console`].

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use mlops_core::ids::RunId;
use mlops_core::run::context::Context;
use mlops_core::{Error, Result};

fn folder(context: &Context) -> PathBuf {
    context.config.output_folder.join("logs")
}

fn name(run: &RunId) -> String {
    format!("{run}.log")
}

/// Opens the log file of this run for appending.
#[expect(clippy::disallowed_methods, reason = "this module owns the logs of runs")]
pub(crate) fn open(context: &Context) -> Result<File> {
    let folder = folder(context);
    context.disk.create_folder(&folder)?;
    let path = folder.join(name(&context.run));
    let file = File::options().append(true).create(true).open(&path);
    file.map_err(|e| Error::io("append to", &path, e))
}

/// Removes log files that are neither among the newest nor recent. The age is in the name, so that
/// a copied or restored folder keeps its order. Files not made by our runs stay.
pub(crate) fn rotate(context: &Context) -> Result<()> {
    let folder = folder(context);
    let mut names = Vec::new();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("list", &folder, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", &folder, e))?;
        names.extend(entry.file_name().into_string().ok().filter(|name| is_ours(name)));
    }
    names.sort_unstable();
    names.reverse();
    let kept = context.config.logging;
    let age = Duration::from_secs(kept.keep_days * 24 * 3600);
    let oldest = name(&RunId::new(context.clock.now() - age, 0));
    for name in names.iter().skip(kept.keep_runs) {
        // If the clock was set back, this run may not be the newest.
        if *name < oldest && *name != self::name(&context.run) {
            context.disk.remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// Whether `name` is a run id and `.log`: `20260131T120000000Z-1f.log`.
fn is_ours(name: &str) -> bool {
    let parts = name.strip_suffix(".log").and_then(|id| id.split_once('-'));
    parts.is_some_and(|(time, pid)| {
        let shape: String =
            time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        shape == "00000000T000000000Z" && !pid.is_empty() && pid.chars().all(hex)
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use mlops_core::config::Config;
    use mlops_core::platform::clock::{Clock, SteppingClock};
    use mlops_core::platform::disk::Disk;

    use super::*;

    const DAY: i64 = 24 * 3600;

    /// What `rotate` leaves of one log a day, 40 of them up to the present, under `logging`.
    fn left(root: &Path, logging: &str) -> Vec<String> {
        let text = format!(
            r#"{{"input_folder_path":"in","output_folder_path":"out","test_data_path":"test",
            "output_model_path":"m","prod_deployment_path":"p","logging":{logging}}}"#
        );
        let config = Config::parse(&text, &root.join("config.json")).unwrap();
        let clock = Arc::new(SteppingClock::starting_at(100 * DAY));
        let context = Context::new(config, clock, Disk::default(), "0");
        let logs = root.join("out/logs");
        drop(open(&context).unwrap());
        for day in 1..40 {
            let then = SteppingClock::starting_at((100 - day) * DAY).now();
            fs::write(logs.join(name(&RunId::new(then, 7))), "x").unwrap();
        }
        for foreign in ["notes.log", "20260131T120000000Z-.log", "20260131T120000000Z-1f.txt"] {
            fs::write(logs.join(foreign), "x").unwrap();
        }
        rotate(&context).unwrap();
        let names = fs::read_dir(&logs).unwrap().map(|e| e.unwrap().file_name());
        let mut names: Vec<_> = names.map(|n| n.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_newest_and_the_recent_stay_with_what_is_not_ours() {
        for (logging, kept) in [
            (r#"{"keep_runs":5,"keep_days":0}"#, 5),
            (r#"{"keep_runs":5,"keep_days":10}"#, 10),
            (r#"{"keep_runs":25,"keep_days":10}"#, 25),
            ("{}", 40),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let names = left(dir.path(), logging);
            assert_eq!(names.len(), kept + 3, "{logging}: {names:?}");
            let ours: Vec<_> = names.iter().filter(|n| is_ours(n)).collect();
            assert!(ours.last().unwrap().starts_with("19700411T"), "{ours:?}");
        }
    }
}
