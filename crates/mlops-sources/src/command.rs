//! A program whose standard output is the object: SFTP, gpg, a queue, anything.
//!
//! It is started as it is named, without a shell, in a process group of its own, with an empty
//! standard input and in the folder of the configuration. Not for reading rows from its output.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use mlops_core::config;
use mlops_core::config::sources::{Cursor, Lag, Mode};
use mlops_core::platform::clock::{Clock, rfc3339};
use mlops_core::platform::threads;
use mlops_core::source::{Around, Fetched, Object, Seen, Source};
use mlops_core::{Error, Result, text};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

/// Stands for the time from which the program is to fetch.
const SINCE: &str = "{since}";
/// Where the first extract begins if nothing else is said.
const BEGINNING: &str = "1970-01-01T00:00:00Z";
/// Lines of standard error that go to the log.
const LOGGED: usize = 200;
/// The longest piece of a line of standard error that is kept, in bytes.
const LONGEST_LINE: u64 = 1000;
/// How often the end of a program is looked for once its output has ended.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the end of standard error is awaited after that of the program.
const MOMENT: Duration = Duration::from_millis(500);
/// The last lines of standard error that an error repeats.
const REPEATED: usize = 3;

/// The program.
pub(crate) struct Program {
    source: String,
    words: Vec<String>,
    base: PathBuf,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    cursor: Option<Cursor>,
    since: Mutex<String>,
}

impl Program {
    pub(crate) fn new(source: &config::Source, words: &[String], around: &Around<'_>) -> Self {
        let cursor = match &source.mode {
            Mode::Cursor(cursor) => Some(cursor.clone()),
            Mode::Files | Mode::Snapshot => None,
        };
        Self {
            source: source.name.clone(),
            words: words.to_vec(),
            base: around.base.to_owned(),
            clock: Arc::clone(around.clock),
            timeout: source.access.timeout,
            cursor,
            since: Mutex::new(BEGINNING.to_owned()),
        }
    }

    /// From when on the next extract is wanted.
    fn since(&self, seen: &Seen) -> String {
        let Some(cursor) = &self.cursor else { return BEGINNING.to_owned() };
        let last = seen.cursor.as_deref().and_then(|c| DateTime::parse_from_rfc3339(c).ok());
        let Some(last) = last else {
            return cursor.start.clone().unwrap_or_else(|| BEGINNING.to_owned());
        };
        let lag = match cursor.lag {
            Lag::Time(lag) => chrono::Duration::from_std(lag).unwrap_or_default(),
            Lag::Number(_) => chrono::Duration::zero(),
        };
        rfc3339(last.with_timezone(&Utc).checked_sub_signed(lag).unwrap_or_default())
    }

    /// The name of the program in messages; its arguments may hold secrets.
    fn name(&self) -> String {
        format!("\"{}\"", text::name(self.words.first().map_or("", String::as_str)))
    }

