//! The sections for unattended runs: `monitoring`, `logging`, `limits`.
//!
//! Not for what the run decides: those sections are beside this one.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;

/// Where a run reports that it started and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitoring {
    /// The address of a dead man's switch; without it nothing is pinged.
    pub ping_url: Option<String>,
    /// Time limit of one ping.
    pub ping_timeout: Duration,
    /// The file for node_exporter's textfile collector; none if not set.
    pub metrics_textfile: Option<PathBuf>,
    /// After how many hours without new rows a person is needed; never if not set.
    pub max_data_age_hours: Option<u64>,
}

/// Which logs of earlier runs are kept: the newest ones and the recent ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// This many of the newest logs are kept, however old.
    pub keep_runs: usize,
    /// Logs younger than this many days are kept, however many.
    pub keep_days: u64,
}

/// Limits on the time, threads and memory of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time limit of one stage; `None` for no limit.
    pub stage: Option<Duration>,
    /// How many threads may parse rows at the same time.
    pub threads: usize,
    /// Memory limit of ingestion and training in bytes; data beyond it goes to temporary files.
    pub memory: usize,
}

impl Limits {
    /// How many pieces of work that take `bytes` each may be done at the same time.
    pub fn at_once(&self, bytes: usize) -> usize {
        self.threads.min(self.memory / 4 / bytes.max(1)).max(1)
    }

    /// What each thread may take to count the numbers of columns, in bytes: a quarter of the limit, less
    /// 8 MiB of what the program itself takes, but 8 MiB together.
    pub fn profile_room(&self) -> usize {
        const LEAST: usize = 8 << 20;
        (self.memory / 4).saturating_sub(LEAST).max(LEAST) / self.threads.max(1)
    }
}

pub(super) fn monitoring(mut section: Section, at: impl Fn(String) -> PathBuf) -> Monitoring {
    let ping_url = section.text("ping_url");
    if let Some(url) = &ping_url
        && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
    {
        section.problem("ping_url", "must start with http:// or https://");
    }
    let timeout = section.integer("ping_timeout_seconds", &(1..=60), 5);
    let metrics_textfile = section.text("metrics_textfile").map(at);
    if metrics_textfile.as_ref().is_some_and(|path| path.extension().is_none_or(|e| e != "prom")) {
        section.problem("metrics_textfile", "must end with .prom: node_exporter reads no other");
    }
    let max_data_age_hours = section.limit("max_data_age_hours", &(1..=87_600), None);
    section.finish();
    let ping_timeout = Duration::from_secs(timeout);
    Monitoring { ping_url, ping_timeout, metrics_textfile, max_data_age_hours }
}

pub(super) fn logging(mut section: Section) -> Logging {
    let keep_runs = section.integer("keep_runs", &(1..=100_000), 100);
    let keep_days = section.integer("keep_days", &(0..=3650), 30);
    section.finish();
    Logging { keep_runs: usize::try_from(keep_runs).unwrap_or(usize::MAX), keep_days }
}

pub(super) fn limits(mut section: Section) -> Limits {
    let stage = section.integer("stage_seconds", &(0..=604_800), 3600);
    let threads = section.limit("threads", &(1..=1024), None);
    let mib = section.integer("memory_mib", &(32..=1 << 24), 1024);
    section.finish();
    let processors = || std::thread::available_parallelism().map_or(1, NonZero::get);
    Limits {
        stage: (stage > 0).then(|| Duration::from_secs(stage)),
        threads: threads.and_then(|n| usize::try_from(n).ok()).unwrap_or_else(processors),
        memory: usize::try_from(mib << 20).unwrap_or(usize::MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Result;
    use crate::config::Config;

    fn parse(more: &str) -> Result<Config> {
        let five = r#""input_folder_path":"in","output_folder_path":"out",
            "test_data_path":"test","output_model_path":"m","prod_deployment_path":"p""#;
        Config::parse(&format!("{{{five}{more}}}"), Path::new("config.json"))
    }

    #[test]
    fn nobody_is_told_and_an_hour_is_the_limit_by_default() {
        let config = parse("").unwrap();
        assert_eq!(config.monitoring.ping_url, None);
        assert_eq!(config.monitoring.ping_timeout, Duration::from_secs(5));
        assert_eq!(config.monitoring.max_data_age_hours, None);
        assert_eq!(config.logging, Logging { keep_runs: 100, keep_days: 30 });
        assert_eq!(config.limits.stage, Some(Duration::from_hours(1)));
        assert!(config.limits.threads >= 1, "as many as there are processors");
        assert_eq!(parse(r#","monitoring":{"ping_url":null}"#).unwrap().monitoring.ping_url, None);
    }

    #[test]
    fn values_are_taken_and_zero_turns_the_limit_off() {
        let config = parse(
            r#","monitoring":{"ping_url":"https://ping.example/key","ping_timeout_seconds":2,
            "max_data_age_hours":36},
            "logging":{"keep_runs":7,"keep_days":0},"limits":{"stage_seconds":0,"threads":3,"memory_mib":40}"#,
        )
        .unwrap();
        assert_eq!(config.monitoring.ping_url.as_deref(), Some("https://ping.example/key"));
        assert_eq!(config.monitoring.ping_timeout, Duration::from_secs(2));
        assert_eq!(config.monitoring.max_data_age_hours, Some(36));
        assert_eq!(config.logging, Logging { keep_runs: 7, keep_days: 0 });
        assert_eq!(config.limits, Limits { stage: None, threads: 3, memory: 40 << 20 });
    }

    #[test]
    fn wrong_values_are_named_together() {
        let error = parse(
            r#","monitoring":{"ping_url":"ping.example","ping_timeout_seconds":0},
            "logging":{"keep_runs":0,"keepdays":1},"limits":{"stage_second":1}"#,
        )
        .unwrap_err()
        .to_string();
        for part in [
            "\"monitoring.ping_url\" must start with http:// or https://",
            "\"monitoring.ping_timeout_seconds\" must be a whole number from 1 to 60, not 0",
            "\"logging.keep_runs\" must be a whole number from 1",
            "did you mean \"logging.keep_days\"?",
            "did you mean \"limits.stage_seconds\"?",
        ] {
            assert!(error.contains(part), "missing {part:?} in:\n{error}");
        }
    }
}
