//! Alerts: which findings are sent to whom, and sending the messages in the outbox.
//!
//! What is sent follows from the history of findings and from what was sent before, so that the next run makes
//! up for one that was killed before it sent anything. The caller delivers messages to sinks; findings are made
//! elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::config::alerts::{AlertRule, Sink, Urgency};
use crate::ids::{FindingKind, RunId};
use crate::ledger::{AlertState, Attempt, FindingFilter, FindingRecord, Ledger, Queued, Queueing};
use crate::platform::clock::rfc3339;
use crate::platform::digest::Digest;
use crate::run::attention::Finding;
use crate::run::context::{Context, Report};
use crate::{Error, Result, text};

/// The most open findings that are looked at; there are more only if something is badly wrong, and then these
/// are enough.
const MOST_FINDINGS: u32 = 10_000;

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// Something was found.
    Firing,
    /// It is over.
    Resolved,
    /// Nothing: somebody tries whether messages arrive.
    Test,
}

/// A message to a sink: what programs and people receive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id. The same message may arrive twice, with the same id.
    pub id: String,
    /// What it says.
    pub status: Said,
    /// How urgent it is.
    pub severity: Urgency,
    /// The rule that asked for it.
    pub rule: String,
    /// The kind of the finding.
    pub kind: Option<FindingKind>,
    /// Its subject, such as a file or a source; empty if there is only one.
    pub subject: String,
    /// The finding in words.
    pub text: String,
    /// When it was found first, RFC 3339, UTC.
    pub since: String,
    /// When it was over, RFC 3339, UTC.
    pub ended: Option<String>,
    /// The run that found it last.
    pub run: RunId,
    /// Which installation it comes from.
    pub instance: String,
    /// How many other findings were told to this sink and are not over.
    pub others: u64,
}

impl Message {
    /// A line for people: what, where.
    pub fn title(&self) -> String {
        let what = self.kind.map_or("test of alerts", FindingKind::as_str).replace('_', " ");
        let subject = text::name(&self.subject);
        let about = if subject.is_empty() { String::new() } else { format!(" ({subject})") };
        match self.status {
            Said::Firing => format!("{}: {what}{about} on {}", self.severity, self.instance),
            Said::Resolved => format!("over: {what}{about} on {}", self.instance),
            Said::Test => format!("{what} on {}", self.instance),
        }
    }

    /// The whole message for people.
    pub fn words(&self) -> String {
        let over = self.ended.as_ref().map_or(String::new(), |at| format!("\nOver since {at}."));
        format!(
            "{}\n\n{}\n\nFound first at {}, last by the run {}.{over}\nRule \"{}\", message {}.\n",
            self.title(),
            self.text,
            self.since,
            self.run,
            self.rule,
            self.id
        )
    }

    /// A message that says nothing, for `sink`.
    pub fn test(context: &Context, sink: &Sink) -> Self {
        let now = context.now();
        let id = Digest::of(format!("test {} {} {now}", context.run, sink.name).as_bytes());
        Self {
            id: id.to_string()[..32].to_owned(),
            status: Said::Test,
            severity: Urgency::Info,
            rule: "test".to_owned(),
            kind: None,
            subject: String::new(),
            text: "Somebody asked for this message, to see whether it arrives. Nothing is wrong."
                .to_owned(),
            since: now,
            ended: None,
            run: context.run.clone(),
            instance: instance(context),
            others: 0,
        }
    }
}

fn instance(context: &Context) -> String {
    context.config.alerts.instance.clone().unwrap_or_else(|| context.host.clone())
}

