//! The known labels of logged predictions, looked up by the place of the prediction in the log.
//!
//! Not for scores: see [`super::windows`].

use std::collections::HashMap;

use super::store::{Store, unsigned};
use crate::Result;
use crate::ids::ReleaseId;

/// Whether the label is positive, by the byte at which a line begins, by the name of its file.
pub type KnownLabels = HashMap<String, HashMap<u64, bool>>;

impl Store {
    /// The known labels of what `release` predicted.
    ///
    /// # Errors
    /// `Conflict` if the store is damaged.
    pub fn known_labels(&self, release: &ReleaseId) -> Result<KnownLabels> {
        let rows: Vec<(String, i64, bool)> = self.query(|db| {
            let sql = "SELECT l.name, p.byte, p.label FROM predictions p
                       JOIN logs l ON l.id = p.log JOIN releases r ON r.id = p.release
                       WHERE r.name = ?1 AND p.label IS NOT NULL";
            let mut statement = db.prepare(sql)?;
            let rows = statement
                .query_map([release.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect()
        })?;
        let mut known = KnownLabels::new();
        for (name, byte, positive) in rows {
            known.entry(name).or_default().insert(unsigned(byte), positive);
        }
        Ok(known)
    }
}