    fn start(&self) -> Result<Child> {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (program, arguments) =
            self.words.split_first().ok_or_else(|| Error::data("no program is named"))?;
        // A name with a slash is a path from the folder of the configuration, others are looked up.
        let path =
            if program.contains('/') { self.base.join(program) } else { PathBuf::from(program) };
        let mut command = Command::new(path);
        command
            .args(arguments.iter().map(|argument| argument.replace(SINCE, &since)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if !self.base.as_os_str().is_empty() {
            command.current_dir(&self.base);
        }
        command.spawn().map_err(|error| {
            let advice = match error.kind() {
                io::ErrorKind::NotFound => {
                    ": give its path from the folder of the configuration, such as \"./fetch.sh\", \
                     or put it into a folder that PATH names"
                }
                io::ErrorKind::PermissionDenied => ": make it executable (chmod +x)",
                _ => "",
            };
            Error::data(format!("{} cannot be started: {error}{advice}", self.name()))
        })
    }
}

impl Source for Program {
    fn list(&self, seen: &Seen) -> Result<Vec<Object>> {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = self.since(seen);
        let name = match self.cursor {
            Some(_) => format!("{:06}", seen.extracts),
            None => "output".to_owned(),
        };
        Ok(vec![Object { name, version: None, size: None, modified: None }])
    }

    fn fetch(&self, _: &Object, to: &mut dyn Write) -> Result<Fetched> {
        // What is written at its source from now on is for the next extract.
        let begun = rfc3339(self.clock.now());
        let mut child = self.start()?;
        let group = Pid::from_child(&child);
        let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::data("the program has no output"));
        };
        let said = Said::of(self.source.clone(), stderr)?;
        let deadline = Instant::now() + self.timeout;
        let copied = copy(&mut stdout, to, deadline);
        drop(stdout);
        let status = match copied {
            Ok(Some(_)) => wait(&mut child, deadline),
            _ => Ok(None),
        };
        if !matches!(status, Ok(Some(_))) {
            // The whole group, which it does not matter if it has ended by now.
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait();
        }
        let said = said.last_words();
        let (Some(bytes), Some(status)) = (copied?, status?) else {
            return Err(Error::data(format!(
                "{} was ended after {:?}: raise \"timeout\" of the source if it needs longer{said}",
                self.name(),
                self.timeout
            )));
        };
        if !status.success() {
            return Err(Error::data(format!("{} {}{said}", self.name(), ended(status))));
        }
        if bytes == 0 {
            return Ok(Fetched::Empty);
        }
        Ok(Fetched::Whole { cursor: self.cursor.as_ref().map(|_| begun) })
    }
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => {
            format!("ended with exit code {code}, so that its output does not count")
        }
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Copies all bytes; returns their number, or nothing if the time is over.
fn copy(from: &mut ChildStdout, to: &mut dyn Write, deadline: Instant) -> Result<Option<u64>> {
    let failed = |e| Error::backend("reading the program's output", e);
    let mut bytes = vec![0; 1 << 16];
    let mut all = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Error::data("the time-out is too long"))?;
        let mut ready = [PollFd::new(from, PollFlags::IN)];
        match poll(&mut ready, Some(&left)) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(e) => return Err(failed(e.into())),
        }
        let read = match from.read(&mut bytes) {
            Ok(0) => return Ok(Some(all)),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(failed(e)),
        };
        to.write_all(&bytes[..read]).map_err(|e| Error::backend("keeping the output", e))?;
        all += read as u64;
    }
}

/// Waits for the end of the program; nothing if the time is over first.
fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        let ended = child.try_wait();
        if let Some(status) = ended.map_err(|e| Error::backend("waiting for the program", e))? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

/// What a program says on standard error, which goes to the log up to a bound.
struct Said {
    last: Arc<Mutex<Vec<String>>>,
    ended: Receiver<()>,
}

impl Said {
    fn of(source: String, stderr: ChildStderr) -> Result<Self> {
        let last = Arc::new(Mutex::new(Vec::new()));
        let (end, ended) = channel();
        let keep = Arc::clone(&last);
        let listen = move || {
            listen(&source, stderr, &keep);
            // Nobody may be waiting.
            let _ = end.send(());
        };
        let thread = thread::Builder::new().name("standard-error".to_owned()).spawn(listen);
        thread.map_err(|_| Error::data(threads::NONE))?;
        Ok(Self { last, ended })
    }

    /// The last lines, for an error. Another program that this one left running may hold standard
    /// error open, so that its end is awaited only for a moment.
    fn last_words(self) -> String {
        let _ = self.ended.recv_timeout(MOMENT);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_empty() { String::new() } else { format!(": {}", last.join("; ")) }
    }
}

fn listen(source: &str, stderr: ChildStderr, last: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stderr);
    let (mut number, mut line) = (0_usize, Vec::new());
    loop {
        line.clear();
        match (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text::one_line(text.trim_end());
        if text.is_empty() {
            continue;
        }
        number += 1;
        match number {
            ..=LOGGED => tracing::info!(source, "{text}"),
            _ if number == LOGGED + 1 => tracing::info!(source, "further lines are not logged"),
            _ => {}
        }
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        last.push(text);
        if last.len() > REPEATED {
            last.remove(0);
        }
    }
}
