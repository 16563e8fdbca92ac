//! A PostgreSQL server of a test's own, where the programs are installed. Not for what is in it.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// The server's only user.
pub const USER: &str = "me";
/// The user's password.
pub const PASSWORD: &str = "pass:word";

/// A server, which ends with the test.
pub struct Postgres {
    server: Child,
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

/// The folder with `initdb` and its kin.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    // Debian keeps them out of PATH, by version.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    folders.splice(0..0, versions.into_iter().rev());
    folders.into_iter().find(|folder| {
        ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file())
    })
}

/// A command as a user that the server accepts, since it refuses root.
fn command(program: &Path) -> Command {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

impl Postgres {
    /// A server with an empty database; nothing, and a note that the test did not run, where PostgreSQL is not
    /// installed.
    pub fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// The same, with encryption by this certificate and key, both as PEM.
    pub fn start_encrypted(certificate: &str, key: &str) -> Option<Self> {
        Self::start_with(Some((certificate, key)))
    }

    fn start_with(identity: Option<(&str, &str)>) -> Option<Self> {
        let Some(programs) = programs() else {
            crate::not_run("no PostgreSQL");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        let data = folder.path().join("data");
        let secret = folder.path().join("secret");
        fs::write(&secret, PASSWORD).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        let made = command(&programs.join("initdb"))
            .args(["--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C"])
            .arg(format!("--username={USER}"))
            .arg(format!("--pwfile={}", secret.display()))
            .arg("-D")
            .arg(&data)
            .current_dir("/tmp")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        if let Some((certificate, key)) = identity {
            let owner = fs::metadata(&data).unwrap();
            for (name, text) in [("server.crt", certificate), ("server.key", key)] {
                let path = data.join(name);
                fs::write(&path, text).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
                std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
            }
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = command(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "fsync=off", "-c", "max_connections=50"])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "log_statement=none", "-c", "timezone=America/New_York"])
            .args(["-c", "datestyle=German"])
            .args(["-c", if identity.is_some() { "ssl=on" } else { "ssl=off" }])
            .current_dir("/tmp")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { server, folder, programs, port };
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() && server.run("SELECT 1").is_ok() {
                return Some(server);
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("PostgreSQL does not answer");
    }

    /// The address, without the password.
    pub fn uri(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What makes the server's user known: a password file.
    pub fn password_file(&self) -> PathBuf {
        let path = self.folder.path().join("pgpass");
        let password = PASSWORD.replace(':', "\\:");
        fs::write(&path, format!("# test\n*:{}:*:{USER}:{password}\n", self.port)).unwrap();
        path
    }

    fn run(&self, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(self.programs.join("psql"))
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", &self.uri()])
            .env("PGPASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        psql.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        let output = psql.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Runs statements; returns what they print.
    pub fn sql(&self, sql: &str) -> String {
        self.run(sql).unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A child that runs as another user is ended by its own kill: SIGQUIT ends it at once.
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}
