//! TLS: what is presented, renewed, refused and said. Not for what is answered through it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlops_core::Result;
use mlops_serve::{Options, Server};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::http::Connection;
use crate::scene::{Scene, rows};

const BODY: &str = r#"{"age": 41, "balance": 12.5, "country": "de"}"#;

/// A certificate for this machine that is valid for these years, and its key.
fn made(from: i32, until: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn valid() -> (String, String) {
    made(2020, 2090)
}

/// A scene whose service answers by TLS with `pair`.
fn scene(pair: &(String, String), more: &serde_json::Value) -> Scene {
    let mut service = json!({ "tls": { "certificate": "tls/cert.pem", "key": "tls/key.pem" } });
    for (key, value) in more.as_object().unwrap() {
        service[key] = value.clone();
    }
    let scene = Scene::deployed(&json!({ "service": service }));
    put(&scene, pair);
    scene
}

fn put(scene: &Scene, (certificate, key): &(String, String)) {
    scene.file("tls/cert.pem", certificate);
    scene.file("tls/key.pem", key);
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// A connection that trusts `certificate` alone and offers `protocols`.
fn connect(
    address: SocketAddr,
    certificate: &str,
    protocols: &[&str],
) -> std::result::Result<Secured, std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut stream = StreamOwned::new(session, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Sends a request that is the last one of its connection; all that comes until its end.
fn ask(mut stream: Secured, method: &str, path: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn eventually(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(2));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn metrics(address: SocketAddr, certificate: &str) -> String {
    ask(connect(address, certificate, &[]).unwrap(), "GET", "/metrics", "", "")
}

#[test]
fn rows_are_answered_over_tls_to_the_last_byte() {
    let pair = valid();
    let scene = scene(&pair, &json!({}));
    let service = scene.serve();
    let stream = connect(service.address, &pair.0, &["h2", "http/1.1"]).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let answer = ask(stream, "POST", "/prediction", "application/json", BODY);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // Far more than one record or one buffer has room for, both ways.
    let stream = connect(service.address, &pair.0, &[]).unwrap();
    let answer = ask(stream, "POST", "/prediction", "text/csv", &rows(20_000, 3, false));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{}", &answer[..200]);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let (mut rest, mut whole) = (body, String::new());
    loop {
        let (size, more) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        whole += &more[..size];
        rest = more[size..].strip_prefix("\r\n").unwrap();
        if size == 0 {
            break;
        }
    }
    assert_eq!(rest, "");
    let body: serde_json::Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(body["predictions"].as_array().unwrap().len(), 20_000);
    // A client that speaks HTTP/2 only is refused at the handshake.
    assert!(connect(service.address, &pair.0, &["h2"]).is_err());
    let served = service.ended();
    assert!(served.address.starts_with("https://127.0.0.1:"), "{served:?}");
}

#[test]
fn a_pair_that_cannot_be_used_is_refused_at_the_start() {
    let (good, other) = (valid(), valid());
    let bind = |pair: &(String, String)| -> Result<()> {
        let scene = scene(pair, &json!({}));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = Options { port: Some(0), ..Options::default() };
        runtime.block_on(Server::bind(&scene.context(), options)).map(drop)
    };
    bind(&good).unwrap();
    let text = |text: &str| text.to_owned();
    for (pair, expected) in [
        ((good.0.clone(), other.1), "does not belong to the first certificate in"),
        (made(2020, 2021), "expired at 2021-01-01T00:00:00Z"),
        (made(2080, 2090), "is not valid before 2080-01-01T00:00:00Z"),
        ((text(""), good.1.clone()), "cert.pem holds no certificate as PEM"),
        ((good.1.clone(), good.1.clone()), "cert.pem holds no certificate as PEM"),
        ((good.0.clone(), text("nothing")), "key.pem holds no private key as PEM"),
        ((good.0.replace("MII", "!!!"), good.1.clone()), "cert.pem is not a usable PEM file"),
    ] {
        let error = bind(&pair).unwrap_err().to_string();
        assert!(error.contains("service.tls") && error.contains(expected), "{expected}: {error}");
    }
    let nowhere =
        Scene::empty(&json!({ "service": { "tls": { "certificate": "c", "key": "k" } } }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bound = runtime.block_on(Server::bind(&nowhere.context(), Options::default()));
    assert!(bound.unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    let (old, new) = (valid(), valid());
    let scene = scene(&old, &json!({}));
    let service = scene.serve();
    let kept = connect(service.address, &old.0, &[]).unwrap();
    // Half of a renewal, which is what is there while the other half is written.
    scene.file("tls/cert.pem", &new.0);
    std::thread::sleep(Duration::from_secs(2));
    ask(connect(service.address, &old.0, &[]).unwrap(), "GET", "/livez", "", "");
    scene.file("tls/key.pem", &new.1);
    eventually(|| connect(service.address, &new.0, &[]).is_ok());
    assert!(connect(service.address, &old.0, &[]).is_err(), "the old one is presented still");
    // Who is connected stays so.
    let answer = ask(kept, "POST", "/prediction", "application/json", BODY);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for broken in [made(2020, 2021), (new.0.clone(), old.1), (String::new(), String::new())] {
        put(&scene, &broken);
        std::thread::sleep(Duration::from_secs(1));
        assert!(connect(service.address, &new.0, &[]).is_ok());
    }
    let shown = metrics(service.address, &new.0);
    let until = "mlops_tls_certificate_not_after_timestamp_seconds 3786912000\n";
    assert!(shown.contains(until), "{shown}");
}

#[test]
fn whoever_does_not_shake_hands_is_counted_and_keeps_nobody_waiting() {
    let pair = valid();
    let scene = scene(&pair, &json!({ "header_timeout_seconds": 8 }));
    let service = scene.serve();
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(service.address).unwrap()).collect();
    let long = vec![0x16; 70_000];
    for garbage in [&b"\x16\x03\x01\xff\xff"[..], &[0; 4096], b"\x80\x2e\x01", &long] {
        let mut stream = TcpStream::connect(service.address).unwrap();
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        // An alert, a reset or nothing.
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    }
    let mut plain = Connection::open(service.address);
    let told = plain.send("GET", "/livez", &[], b"").ends_with(400);
    assert!(told.text().contains("https://"), "{told:?}");
    assert!(plain.closed());
    let answer = ask(connect(service.address, &pair.0, &[]).unwrap(), "GET", "/livez", "", "");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        assert!(matches!(stream.read(&mut [0]), Ok(0)), "it waits for ever");
    }
    eventually(|| {
        let counted = "mlops_connection_failures_total{reason=\"tls_handshake\"} 25\n";
        metrics(service.address, &pair.0).contains(counted)
    });
}

#[test]
fn a_handshake_that_never_ends_does_not_delay_the_end() {
    let pair = valid();
    let scene = scene(&pair, &json!({ "header_timeout_seconds": 600, "drain_seconds": 600 }));
    let service = scene.serve();
    let _silent = TcpStream::connect(service.address).unwrap();
    ask(connect(service.address, &pair.0, &[]).unwrap(), "GET", "/livez", "", "");
    assert!(service.ended().drained);
}

#[test]
fn over_the_limit_of_connections_that_is_said_over_tls_too() {
    let pair = valid();
    let scene = scene(&pair, &json!({ "max_connections": 1 }));
    let service = scene.serve();
    let first = connect(service.address, &pair.0, &[]).unwrap();
    let refused = ask(connect(service.address, &pair.0, &[]).unwrap(), "GET", "/livez", "", "");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(ask(first, "GET", "/livez", "", "").starts_with("HTTP/1.1 200 "));
}
