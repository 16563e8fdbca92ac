//! `ingestion --forget`: erases a person, whose rows then never come back.
//!
//! Order of writes: the new version under a temporary name, intent, final name, one commit with the tombstones,
//! the counts and the changes to other files, then those files and the two of outcomes. Before the commit nothing has been changed;
//! after it, every later run completes what was interrupted. Rows are recognised in [`crate::csv::forgotten`].

mod data;
mod elsewhere;
mod ours;
mod people;
pub mod report;
mod sources;

use std::path::{Path, PathBuf};

use crate::dataset::counts::FileCounts;
use crate::ids::{DatasetVersion, FindingKind};
use crate::ledger::{
    DatasetRecord, Erasure, ErasureCounts, ErasureRecord, Intent, Ledger, Removed, Segment,
    forgotten, projections,
};
use crate::outcomes::erase;
use crate::platform::digest::Digest;
use crate::platform::location::Location;
use crate::run::attention::Remark;
use crate::run::context::{Context, Workspace};
use crate::stage::ingest::report::Ingested;
use crate::stage::ingest::{self, New, identity, publish_built};
use crate::table::schema::Schema;
use crate::text::mention::mentions;
use crate::{Error, Result, text};

use data::InData;
use elsewhere::Elsewhere;
use ours::InOurs;
use people::People;
use report::{Erased, Left, What};

/// Who is to be forgotten, and how.
#[derive(Clone, Default)]
pub struct Request {
    /// The people: CSV records with the values of the columns.
    pub people: Vec<String>,
    /// A file with more of them, one on each line; `-` is standard input.
    pub file: Option<PathBuf>,
    /// The columns; those of `schema.id` if there are none.
    pub by: Vec<String>,
    /// Who asks for it, for the record.
    pub who: String,
    /// Why, for the record.
    pub why: String,
    /// Earlier versions, releases and logs are removed too.
    pub everywhere: bool,
}

/// Erases people.
pub fn run(context: &Context, workspace: &mut Workspace, request: &Request) -> Result<Erased> {
    for (what, text) in
        [("who asks for it (`--who`)", &request.who), ("why (`--reason`)", &request.why)]
    {
        if text.trim().is_empty() {
            return Err(Error::data(format!(
                "say {what}: it is part of the record of the erasure. Nothing was changed"
            )));
        }
    }
    ingest::check_meaning(context, workspace)?;
    let secret = workspace.ledger.forget_secret()?;
    let schema = identity::schema(context, workspace)?;
    let known = workspace.ledger.tombstones()?;
    let people = People::of(request, (&schema, &context.config.only_slices), &secret, &known)?;
    check_record(request, &people)?;
    let plan = Plan::of(context, &workspace.ledger, &schema, &people, request)?;
    let erased = plan.carry_out(context, workspace, &schema, &people)?;
    erase::erase(&context.config, &context.disk, &workspace.ledger)?;
    Ok(erased)
}

/// What [`run`] would do. Takes no lock and changes nothing.
pub fn rehearse(context: &Context, request: &Request) -> Result<Erased> {
    let ledger = match Ledger::open_to_read(&context.config.ledger_path())? {
        Some(ledger) => ledger,
        None => Ledger::in_memory()?,
    };
    if let Some(mark) = ledger.known_mark()? {
        context.disk.mark_temporaries(&mark);
    }
    let schema = identity::schema_of(context, &ledger)?;
    let secret = match ledger.known_forget_secret()? {
        Some(secret) => secret,
        None => forgotten::new_secret()?,
    };
    let known = ledger.tombstones()?;
    let people = People::of(request, (&schema, &context.config.only_slices), &secret, &known)?;
    check_record(request, &people)?;
    let plan = Plan::of(context, &ledger, &schema, &people, request)?;
    Ok(Erased { dry_run: true, ..plan.report })
}

/// Refuses to keep the name of a person for ever in the record of the erasure. The error does not repeat it.
fn check_record(request: &Request, people: &People) -> Result<()> {
    for (option, text) in [("--who", &request.who), ("--reason", &request.why)] {
        if mentions(text, &people.values) {
            return Err(Error::data(format!(
                "`{option}` mentions somebody who is to be erased, and stays in the record of the erasure for \
                 ever: name a request by its number instead. Nothing was changed"
            )));
        }
    }
    Ok(())
}

/// All that an erasure is to do.
struct Plan {
    last: Option<DatasetRecord>,
    held: Vec<Segment>,
    found: InData,
    erasure: Erasure,
    /// Counts of contents from now on.
    counts: Vec<(Digest, FileCounts)>,
    report: Erased,
}

