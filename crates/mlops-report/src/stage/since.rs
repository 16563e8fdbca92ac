//! `reporting --since`: compares the live release with the one of an earlier time.
//!
//! Not for what is compared: see `sections/comparison`.

use std::fmt;
use std::str::FromStr;

use mlops_core::ids::{DatasetVersion, ReleaseId, ReleasePrefix};
use mlops_core::ledger::{Deployment, Ledger};
use mlops_core::model::card::Card;
use mlops_core::release::{ARTIFACT, CARD, SCORE, parse};
use mlops_core::run::context::{Context, Workspace};
use mlops_core::stage::history;
use mlops_core::stage::score::Score;
use mlops_core::{Error, Result};

use super::{Known, Reported, knowing};
use crate::sections::comparison::{self, Comparison, Side};
use crate::{html, pdf};

/// The file name of the page with the comparison.
pub const COMPARISON: &str = "comparison.html";
/// The file name of the same as a PDF.
pub const COMPARISON_PDF: &str = "comparison.pdf";

/// With what to compare.
#[derive(Debug, Clone)]
pub enum Since {
    /// A release.
    Release(ReleasePrefix),
    /// The release that was live at the end of a day: `2026-03-02`.
    Day(String),
    /// The release that was live so many months ago.
    Months(u32),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("r-") {
            return text.parse().map(Self::Release);
        }
        if let Ok(months @ 1..=1200) = text.parse() {
            return Ok(Self::Months(months));
        }
        day(text).map(|_| Self::Day(text.to_owned())).ok_or_else(|| {
            format!(
                "{text:?} is neither a release (r-4-0123456789ab), nor a day (2026-03-02), nor a number \
                 of months (3)"
            )
        })
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(prefix) => prefix.fmt(f),
            Self::Day(day) => f.write_str(day),
            Self::Months(1) => f.write_str("a month ago"),
            Self::Months(months) => write!(f, "{months} months ago"),
        }
    }
}

/// Year, month and day of `2026-03-02`.
fn day(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('-');
    let mut next = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u32>().ok())?
    };
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    let fits = parts.next().is_none() && (1..=12).contains(&month) && (1..=31).contains(&day);
    fits.then_some((year, month, day))
}

/// The day `months` before the one that `now` begins with.
fn months_before(now: &str, months: u32) -> Option<String> {
    let (year, month, day) = day(now.get(..10)?)?;
    let at = (year * 12 + month - 1).checked_sub(months)?;
    Some(format!("{:04}-{:02}-{day:02}", at / 12, at % 12 + 1))
}

/// Renews the report, and compares the live release with the one of `since` on a page of its own.
pub fn since(context: &Context, workspace: &mut Workspace, since: &Since) -> Result<Reported> {
    let comparison = compared(context, workspace, since)?;
    let mut reported = knowing(context, workspace, Known::default())?;
    let document = comparison::document(&comparison);
    let pdf = pdf::of(&document, &context.tool_version, &[])?;
    let page = html::page(&document, &[]);
    let files = [(COMPARISON_PDF, pdf.as_slice()), (COMPARISON, page.as_bytes())];
    context.disk.write_changed(&context.config.output_model, &files)?;
    reported.files.extend(files.map(|(name, _)| name.to_owned()));
    reported.compared_with = Some(comparison.then.release);
    Ok(reported)
}

