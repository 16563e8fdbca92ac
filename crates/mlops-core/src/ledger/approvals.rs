//! Challengers that wait for somebody's approval, and what became of them.
//!
//! Not for deciding whether one may still go live: see `stage::approve`.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::decisions::insert_decision;
use super::{DecisionRecord, Ledger, from_text};
use crate::Result;
use crate::ids::{DatasetVersion, ReleaseId, RunId, spelt};

spelt! {
    /// What became of a challenger.
    pub enum ApprovalState {
        /// It waits.
        Waiting = "waiting",
        /// Somebody made it live.
        Approved = "approved",
        /// Somebody refused it.
        Rejected = "rejected",
        /// A newer data set was decided on, or a newer challenger waits.
        Superseded = "superseded",
        /// Nobody decided in time.
        Expired = "expired",
    }
}

/// A challenger that passed the gate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Approval {
    /// Its release, which is sealed.
    pub release: ReleaseId,
    /// The run that made it.
    pub run_id: RunId,
    /// The data set that was decided on.
    pub dataset: DatasetVersion,
    /// The live release that it was compared with; `None` if none was live.
    pub champion: Option<ReleaseId>,
    /// Its F1 on the test data.
    pub f1: f64,
    /// Why it passed the gate.
    pub reason: String,
    /// When it was recorded, RFC 3339, UTC.
    pub recorded: String,
    /// Until when it may be approved, RFC 3339, UTC.
    pub expires: String,
    /// What became of it.
    pub state: ApprovalState,
    /// When it stopped waiting, RFC 3339, UTC.
    pub closed: Option<String>,
    /// Who approved or rejected it.
    pub who: Option<String>,
    /// The reason for that.
    pub why: Option<String>,
}

const APPROVAL: &str = "release, run_id, dataset, champion, f1, reason, recorded, expires, state, \
    closed, who, why";

impl Ledger {
    /// Records a decision after which `approval` waits, in one commit. Another one that waits is superseded; the
    /// same one waits on, to its earlier date.
    pub fn record_waiting(&mut self, decision: &DecisionRecord, approval: &Approval) -> Result<()> {
        self.transaction(|db| {
            insert_decision(db, decision)?;
            let id = approval.release.as_str();
            close(
                db,
                &approval.recorded,
                ApprovalState::Superseded,
                "release <> ?4",
                (id, None, &format!("{id} waits instead")),
            )?;
            let sql = "SELECT count(*) FROM approvals WHERE state = 'waiting' AND release = ?1";
            if db.query_row(sql, [id], |row| row.get::<_, i64>(0))? > 0 {
                let sql = "UPDATE approvals SET dataset = ?2, champion = ?3
                           WHERE state = 'waiting' AND release = ?1";
                let champion = approval.champion.as_ref().map(ReleaseId::as_str);
                return db.execute(sql, params![id, approval.dataset.0, champion]).map(drop);
            }
            db.execute(
                "INSERT INTO approvals (release, run_id, dataset, champion, f1, reason, recorded,
                     expires, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting')",
                params![
                    id,
                    approval.run_id,
                    approval.dataset.0,
                    approval.champion.as_ref().map(ReleaseId::as_str),
                    approval.f1,
                    approval.reason,
                    approval.recorded,
                    approval.expires
                ],
            )
            .map(drop)
        })
    }

    /// The challengers that wait, and the last `limit` that do not any more; newest first.
    pub fn approvals(&self, limit: u32) -> Result<Vec<Approval>> {
        self.query(|db| {
            let sql = format!(
                "SELECT {APPROVAL} FROM approvals WHERE state = 'waiting' OR id IN
                 (SELECT id FROM approvals WHERE state <> 'waiting' ORDER BY id DESC LIMIT ?1)
                 ORDER BY id DESC"
            );
            db.prepare(&sql)?.query_map([limit], approval)?.collect()
        })
    }

    /// The challenger that waits; there is one at most.
    pub fn waiting_approval(&self) -> Result<Option<Approval>> {
        let all = self.approvals(0)?;
        Ok(all.into_iter().next())
    }

    /// Closes challengers that nobody decided on in time; returns whether there were any.
    pub fn expire_approvals(&mut self, now: &str) -> Result<bool> {
        if self.waiting_approval()?.is_none_or(|waiting| waiting.expires.as_str() > now) {
            return Ok(false);
        }
        self.transaction(|db| {
            let words = "nobody approved it in time";
            close(db, now, ApprovalState::Expired, "expires <= ?4", (now, None, words))
        })?;
        Ok(true)
    }

    /// Closes the challenger `release` without making it live.
    pub fn close_approval(
        &mut self,
        release: &ReleaseId,
        state: ApprovalState,
        at: &str,
        who: Option<&str>,
        why: &str,
    ) -> Result<()> {
        self.transaction(|db| close(db, at, state, "release = ?4", (release.as_str(), who, why)))
    }
}

/// Closes the challengers that wait and fit `which`, which may use the first of `of` as ?4.
fn close(
    db: &Connection,
    at: &str,
    state: ApprovalState,
    which: &str,
    (of, who, why): (&str, Option<&str>, &str),
) -> rusqlite::Result<()> {
    let sql = format!(
        "UPDATE approvals SET state = ?1, closed = ?2, why = ?3, who = ?5
         WHERE state = 'waiting' AND {which}"
    );
    db.execute(&sql, params![state.as_str(), at, why, of, who]).map(drop)
}

/// Closes the challenger that went live, within the transaction that records that.
pub(super) fn approved(
    db: &Connection,
    release: &ReleaseId,
    at: &str,
    who: Option<&str>,
    why: &str,
) -> rusqlite::Result<()> {
    close(db, at, ApprovalState::Approved, "release = ?4", (release.as_str(), who, why))
}

fn approval(row: &Row) -> rusqlite::Result<Approval> {
    let champion: Option<String> = row.get(3)?;
    Ok(Approval {
        release: from_text(0, &row.get::<_, String>(0)?)?,
        run_id: row.get(1)?,
        dataset: DatasetVersion(row.get(2)?),
        champion: champion.map(|text| from_text(3, &text)).transpose()?,
        f1: row.get(4)?,
        reason: row.get(5)?,
        recorded: row.get(6)?,
        expires: row.get(7)?,
        state: from_text(8, &row.get::<_, String>(8)?)?,
        closed: row.get(9)?,
        who: row.get(10)?,
        why: row.get(11)?,
    })
}
