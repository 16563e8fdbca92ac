//! `first_run --doctor`: looks at everything around a workspace and says, one line each, whether it is in order and
//! what to do: versions, folders, disk space, clock, lock, ledger, live release, service, cron or timer. Changes
//! nothing.
//!
//! Not for the data: see `check`.

use std::fmt;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, Utc};
use mlops_core::config::Config;
use mlops_core::ledger::{Ledger, RunSummary};
use mlops_core::run::attention::Attention;
use mlops_core::run::context::{Context, Report};
use mlops_core::{Result, text};
use serde::Serialize;

use crate::check;

/// Less free space needs attention, and less is wrong: in bytes.
const SPACE: (u64, u64) = (1 << 30, 1 << 26);
/// The last start of a run may be so far ahead of the clock.
const AHEAD: chrono::TimeDelta = chrono::TimeDelta::minutes(1);
/// No clock is right that shows an earlier year.
const YEAR: &str = "2026-01-01T00:00:00Z";
/// How long the service may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a lock file that name its holder.
const HOLDER: usize = 200;
/// The program that cron and timers start.
const STARTED: &str = "fullprocess";

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is in order.
    Ok,
    /// Somebody should look at it.
    Attention,
    /// It keeps programs from working.
    Wrong,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Attention => "attention",
            Self::Wrong => "wrong",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// What.
    pub what: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found, and what to do.
    pub found: String,
}

/// All of them.
#[derive(Debug, Serialize)]
pub struct Examined {
    /// The configuration file.
    pub config: PathBuf,
    /// Everything that was looked at, in order.
    pub looked: Vec<Looked>,
}

/// Looks at the workspace of `context`. Entries of cron and timers are sought in the table of this user and in `/etc`.
pub fn run(context: &Context) -> Result<Examined> {
    within(context, Path::new("/etc"))
}

/// The same with another folder for `/etc`.
pub fn within(context: &Context, etc: &Path) -> Result<Examined> {
    let config = &context.config;
    let ledger = Ledger::open_to_read(&config.ledger_path());
    let runs = match &ledger {
        Ok(Some(ledger)) => ledger.newest_runs().unwrap_or_default(),
        _ => Vec::new(),
    };
    let now = context.clock.now();
    let mut looked = vec![versions(context, &runs)];
    looked.extend(folders(config));
    looked.push(space(config));
    looked.push(clock(now, &runs));
    looked.push(lock(&config.lock_path()));
    looked.push(match &ledger {
        Ok(found) => records(config, found.as_ref(), &runs),
        Err(error) => wrong("ledger", format!("{error}")),
    });
    looked.push(live(context));
    looked.push(service(&config.apicalls.url));
    looked.push(started(config, &config.file, etc));
    Ok(Examined { config: config.file.clone(), looked })
}

fn ok(what: &'static str, found: impl Into<String>) -> Looked {
    Looked { what, state: State::Ok, found: found.into() }
}

fn attention(what: &'static str, found: impl Into<String>) -> Looked {
    Looked { what, state: State::Attention, found: found.into() }
}

fn wrong(what: &'static str, found: impl Into<String>) -> Looked {
    Looked { what, state: State::Wrong, found: found.into() }
}

fn versions(context: &Context, runs: &[RunSummary]) -> Looked {
    let ours = &context.tool_version;
    match runs.first() {
        Some(last) if last.tool_version != *ours => attention(
            "versions",
            format!(
                "this program is {ours}, the last run ({}) was by {}: use one version for all programs of a workspace",
                last.step.as_str(),
                text::name(&last.tool_version)
            ),
        ),
        Some(_) => ok("versions", format!("{ours}, as the last run")),
        None => ok("versions", format!("{ours}; nothing has run yet")),
    }
}

/// A line for each folder that is not as it should be, or one for all.
fn folders(config: &Config) -> Vec<Looked> {
    let problems = check::folders(config);
    if problems.is_empty() {
        let base = fs::canonicalize(&config.base).unwrap_or_else(|_| config.base.clone());
        return vec![ok(
            "folders",
            format!("those of {} can be read and written", text::printed(&base)),
        )];
    }
    problems.into_iter().map(|problem| wrong("folders", problem.to_string())).collect()
}