/// Records the messages that the rules ask for at this moment; returns how many there are.
pub fn queue(context: &Context, ledger: &mut Ledger) -> Result<usize> {
    let rules = &context.config.alerts.rules;
    let states = ledger.alert_states()?;
    if rules.is_empty() && states.is_empty() {
        return Ok(0);
    }
    let looked = ledger.alerts_looked()?;
    let open = FindingFilter { open: Some(true), ..FindingFilter::default() };
    let mut findings = ledger.findings(&open, MOST_FINDINGS)?;
    let newest = ledger.findings(&FindingFilter::default(), 1)?.first().map_or(0, |f| f.id);
    // Findings that began and ended unseen are sent too, but not those that ended before there were rules.
    if let Some(looked) = looked {
        let over = FindingFilter { open: Some(false), ..FindingFilter::default() };
        let over = ledger.findings(&over, MOST_FINDINGS)?;
        findings.extend(over.into_iter().take_while(|finding| finding.id > looked));
    }
    findings.sort_by_key(|finding| finding.id);
    let known = states.iter().cloned().map(|state| (key(&state), state)).collect();
    let mut look = Look { now: context.clock.now(), known, told: BTreeMap::new() };
    for rule in rules {
        let on = |f: &&FindingRecord| rule.is_on(f.kind, &f.subject, f.severity);
        for finding in findings.iter().filter(on) {
            look.at(rule, finding);
        }
        look.over(rule, ledger)?;
    }
    let is_gone = |state: &&AlertState| !rules.iter().any(|rule| rule.name == state.rule);
    let removed: Vec<AlertState> = states.iter().filter(is_gone).cloned().collect();
    let told: Vec<(&AlertRule, AlertState, FindingRecord, Said)> = look
        .told
        .into_values()
        .flatten()
        .filter_map(|(state, finding, said)| {
            let rule = rules.iter().find(|rule| rule.name == state.rule)?;
            Some((rule, state, finding, said))
        })
        .collect();
    let after: Vec<AlertState> = look.known.into_values().collect();
    let changed: Vec<AlertState> =
        after.iter().filter(|state| !states.contains(state)).cloned().collect();
    let mut messages = Vec::new();
    for (rule, state, finding, said) in &told {
        for sink in &rule.to {
            messages.push(message(context, ledger, (rule, sink), (state, finding, *said), &after)?);
        }
    }
    if changed.is_empty() && removed.is_empty() && looked == Some(newest) {
        return Ok(0);
    }
    let queueing = Queueing { states: changed, removed, messages, looked: newest };
    ledger.queue_alerts(&queueing)?;
    Ok(queueing.messages.len())
}

/// The message of `rule` to `sink`, where `after` is the state once all messages have arrived.
fn message(
    context: &Context,
    ledger: &Ledger,
    (rule, sink): (&AlertRule, &str),
    (state, finding, said): (&AlertState, &FindingRecord, Said),
    after: &[AlertState],
) -> Result<Queued> {
    let rules = &context.config.alerts.rules;
    let goes = |name: &str| rules.iter().any(|r| r.name == name && r.to.iter().any(|s| s == sink));
    let this = key(state);
    let others = after.iter().filter(|s| s.open && goes(&s.rule) && key(s) != this).count() as u64;
    let now = context.now();
    let mark = ledger.known_mark()?.unwrap_or_default();
    let what = format!("{mark} {} {sink} {} {said:?} {now}", rule.name, finding.id);
    let id = Digest::of(what.as_bytes()).to_string()[..32].to_owned();
    let message = Message {
        id: id.clone(),
        status: said,
        severity: rule.urgency.unwrap_or_else(|| finding.severity.into()),
        rule: rule.name.clone(),
        kind: Some(finding.kind),
        subject: finding.subject.clone(),
        text: finding.text.clone(),
        since: finding.first_seen.clone(),
        ended: finding.ended.clone().filter(|_| said == Said::Resolved),
        run: finding.last_run.clone(),
        instance: instance(context),
        others,
    };
    Ok(Queued {
        number: 0,
        id,
        rule: rule.name.clone(),
        sink: sink.to_owned(),
        payload: serde_json::to_string(&message).map_err(|e| Error::backend("JSON", e))?,
        created: now,
        attempts: 0,
        error: None,
        ended: None,
        sent: false,
    })
}

/// The rule, kind and subject of a state.
type Key = (String, FindingKind, String);

fn key(state: &AlertState) -> Key {
    (state.rule.clone(), state.kind, state.subject.clone())
}

