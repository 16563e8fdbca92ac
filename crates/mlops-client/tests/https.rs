//! Pings over TLS, to a server whose certificate the machine trusts, and to one that it does not.
//!
//! What the machine trusts is set by an environment variable, so the pings are sent by a second
//! process: this test's own program, told by the environment what to do.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use mlops_client::ping::{Pings, Signal};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const ADDRESS: &str = "MLOPS_TEST_PING";

/// The second process: pings once.
#[test]
#[ignore = "the second process of other tests"]
#[expect(clippy::disallowed_methods, reason = "a second process is told what to do like this")]
fn second_process() {
    if let Ok(url) = std::env::var(ADDRESS) {
        let pings = Pings::new(Some(&url), Duration::from_secs(5));
        pings.send(Signal::Start);
        pings.finish();
    }
}

/// A server with a certificate for "localhost", and that certificate; gives what it could read.
fn server() -> (String, String, Receiver<Option<String>>) {
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
    let url = format!("https://localhost:{}/key", listener.local_addr().unwrap().port());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer);
        let text = read.ok().map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned());
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let _ = sender.send(text);
    });
    (url, made.cert.pem(), requests)
}

fn ping(url: &str, trusted: &Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "second_process", "--ignored"])
        .env(ADDRESS, url)
        .env("SSL_CERT_FILE", trusted)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
fn a_trusted_certificate_is_taken_and_another_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let trusted = dir.path().join("trusted.pem");
    let (url, certificate, requests) = server();
    std::fs::write(&trusted, certificate).unwrap();
    ping(&url, &trusted);
    let request = requests.recv_timeout(Duration::from_secs(5)).unwrap().unwrap();
    assert!(request.starts_with("GET /key/start HTTP/1.1\r\n"), "{request}");

    // A second server has another certificate; the first one stays trusted.
    let (url, _, requests) = server();
    ping(&url, &trusted);
    let request = requests.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(request, None, "a ping was sent to a server that nobody vouches for");
}
