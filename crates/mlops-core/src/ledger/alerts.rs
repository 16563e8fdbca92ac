//! Which findings were sent to whom, and the messages still to be sent: the outbox.
//!
//! A message is recorded before it is sent and marked once it has been accepted, so that a kill loses none; it
//! may then be sent twice, under the same id. What is sent is decided in `stage::alert`.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::{Ledger, from_text, set_meta};
use crate::Result;
use crate::ids::{FindingKind, Severity};

/// Up to which finding [`Ledger::queue_alerts`] has looked.
const LOOKED_KEY: &str = "alerts_looked";

/// What a rule told of a kind of finding and a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertState {
    /// The name of the rule.
    pub rule: String,
    /// The kind of the finding.
    pub kind: FindingKind,
    /// Its subject.
    pub subject: String,
    /// The number of the finding that was told last.
    pub finding: i64,
    /// How urgent it was.
    pub severity: Severity,
    /// When it was told last, RFC 3339, UTC.
    pub told: String,
    /// It was told, and that it is over was not.
    pub open: bool,
}

/// A message of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Queued {
    /// Its number; 0 before it is recorded.
    pub number: i64,
    /// The id by which a receiver knows a repeated message.
    pub id: String,
    /// The name of the rule.
    pub rule: String,
    /// The name of the sink.
    pub sink: String,
    /// The message as JSON.
    pub payload: String,
    /// When it was recorded, RFC 3339, UTC.
    pub created: String,
    /// How often it was tried.
    pub attempts: u64,
    /// Why the last try failed.
    pub error: Option<String>,
    /// When it was taken or given up, RFC 3339, UTC; `None` while it waits.
    pub ended: Option<String>,
    /// It was taken.
    pub sent: bool,
}

/// What a look at the findings changes.
#[derive(Debug, Clone, Default)]
pub struct Queueing {
    /// States that are new or changed.
    pub states: Vec<AlertState>,
    /// States of rules that are gone.
    pub removed: Vec<AlertState>,
    /// New messages.
    pub messages: Vec<Queued>,
    /// The number of the newest finding that was looked at.
    pub looked: i64,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The sink took the message.
    Taken,
    /// It failed, and is to be tried again.
    Failed(String),
    /// It is not tried any more.
    GivenUp(String),
}

const QUEUED: &str = "id, message_id, rule, sink, payload, created, attempts, error, ended, sent";

impl Ledger {
    /// The number of the newest finding that was looked at; `None` if none was ever.
    pub fn alerts_looked(&self) -> Result<Option<i64>> {
        let text = self.meta(LOOKED_KEY)?;
        text.map(|text| text.parse().map_err(|e| self.damaged(LOOKED_KEY, &e))).transpose()
    }

    /// What was told so far.
    pub fn alert_states(&self) -> Result<Vec<AlertState>> {
        self.query(|db| {
            let sql = "SELECT rule, kind, subject, finding, severity, told, open FROM alerts
                       ORDER BY rule, kind, subject";
            db.prepare(sql)?.query_map([], state)?.collect()
        })
    }

    /// Records messages and what they tell, in one commit.
    pub fn queue_alerts(&mut self, queueing: &Queueing) -> Result<()> {
        self.transaction(|db| {
            for state in &queueing.removed {
                let AlertState { rule, kind, subject, .. } = state;
                let sql = "DELETE FROM alerts WHERE rule = ?1 AND kind = ?2 AND subject = ?3";
                db.execute(sql, params![rule, kind.as_str(), subject])?;
            }
            for state in &queueing.states {
                db.execute(
                    "INSERT OR REPLACE INTO alerts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        state.rule,
                        state.kind.as_str(),
                        state.subject,
                        state.finding,
                        state.severity.as_str(),
                        state.told,
                        state.open
                    ],
                )?;
            }
            for message in &queueing.messages {
                let Queued { id, rule, sink, payload, created, .. } = message;
                db.execute(
                    "INSERT INTO outbox (message_id, rule, sink, payload, created)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![id, rule, sink, payload, created],
                )?;
            }
            set_meta(db, LOOKED_KEY, &queueing.looked.to_string())
        })
    }

    /// The messages that wait, oldest first.
    pub fn waiting_alerts(&self) -> Result<Vec<Queued>> {
        self.query(|db| {
            let sql = format!("SELECT {QUEUED} FROM outbox WHERE ended IS NULL ORDER BY id");
            db.prepare(&sql)?.query_map([], queued)?.collect()
        })
    }

    /// The last message of each rule and sink, and how it fared.
    pub fn last_alerts(&self) -> Result<Vec<Queued>> {
        self.query(|db| {
            let sql = format!(
                "SELECT {QUEUED} FROM outbox WHERE id IN
                 (SELECT max(id) FROM outbox GROUP BY rule, sink) ORDER BY rule, sink"
            );
            db.prepare(&sql)?.query_map([], queued)?.collect()
        })
    }

    /// Records how a try to send the message `number` ended.
    pub fn record_attempt(&mut self, number: i64, at: &str, attempt: &Attempt) -> Result<()> {
        let (ended, sent, error) = match attempt {
            Attempt::Taken => (Some(at), true, None),
            Attempt::Failed(why) => (None, false, Some(why)),
            Attempt::GivenUp(why) => (Some(at), false, Some(why)),
        };
        self.transaction(|db| {
            let sql = "UPDATE outbox SET attempts = attempts + 1, ended = ?2, sent = ?3, error = ?4
                       WHERE id = ?1";
            db.execute(sql, params![number, ended, sent, error]).map(drop)
        })
    }
}

/// Removes messages that ended before `before`, but for the last one of each rule and sink.
pub(super) fn thin(db: &Connection, before: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM outbox WHERE ended < ?1 AND id NOT IN
               (SELECT max(id) FROM outbox GROUP BY rule, sink)";
    db.execute(sql, [before])?;
    db.execute("DELETE FROM alerts WHERE open = 0 AND told < ?1", [before]).map(drop)
}

fn state(row: &Row) -> rusqlite::Result<AlertState> {
    Ok(AlertState {
        rule: row.get(0)?,
        kind: from_text(1, &row.get::<_, String>(1)?)?,
        subject: row.get(2)?,
        finding: row.get(3)?,
        severity: from_text(4, &row.get::<_, String>(4)?)?,
        told: row.get(5)?,
        open: row.get(6)?,
    })
}

fn queued(row: &Row) -> rusqlite::Result<Queued> {
    Ok(Queued {
        number: row.get(0)?,
        id: row.get(1)?,
        rule: row.get(2)?,
        sink: row.get(3)?,
        payload: row.get(4)?,
        created: row.get(5)?,
        attempts: super::unsigned(row.get(6)?),
        error: row.get(7)?,
        ended: row.get(8)?,
        sent: row.get(9)?,
    })
}
