//! Messages to real sinks on loopback: programs, web servers, mail servers; good ones, bad ones, and ones that hang.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mlops_client::alerts::{Around, deliver};
use mlops_core::config::alerts::{Secret, Sink, SinkKind, Smtp, SmtpTls, Urgency, WebhookFormat};
use mlops_core::ids::{FindingKind, RunId};
use mlops_core::stage::alert::{Message, Said};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);

fn message(status: Said, others: u64) -> Message {
    Message {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        status,
        severity: Urgency::Critical,
        rule: "all".to_owned(),
        kind: Some(FindingKind::RefusedFile),
        subject: "crm/a<b>.csv".to_owned(),
        text: "a<b>.csv was refused & left — zurück".to_owned(),
        since: "2026-11-30T01:00:00.000Z".to_owned(),
        ended: None,
        run: RunId::named("run"),
        instance: "risk-prod".to_owned(),
        others,
    }
}

fn send(kind: SinkKind, message: &Message, base: &Path) -> Result<(), String> {
    let variable = |name: &str| match name {
        "TOKEN" => Some("Bearer s3cret".to_owned()),
        "PASSWORD" => Some("s3cret".to_owned()),
        _ => None,
    };
    let sink = Sink { name: "sink".to_owned(), kind, timeout: 5 * SECOND };
    deliver(&sink, message, 5 * SECOND, &Around { base, variable: &variable })
}

fn script(folder: &TempDir, text: &str) -> SinkKind {
    let path = folder.path().join("sink.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    SinkKind::Exec(vec!["./sink.sh".to_owned(), "with; a \"space\" $HOME".to_owned()])
}

#[test]
fn a_program_reads_json_and_its_arguments_pass_no_shell() {
    let folder = tempfile::tempdir().unwrap();
    let sink = script(&folder, "cat > got.json; printf '%s' \"$1\" > argument");
    send(sink, &message(Said::Firing, 0), folder.path()).unwrap();
    let got: Value =
        serde_json::from_slice(&fs::read(folder.path().join("got.json")).unwrap()).unwrap();
    assert_eq!(got["status"], "firing");
    assert_eq!((&got["kind"], &got["severity"]), (&json!("refused_file"), &json!("critical")));
    assert_eq!(got["text"], "a<b>.csv was refused & left — zurück");
    let argument = fs::read_to_string(folder.path().join("argument")).unwrap();
    assert_eq!(argument, "with; a \"space\" $HOME");
}

#[test]
fn a_program_that_fails_is_missing_reads_nothing_or_hangs_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = |text: &str| {
        let sink = script(&folder, text);
        let variable = |_: &str| None;
        let sink = Sink { name: "sink".to_owned(), kind: sink, timeout: SECOND };
        let around = Around { base: folder.path(), variable: &variable };
        deliver(&sink, &message(Said::Firing, 0), SECOND, &around)
    };
    assert_eq!(error("exit 0"), Ok(()), "it need not read");
    assert!(error("exit 7").unwrap_err().contains("exit status: 7"));
    let begun = Instant::now();
    let hangs = error("sleep 60 & sleep 60").unwrap_err();
    assert!(hangs.contains("did not end within 1 s"), "{hangs}");
    assert!(begun.elapsed() < 30 * SECOND);
    let missing = SinkKind::Exec(vec!["./nothing".to_owned()]);
    let missing = send(missing, &message(Said::Firing, 0), folder.path()).unwrap_err();
    assert!(missing.contains("\"./nothing\" cannot be started"), "{missing}");
}

/// A web server that answers with `status`; gives each request whole.
fn web(status: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook/s3cret", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut request = String::new();
            while stream.read_line(&mut request).unwrap_or(0) > 2 {}
            let length = request.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).unwrap();
            let _ = sender.send(request + &String::from_utf8(body).unwrap());
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.get_mut().write_all(head.as_bytes()).unwrap();
        }
    });
    (url, requests)
}

fn webhook(url: &str, format: WebhookFormat) -> SinkKind {
    let authorization = Some(Secret::Variable("TOKEN".to_owned()));
    SinkKind::Webhook { url: Secret::Open(url.to_owned()), format, authorization }
}