impl Plan {
    fn of(
        context: &Context,
        ledger: &Ledger,
        schema: &Schema,
        people: &People,
        request: &Request,
    ) -> Result<Self> {
        let last = ledger.latest_dataset()?;
        let held = last.as_ref().map(|last| ledger.segments(last.version)).transpose()?;
        let held = held.unwrap_or_default();
        let mut found = match &last {
            Some(last) => InData::of(context, schema, last, &held, people)?,
            None => InData::default(),
        };
        let sources = sources::look(context, ledger, schema, people)?;
        let ours = InOurs::of(context, ledger, schema, people, &sources)?;
        let elsewhere = Elsewhere::of(context, ledger, schema, people, &mut found)?;

        let version = last.as_ref().filter(|_| found.rows() > 0);
        let version = version.map(|last| DatasetVersion::after(Some(last.version), 1));
        let since = found.since(&held);
        let live = context.store().live().ok().flatten();
        let live = live.map(|id| context.store().manifest(&id)).and_then(Result::ok);
        let retrains = live.is_some_and(|live| since.is_some_and(|since| since <= live.dataset));
        let counts = ErasureCounts {
            people: people.tombstones.len() as u64,
            known: people.known,
            rows: found.rows(),
            quarantined: ours.quarantined.iter().map(|(_, rows)| rows).sum(),
            held_out: ours.holdouts.iter().map(|holdout| holdout.rows).sum(),
            outcomes: erase::find(&context.config, &people.forgotten)?,
            since,
            dataset: version,
            everywhere: request.everywhere,
            condemned: elsewhere
                .live
                .iter()
                .chain(&elsewhere.releases)
                .filter(|_| request.everywhere)
                .cloned()
                .collect(),
        };
        let mut redactions = ours.redactions;
        redactions.extend(sources.redactions);
        let mut left = sources.left;
        let mut removed = None;
        let mut names = Vec::new();
        if request.everywhere {
            redactions.extend(elsewhere.redactions);
            let releases = elsewhere.left.iter().filter(|left| left.what == What::Release);
            names.extend(releases.map(|left| left.name.clone()));
            left.extend(elsewhere.left.into_iter().filter(|left| !left.what.is_ours()));
            removed = Some(Removed {
                run_id: context.run.clone(),
                releases: elsewhere.releases,
                datasets: elsewhere.datasets,
                recorded: context.now(),
            });
        } else {
            left.extend(elsewhere.left);
        }
        let name = |location: &Location| {
            let path = location.path(&context.config.base);
            text::printed(Path::new(path.file_name().unwrap_or_default()))
        };
        let rewritten = redactions.iter().filter(|r| r.after.is_some());
        let report = Erased {
            version,
            data: version.map(|version| version.name(context.config.output.form())),
            rewritten: rewritten.map(|r| name(&r.location)).collect(),
            removed: redactions
                .iter()
                .filter(|r| r.after.is_none())
                .map(|r| name(&r.location))
                .chain(names)
                .collect(),
            left,
            retrains,
            counts: counts.clone(),
            ..Erased::default()
        };
        let record = ErasureRecord {
            run_id: context.run.clone(),
            recorded: context.now(),
            who: request.who.trim().to_owned(),
            why: request.why.trim().to_owned(),
            counts,
        };
        let erasure = Erasure {
            tombstones: people.tombstones.clone(),
            record,
            holdouts: ours.holdouts,
            landed: sources.landed,
            quarantined: ours.quarantined,
            values: people.values.clone(),
            redactions,
            removed,
        };
        Ok(Self { last, held, found, erasure, counts: ours.counts, report })
    }

    fn carry_out(
        self,
        context: &Context,
        workspace: &mut Workspace,
        schema: &Schema,
        people: &People,
    ) -> Result<Erased> {
        let Self { last, held, found, erasure, mut counts, mut report } = self;
        if let (Some(last), Some(version)) = (&last, report.version) {
            let built = data::without(context, schema, last, people)?;
            let parts = data::parts(&workspace.ledger, &held, &found, &mut counts)?;
            let mut ingested = Ingested::of(&context.config.input_folder, &[], Some(last));
            let erasure = Some((&erasure, &counts[..]));
            let new = New { version, base: None, parts, superseded: Vec::new(), erasure };
            publish_built(context, workspace, built, new, Vec::new(), &mut ingested)?;
            report.warnings.extend(ingested.warnings);
        } else {
            let run = &context.run;
            let erasure = Some(&erasure);
            workspace.ledger.commit_ingestion(run, &[], None, &[], &counts, &[], None, erasure)?;
        }
        complete(context, workspace, &mut report)?;
        let old = super::retain::datasets(context, workspace);
        report.warnings.extend(old.warnings);
        projections::write(&workspace.ledger, &context.disk, &context.config.output_folder)?;
        if !workspace.ledger.shred()? {
            let path = context.config.ledger_path();
            let name = text::printed(Path::new(path.file_name().unwrap_or_default()));
            report.left.push(Left::of(What::Ledger, &name, 0));
        }
        let delivered = super::deliver::run(context, workspace)?;
        report.warnings.extend(delivered.warnings);
        report.behind = delivered.behind;
        Ok(report)
    }
}

/// Carries out what the commit intended, as recovery would.
fn complete(context: &Context, workspace: &mut Workspace, report: &mut Erased) -> Result<()> {
    for (id, intent) in workspace.ledger.intents()? {
        match intent {
            Intent::Erase { files } => {
                for note in context.redact(&mut workspace.ledger, &files, id)? {
                    report.left.push(Left::of(What::Changed, &note, 0));
                }
            }
            Intent::Remove(removed) => {
                let _held = context.hold_releases()?;
                let (_, failed) = context.remove_for_good(&mut workspace.ledger, removed, id)?;
                let failed = failed.into_iter().map(|why| Remark::new(FindingKind::Retention, why));
                report.warnings.extend(failed);
            }
            _ => {}
        }
    }
    Ok(())
}