fn space(config: &Config) -> Looked {
    let mut least: Option<(u64, PathBuf)> = None;
    for folder in [&config.output_folder, &config.output_model, &config.models] {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        let Some(there) = folder.ancestors().find(|at| at.is_dir()) else { continue };
        let Ok(found) = rustix::fs::statvfs(there) else { continue };
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if least.as_ref().is_none_or(|(known, _)| free < *known) {
            least = Some((free, there.to_owned()));
        }
    }
    let Some((free, place)) = least else {
        return attention("disk", "the file system does not say how much space is free");
    };
    let said = format!("{} free at {}", size(free), text::printed(&place));
    if free < SPACE.1 {
        wrong("disk", format!("only {said}: make room, or runs stop before they write"))
    } else if free < SPACE.0 {
        attention(
            "disk",
            format!("only {said}: make room; \"retention\" removes old releases and data sets"),
        )
    } else {
        ok("disk", said)
    }
}

fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

fn clock(now: DateTime<Utc>, runs: &[RunSummary]) -> Looked {
    let read = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let said = now.format("%Y-%m-%d %H:%M:%S UTC");
    let newest = runs.iter().filter_map(|run| read(&run.started)).max();
    if read(YEAR).is_some_and(|year| now < year) {
        return wrong(
            "clock",
            format!("it shows {said}, which is past: set it, since records and schedules go by it"),
        );
    }
    match newest.filter(|newest| *newest > now + AHEAD) {
        Some(newest) => attention(
            "clock",
            format!(
                "it shows {said}, but a run began at {}: it was set back, or was wrong then; check its synchronisation",
                newest.format("%Y-%m-%d %H:%M:%S UTC")
            ),
        ),
        None => ok("clock", said.to_string()),
    }
}

/// Whether a run holds the workspace, without taking the lock, which could turn one away.
fn lock(path: &Path) -> Looked {
    let Ok(found) = fs::symlink_metadata(path) else {
        return ok("lock", "free; nothing has run yet");
    };
    if !found.is_file() {
        return wrong(
            "lock",
            format!("{} is a link, a folder or a device: remove it", text::printed(path)),
        );
    }
    let Ok(held) = fs::read_to_string("/proc/locks") else {
        return attention("lock", "this system does not say which locks are held");
    };
    let inode = format!(":{}", found.ino());
    let holds = |line: &str| line.split_whitespace().any(|word| word.ends_with(&inode));
    if held.lines().any(holds) {
        let holder = fs::read(path).unwrap_or_default();
        let holder = String::from_utf8_lossy(&holder[..holder.len().min(HOLDER)]).trim().to_owned();
        let who =
            if holder.is_empty() { "a run".to_owned() } else { text::name(&holder).into_owned() };
        return ok(
            "lock",
            format!("held by {who}, which works; other runs end with 75 until it has ended"),
        );
    }
    ok("lock", "free")
}

fn records(config: &Config, ledger: Option<&Ledger>, runs: &[RunSummary]) -> Looked {
    let shown = text::printed(&config.ledger_path());
    let Some(ledger) = ledger else {
        return ok("ledger", format!("none yet at {shown}: first_run makes it"));
    };
    let read = || -> Result<String> {
        let datasets = ledger.datasets()?.len() as u64;
        let deployments = ledger.deployments()?.len() as u64;
        Ok(format!(
            "{shown}: readable, {}, {}",
            text::plural(datasets, "data set"),
            text::plural(deployments, "deployment")
        ))
    };
    let said = match read() {
        Ok(said) => said,
        Err(error) => return wrong("ledger", error.to_string()),
    };
    match runs.iter().find(|run| run.error.is_some()) {
        Some(failed) => attention(
            "ledger",
            format!(
                "{said}; the last {} failed: {}",
                failed.step.as_str(),
                text::visible(failed.error.as_deref().unwrap_or_default())
            ),
        ),
        None => ok("ledger", said),
    }
}

fn live(context: &Context) -> Looked {
    let store = context.store();
    match store.live() {
        Err(error) => wrong("live", error.to_string()),
        Ok(None) => attention("live", "no release is live: run first_run"),
        Ok(Some(id)) => match store.verify(&id) {
            Ok(_) => ok("live", format!("{id}: complete and unchanged")),
            Err(error) => wrong(
                "live",
                format!("{error}; return to an earlier release with deployment rollback"),
            ),
        },
    }
}

