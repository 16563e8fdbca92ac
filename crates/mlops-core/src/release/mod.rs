//! Releases: sealed folders with a model and its score, and the pointer to the live one.
//!
//! Contract: a sealed release never changes; a reader of the pointer sees the old release or the
//! new one, never a mix; `promote` is durable when it returns. [`Store::promote`] only moves the pointer:
//! trust, the intent and the record are in `stage::deploy::promote`, and which release is to be live
//! is decided in the stages.

mod claims;
mod json;
mod signatures;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use claims::Held;
pub use json::{parse, pretty};

use crate::ids::{DatasetVersion, ReleaseId};
use crate::model::{Golden, Model, artifact};
use crate::platform::digest::Digest;
use crate::platform::disk::{Disk, parent_of};
use crate::platform::files;
use crate::platform::location::plain;
use crate::platform::temporary::TemporaryFolder;
use crate::{Error, Result};
use json::{parsed, relative};

/// The file of the model.
pub const ARTIFACT: &str = "trainedmodel.bin";
/// The file of the readable model card.
pub const CARD: &str = "model.json";
/// The file of rows with known probabilities.
pub const GOLDEN: &str = "golden.json";
/// The file of all scores.
pub const SCORE: &str = "score.json";
/// The file of the bare F1.
pub const LATEST_SCORE: &str = "latestscore.txt";
/// The file with the verdict of a gate that let the model pass.
pub const BLESSED: &str = "BLESSED";
/// The file with the verdict of a gate that refused the model.
pub const NOT_BLESSED: &str = "NOT_BLESSED";
/// The files that every release has.
const PARTS: [&str; 5] = [ARTIFACT, CARD, GOLDEN, SCORE, LATEST_SCORE];
/// The file that lists the others with their digests.
pub const MANIFEST: &str = "manifest.json";

/// The content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Version of this file's format.
    pub format_version: u32,
    /// The id of the release.
    pub release: ReleaseId,
    /// The data set that the model was trained on.
    pub dataset: DatasetVersion,
    /// SHA-256 of each other file.
    pub files: BTreeMap<String, Digest>,
}

/// A release that was loaded from disk and verified.
#[derive(Debug, Clone)]
pub struct Release {
    /// The release's id.
    pub id: ReleaseId,
    /// The release's folder.
    pub folder: PathBuf,
    /// The list of the release's files.
    pub manifest: Manifest,
    /// The release's model.
    pub model: Model,
    /// The bytes of `manifest.json`, which a signature is of.
    pub sealed: Vec<u8>,
}

/// The state of the pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointer {
    /// Nothing, or an empty folder that may be replaced.
    Vacant,
    /// A link to a release.
    Release(ReleaseId),
    /// A link to something else.
    Foreign(PathBuf),
    /// A real folder or file with content.
    Occupied,
}

/// The folder of releases and the pointer.
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    models: &'a Path,
    pointer: &'a Path,
    disk: &'a Disk,
}

impl<'a> Store<'a> {
    /// A store with releases in `models` and the link to the live one at `pointer`.
    pub fn new(models: &'a Path, pointer: &'a Path, disk: &'a Disk) -> Self {
        Self { models, pointer, disk }
    }

    /// The folder of release `id`.
    pub fn folder(&self, id: &ReleaseId) -> PathBuf {
        self.models.join(id.as_str())
    }

    /// Makes a release of `files`, which appears whole or not at all. An existing one is left
    /// alone, and false is returned; a damaged one is moved aside first. Either is verified from
    /// disk.
    pub fn seal(
        &self,
        id: &ReleaseId,
        dataset: DatasetVersion,
        files: &[(&str, Vec<u8>)],
    ) -> Result<(bool, Release)> {
        let folder = self.folder(id);
        if self.has(id)?
            && let Ok(release) = self.verify(id)
        {
            return Ok((false, release));
        }
        let staging = self.stage(id, dataset, files)?;
        if self.has(id)? {
            let aside = self.free_name("damaged")?;
            tracing::warn!("{id} is damaged: its folder was renamed to {}", aside.display());
            self.disk.publish_folder(&folder, &aside)?;
        }
        self.disk.publish_temporary(staging, &folder)?;
        Ok((true, self.verify(id)?))
    }

    /// Writes the files of a release with their manifest under a temporary name.
    fn stage(
        &self,
        id: &ReleaseId,
        dataset: DatasetVersion,
        files: &[(&str, Vec<u8>)],
    ) -> Result<TemporaryFolder> {
        let staging = self.disk.temporary_folder(self.models)?;
        let digests = files.iter().map(|(name, bytes)| ((*name).to_owned(), Digest::of(bytes)));
        let manifest =
            Manifest { format_version: 1, release: id.clone(), dataset, files: digests.collect() };
        let manifest = pretty(&manifest)?;
        let mut all: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        all.push((MANIFEST, &manifest));
        self.disk.write_changed(staging.path(), &all)?;
        Ok(staging)
    }

