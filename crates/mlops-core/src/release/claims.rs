//! Which releases of a folder other workspaces need: their pointers, and the releases that they
//! keep.
//!
//! Several workspaces may share a folder of releases. Each records here the path of its pointer and
//! what it keeps; none removes what another one claims. Not for what a workspace needs: see its
//! retention.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::json::{parse, pretty, relative};
use super::{Pointer, Store};
use crate::ids::ReleaseId;
use crate::platform::clock::Clock;
use crate::platform::disk::parent_of;
use crate::platform::lock::FolderLock;
use crate::{Error, Result, text};

/// The file in the folder of releases.
const CLAIMS: &str = ".pointers.json";
/// The number of attempts at a lock, and the pause between them: ten seconds together.
const TRIES: u32 = 200;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// The claims of one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// The path of its pointer, relative to the folder of releases.
    pointer: String,
    /// Releases that it keeps.
    keep: BTreeSet<ReleaseId>,
}

/// Locks on the folder of releases and on that of the pointer, held while something changes there.
#[derive(Debug)]
pub struct Held {
    _locks: Vec<FolderLock>,
}

impl Store<'_> {
    /// Locks the folder of releases and that of the pointer, waiting for other workspaces that hold
    /// them briefly.
    pub fn hold(&self, clock: &dyn Clock) -> Result<Held> {
        let folders = [self.models, parent_of(self.pointer)];
        for folder in folders {
            self.disk.create_folder(folder)?;
        }
        // A folder cannot be locked twice, and all workspaces must lock in the same order.
        let real = |folder: &Path| folder.canonicalize().map_err(|e| Error::io("read", folder, e));
        let places = BTreeSet::from([real(folders[0])?, real(folders[1])?]);
        let mut locks = Vec::new();
        for place in places {
            let mut tries = 0;
            locks.push(loop {
                match FolderLock::acquire(&place) {
                    Err(e) if tries < TRIES && matches!(e.kind(), crate::ErrorKind::Locked(_)) => {
                        tries += 1;
                        clock.sleep(PAUSE);
                    }
                    other => break other?,
                }
            });
        }
        Ok(Held { _locks: locks })
    }

    /// Claims the releases `keep` for this workspace, replacing its earlier claims.
    pub fn claim(&self, keep: &BTreeSet<ReleaseId>) -> Result<()> {
        self.disk.create_folder(self.models)?;
        self.disk.create_folder(parent_of(self.pointer))?;
        let own = self.own_name()?;
        let mut claims = self.claims()?;
        claims.retain(|claim| claim.pointer != own);
        claims.push(Claim { pointer: own, keep: keep.clone() });
        claims.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        self.disk.write_if_changed(&self.models.join(CLAIMS), &pretty(&claims)?)
    }

    /// Claims `id` besides what this workspace has claimed.
    pub fn claim_also(&self, id: &ReleaseId) -> Result<()> {
        let own = self.own_name()?;
        let before = self.claims()?.into_iter().find(|claim| claim.pointer == own);
        let mut keep = before.map(|claim| claim.keep).unwrap_or_default();
        keep.insert(id.clone());
        self.claim(&keep)
    }

    /// Releases that another pointer names or another workspace keeps, and the path of one such
    /// pointer.
    pub fn of_others(&self) -> Result<(BTreeSet<ReleaseId>, Option<PathBuf>)> {
        let mut kept = BTreeSet::new();
        let mut pointers = BTreeSet::new();
        let own = if self.models.is_dir() { self.own_name().ok() } else { None };
        for claim in self.claims()? {
            if Some(&claim.pointer) != own.as_ref() {
                kept.extend(claim.keep);
                pointers.insert(self.models.join(text::to_path(&claim.pointer)));
            }
        }
        // Workspaces of earlier versions record no claims; their pointers are usually nearby.
        for folder in [parent_of(self.pointer), parent_of(self.models)] {
            let links = fs::read_dir(folder).into_iter().flatten().flatten();
            pointers.extend(links.map(|e| e.path()).filter(|path| path.is_symlink()));
        }
        let mut found = None;
        for pointer in pointers {
            let other = Store { pointer: &pointer, ..*self };
            if own.is_some() && other.own_name().ok() == own {
                continue;
            }
            if let Ok(Pointer::Release(id)) = other.pointer() {
                kept.insert(id);
                found.get_or_insert(pointer);
            }
        }
        Ok((kept, found))
    }

    fn claims(&self) -> Result<Vec<Claim>> {
        let path = self.models.join(CLAIMS);
        match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Error::io("read", &path, e)),
            Ok(_) => parse(&path),
        }
    }

    /// The pointer's path as it is claimed.
    fn own_name(&self) -> Result<String> {
        let folder = relative(parent_of(self.pointer), self.models)?;
        Ok(text::of_path(&folder.join(self.pointer.file_name().unwrap_or_default())))
    }
}