/// Whether the service answers at `url`.
fn service(url: &str) -> Looked {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let with_port = if authority.rsplit(']').next().unwrap_or(authority).contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:{}", if scheme == "https" { 443 } else { 80 })
    };
    let shown = text::name(url);
    let idle = || {
        ok(
            "service",
            format!(
                "none answers at {shown}; start it with app if predictions over HTTP are wanted"
            ),
        )
    };
    let Some(address) = with_port.to_socket_addrs().ok().and_then(|mut all| all.next()) else {
        return attention(
            "service",
            format!("the name in {shown} is not known: correct \"apicalls.url\""),
        );
    };
    let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else { return idle() };
    if scheme == "https" {
        return ok("service", format!("something listens at {shown}; apicalls asks it"));
    }
    let path =
        if path.is_empty() { String::new() } else { format!("/{}", path.trim_end_matches('/')) };
    let ask =
        format!("GET {path}/readyz HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    let mut answer = vec![0; 64];
    let asked = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| stream.write_all(ask.as_bytes()))
        .and_then(|()| stream.read(&mut answer));
    let answer = asked.map(|bytes| String::from_utf8_lossy(&answer[..bytes]).into_owned());
    match answer.as_deref().map(|line| line.split_whitespace().nth(1).unwrap_or_default()) {
        Ok("200") => ok("service", format!("ready at {shown}")),
        Ok("503") => attention(
            "service",
            format!("the one at {shown} is not ready: {shown}/readyz says why"),
        ),
        Ok(code @ ("401" | "403" | "404" | "421")) => attention(
            "service",
            format!(
                "what listens at {shown} answered {}, so it may be another program: look at \"service.port\"",
                text::name(code)
            ),
        ),
        _ => attention(
            "service",
            format!(
                "what listens at {shown} does not answer as app does: look at \"service.port\""
            ),
        ),
    }
}

/// Whether cron or a timer starts `fullprocess` with the configuration at `config`.
fn started(settings: &Config, config: &Path, etc: &Path) -> Looked {
    let absolute = fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
    let mut tables = Vec::new();
    // What the user's own table is only this program says.
    if let Ok(listed) = Command::new("crontab").arg("-l").output() {
        tables.push(("crontab".to_owned(), String::from_utf8_lossy(&listed.stdout).into_owned()));
    }
    let mut files = vec![etc.join("crontab")];
    for folder in ["cron.d", "systemd/system"] {
        let entries = fs::read_dir(etc.join(folder)).into_iter().flatten().flatten();
        files.extend(entries.map(|entry| entry.path()));
    }
    if let Some(home) = std::env::var_os("HOME") {
        let units = Path::new(&home).join(".config/systemd/user");
        files.extend(fs::read_dir(units).into_iter().flatten().flatten().map(|entry| entry.path()));
    }
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        if let Ok(text) = fs::read_to_string(file) {
            tables.push((text::printed(file), text));
        }
    }
    let starts = |line: &&str| !line.trim_start().starts_with('#') && line.contains(STARTED);
    let mine = |line: &str| line.contains(&*absolute.to_string_lossy());
    let mut others = 0_u64;
    for (place, table) in &tables {
        // A timer names its service, and the service the program: the service's file is the one with the path.
        let lines: Vec<&str> = table.lines().filter(starts).collect();
        if lines.iter().any(|line| mine(line)) {
            return ok("cron", format!("{place} starts {STARTED} with this configuration"));
        }
        others += lines.len() as u64;
    }
    let how = format!(
        "make cron-install CONFIG={} adds it, or a timer of systemd (docs/unattended.md)",
        text::printed(config)
    );
    let wanted = !settings.alerts.sinks.is_empty() || settings.monitoring.ping_url.is_some();
    match (others, wanted) {
        (0, false) => attention(
            "cron",
            format!("nothing starts {STARTED}: {how}, unless you start it by hand"),
        ),
        (0, true) => attention(
            "cron",
            format!("nothing starts {STARTED}, so that nothing is ever told: {how}"),
        ),
        _ => attention(
            "cron",
            format!("{STARTED} is started, but no entry names {}: {how}", text::printed(&absolute)),
        ),
    }
}

impl Report for Examined {
    fn changed(&self) -> bool {
        false
    }

    /// What needs somebody is a line of the report.
    fn attention(&self) -> Attention {
        match self.looked.iter().map(|looked| looked.state).max() {
            Some(State::Wrong) => Attention::Failed,
            Some(State::Attention) => Attention::Person,
            Some(State::Ok) | None => Attention::Fine,
        }
    }
}

impl fmt::Display for Examined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", text::printed(&self.config))?;
        for Looked { what, state, found } in &self.looked {
            // An error may have several lines.
            let found = found.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            writeln!(f, "  {:<9}  {what:<8}  {found}", state.word())?;
        }
        Ok(())
    }
}
