//! The data for a decision: what arrived, what should have arrived, and what people should know about it.
//!
//! Files are ingested in [`crate::stage::ingest`].

use std::time::Duration;

use chrono::DateTime;

use crate::Result;
use crate::config::InputFolder;
use crate::dataset::discover;
use crate::ids::DatasetVersion;
use crate::ledger::FileRecord;
use crate::platform::clock::rfc3339;
use crate::run::attention::Remark;
use crate::run::decision::{Concern, DataSeen};
use crate::stage::ingest;
use crate::stage::ingest::repeats;
use crate::stage::ingest::report::Ingested;
use crate::stage::overdue::{self, SourceStanding};
use crate::table::schema::Role;
use crate::text;

use super::DecisionRun;

/// How much longer than one settling time a run waits for files that keep changing.
const SETTLE_ROUNDS: u32 = 5;

impl DecisionRun<'_> {
    /// Notes what is wrong with the data that should come: refused files, and none at all. Returns how the
    /// sources stand of which something is expected.
    pub(super) fn look_at_the_supply(
        &mut self,
        ingestion: &Ingested,
    ) -> Result<Vec<SourceStanding>> {
        let (standings, told) = overdue::look(self.context, self.workspace)?;
        self.decision.data.warnings.extend(told.warnings);
        self.decision.concerns.extend(told.concerns);
        let concerns = &mut self.decision.concerns;
        if let Some(why) = ingestion.behind.clone() {
            concerns.push(Concern::TableBehind { why });
        }
        if !ingestion.refused.is_empty() {
            concerns.push(Concern::RefusedData { files: ingestion.refused.clone() });
        }
        let (Some(limit), Some(newest)) = (
            self.context.config.monitoring.max_data_age_hours,
            self.workspace.ledger.newest_data_ns()?,
        ) else {
            return Ok(standings);
        };
        let newest = DateTime::from_timestamp_nanos(newest);
        let age = self.context.clock.now() - newest;
        let hours = u64::try_from(age.num_hours()).unwrap_or(0);
        if hours >= limit {
            let (since, folder) = (rfc3339(newest), ingestion.folder.clone());
            concerns.push(Concern::OverdueData { since, hours, limit, folder });
        }
        Ok(standings)
    }

    /// What is to be decided on, for the record: all that came after `decided`, also what an
    /// interrupted run or `ingestion` brought in.
    ///
    /// No decision `looked` at the files after that: what their ingestion said went to somebody else, or
    /// to nobody.
    pub(super) fn data_seen(
        &self,
        ingestion: &Ingested,
        decided: DatasetVersion,
        looked: DatasetVersion,
    ) -> Result<DataSeen> {
        let ledger = &self.workspace.ledger;
        let has_ids = self.context.config.schema.count(Role::Id) > 0;
        let files = ledger.files_after(decided)?;
        let mut warnings = ingestion.warnings.clone();
        let heard = |file: &&FileRecord| {
            let same =
                |own: &FileRecord| (&own.location, own.sha256) == (&file.location, file.sha256);
            ingestion.files.iter().any(same)
        };
        let unheard = files.iter().filter(|f| f.dataset > Some(looked) && f.sha256.is_some());
        let told = unheard.filter(|file| !heard(file));
        let told: Vec<Remark> =
            told.filter_map(|file| repeats::told(&self.context.config, file, has_ids)).collect();
        let few = told.len().min(text::MOST_NAMES);
        warnings.extend(told.into_iter().take(few));
        let mut datasets = ledger.datasets()?;
        datasets.retain(|dataset| dataset.version > decided);
        Ok(DataSeen {
            folder: ingestion.folder.clone(),
            decided,
            version: ingestion.version,
            form: ingestion.version.map(|v| ledger.form_of(v)).transpose()?.unwrap_or_default(),
            rows: ingestion.rows,
            files: files.iter().map(|f| f.name.clone()).collect(),
            new_rows: datasets.iter().map(|d| d.new_rows).sum(),
            superseded: ingestion.superseded,
            quarantined: files.iter().map(|f| f.counts.quarantined).sum(),
            duplicates: files.iter().map(|f| f.counts.duplicates()).sum(),
            warnings,
            failures: ingestion.failures.clone(),
            new_failures: ingestion.new_failures,
        })
    }

    /// Waits, within a bound, until no file of `folder` changed just now.
    pub(super) fn wait_for(&self, folder: InputFolder<'_>, settle: Duration) -> Result<()> {
        for _ in 0..SETTLE_ROUNDS {
            let files = discover::input(&self.context.config, folder)?.candidates;
            let changing =
                |c: &discover::SourceFile| ingest::changed_within(self.context, &c.path, settle);
            if settle.is_zero() || !files.iter().any(changing) {
                break;
            }
            self.context.clock.sleep(settle);
        }
        Ok(())
    }
}
