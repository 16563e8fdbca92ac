//! An S3 server of a test's own: s3s, with the files of a folder as objects. Not for servers that fail: see `proxy`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::{Value, json};

use crate::folder::Folder;

/// The credentials that the server knows.
pub const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "me"), ("AWS_SECRET_ACCESS_KEY", "hidden/key")];

/// An S3 server in this process, with the bucket `bucket`, whose objects are files.
pub struct Server {
    /// The folder that has the bucket.
    pub folder: Folder,
    /// Where the server listens.
    pub address: SocketAddr,
}

/// Runs servers and their clients.
pub static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

impl Server {
    /// A server whose bucket is empty.
    pub fn start() -> Self {
        let folder = Folder::in_memory();
        fs::create_dir(folder.path("bucket")).unwrap();
        let address = serve(folder.root(), 0);
        Self { folder, address }
    }

    /// The file of the object `exports/NAME`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path("bucket/exports").join(name)
    }

    /// Puts or replaces the object `exports/NAME`.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A source for the folder `exports`, without its name.
    pub fn entry(&self) -> Value {
        entry(self.address)
    }

    /// The same, with a name.
    pub fn entry_named(&self, name: &str) -> Value {
        let mut entry = self.entry();
        entry["name"] = name.into();
        entry
    }
}

/// A source for the folder `exports` of the bucket that is reached at `address`.
pub fn entry(address: SocketAddr) -> Value {
    json!({
        "uri": "s3://bucket/exports/", "endpoint": format!("http://{address}"), "region": "us-east-1",
        "path_style": true, "timeout": "10s",
    })
}

/// Serves the folders in `folder` as buckets, until the process ends; the port is any free one for 0.
pub fn serve(folder: &Path, port: u16) -> SocketAddr {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).unwrap());
    service.set_auth(SimpleAuth::from_single("me", KEYS[1].1));
    let service = service.build();
    let listener = RUNTIME.block_on(tokio::net::TcpListener::bind(("127.0.0.1", port))).unwrap();
    let address = listener.local_addr().unwrap();
    RUNTIME.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            // Head and body of an answer are written one after the other, and the body of a small object would else
            // wait 40 ms for the client to acknowledge the head.
            socket.set_nodelay(true).unwrap();
            let socket = hyper_util::rt::TokioIo::new(socket);
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(async move {
                let _ = http.serve_connection(socket, service).await;
            });
        }
    });
    address
}
