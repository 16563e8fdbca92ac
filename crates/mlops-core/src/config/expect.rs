//! What is expected of a source: the section `expect` of an entry of `sources` or of the input folder.
//!
//! Whether the expectation is met is decided in [`crate::expect`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;

use super::section::Section;
use super::{Config, INPUT, Source};
use crate::expect::{DaysOff, Expectation, Level, Schedule};
use crate::platform::files;
use crate::table::schema::Schema;

impl Config {
    /// The sources of which something is expected, by name; the input folder comes first.
    pub fn expectations(&self) -> impl Iterator<Item = (&str, &Expectation)> {
        let input = self.expect.iter().map(|expectation| (INPUT, expectation));
        input.chain(
            self.sources.iter().filter_map(|source: &Source| {
                Some((source.name.as_str(), source.expect.as_ref()?))
            }),
        )
    }

    /// What is expected of the source from which the file at `path` came.
    pub fn expectation_at(&self, path: &Path) -> Option<&Expectation> {
        match self.source_at(path) {
            Some((source, _)) => source.expect.as_ref(),
            None => self.expect.as_ref(),
        }
    }
}

/// Reads the section under `expect` of `parent`; `None` if there is none.
pub(super) fn expect(
    parent: &mut Section,
    schema: &Schema,
    at: &impl Fn(String) -> PathBuf,
) -> Option<Expectation> {
    let given = parent.has("expect");
    let mut section = parent.section("expect");
    if !given {
        return None;
    }
    let scheduled = section.has("schedule");
    let zone = zone(&mut section);
    let off = days_off(&mut section, at);
    let schedule = section.text("schedule").and_then(|text| {
        let schedule = Schedule::parse(&text, zone, off);
        schedule.map_err(|why| section.problem("schedule", &format!("{text:?} {why}"))).ok()
    });
    let levels = [("warn", Level::Warn), ("error", Level::Error)];
    let expectation = Expectation {
        grace: section.duration("grace").unwrap_or_default(),
        level: section.choice("level", &levels, Level::Error),
        warn_after: age(&mut section, "warn_after"),
        error_after: age(&mut section, "error_after"),
        business_date: business_date(&mut section, schema),
        schedule,
        zone,
    };
    let aged = expectation.warn_after.is_some() || expectation.error_after.is_some();
    if !scheduled && !aged {
        section.problem(
            "schedule",
            "is missing: say when data are due, such as \"0 6 * * 1-5\", or how old they may become, by \
             \"warn_after\" or \"error_after\"",
        );
    }
    if expectation.warn_after.zip(expectation.error_after).is_some_and(|(warn, error)| warn > error)
    {
        section.problem("warn_after", "is longer than \"error_after\"");
    }
    section.finish();
    Some(expectation)
}

fn zone(section: &mut Section) -> Tz {
    let Some(name) = section.text("timezone") else { return Tz::UTC };
    name.parse().unwrap_or_else(|_| {
        let problem =
            format!("names no time zone: {name:?} is not like \"Europe/Berlin\" or \"UTC\"");
        section.problem("timezone", &problem);
        Tz::UTC
    })
}

fn days_off(section: &mut Section, at: &impl Fn(String) -> PathBuf) -> DaysOff {
    let Some(path) = section.text("calendar").map(at) else { return DaysOff::default() };
    let read = files::read(&path).map_err(|e| format!("it cannot be read: {e}"));
    let text =
        read.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
    text.and_then(|text| DaysOff::parse(&text)).unwrap_or_else(|why| {
        section.problem("calendar", &format!("is the file {}: {why}", path.display()));
        DaysOff::default()
    })
}

/// An age as dbt spells it, `{"count": 12, "period": "hour"}`, or as `"12h"`.
fn age(parent: &mut Section, key: &'static str) -> Option<Duration> {
    if !parent.is_object(key) {
        return parent.duration(key);
    }
    let mut section = parent.section(key);
    for needed in ["count", "period"] {
        if !section.has(needed) {
            section.problem(needed, "is missing: write {\"count\": 12, \"period\": \"hour\"}");
        }
    }
    let count = section.integer("count", &(1..=1_000_000), 1);
    let periods = [("minute", 60), ("hour", 3600), ("day", 86_400)];
    let period = section.choice("period", &periods, 3600);
    section.finish();
    Some(Duration::from_secs(count * period))
}