#[test]
fn webhooks_have_the_form_that_their_receivers_expect() {
    let (url, requests) = web("200 OK");
    let here = Path::new("");
    let post = |format, message: &Message| {
        send(webhook(&url, format), message, here).unwrap();
        let request = requests.recv_timeout(5 * SECOND).unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let line = head.lines().next().unwrap().to_owned();
        (line, head.to_lowercase(), body.to_owned())
    };
    let firing = message(Said::Firing, 0);
    let (line, head, body) = post(WebhookFormat::Json, &firing);
    assert_eq!(line, "POST /hook/s3cret HTTP/1.1");
    assert!(head.contains("authorization: bearer s3cret") && head.contains("application/json"));
    assert_eq!(serde_json::from_str::<Message>(&body).unwrap(), firing);
    let (_, _, body) = post(WebhookFormat::Slack, &firing);
    let slack: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(slack.as_object().unwrap().len(), 1, "Slack takes only what it knows");
    let text = slack["text"].as_str().unwrap();
    assert!(text.contains("*critical: refused file (crm/a&lt;b&gt;.csv) on risk-prod*"), "{text}");
    assert!(text.contains("was refused &amp; left — zurück"), "{text}");
    let ends = |status, others| post(WebhookFormat::Healthchecks, &message(status, others)).0;
    assert_eq!(ends(Said::Firing, 0), "POST /hook/s3cret/fail HTTP/1.1");
    assert_eq!(ends(Said::Resolved, 1), "POST /hook/s3cret/log HTTP/1.1", "another one is open");
    assert_eq!(ends(Said::Resolved, 0), "POST /hook/s3cret HTTP/1.1");
    assert_eq!(ends(Said::Test, 0), "POST /hook/s3cret/log HTTP/1.1");
}

#[test]
fn errors_name_the_reason_and_no_secret() {
    let here = Path::new("");
    let firing = message(Said::Firing, 0);
    let (url, _requests) = web("500 Internal Server Error");
    let mut errors = vec![send(webhook(&url, WebhookFormat::Json), &firing, here).unwrap_err()];
    assert!(errors[0].contains("500"), "{errors:?}");
    // Nobody listens any more.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}/hook/s3cret");
    errors.push(send(webhook(&closed, WebhookFormat::Slack), &firing, here).unwrap_err());
    errors.push(send(webhook("s3cret", WebhookFormat::Json), &firing, here).unwrap_err());
    let missing = SinkKind::Webhook {
        url: Secret::Variable("NOT_SET".to_owned()),
        format: WebhookFormat::Json,
        authorization: None,
    };
    errors.push(send(missing, &firing, here).unwrap_err());
    assert!(errors[3].contains("NOT_SET"), "{errors:?}");
    let gone = SinkKind::Webhook {
        url: Secret::File("/nowhere/url".into()),
        format: WebhookFormat::Json,
        authorization: None,
    };
    errors.push(send(gone, &firing, here).unwrap_err());
    for error in &errors {
        assert!(!error.contains("s3cret"), "{error}");
    }
    // A file has the secret without the end of its line.
    let folder = tempfile::tempdir().unwrap();
    let (url, requests) = web("204 No Content");
    fs::write(folder.path().join("url"), url + "\n").unwrap();
    let of_file = SinkKind::Webhook {
        url: Secret::File(folder.path().join("url")),
        format: WebhookFormat::Json,
        authorization: None,
    };
    send(of_file, &firing, here).unwrap();
    assert!(requests.recv_timeout(5 * SECOND).unwrap().contains("POST /hook/s3cret"));
}

#[test]
fn a_server_that_never_answers_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let variable = |_: &str| None;
    let around = Around { base: Path::new(""), variable: &variable };
    let web = SinkKind::Webhook {
        url: Secret::Open(format!("http://{address}/")),
        format: WebhookFormat::Json,
        authorization: None,
    };
    for kind in [web, mail(address.port(), SmtpTls::None, None, None)] {
        let begun = Instant::now();
        let sink = Sink { name: "sink".to_owned(), kind, timeout: SECOND };
        let error = deliver(&sink, &message(Said::Firing, 0), SECOND, &around).unwrap_err();
        assert!(error.contains("in time") || error.contains("timed out"), "{error}");
        assert!(begun.elapsed() < 30 * SECOND);
    }
}

