//! Removes an erased person from our files: bytes are cut out, or a whole file is removed.
//!
//! The intent in the erasure's commit says which, with the digests before and after, so that this can be
//! repeated however often it is interrupted. A file with neither digest was changed by somebody else and is
//! left alone. What to cut is determined in `stage::forget`.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use crate::ledger::{Ledger, Redaction};
use crate::platform::digest::{Digest, Hasher};
use crate::platform::disk::parent_of;
use crate::platform::files;
use crate::run::context::Context;
use crate::{Error, Result};

/// Bytes that are read at a time.
const PIECE: usize = 1 << 18;

impl Context {
    /// Carries out `redactions` and ends `intent`; returns notes on files that were changed meanwhile.
    pub(crate) fn redact(
        &self,
        ledger: &mut Ledger,
        redactions: &[Redaction],
        intent: i64,
    ) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        // Some lie in folders where no other run leaves half-written files, such as that of the log.
        let parents = redactions.iter().map(|r| r.location.path(&self.config.base));
        let parents: BTreeSet<_> = parents.map(|path| parent_of(&path).to_owned()).collect();
        for folder in &parents {
            self.disk.remove_temporaries(folder)?;
        }
        for redaction in redactions {
            let path = redaction.location.path(&self.config.base);
            if !path.try_exists().map_err(|e| Error::io("read", &path, e))? {
                continue;
            }
            let now = Digest::of_file(&path)?;
            if Some(now) == redaction.after {
                continue;
            }
            if now != redaction.before {
                notes.push(format!(
                    "{} was changed after the erasure had begun, and may still have rows of the person: \
                     repeat `ingestion --forget`",
                    path.display()
                ));
                continue;
            }
            self.redact_file(&path, redaction)?;
        }
        ledger.withdraw(intent)?;
        Ok(notes)
    }

    fn redact_file(&self, path: &Path, redaction: &Redaction) -> Result<()> {
        let Some(after) = redaction.after else { return self.disk.remove(path) };
        let mut file = self.disk.new_file(path)?;
        let mut hasher = Hasher::default();
        each_kept(path, &redaction.cuts, |bytes| {
            hasher.update(bytes);
            file.write_all(bytes)
        })?;
        if hasher.finish() != after {
            return Err(Error::data(format!(
                "{} changed while it was rewritten: run again",
                path.display()
            )));
        }
        file.publish(true)
    }
}

/// The digest and the size that the file at `path` has without `cuts`.
pub(crate) fn without(path: &Path, cuts: &[(u64, u64)]) -> Result<(Digest, u64)> {
    let (mut hasher, mut size) = (Hasher::default(), 0);
    each_kept(path, cuts, |bytes| {
        hasher.update(bytes);
        size += bytes.len() as u64;
        Ok(())
    })?;
    Ok((hasher.finish(), size))
}

/// Passes the bytes of a file that are in none of `cuts`, which ascend, to `take`.
fn each_kept(
    path: &Path,
    cuts: &[(u64, u64)],
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let failed = |e| Error::io("read", path, e);
    let (mut file, _) = files::open(path).map_err(failed)?;
    let mut piece = vec![0; PIECE];
    let (mut at, mut next) = (0_u64, 0);
    loop {
        let read = match file.read(&mut piece).map_err(failed)? {
            0 => return Ok(()),
            read => read as u64,
        };
        let end = at + read;
        let place = |offset: u64| usize::try_from(offset.clamp(at, end) - at).unwrap_or(PIECE);
        let mut from = at;
        while let Some((start, stop)) = cuts.get(next).filter(|(start, _)| *start < end) {
            take(&piece[place(from)..place((*start).max(from))])?;
            from = (*stop).max(from);
            if *stop > end {
                break;
            }
            next += 1;
        }
        if from < end {
            take(&piece[place(from)..place(end)])?;
        }
        at = end;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_cuts_are_left_out_wherever_pieces_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let all: Vec<u8> = (0..PIECE * 2 + 100).map(|i| u8::try_from(i % 251).unwrap()).collect();
        std::fs::write(&path, &all).unwrap();
        let piece = PIECE as u64;
        let end = all.len() as u64;
        for cuts in [
            vec![],
            vec![(0, 1)],
            vec![(3, 5), (5, 9), (piece - 1, piece + 1)],
            vec![(piece, piece)],
            vec![(10, piece * 2 + 7), (end - 1, end)],
            vec![(0, end)],
        ] {
            let kept = |i: &usize| !cuts.iter().any(|(a, b)| (*a..*b).contains(&(*i as u64)));
            let expected: Vec<u8> = (0..all.len()).filter(kept).map(|i| all[i]).collect();
            let mut found = Vec::new();
            each_kept(&path, &cuts, |bytes| {
                found.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
            assert!(found == expected, "{cuts:?}");
            assert_eq!(without(&path, &cuts).unwrap(), (Digest::of(&found), found.len() as u64));
        }
    }
}
