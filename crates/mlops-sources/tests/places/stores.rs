//! Object stores of other makers, where they are installed: moto for S3 and for the interface of Google
//! Cloud Storage, which speaks as S3 does, and Azurite for Azure. Not for servers that fail: see `s3`.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mlops_core::source::Source;
use mlops_testkit::Folder;
use mlops_testkit::conformance::{self, Ground, ODD_NAMES};
use mlops_testkit::s3::{KEYS, RUNTIME};
use serde_json::{Value, json};

use super::open;

/// The account that Azurite always has, and its key.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The media type of every object.
const KIND: &str = "text/csv";

/// A server of another maker, which ends with the test.
pub(crate) struct Store {
    server: Child,
    address: SocketAddr,
    maker: Maker,
    /// What it keeps on the disk.
    _folder: Folder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maker {
    S3,
    Google,
    Azure,
}

impl Store {
    /// A server with an empty bucket, or a line that says that there is none.
    pub(crate) fn start(maker: Maker) -> Option<Self> {
        // An error says that it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = Folder::in_memory();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = address.port().to_string();
        let mut command = if maker == Maker::Azure {
            let mut command = Command::new("azurite-blob");
            command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
            command.args(["--blobHost", "127.0.0.1", "--blobPort", &port]);
            command.arg("--location").arg(folder.root());
            command
        } else {
            let mut command = Command::new("moto_server");
            command.args(["-H", "127.0.0.1", "-p", &port]);
            command
        };
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(server) = server else {
            mlops_testkit::not_run(&format!("no {}", command.get_program().display()));
            return None;
        };
        let store = Self { server, address, maker, _folder: folder };
        for _ in 0..600 {
            if TcpStream::connect(address).is_ok() {
                let query = if maker == Maker::Azure { "?restype=container" } else { "" };
                store.request("PUT", &format!("/bucket{query}"), b"");
                return Some(store);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{maker:?} does not answer");
    }

    /// Sends a request to `path`, which is spelt as in an address.
    fn request(&self, method: &str, path: &str, body: &[u8]) {
        let account =
            if self.maker == Maker::Azure { format!("/{ACCOUNT}") } else { String::new() };
        let url = format!("http://{}{account}{path}", self.address);
        // moto asks who it is, and believes it.
        let mut headers = vec![
            ("x-amz-acl", "public-read".to_owned()),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=me/20240101/us-east-1/s3/aws4_request, \
                 SignedHeaders=host, Signature=0"
                    .to_owned(),
            ),
        ];
        if self.maker == Maker::Azure {
            headers.clear();
            let now = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            headers.extend([("x-ms-date", now), ("x-ms-version", "2023-11-03".to_owned())]);
            if !path.contains('?') && method == "PUT" {
                headers.insert(0, ("x-ms-blob-type", "BlockBlob".to_owned()));
            }
            let signed: Vec<String> = headers.iter().map(|(k, v)| format!("{k}:{v}\n")).collect();
            let signed = signed.concat();
            let length = if body.is_empty() { String::new() } else { body.len().to_string() };
            let (resource, query) = path.split_once('?').unwrap_or((path, ""));
            let query = query.replace('=', ":");
            let query = if query.is_empty() { query } else { format!("\n{query}") };
            let text = format!(
                "{method}\n\n\n{length}\n\n{KIND}\n\n\n\n\n\n\n{signed}/{ACCOUNT}/{ACCOUNT}{resource}{query}"
            );
            headers.push(("content-type", KIND.to_owned()));
            headers.push(("content-length", body.len().to_string()));
            headers.push(("authorization", format!("SharedKey {ACCOUNT}:{}", signature(&text))));
        }
        let response = RUNTIME.block_on(async {
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let mut request = reqwest::Client::new().request(method, url).body(body.to_vec());
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let response = request.send().await.unwrap();
            (response.status(), format!("{:?}", response.headers()))
        });
        assert!(response.0.is_success(), "{method} {path}: {response:?}");
    }

    pub(crate) fn entry(&self) -> (Value, Vec<(&'static str, &'static str)>) {
        let address = self.address;
        match self.maker {
            Maker::S3 => (
                json!({"uri": "s3://bucket/exports/", "endpoint": format!("http://{address}"),
                       "region": "us-east-1", "path_style": true}),
                KEYS.to_vec(),
            ),
            Maker::Google => (
                json!({"uri": "gs://bucket/exports/", "endpoint": format!("http://{address}")}),
                vec![("GOOGLE_SKIP_SIGNATURE", "true")],
            ),
            Maker::Azure => (
                json!({"uri": "az://bucket/exports/", "endpoint": format!("http://{address}/{ACCOUNT}")}),
                vec![
                    ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
                    ("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY),
                ],
            ),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What Azure signs requests with.
fn signature(text: &str) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = base64.decode(ACCOUNT_KEY).unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
    base64.encode(ring::hmac::sign(&key, text.as_bytes()))
}

/// The path of an object, spelt as in an address.
fn path(name: &str) -> String {
    let mut path = "/bucket/exports/".to_owned();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            path.push(byte.into());
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

impl Ground for Store {
    fn open(&self) -> Box<dyn Source> {
        let (mut entry, environment) = self.entry();
        entry["timeout"] = "20s".into();
        open(std::path::Path::new("/"), &entry, &environment).unwrap()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.request("PUT", &path(name), bytes);
    }

    fn remove(&self, name: &str) {
        self.request("DELETE", &path(name), b"");
    }

    fn names(&self) -> Vec<&'static str> {
        ODD_NAMES.to_vec()
    }
}

#[test]
fn s3_of_moto_conforms() {
    Store::start(Maker::S3).iter().for_each(conformance::check);
}

#[test]
fn google_cloud_storage_conforms() {
    Store::start(Maker::Google).iter().for_each(conformance::check);
}

#[test]
fn azure_conforms() {
    Store::start(Maker::Azure).iter().for_each(conformance::check);
}