fn mail(port: u16, tls: SmtpTls, ca_file: Option<&Path>, user: Option<&str>) -> SinkKind {
    SinkKind::Smtp(Box::new(Smtp {
        host: "localhost".to_owned(),
        port,
        tls,
        ca_file: ca_file.map(Path::to_owned),
        from: "Models <ml@example.org>".to_owned(),
        to: vec!["risk@example.org".to_owned(), "ops@example.org".to_owned()],
        user: user.map(str::to_owned),
        password: user.map(|_| Secret::Variable("PASSWORD".to_owned())),
    }))
}

/// A conversation over SMTP; adds what the client says to `heard`. Returns true if the client asks for TLS.
fn converse(stream: &mut (impl Read + Write), offers: &str, heard: &mut String) -> bool {
    let mut stream = BufReader::new(stream);
    let mut data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        heard.push_str(&line);
        let answer = match line.trim_end() {
            "." if data => {
                data = false;
                "250 taken"
            }
            _ if data => continue,
            "DATA" => {
                data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            "STARTTLS" => "220 ready",
            line if line.starts_with("EHLO") => offers,
            line if line.starts_with("AUTH") => "235 welcome",
            _ => "250 fine",
        };
        stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).unwrap();
        match line.trim_end() {
            "STARTTLS" => return true,
            "QUIT" => return false,
            _ => {}
        }
    }
}

/// A mail server with a certificate for "localhost"; gives what each client said, and the certificate.
fn mail_server(tls: SmtpTls) -> (u16, String, Receiver<String>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let mut said = String::new();
            let secure = |stream| {
                StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream)
            };
            let plain = "250-here\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN";
            let bare = "250-here\r\n250 AUTH PLAIN LOGIN";
            let after = "250-here\r\n250 AUTH PLAIN LOGIN";
            match tls {
                SmtpTls::Tls => {
                    let mut stream = secure(stream);
                    if stream.write_all(b"220 here\r\n").is_ok() {
                        converse(&mut stream, after, &mut said);
                    }
                }
                tls => {
                    stream.write_all(b"220 here\r\n").unwrap();
                    let offers = if tls == SmtpTls::StartTls { plain } else { bare };
                    if converse(&mut stream, offers, &mut said) {
                        said.push_str("(from here on encrypted)\n");
                        converse(&mut secure(stream), after, &mut said);
                    }
                }
            }
            let _ = sender.send(said);
        }
    });
    (port, made.cert.pem(), heard)
}

#[test]
fn mail_arrives_plainly_after_starttls_and_in_tls() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    for tls in [SmtpTls::None, SmtpTls::StartTls, SmtpTls::Tls] {
        let (port, certificate, heard) = mail_server(tls);
        fs::write(&ca, certificate).unwrap();
        let user = (tls != SmtpTls::None).then_some("ml");
        let sink = mail(port, tls, Some(&ca), user);
        send(sink, &message(Said::Firing, 0), folder.path()).unwrap();
        let said = heard.recv_timeout(5 * SECOND).unwrap();
        for part in [
            "MAIL FROM:<ml@example.org>",
            "RCPT TO:<risk@example.org>",
            "RCPT TO:<ops@example.org>",
            "Subject: critical: refused file",
            "Message-ID: <0123456789abcdef0123456789abcdef@example.org>",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(said.contains(part), "{tls:?}: {part:?} is not in\n{said}");
        }
        assert_eq!(said.contains("AUTH PLAIN"), user.is_some(), "{said}");
        if tls == SmtpTls::StartTls {
            let (open, hidden) = said.split_once("(from here on encrypted)").unwrap();
            assert!(!open.contains("AUTH") && hidden.contains("AUTH"), "{said}");
        }
    }
}

#[test]
fn mail_never_falls_back_to_an_open_connection_or_an_unknown_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (port, certificate, heard) = mail_server(SmtpTls::None);
    fs::write(&ca, certificate).unwrap();
    let sink = mail(port, SmtpTls::StartTls, Some(&ca), Some("ml"));
    let error = send(sink, &message(Said::Firing, 0), folder.path()).unwrap_err();
    assert!(!error.contains("s3cret"), "{error}");
    assert!(!heard.recv_timeout(5 * SECOND).unwrap().contains("AUTH"));
    // The certificate of another server.
    let (port, _, _heard) = mail_server(SmtpTls::StartTls);
    let sink = mail(port, SmtpTls::StartTls, Some(&ca), Some("ml"));
    let error = send(sink, &message(Said::Firing, 0), folder.path()).unwrap_err();
    assert!(!error.contains("s3cret") && !error.is_empty(), "{error}");
}