/// A look at the findings.
struct Look {
    now: DateTime<Utc>,
    /// What was sent before, together with what is sent now.
    known: BTreeMap<Key, AlertState>,
    /// What is sent now.
    told: BTreeMap<Key, Vec<(AlertState, FindingRecord, Said)>>,
}

impl Look {
    /// Tells of a finding if `rule` says so.
    fn at(&mut self, rule: &AlertRule, finding: &FindingRecord) {
        let key = (rule.name.clone(), finding.kind, finding.subject.clone());
        let fires = match self.known.get_mut(&key) {
            None => true,
            Some(state) => {
                let told = state.told.parse::<DateTime<Utc>>().unwrap_or_default();
                let pause = TimeDelta::from_std(rule.cool_down).unwrap_or(TimeDelta::MAX);
                // A clock that was set back must not silence anybody.
                let cooled = self.now < told || self.now - told >= pause;
                let worse = finding.severity > state.severity;
                let same = state.finding == finding.id;
                let again =
                    if state.open && same { !rule.once_per_breach && cooled } else { cooled };
                let fires = worse || (again && (state.open || !same));
                if state.open && !fires {
                    // It was over for less than a run, or comes and goes.
                    state.finding = finding.id;
                }
                fires
            }
        };
        if fires {
            let state = AlertState {
                rule: rule.name.clone(),
                kind: finding.kind,
                subject: finding.subject.clone(),
                finding: finding.id,
                severity: finding.severity,
                told: rfc3339(self.now),
                open: true,
            };
            self.known.insert(key.clone(), state.clone());
            let told = self.told.entry(key).or_default();
            told.push((state, finding.clone(), Said::Firing));
        }
    }

    /// Tells that findings of `rule` are over.
    fn over(&mut self, rule: &AlertRule, ledger: &Ledger) -> Result<()> {
        for (key, state) in &mut self.known {
            if !state.open || state.rule != rule.name {
                continue;
            }
            let finding = ledger.finding(state.finding)?;
            if finding.as_ref().is_some_and(|finding| finding.ended.is_none()) {
                continue;
            }
            state.open = false;
            if let Some(finding) = finding.filter(|_| rule.all_clear) {
                let told = self.told.entry(key.clone()).or_default();
                told.push((state.clone(), finding, Said::Resolved));
            }
        }
        Ok(())
    }
}

/// How sending went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Messages that were taken.
    pub taken: usize,
    /// Messages that wait for the next run.
    pub waiting: usize,
    /// Why, by sink; also for messages that were given up.
    pub failures: Vec<String>,
}

/// Sends what waits, oldest first, within `alerts.limit_seconds`. `deliver` gets a sink, a message and the time that
/// it may take. A sink that fails is left alone until the next run.
pub fn send(
    context: &Context,
    ledger: &mut Ledger,
    deliver: &dyn Fn(&Sink, &Message, Duration) -> std::result::Result<(), String>,
) -> Result<Sent> {
    let alerts = &context.config.alerts;
    let begun = context.clock.elapsed();
    let mut sent = Sent::default();
    let mut down: BTreeSet<String> = BTreeSet::new();
    for queued in ledger.waiting_alerts()? {
        let left = alerts.limit.saturating_sub(context.clock.elapsed().saturating_sub(begun));
        let created = queued.created.parse::<DateTime<Utc>>().unwrap_or_default();
        let age = (context.clock.now() - created).to_std().unwrap_or_default();
        let attempt = match (alerts.sink(&queued.sink), serde_json::from_str(&queued.payload)) {
            (None, _) => Attempt::GivenUp("the configuration has no such sink any more".to_owned()),
            (_, Err(error)) => Attempt::GivenUp(format!("the record cannot be read: {error}")),
            (Some(sink), Ok(message)) => {
                if left.is_zero() || down.contains(&sink.name) {
                    sent.waiting += 1;
                    continue;
                }
                match deliver(sink, &message, left.min(sink.timeout)) {
                    Ok(()) => Attempt::Taken,
                    Err(why) if age >= alerts.give_up_after => Attempt::GivenUp(why),
                    Err(why) => Attempt::Failed(why),
                }
            }
        };
        match &attempt {
            Attempt::Taken => sent.taken += 1,
            Attempt::Failed(why) => {
                sent.waiting += 1;
                sent.failures.push(format!("sink \"{}\": {why}", queued.sink));
                down.insert(queued.sink.clone());
            }
            Attempt::GivenUp(why) => {
                let words = format!("sink \"{}\": {why}; the message is given up", queued.sink);
                sent.failures.push(words);
            }
        }
        ledger.record_attempt(queued.number, &context.now(), &attempt)?;
    }
    Ok(sent)
}