    /// Removes the mark of an earlier refusal from release `id`, which is about to go live: it is
    /// sealed again with `mark` instead, if there is one. Marks are not part of a release's id.
    /// Returns false when there was no such mark.
    pub fn clear(&self, id: &ReleaseId, mark: Option<(&str, Vec<u8>)>) -> Result<bool> {
        let manifest = self.manifest(id)?;
        if !manifest.files.contains_key(NOT_BLESSED) {
            return Ok(false);
        }
        let folder = self.folder(id);
        let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
        for name in manifest.files.keys().filter(|name| *name != NOT_BLESSED) {
            let path = folder.join(name);
            files.push((name, files::read(&path).map_err(|e| Error::io("read", &path, e))?));
        }
        files.extend(mark);
        let staging = self.stage(id, manifest.dataset, &files)?;
        let before = self.disk.temporary_folder(self.models)?;
        self.disk.publish_folder(&folder, &before.path().join(id.as_str()))?;
        self.disk.publish_temporary(staging, &folder)?;
        Ok(true)
    }

    /// Loads release `id` from disk and verifies every digest, the model and its golden
    /// predictions.
    pub fn verify(&self, id: &ReleaseId) -> Result<Release> {
        let folder = self.folder(id);
        let place = folder.display().to_string();
        let bad = |message: String| Error::artifact(&place, message);
        let path = folder.join(MANIFEST);
        let sealed = files::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let manifest: Manifest = parsed(&sealed, &path)?;
        if manifest.release != *id {
            return Err(bad(format!("its manifest is that of {}", manifest.release)));
        }
        if let Some(name) = PARTS.iter().find(|name| !manifest.files.contains_key(**name)) {
            return Err(bad(format!("its manifest does not list {name}")));
        }
        // The id contains the digests, so that nobody can exchange both a file and its digest.
        let (model, score) = (manifest.files[ARTIFACT], manifest.files[SCORE]);
        if ReleaseId::new(manifest.dataset, model, score) != *id {
            return Err(bad("its manifest was changed after it was sealed".to_owned()));
        }
        let mut contents = BTreeMap::new();
        for (name, expected) in &manifest.files {
            let path = folder.join(name);
            let digest = if [ARTIFACT, GOLDEN].contains(&name.as_str()) {
                let bytes = files::read(&path).map_err(|e| Error::io("read", &path, e))?;
                let digest = Digest::of(&bytes);
                contents.insert(name.as_str(), bytes);
                digest
            } else {
                Digest::of_file(&path)?
            };
            if digest != *expected {
                return Err(bad(format!(
                    "{name} is not the file that was sealed: deploy the model again, or roll back"
                )));
            }
        }
        let model =
            artifact::decode(&contents[ARTIFACT], &folder.join(ARTIFACT).display().to_string())?;
        let golden: Golden = parsed(&contents[GOLDEN], &folder.join(GOLDEN))?;
        golden.verify(&model, manifest.files[ARTIFACT], &place)?;
        Ok(Release { id: id.clone(), folder, manifest, model, sealed })
    }

