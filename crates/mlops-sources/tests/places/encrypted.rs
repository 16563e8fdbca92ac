//! Encrypted connections: to servers whose certificate the machine trusts, and to those that it does not.
//!
//! What the machine trusts is set by an environment variable, so that a second process fetches: this
//! test's own program, told by the environment what to do. Not for what is fetched.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mlops_core::source::Seen;
use mlops_testkit::Folder;
use mlops_testkit::postgres::{PASSWORD, Postgres};
use mlops_testkit::s3::{KEYS, RUNTIME, Server};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::{open, web};

const ENTRY: &str = "MLOPS_TEST_ENTRY";
const VARIABLES: &str = "MLOPS_TEST_VARIABLES";

/// The second process: fetches the first object, and prints it or the error.
#[test]
#[ignore = "the second process of other tests"]
fn second_process() {
    let told =
        |name| std::env::var(name).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let (Some(entry), Some(variables)) = (told(ENTRY), told(VARIABLES)) else { return };
    let variables: Vec<(&str, &str)> = variables
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let mut bytes = Vec::new();
    let fetched = open(Path::new("/"), &entry, &variables).and_then(|place| {
        let object = place.list(&Seen::default())?.remove(0);
        place.fetch(&object, &mut bytes)
    });
    match fetched {
        Ok(_) => println!("fetched {}", String::from_utf8(bytes).unwrap()),
        Err(error) => println!("failed {error}"),
    }
}

/// What the second process prints, when it trusts `trusted`.
fn fetch(entry: &Value, variables: &[(&str, &str)], trusted: &Path) -> String {
    let variables: Value = variables.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "encrypted::second_process", "--ignored", "--nocapture"])
        .env(ENTRY, entry.to_string())
        .env(VARIABLES, variables.to_string())
        .env("SSL_CERT_FILE", trusted)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A certificate for "localhost" and its key, as files.
struct Identity {
    folder: Folder,
    certificate: String,
    key: String,
}

impl Identity {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let folder = Folder::in_memory();
        folder.file("trusted.pem", &certificate);
        Self { folder, certificate, key }
    }

    fn trusted(&self) -> PathBuf {
        self.folder.path("trusted.pem")
    }

    /// A server that decrypts what comes and passes it on to the one at `address`; returns its port.
    fn before(&self, address: SocketAddr) -> u16 {
        let chain = rustls::pki_types::CertificateDer::from_pem_slice(self.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain.unwrap()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = RUNTIME.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        RUNTIME.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut inside) = acceptor.accept(socket).await else { return };
                    let Ok(mut behind) = tokio::net::TcpStream::connect(address).await else {
                        return;
                    };
                    let _ = tokio::io::copy_bidirectional(&mut inside, &mut behind).await;
                });
            }
        });
        port
    }
}

/// Fetches from `entry` when the certificate is trusted, and when another one is.
fn check(identity: &Identity, entry: &Value, variables: &[(&str, &str)], expected: &str) {
    let said = fetch(entry, variables, &identity.trusted());
    assert!(said.contains(&format!("fetched {expected}")), "{said}");
    let said = fetch(entry, variables, &Identity::new().trusted());
    assert!(said.contains("failed ") && said.to_lowercase().contains("certificate"), "{said}");
}

#[test]
fn web_servers_are_called_if_their_certificate_is_trusted() {
    let identity = Identity::new();
    let port = identity.before(web::site_with(b"a,b\n1,2\n"));
    let entry = json!({
        "uri": format!("https://localhost:{port}/data/f.csv"), "timeout": "5s",
        "allow_hosts": ["localhost"],
    });
    check(&identity, &entry, &[], "a,b\n1,2\n");
}

#[test]
fn object_stores_are_called_if_their_certificate_is_trusted() {
    let (identity, server) = (Identity::new(), Server::start());
    server.put("a.csv", b"a,b\n1,2\n");
    let mut entry = server.entry();
    entry["endpoint"] = format!("https://localhost:{}", identity.before(server.address)).into();
    entry["timeout"] = "2s".into();
    check(&identity, &entry, &KEYS, "a,b\n1,2\n");
}

#[test]
fn databases_are_called_if_their_certificate_is_trusted() {
    let identity = Identity::new();
    let Some(server) = Postgres::start_encrypted(&identity.certificate, &identity.key) else {
        return;
    };
    server.sql("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x')");
    let uri = format!("{}?sslmode=require", server.uri().replace("127.0.0.1", "localhost"));
    let entry = json!({"uri": uri, "table": "t", "mode": "snapshot", "timeout": "20s"});
    check(&identity, &entry, &[("PGPASSWORD", PASSWORD)], "id,a\n1,x\n");
}
