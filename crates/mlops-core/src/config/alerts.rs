//! The section `alerts`: who is notified of which findings, and how often.
//!
//! Findings are defined in [`crate::run::attention`]; sending is in `mlops-client`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use crate::ids::{FindingKind, Severity};

/// Who is notified of which findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alerts {
    /// What messages call this installation; the machine's name if it is not set.
    pub instance: Option<String>,
    /// How long sending may take in one run, all sinks together.
    pub limit: Duration,
    /// How long a message is tried before it is given up.
    pub give_up_after: Duration,
    /// Where messages go.
    pub sinks: Vec<Sink>,
    /// Which findings lead to messages.
    pub rules: Vec<AlertRule>,
}

/// A place to which messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Its name, unique among the sinks.
    pub name: String,
    /// How it is reached.
    pub kind: SinkKind,
    /// Time limit of one message.
    pub timeout: Duration,
}

/// How a sink is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkKind {
    /// A program and its arguments, which reads the message as JSON from standard input.
    Exec(Vec<String>),
    /// A POST to an address.
    Webhook {
        /// The address, which is often a secret itself.
        url: Secret,
        /// The form of the message.
        format: WebhookFormat,
        /// What goes into the header `Authorization`, if anything does.
        authorization: Option<Secret>,
    },
    /// Mail.
    Smtp(Box<Smtp>),
}

/// Where a value is that no log and no message has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// In the configuration, since it is none.
    Open(String),
    /// In this variable of the environment.
    Variable(String),
    /// In this file, without the end of the line.
    File(PathBuf),
}

/// The form of a message for a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// The message as it is.
    Json,
    /// For an incoming webhook of Slack, Mattermost or Rocket.Chat.
    Slack,
    /// For healthchecks.io: a ping that says "down" or "up".
    Healthchecks,
}

/// A mail server, and the envelope of mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    /// The host name.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: SmtpTls,
    /// A file of certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// The user, if the server asks for one.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
}

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte.
    Tls,
    /// After a greeting; a server that does not offer it is refused.
    StartTls,
    /// Not at all.
    None,
}

/// Which findings lead to messages, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRule {
    /// Its name, unique among the rules.
    pub name: String,
    /// The kinds of findings; empty for all.
    pub kinds: Vec<FindingKind>,
    /// How urgent a finding must be.
    pub min_severity: Severity,
    /// A pattern for the subject, with `*`, `?` and `[…]`.
    pub subject: Option<String>,
    /// How urgent its messages are; by default as urgent as the finding.
    pub urgency: Option<Urgency>,
    /// The names of the sinks.
    pub to: Vec<String>,
    /// How long after a message none follows about the same subject, unless it is more urgent.
    pub cool_down: Duration,
    /// One message for a finding, however long it lasts; otherwise it is repeated after each `cool_down`.
    pub once_per_breach: bool,
    /// A message when a finding that was told is over.
    pub all_clear: bool,
}

crate::ids::spelt! {
    /// How urgent a message is.
    pub enum Urgency {
        /// For information.
        Info = "info",
        /// To be looked at soon.
        Warning = "warning",
        /// To be looked at now.
        Critical = "critical",
    }
}

impl From<Severity> for Urgency {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Info,
            Severity::Person => Self::Warning,
            Severity::Failed => Self::Critical,
        }
    }
}

impl AlertRule {
    /// Whether the rule is on findings of `kind` about `subject` that are as urgent as `severity`.
    pub fn is_on(&self, kind: FindingKind, subject: &str, severity: Severity) -> bool {
        let pattern = self.subject.as_deref().map(glob::Pattern::new);
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && severity >= self.min_severity
            && pattern.is_none_or(|pattern| pattern.is_ok_and(|pattern| pattern.matches(subject)))
    }
}

impl Alerts {
    /// The sink of that name.
    pub fn sink(&self, name: &str) -> Option<&Sink> {
        self.sinks.iter().find(|sink| sink.name == name)
    }
}

pub(super) fn alerts(mut section: Section, at: impl Fn(String) -> PathBuf) -> Alerts {
    let instance = section.text("instance");
    let limit = Duration::from_secs(section.integer("limit_seconds", &(1..=600), 20));
    let give_up_after = section.duration("give_up_after").unwrap_or(Duration::from_hours(72));
    let sinks: Vec<Sink> =
        section.sections("sinks").into_iter().filter_map(|s| sink(s, &at)).collect();
    let rules: Vec<AlertRule> =
        section.sections("rules").into_iter().map(|s| rule(s, &sinks)).collect();
    for (key, names) in [
        ("sinks", sinks.iter().map(|sink| &sink.name).collect::<Vec<_>>()),
        ("rules", rules.iter().map(|rule| &rule.name).collect()),
    ] {
        let mut known = BTreeSet::new();
        for name in names.into_iter().filter(|name| !known.insert(*name)) {
            section.problem(key, &format!("names {name:?} twice: each needs a name of its own"));
        }
    }
    section.finish();
    Alerts { instance, limit, give_up_after, sinks, rules }
}