/// The report of `diagnostics alerts list`.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// The rules.
    pub rules: Vec<ListedRule>,
    /// Messages that wait to be sent.
    pub waiting: Vec<Queued>,
}

/// A rule, and what it told.
#[derive(Debug, Clone, Serialize)]
pub struct ListedRule {
    /// Its name.
    pub rule: String,
    /// The sinks.
    pub to: Vec<String>,
    /// What it told and is not over.
    pub open: Vec<AlertState>,
    /// The last message to each sink.
    pub last: Vec<Queued>,
}

impl Report for Listed {
    fn changed(&self) -> bool {
        false
    }

    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// The rules with what they told.
pub fn list(context: &Context) -> Result<Listed> {
    let ledger = Ledger::open_to_read(&context.config.ledger_path())?;
    let ledger = ledger.map_or_else(Ledger::in_memory, Ok)?;
    let (states, last) = (ledger.alert_states()?, ledger.last_alerts()?);
    let rules = context.config.alerts.rules.iter().map(|rule| ListedRule {
        rule: rule.name.clone(),
        to: rule.to.clone(),
        open: states.iter().filter(|s| s.open && s.rule == rule.name).cloned().collect(),
        last: last.iter().filter(|m| m.rule == rule.name).cloned().collect(),
    });
    Ok(Listed { rules: rules.collect(), waiting: ledger.waiting_alerts()? })
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            writeln!(
                f,
                "No rules: \"alerts\" in the configuration is not set. See docs/alerts.md."
            )?;
        }
        for rule in &self.rules {
            writeln!(f, "{} to {}", rule.rule, text::names(&rule.to))?;
            if rule.open.is_empty() {
                writeln!(f, "  nothing is open")?;
            }
            for state in rule.open.iter().take(text::MOST_NAMES) {
                let about = if state.subject.is_empty() { "" } else { " on " };
                let (kind, subject) = (state.kind, text::name(&state.subject));
                writeln!(f, "  open: {kind}{about}{subject}, told at {}", state.told)?;
            }
            if let more @ 1.. = rule.open.len().saturating_sub(text::MOST_NAMES) {
                writeln!(f, "  and {} more", text::count(more as u64))?;
            }
            for message in &rule.last {
                let Queued { sink, created, attempts, .. } = message;
                let fate = match (&message.ended, message.sent, &message.error) {
                    (Some(at), true, _) => format!("taken at {at}"),
                    (Some(at), false, why) => {
                        format!("given up at {at}: {}", why.as_deref().unwrap_or_default())
                    }
                    (None, _, Some(why)) => {
                        format!("tried {}: {why}", text::plural(*attempts, "time"))
                    }
                    (None, _, None) => "not tried yet".to_owned(),
                };
                writeln!(f, "  last message to {sink}, of {created}: {fate}")?;
            }
        }
        let mut waiting: BTreeMap<&str, (u64, Option<&str>)> = BTreeMap::new();
        for message in &self.waiting {
            let (n, why) = waiting.entry(&message.sink).or_default();
            *n += 1;
            *why = why.or(message.error.as_deref());
        }
        for (sink, (n, why)) in waiting {
            let why = why.map_or(String::new(), |why| format!(": {why}"));
            writeln!(f, "{} to {sink} for the next run{why}", text::plural(n, "message"))?;
        }
        Ok(())
    }
}
