//! Continues or undoes what a killed run left behind, before a command does anything else.
//!
//! An intent in the ledger says what the run was about to do. A file is removed only if it has the
//! digest that the intent recorded. Not for what is recreated later, such as a lost data set: see
//! `stage::restore_dataset`.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::csv::quarantine::HEADER;
use crate::dataset::discover::Stamp;
use crate::ids::{DatasetVersion, Form};
use crate::ledger::{DatasetRecord, Intent, Ledger, Removed, projections};
use crate::outcomes::erase;
use crate::platform::digest::Digest;
use crate::platform::files;
use crate::run::context::{Context, Workspace};
use crate::{Error, Result};

impl Context {
    /// Carries out or undoes every intent, removes temporary files of dead runs, and writes the text
    /// files again.
    pub(super) fn recover(&self, workspace: &mut Workspace) -> Result<()> {
        let config = &self.config;
        let mut notes = Vec::new();
        let intents = workspace.ledger.intents()?;
        let releases = |i: &Intent| matches!(i, Intent::Promote(_) | Intent::Remove(_));
        let any = intents.iter().any(|(_, intent)| releases(intent));
        let _held = any.then(|| self.hold_releases()).transpose()?;
        for (id, intent) in intents {
            match intent {
                Intent::PublishDataset { version, data, quarantine, table, changes } => {
                    // Where the data set is the Parquet file, both digests are the same.
                    let parts = [
                        (version.name(Form::Parquet), table),
                        (version.name(Form::Csv), Some(data)),
                        (version.quarantine_name(), quarantine),
                        (version.changes_name(), changes),
                    ];
                    for (name, digest) in parts {
                        let path = config.output_folder.join(&name);
                        // Only if we wrote it, by its digest.
                        if let Some(digest) = digest
                            && path.is_file()
                            && Digest::of_file(&path)? == digest
                        {
                            self.disk.remove(&path)?;
                            notes.push(format!("{name} of an interrupted run was undone"));
                        }
                    }
                    workspace.ledger.withdraw(id)?;
                }
                Intent::PublishHoldout { name, sha256 } => {
                    let path = config.test_data.join(&name);
                    if path.is_file() && Digest::of_file(&path)? == sha256 {
                        self.disk.remove(&path)?;
                        notes.push(format!("{name} of an interrupted run was undone"));
                    }
                    workspace.ledger.withdraw(id)?;
                }
                Intent::Promote(deployment) => {
                    let release = &deployment.release;
                    let live = self.store().live().ok().flatten();
                    // It is live, which is what the record says; whether it is sound is not checked
                    // here.
                    if live.is_some_and(|live| live == *release) {
                        workspace.ledger.record_deployment(&deployment, id)?;
                        notes.push(format!("the interrupted promotion of {release} was completed"));
                    } else {
                        workspace.ledger.withdraw(id)?;
                        notes.push(format!("the interrupted promotion of {release} was undone"));
                    }
                }
                Intent::Erase { files } => {
                    notes.push("an interrupted erasure was completed".to_owned());
                    notes.extend(self.redact(&mut workspace.ledger, &files, id)?);
                }
                Intent::Remove(removed) => {
                    let (_, failed) = self.remove_for_good(&mut workspace.ledger, removed, id)?;
                    notes.push("an interrupted removal of old releases was completed".to_owned());
                    notes.extend(failed);
                }
            }
        }
        // Whom an interrupted erasure left there. A store that cannot be opened stops no other work.
        if let Err(error) = erase::erase(config, &self.disk, &workspace.ledger) {
            notes.push(format!("people who were erased may still be in the outcomes: {error}"));
        }
        // A full disk for temporary files stops no other work either.
        if let Err(error) = workspace.ledger.shred() {
            notes.push(format!(
                "the ledger's file may still mention people who were erased: {error}"
            ));
        }
        let pointer_folder = crate::platform::disk::parent_of(&config.deployment);
        let decisions = config.output_folder.join(projections::DECISIONS);
        let folders = [
            config.output_folder.as_path(),
            &decisions,
            &config.test_data,
            &config.output_model,
            &config.models,
            pointer_folder,
        ];
        let landings = config.sources.iter().filter(|source| source.is_fetched());
        let landings: Vec<PathBuf> = landings.map(|source| config.folder_of(source)).collect();
        for folder in folders.into_iter().chain(landings.iter().map(PathBuf::as_path)) {
            for name in self.disk.remove_temporaries(folder)? {
                notes.push(format!("{name}, half-written by an interrupted run, was removed"));
            }
        }
        self.thin(&mut workspace.ledger)?;
        projections::write(&workspace.ledger, &self.disk, &config.output_folder)?;
        workspace.recovered = notes;
        Ok(())
    }