fn compared(context: &Context, workspace: &Workspace, since: &Since) -> Result<Comparison> {
    let ledger = &workspace.ledger;
    let live = context.store().live()?.ok_or_else(|| {
        Error::missing(
            "no release is live, so that there is nothing to compare: run `deployment` first",
        )
    })?;
    let deployments = ledger.deployments()?;
    let base = match since {
        Since::Release(prefix) => history::find(context, prefix)?,
        Since::Day(day) => live_at(&deployments, day, since)?,
        Since::Months(months) => {
            let day = months_before(&context.now(), *months).unwrap_or_default();
            live_at(&deployments, &day, since)?
        }
    };
    if base == live {
        let others = ledger.earlier_releases(&live)?;
        let others = match others.as_slice() {
            [] => "There is no earlier one.".to_owned(),
            some => format!(
                "Earlier ones: {}.",
                mlops_core::text::names(some.iter().map(ReleaseId::as_str))
            ),
        };
        return Err(Error::missing(format!(
            "{since} is {live}, which is live now: there is nothing to compare. {others}"
        )));
    }
    let then = side(context, ledger, &deployments, &base)?;
    let now = side(context, ledger, &deployments, &live)?;
    let (from, to) = (then.since.clone(), now.since.clone());
    let (from, to) = if from <= to { (from, to) } else { (to, from) };
    let decisions = ledger.decisions()?;
    let decisions =
        decisions.into_iter().filter(|d| d.recorded > from && d.recorded <= to).collect();
    let (generated, tool_version) = (context.now(), context.tool_version.clone());
    Ok(Comparison { then, now, decisions, generated, tool_version })
}

/// The release that was live at the end of a day.
fn live_at(deployments: &[Deployment], day: &str, since: &Since) -> Result<ReleaseId> {
    let of = |deployed: &&Deployment| deployed.recorded.get(..10).is_some_and(|on| on <= day);
    deployments.iter().rev().find(of).map(|deployed| deployed.release.clone()).ok_or_else(|| {
        let first = deployments.first().map_or_else(String::new, |first| {
            format!(": the first one, {}, went live at {}", first.release, first.recorded)
        });
        Error::missing(format!("no release was live yet ({since}, which is {day}){first}"))
    })
}

fn side(
    context: &Context,
    ledger: &Ledger,
    deployments: &[Deployment],
    id: &ReleaseId,
) -> Result<Side> {
    if let Some(when) = ledger.release_removed(id)? {
        return Err(Error::missing(format!(
            "release {id} was removed at {when}, as \"retention.keep_releases\" says: compare with one \
             that is still there (`deployment history`)"
        )));
    }
    let release = context.store().verify(id)?;
    let artifact = release.manifest.files[ARTIFACT];
    let written = parse::<Card>(&release.folder.join(CARD)).ok();
    let card = written.filter(|card| card.artifact == artifact);
    let card = card.unwrap_or_else(|| Card::of(&release.model, artifact));
    let score = parse::<Score>(&release.folder.join(SCORE)).ok().map(|score| score.evaluation);
    let since = deployments.iter().rev().find(|deployed| deployed.release == *id);
    let since = since.map(|deployed| deployed.recorded.clone()).unwrap_or_default();
    let version: DatasetVersion = release.model.data.version;
    let data = version.name(ledger.form_of(version)?);
    let rows = ledger.datasets()?.into_iter().find(|d| d.version == version).map(|d| d.rows);
    Ok(Side { release: id.to_string(), since, card, score, data: (data, rows) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_days_and_months_are_told_apart() {
        assert!(matches!("r-4-0123".parse(), Ok(Since::Release(_))));
        assert!(matches!("2026-03-02".parse(), Ok(Since::Day(_))));
        assert!(matches!("3".parse(), Ok(Since::Months(3))));
        for wrong in ["", "0", "yesterday", "2026-13-01", "2026-3-2", "2026-03-02T09", "1e3", "-1"]
        {
            let error = wrong.parse::<Since>().unwrap_err();
            assert!(error.contains("number of months"), "{error}");
        }
    }

    #[test]
    fn months_go_back_over_the_year() {
        assert_eq!(months_before("2026-03-31T09:14:55Z", 1).unwrap(), "2026-02-31");
        assert_eq!(months_before("2026-03-02T09:14:55Z", 3).unwrap(), "2025-12-02");
        assert_eq!(months_before("2026-03-02T09:14:55Z", 14).unwrap(), "2025-01-02");
    }
}
