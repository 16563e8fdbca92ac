//! What ties a ledger to its workspace: an identifier of the workspace, and paths relative to it.
//!
//! Not for the tables: see [`super`].

use std::path::Path;

use rusqlite::{Connection, params};

use super::{Ledger, set_meta};
use crate::Result;
use crate::ids::random;
use crate::platform::location::Location;
use crate::text;

/// The key of the mark.
const MARK_KEY: &str = "workspace";

impl Ledger {
    /// The mark of this workspace, if it has one.
    pub fn known_mark(&self) -> Result<Option<String>> {
        self.meta(MARK_KEY)
    }

    /// The mark of this workspace, which temporary files carry. The first call draws it, and makes
    /// the absolute paths of earlier versions relative to `base`, the folder of the configuration.
    pub fn mark(&mut self, base: &Path) -> Result<String> {
        if let Some(mark) = self.known_mark()? {
            return Ok(mark);
        }
        let mark = format!("{:012x}", random() >> 16);
        let folder = self.folder();
        self.transaction(|db| {
            relocate(db, base, &folder)?;
            set_meta(db, MARK_KEY, &mark)
        })?;
        Ok(mark)
    }
}

/// Makes paths relative that are in `base`, or in what was `base` before a workspace with records
/// of an earlier version was moved: the recorded path of its data sets, which are in `folder` now,
/// shows it.
fn relocate(db: &Connection, base: &Path, folder: &Path) -> rusqlite::Result<()> {
    let dataset = db.query_row("SELECT max(location) FROM datasets", [], |row| row.get(0))?;
    let dataset: Option<String> = dataset;
    let before = dataset.and_then(|location| {
        let inside = Location::of(base, folder).path(Path::new(""));
        let parent = Path::new(&location).parent()?.to_str()?;
        let before = parent.strip_suffix(inside.to_str()?)?.strip_suffix('/')?;
        Some(before.to_owned())
    });
    for table in ["files", "segments"] {
        let mut statement = db.prepare(&format!("SELECT DISTINCT location FROM {table}"))?;
        let texts = statement.query_map([], |row| row.get(0))?;
        let texts: Vec<String> = texts.collect::<rusqlite::Result<_>>()?;
        let sql = format!("UPDATE {table} SET location = ?2 WHERE location = ?1");
        let mut statement = db.prepare(&sql)?;
        for text in texts {
            let path = text::to_path(&text);
            let inside = before.as_ref().and_then(|before| path.strip_prefix(before).ok());
            let location = match inside {
                Some(inside) => Location::of(base, &base.join(inside)),
                None => Location::of(base, &path),
            };
            statement.execute(params![text, location.as_str()])?;
        }
    }
    let names = "UPDATE datasets SET location = 'finaldata' || version || '.csv'";
    db.execute(names, []).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::disk::Disk;

    /// What becomes of two paths that a version before wrote while the workspace was `/a/ws`.
    fn after(base: &str, ledger: &Path) -> Vec<String> {
        let mut ledger = Ledger::open(ledger, &Disk::default()).unwrap();
        ledger
            .connection
            .execute_batch(
                "INSERT INTO datasets (version, run_id, location, sha256, bytes, rows, new_rows,
                 quarantined, columns, recorded) VALUES
                 (3, 'r', '/a/ws/data/out/finaldata3.csv', '', 1, 1, 1, 0, '[]', '');
                 INSERT INTO files (run_id, name, location, size, modified_ns, inode, status, counts,
                 recorded_ns) VALUES ('r', 'a', '/a/ws/in/100%.csv', 1, 1, 1, 'ingested', '{}', 1),
                 ('r', 'b', '/srv/b.csv', 1, 1, 1, 'ingested', '{}', 1);",
            )
            .unwrap();
        let mark = ledger.mark(Path::new(base)).unwrap();
        assert_eq!(ledger.mark(Path::new(base)).unwrap(), mark);
        let mut statement =
            ledger.connection.prepare("SELECT location FROM files ORDER BY id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn paths_of_earlier_versions_become_relative_even_after_a_move() {
        let dir = tempfile::tempdir().unwrap();
        let moved = dir.path().to_str().unwrap();
        for (base, folder) in [("/a/ws", "elsewhere"), (moved, "data/out")] {
            let ledger = dir.path().join(folder).join("ledger.sqlite");
            assert_eq!(after(base, &ledger), ["in/100%.csv", "/srv/b.csv"], "{base}");
        }
    }
}