    /// Once a day, removes old details of runs and decisions, and their files.
    fn thin(&self, ledger: &mut Ledger) -> Result<()> {
        let (now, days) = (self.clock.now(), self.config.retention.keep_days);
        if !ledger.is_due_to_thin(now)? {
            return Ok(());
        }
        let folder = self.config.output_folder.join(projections::DECISIONS);
        for run in ledger.old_decisions(now, days)? {
            self.disk.remove(&folder.join(format!("{run}.json")))?;
        }
        ledger.thin(now, days)
    }

    /// Carries out the removal of releases and data sets that `intent` announces, but never of what
    /// is live, nor of a file that is not the recorded one. Records and returns what is gone, and
    /// reports what could not be removed; the next promotion tries again.
    pub(crate) fn remove_for_good(
        &self,
        ledger: &mut Ledger,
        mut removed: Removed,
        intent: i64,
    ) -> Result<(Removed, Vec<String>)> {
        let mut failures = Vec::new();
        let mut gone = |result: Result<bool>| {
            result.unwrap_or_else(|e| {
                failures.push(format!("{e}; the next promotion tries again"));
                false
            })
        };
        let live = self.store().live().ok().flatten();
        let store = self.store();
        removed.releases.retain(|id| live.as_ref() != Some(id) && gone(store.remove(id)));
        let records = ledger.datasets()?;
        removed.datasets.retain(|version| {
            let record = records.iter().find(|d| d.version == *version);
            gone(record.map_or(Ok(false), |d| self.remove_dataset(ledger, d)))
        });
        gone(self.remove_beside(ledger, &records, &removed.datasets).map(|()| true));
        ledger.record_removal(&removed, intent)?;
        Ok((removed, failures))
    }

    /// Removes the file of a data set, unless it is not the recorded one; before it, the table that stands
    /// beside it, if that is ours.
    fn remove_dataset(&self, ledger: &Ledger, record: &DatasetRecord) -> Result<bool> {
        let table = record.location.with_file_name(record.version.name(Form::Parquet));
        if let Some(digest) = ledger.meta(&record.version.table_key())?
            && table.is_file()
            && Digest::of_file(&table)?.to_string() == digest
        {
            self.disk.remove(&table)?;
        }
        let path = record.location.as_path();
        if path.try_exists().map_err(|e| Error::io("read", path, e))? {
            let now = std::fs::metadata(path).map(|m| Stamp::of(&m));
            let now = now.map_err(|e| Error::io("read", path, e))?;
            // A large file need not be read again if its metadata are unchanged.
            let recorded = record.stamp == Some(now)
                || now.size == record.bytes && Digest::of_file(path)? == record.sha256;
            if !recorded {
                return Ok(false);
            }
            self.disk.remove(path)?;
        }
        Ok(true)
    }

    /// Removes what stands beside the data sets that are gone, `going` among them, as soon as nobody needs it:
    /// quarantines without rows of the newest data set, and changed cells of rows that no data set has.
    /// Files that are not ours stay.
    fn remove_beside(
        &self,
        ledger: &Ledger,
        records: &[DatasetRecord],
        going: &[DatasetVersion],
    ) -> Result<()> {
        let folder = &self.config.output_folder;
        let (mut gone, mut based_on) = (Vec::new(), BTreeSet::new());
        for record in records.iter().rev() {
            let version = record.version;
            if going.contains(&version) || ledger.dataset_removed(version)?.is_some() {
                gone.push(version);
            } else {
                based_on.insert(version);
            }
            // A base is older than what is based on it.
            if based_on.contains(&version) {
                based_on.extend(record.base);
            }
        }
        let waiting = ledger.waiting_in()?;
        for version in gone.iter().filter(|version| !waiting.contains(version)) {
            let path = folder.join(version.quarantine_name());
            if path.is_file() && is_quarantine(&path)? {
                self.disk.remove(&path)?;
            }
        }
        for version in gone.iter().filter(|version| !based_on.contains(version)) {
            let path = folder.join(version.changes_name());
            if path.is_file()
                && let Some(recorded) = ledger.meta(&version.changes_key())?
                && Digest::of_file(&path)?.to_string() == recorded
            {
                self.disk.remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Whether a file is one of ours: its rows may have been cut out or given up, but its header is kept.
fn is_quarantine(path: &Path) -> Result<bool> {
    let (file, _) = files::open(path).map_err(|e| Error::io("read", path, e))?;
    let mut header = Vec::new();
    let read = file.take(HEADER.len() as u64).read_to_end(&mut header);
    read.map_err(|e| Error::io("read", path, e))?;
    Ok(header == HEADER)
}