    /// All releases in the folder, sorted by name; other entries are ignored.
    pub fn releases(&self) -> Result<Vec<ReleaseId>> {
        let failed = |e| Error::io("list", self.models, e);
        let entries = match fs::read_dir(self.models) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if let Ok(id) = entry.file_name().to_string_lossy().parse()
                && entry.file_type().map_err(failed)?.is_dir()
            {
                found.push(id);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Whether the folder of release `id` exists.
    pub fn has(&self, id: &ReleaseId) -> Result<bool> {
        let folder = self.folder(id);
        folder.try_exists().map_err(|e| Error::io("read", &folder, e))
    }

    /// The manifest of release `id`, unverified.
    pub fn manifest(&self, id: &ReleaseId) -> Result<Manifest> {
        parse(&self.folder(id).join(MANIFEST))
    }

    /// The score of release `id` as it was sealed, or why its folder is not what was sealed. Reads no large
    /// file: [`Self::verify`] examines all of them.
    pub fn sealed_score(&self, id: &ReleaseId) -> std::result::Result<Vec<u8>, String> {
        let folder = self.folder(id);
        if !folder.is_dir() {
            return Err("its folder is gone".to_owned());
        }
        let manifest = self.manifest(id).map_err(|_| "its manifest cannot be read".to_owned())?;
        let part = |name: &str| manifest.files.get(name).copied();
        let named = part(ARTIFACT).zip(part(SCORE));
        let named = named.map(|(model, score)| ReleaseId::new(manifest.dataset, model, score));
        if named.as_ref() != Some(id) {
            return Err("its manifest was changed after it was sealed".to_owned());
        }
        if let Some(name) = manifest.files.keys().find(|name| !folder.join(name).is_file()) {
            return Err(format!("{name} is gone"));
        }
        let score = files::read(&folder.join(SCORE));
        let score = score.map_err(|_| format!("{SCORE} cannot be read"))?;
        if part(SCORE) != Some(Digest::of(&score)) {
            return Err(format!("{SCORE} is not the file that was sealed"));
        }
        Ok(score)
    }

    /// Removes release `id`, whole or not at all; returns whether it is gone. The caller must not
    /// pass the live release.
    pub fn remove(&self, id: &ReleaseId) -> Result<bool> {
        if self.has(id)? {
            let doomed = self.disk.temporary_folder(self.models)?;
            let aside = doomed.path().join(id.as_str());
            self.disk.publish_folder(&self.folder(id), &aside)?;
            // It is in a temporary folder now, which a later run removes if this fails.
            let _ = self.disk.remove(doomed.path());
        }
        self.disk.remove(&self.signature_file(id))?;
        Ok(true)
    }

    /// Reads the pointer.
    pub fn pointer(&self) -> Result<Pointer> {
        let failed = |e| Error::io("read", self.pointer, e);
        let metadata = match fs::symlink_metadata(self.pointer) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Pointer::Vacant),
            other => other.map_err(failed)?,
        };
        if metadata.is_symlink() {
            let target = fs::read_link(self.pointer).map_err(failed)?;
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            return Ok(match name.parse() {
                Ok(id) if self.points_here(&target) => Pointer::Release(id),
                _ => Pointer::Foreign(target),
            });
        }
        let empty = metadata.is_dir()
            && fs::read_dir(self.pointer)
                .map_err(failed)?
                .all(|entry| entry.is_ok_and(|e| e.file_name() == ".gitkeep"));
        Ok(if empty { Pointer::Vacant } else { Pointer::Occupied })
    }

    /// Whether a link's target is in our folder of releases.
    fn points_here(&self, target: &Path) -> bool {
        let release = parent_of(self.pointer).join(target);
        match (parent_of(&release).canonicalize(), self.models.canonicalize()) {
            (Ok(found), Ok(ours)) => found == ours,
            // Both are gone: what remains is the path.
            (Err(_), Err(_)) => plain(parent_of(&release)) == plain(self.models),
            _ => false,
        }
    }

    /// The live release, if there is one; a pointer that is not ours is an error that says what
    /// to do.
    pub fn live(&self) -> Result<Option<ReleaseId>> {
        let place = self.pointer.display();
        match self.pointer()? {
            Pointer::Vacant => Ok(None),
            Pointer::Release(id) => Ok(Some(id)),
            Pointer::Foreign(target) => Err(Error::conflict(format!(
                "{place} is a link to {}, which is not a release of {}: remove the link and deploy",
                target.display(),
                self.models.display()
            ))),
            Pointer::Occupied => Err(Error::conflict(format!(
                "{place} is a folder with files of its own, not a pointer to a release: run \
                 `deployment adopt`, which moves it into {} untouched, and deploy again",
                self.models.display()
            ))),
        }
    }

    /// The live release, loaded and checked; an error when there is none.
    pub fn live_release(&self) -> Result<Release> {
        match self.live()? {
            Some(id) => self.verify(&id),
            None => Err(Error::missing(format!(
                "no model is deployed at {}: run `deployment` first",
                self.pointer.display()
            ))),
        }
    }

    /// Points to release `id`, in one step.
    pub fn promote(&self, id: &ReleaseId) -> Result<()> {
        self.live()?;
        let real = fs::symlink_metadata(self.pointer).is_ok_and(|m| m.is_dir());
        if real {
            self.disk.remove(self.pointer)?;
        }
        let parent = parent_of(self.pointer);
        self.disk.create_folder(parent)?;
        let target = relative(&self.folder(id), parent)?;
        self.disk.swap_link(&target, self.pointer)
    }

    /// Moves the real folder at the pointer's place into the folder of releases, as it is;
    /// returns where it went.
    pub fn adopt(&self) -> Result<PathBuf> {
        if self.pointer()? != Pointer::Occupied {
            return Err(Error::missing(format!(
                "there is nothing to adopt: {} is not a folder with files of its own",
                self.pointer.display()
            )));
        }
        self.disk.create_folder(self.models)?;
        let to = self.free_name("foreign")?;
        self.disk.publish_folder(self.pointer, &to)?;
        Ok(to)
    }

    /// The first of `{kind}-1`, `{kind}-2` and so on that is free in the folder of releases.
    fn free_name(&self, kind: &str) -> Result<PathBuf> {
        let mut number = 1;
        loop {
            let path = self.models.join(format!("{kind}-{number}"));
            match fs::symlink_metadata(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(path),
                other => other.map_err(|e| Error::io("read", &path, e))?,
            };
            number += 1;
        }
    }
}