fn sink(mut section: Section, at: &impl Fn(String) -> PathBuf) -> Option<Sink> {
    let name = section.text("name");
    if name.is_none() {
        section.problem("name", "is missing: rules name the sink by it");
    }
    let timeout = Duration::from_secs(section.integer("timeout_seconds", &(1..=60), 5));
    let kinds = [("exec", 0), ("webhook", 1), ("smtp", 2)];
    let which = section.choice("type", &kinds.map(|(name, n)| (name, Some(n))), None);
    let command = section.texts("command");
    let url = secret(&mut section, ["url", "url_env", "url_file"], at);
    let formats = [
        ("json", WebhookFormat::Json),
        ("slack", WebhookFormat::Slack),
        ("healthchecks", WebhookFormat::Healthchecks),
    ];
    let format = section.choice("format", &formats, WebhookFormat::Json);
    let authorization = secret(&mut section, ["", "authorization_env", "authorization_file"], at);
    let smtp = smtp(&mut section, at);
    let kind = match which {
        Some(0) => match command {
            Some(words) if words.first().is_some_and(|word| !word.is_empty()) => {
                Some(SinkKind::Exec(words))
            }
            _ => {
                section.problem("command", "is missing: [\"/path/to/program\", \"argument\"]");
                None
            }
        },
        Some(1) => {
            if url.is_none() {
                section.problem(
                    "url_env",
                    "is missing: name the variable with the address, or use \"url_file\" or \"url\"",
                );
            }
            url.map(|url| SinkKind::Webhook { url, format, authorization })
        }
        Some(_) => {
            if smtp.host.is_empty() || smtp.from.is_empty() || smtp.to.is_empty() {
                section.problem("type", "is \"smtp\", which needs \"host\", \"from\" and \"to\"");
            }
            Some(SinkKind::Smtp(Box::new(smtp)))
        }
        None => {
            section.problem("type", "is missing: \"exec\", \"webhook\" or \"smtp\"");
            None
        }
    };
    section.finish();
    Some(Sink { name: name?, kind: kind?, timeout })
}

fn smtp(section: &mut Section, at: &impl Fn(String) -> PathBuf) -> Smtp {
    let modes = [("tls", SmtpTls::Tls), ("starttls", SmtpTls::StartTls), ("none", SmtpTls::None)];
    let tls = section.choice("tls", &modes, SmtpTls::StartTls);
    let usual = match tls {
        SmtpTls::Tls => 465,
        SmtpTls::StartTls => 587,
        SmtpTls::None => 25,
    };
    let port = section.integer("port", &(1..=65_535), usual);
    let password = secret(section, ["", "password_env", "password_file"], at);
    if tls == SmtpTls::None && password.is_some() {
        let message = "is \"none\", and a password would cross the network readably: use \"starttls\" or \
                       \"tls\", or send without a password";
        section.problem("tls", message);
    }
    Smtp {
        host: section.text("host").unwrap_or_default(),
        port: u16::try_from(port).unwrap_or(587),
        tls,
        ca_file: section.text("ca_file").map(at),
        from: section.text("from").unwrap_or_default(),
        to: section.texts_or_one("to").unwrap_or_default(),
        user: section.text("user"),
        password,
    }
}