fn business_date(section: &mut Section, schema: &Schema) -> Option<String> {
    let name = section.text("business_date")?;
    if !schema.columns().iter().any(|column| column.name == name) {
        let problem = format!(
            "names the column {name:?}, which is not in \"schema\"; one that is not a feature can stand in \
             \"schema.id\""
        );
        section.problem("business_date", &problem);
    }
    Some(name)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;
    use crate::Result;
    use crate::config::Config;

    fn parse(folder: &Path, expect: &str) -> Result<Expectation> {
        let text = format!(
            r#"{{"input_folder_path":"in","output_folder_path":"out","test_data_path":"test",
            "output_model_path":"m","prod_deployment_path":"p","expect":{expect}}}"#
        );
        Config::parse(&text, &folder.join("config.json")).map(|config| config.expect.unwrap())
    }

    #[test]
    fn a_schedule_has_a_zone_a_grace_and_a_calendar() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("off.txt"), "2026-12-25 Christmas\n").unwrap();
        let expectation = parse(
            folder.path(),
            r#"{"schedule":"0 6 * * 1-5","timezone":"Europe/Berlin","grace":"90m",
                "calendar":"off.txt","business_date":"corporation","level":"warn"}"#,
        )
        .unwrap();
        let now = "2026-12-27T12:00:00Z".parse().unwrap();
        let due = expectation.schedule.as_ref().unwrap().due(now);
        assert_eq!(due.last, "2026-12-24T05:00:00Z".parse().ok());
        assert_eq!((expectation.grace.as_secs(), expectation.level), (5400, Level::Warn));
    }

    #[test]
    fn ages_are_written_as_dbt_writes_them() {
        let here = Path::new("");
        let ages = |text: &str| {
            let expectation = parse(here, text).unwrap();
            [expectation.warn_after, expectation.error_after]
                .map(|age| age.map(|age| age.as_secs()))
        };
        let both = r#"{"warn_after":{"count":12,"period":"hour"},"error_after":{"count":1,"period":"day"}}"#;
        assert_eq!(ages(both), [Some(43_200), Some(86_400)]);
        assert_eq!(ages(r#"{"error_after":"90m"}"#), [None, Some(5400)]);
        // dbt writes null for what is not checked.
        assert_eq!(
            ages(r#"{"warn_after":{"count":5,"period":"minute"},"error_after":null}"#)[0],
            Some(300)
        );
    }

    #[test]
    fn all_problems_are_told_together() {
        let error = parse(
            Path::new(""),
            r#"{"schedule":"0 0 30 2 *","timezone":"Europe/Berlim","calendar":"none.txt","grace":"soon",
                "business_date":"day","warn_after":{"count":0,"period":"week"},"shedule":"x"}"#,
        )
        .unwrap_err()
        .to_string();
        for part in [
            "\"expect.schedule\" \"0 0 30 2 *\" never occurs",
            "\"expect.timezone\" names no time zone: \"Europe/Berlim\"",
            "\"expect.calendar\" is the file none.txt",
            "\"expect.grace\" must be a number and a unit",
            "\"expect.business_date\" names the column \"day\"",
            "\"expect.warn_after.count\" must be a whole number from 1",
            "\"expect.warn_after.period\" must be one of \"minute\", \"hour\", \"day\"",
            "did you mean \"expect.schedule\"?",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
        let error = parse(Path::new(""), r#"{"grace":"1h"}"#).unwrap_err().to_string();
        assert!(error.contains("say when data are due"), "{error}");
        let error = parse(Path::new(""), r#"{"warn_after":"2d","error_after":"1d"}"#).unwrap_err();
        assert!(error.to_string().contains("is longer than"), "{error}");
    }
}