/// The secret under one of three keys: openly, in a variable, in a file.
fn secret(
    section: &mut Section,
    [open, variable, file]: [&'static str; 3],
    at: &impl Fn(String) -> PathBuf,
) -> Option<Secret> {
    let open = if open.is_empty() { None } else { section.text(open).map(Secret::Open) };
    let from = section.text(variable).map(Secret::Variable);
    let of_file = section.text(file).map(at).map(Secret::File);
    let mut given = [open, from, of_file].into_iter().flatten();
    let first = given.next();
    if given.next().is_some() {
        section.problem(variable, &format!("and \"{file}\" (or an open value) exclude each other"));
    }
    first
}

fn rule(mut section: Section, sinks: &[Sink]) -> AlertRule {
    let name = section.text("name");
    if name.is_none() {
        section
            .problem("name", "is missing: messages and `diagnostics alerts` name the rule by it");
    }
    let mut kinds = Vec::new();
    for text in section.texts_or_one("kinds").unwrap_or_default() {
        if let Ok(kind) = text.parse::<FindingKind>() {
            kinds.push(kind);
        } else {
            let known: Vec<_> = FindingKind::ALL.iter().map(|kind| kind.as_str()).collect();
            let words = format!("names {text:?}; the kinds are {}", known.join(", "));
            section.problem("kinds", &words);
        }
    }
    let severities: Vec<_> = Severity::ALL.iter().map(|s| (s.as_str(), *s)).collect();
    let min_severity = section.choice("min_severity", &severities, Severity::Warning);
    let subject = section.text("subject");
    if let Some(Err(error)) = subject.as_deref().map(glob::Pattern::new) {
        section.problem("subject", &format!("is not a pattern with *, ? and […]: {error}"));
    }
    let urgencies: Vec<_> = Urgency::ALL.iter().map(|u| (u.as_str(), Some(*u))).collect();
    let urgency = section.choice("severity", &urgencies, None);
    let to = section.texts_or_one("to").unwrap_or_default();
    if to.is_empty() {
        section.problem("to", "is missing: name the sinks");
    }
    for name in to.iter().filter(|name| !sinks.iter().any(|sink| sink.name == **name)) {
        section.problem("to", &format!("names {name:?}, which is none of \"alerts.sinks\""));
    }
    let cool_down = section.duration("cool_down").unwrap_or(Duration::from_hours(6));
    let once_per_breach = section.boolean("once_per_breach", true);
    let all_clear = section.boolean("all_clear", true);
    section.finish();
    let name = name.unwrap_or_default();
    AlertRule {
        name,
        kinds,
        min_severity,
        subject,
        urgency,
        to,
        cool_down,
        once_per_breach,
        all_clear,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Result;
    use crate::config::Config;

    fn parse(alerts: &str) -> Result<Alerts> {
        let five = r#""input_folder_path":"in","output_folder_path":"out",
            "test_data_path":"test","output_model_path":"m","prod_deployment_path":"p""#;
        let text = format!("{{{five},\"alerts\":{alerts}}}");
        Config::parse(&text, Path::new("/w/config.json")).map(|config| config.alerts)
    }

    #[test]
    fn sinks_and_rules_are_read_with_their_defaults() {
        let alerts = parse(
            r#"{"sinks":[
                {"name":"pager","type":"exec","command":["./page","--now"]},
                {"name":"chat","type":"webhook","url_env":"CHAT","format":"slack","timeout_seconds":2},
                {"name":"mail","type":"smtp","host":"mail.example","from":"ml@example.org",
                 "to":"risk@example.org","user":"ml","password_file":"secret/mail"}],
              "rules":[{"name":"all","to":["chat","mail"]},
                {"name":"page","kinds":["below_constant","nothing_live"],"min_severity":"person",
                 "subject":"crm*","severity":"critical","to":"pager","cool_down":"1h",
                 "once_per_breach":false,"all_clear":false}]}"#,
        )
        .unwrap();
        assert_eq!(alerts.limit, Duration::from_secs(20));
        assert_eq!(alerts.sink("chat").unwrap().timeout, Duration::from_secs(2));
        let SinkKind::Smtp(mail) = &alerts.sink("mail").unwrap().kind else { panic!("no mail") };
        assert_eq!((mail.port, mail.tls), (587, SmtpTls::StartTls));
        assert_eq!(mail.password, Some(Secret::File("/w/secret/mail".into())));
        let [all, page] = &alerts.rules[..] else { panic!("two rules") };
        assert!(all.once_per_breach && all.all_clear && all.cool_down == Duration::from_hours(6));
        let kind = FindingKind::NothingLive;
        assert!(all.is_on(kind, "", Severity::Warning));
        assert!(page.is_on(kind, "crm/a.csv", Severity::Failed));
        assert!(!page.is_on(kind, "erp", Severity::Failed));
        assert!(!page.is_on(kind, "crm", Severity::Warning));
        assert!(!page.is_on(FindingKind::Data, "crm", Severity::Failed));
    }

    #[test]
    fn what_is_wrong_is_named_together() {
        let error = parse(
            r#"{"sinks":[{"name":"a","type":"exec"},{"name":"b","type":"webhook"},
                 {"name":"c","type":"smtp","host":"h"},{"type":"exec","command":["x"]},
                 {"name":"d","type":"webhook","url":"http://x","url_env":"X"},
                 {"name":"e","type":"smtp","host":"h","from":"a@b.example","to":"a@b.example",
                  "tls":"none","user":"u","password_env":"P"}],
              "rules":[{"name":"r","kinds":["nonsense"],"to":["z"]},
                {"name":"r","to":["d"],"subject":"["}]}"#,
        )
        .unwrap_err()
        .to_string();
        for part in [
            "\"alerts.sinks[0].command\" is missing",
            "\"alerts.sinks[1].url_env\" is missing",
            "needs \"host\", \"from\" and \"to\"",
            "\"alerts.sinks[3].name\" is missing",
            "exclude each other",
            "\"alerts.sinks[5].tls\" is \"none\", and a password would cross the network readably",
            "names \"nonsense\"; the kinds are refused_file",
            "names \"z\", which is none of \"alerts.sinks\"",
            "\"alerts.rules[1].subject\" is not a pattern",
            "names \"r\" twice",
        ] {
            assert!(error.contains(part), "missing {part:?} in:\n{error}");
        }
    }
}
