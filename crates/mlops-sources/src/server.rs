//! A PostgreSQL server: its address, secrets, connecting, errors in words.
//!
//! The password comes from PGPASSWORD, or from the file that PGPASSFILE names (by default
//! ~/.pgpass), or stands in the address. Not for what is read or written: see `postgres` and
//! `destination`.

use std::path::PathBuf;
use std::time::Duration;

use mlops_core::config::sources::without_secrets;
use mlops_core::{Error, Result, text};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use crate::environment::Environment;
use crate::{hosts, tls};

/// Attempts to connect.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How much longer than the server an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The server.
pub(crate) struct Server {
    config: Config,
    /// For messages.
    address: String,
    /// How long a statement may take.
    pub(crate) timeout: Duration,
    /// What to do about an error with this code.
    advice: fn(&str) -> &'static str,
}

impl Server {
    /// The server at `uri`; `advice` has what to do about errors that depend on the purpose.
    pub(crate) fn new(
        uri: &str,
        timeout: Duration,
        environment: &Environment,
        advice: fn(&str) -> &'static str,
    ) -> Result<Self> {
        let address = without_secrets(uri);
        let checked = uri.contains("sslmode=verify-");
        // Certificates are always verified.
        let plain = uri
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = plain.parse().map_err(|_| {
            Error::data(format!(
                "its \"uri\" is not of the form postgres://USER@HOST:PORT/DATABASE?sslmode=require: \
                 {address}"
            ))
        })?;
        if config.get_hosts().is_empty() {
            config.host(environment.get("PGHOST").unwrap_or("localhost"));
        }
        if config.get_user().is_none() {
            let user = environment.get("PGUSER").or_else(|| environment.get("USER"));
            config.user(user.unwrap_or("postgres"));
        }
        if config.get_password().is_none()
            && let Some(password) = password(&config, environment)
        {
            config.password(password);
        }
        let named = uri.contains("sslmode=");
        let here = config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => hosts::is_loopback(name),
            Host::Unix(_) => true,
        });
        if here && !checked && config.get_ssl_mode() != SslMode::Require {
            config.ssl_mode(SslMode::Disable);
        } else if !named {
            config.ssl_mode(SslMode::Require);
        }
        config.application_name("mlops").connect_timeout(timeout.min(Duration::from_secs(10)));
        Ok(Self { config, address, timeout, advice })
    }

    /// An error in words, with what to do.
    pub(crate) fn failed(&self, error: &tokio_postgres::Error) -> Error {
        let address = &self.address;
        if let Some(said) = error.as_db_error() {
            let words = text::one_line(said.message());
            let advice = match said.code().code() {
                "28P01" | "28000" => {
                    ": check the user in the address, and PGPASSWORD or the file of PGPASSFILE"
                }
                "3D000" => ": check the name of the database in the address",
                code => (self.advice)(code),
            };
            return Error::remote(text::bounded(format!("{address}: {words}{advice}")));
        }
        let mut words = text::causes(error);
        if words.contains("password missing") {
            words += ": set PGPASSWORD, or add a line to the file of PGPASSFILE";
        } else if ["Connection refused", "failed to lookup", "No route to host"]
            .iter()
            .any(|known| words.contains(known))
        {
            words +=
                ": check whether the server is running, and the host and the port in the address";
        } else if words.contains("TLS") || words.contains("certificate") {
            words += ": the server's certificate must be one that this machine trusts (SSL_CERT_FILE); \
                      sslmode=disable in the address connects without encryption";
        }
        Error::remote(text::bounded(format!("{address}: {}", text::one_line(&words))))
    }

    /// A connection, after several attempts.
    pub(crate) async fn connect(&self) -> Result<Client> {
        let encrypted = self.config.get_ssl_mode() != SslMode::Disable;
        let encryption = encrypted.then(tls::postgres).transpose()?;
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            // Who answers the call and then falls silent is given up, too.
            let connected =
                tokio::time::timeout(self.timeout, self.attempt(encryption.as_ref())).await;
            match connected {
                Ok(Ok(client)) => return Ok(client),
                Ok(Err(error)) if error.as_db_error().is_some() || attempt >= ATTEMPTS => {
                    return Err(self.failed(&error));
                }
                Err(_) if attempt >= ATTEMPTS => {
                    return Err(Error::remote(format!(
                        "{}: the server does not answer within {:?}",
                        self.address, self.timeout
                    )));
                }
                _ => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn attempt(
        &self,
        encryption: Option<&tls::Encryption>,
    ) -> Result<Client, tokio_postgres::Error> {
        match encryption {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(connection);
                Ok(client)
            }
            Some(encryption) => {
                let (client, connection) = self.config.connect(encryption.clone()).await?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }

    /// The answer, unless it takes too long: the server ends its statements itself, but a network may
    /// fall silent.
    pub(crate) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.timeout + PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|error| self.failed(&error)),
            Err(_) => Err(Error::remote(format!(
                "{}: no answer within {:?}",
                self.address,
                self.timeout + PATIENCE
            ))),
        }
    }
}

/// The password of the environment, or of a line of the password file that fits.
fn password(config: &Config, environment: &Environment) -> Option<String> {
    if let Some(password) = environment.get("PGPASSWORD") {
        return Some(password.to_owned());
    }
    let home = || Some(PathBuf::from(environment.get("HOME")?).join(".pgpass"));
    let path = environment.get("PGPASSFILE").map(PathBuf::from).or_else(home)?;
    let host = match config.get_hosts().first()? {
        Host::Tcp(name) => name.clone(),
        Host::Unix(_) => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user()?;
    let database = config.get_dbname().unwrap_or(user);
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| fitting(line, [&host, &port, database, user]))
}

/// The password of a line `host:port:database:user:password`, where `*` fits all.
fn fitting(line: &str, wanted: [&str; 4]) -> Option<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(characters.next()),
            c => fields.last_mut()?.push(c),
        }
    }
    let (password, fields) = fields.split_last()?;
    let fits = fields.len() == 4
        && fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
    (fits && !line.starts_with('#')).then(|| password.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_file_is_read_as_libpq_reads_it() {
        let wanted = ["db", "5432", "crm", "me"];
        assert_eq!(
            fitting("db:5432:crm:me:pass\\:word\\\\", wanted).as_deref(),
            Some("pass:word\\")
        );
        assert_eq!(fitting("*:*:*:me:a:b", wanted).as_deref(), Some("a:b"));
        for none in ["", "#db:5432:crm:me:x", "db:5432:crm:you:x", "db:5432:crm", "other:*:*:*:x"] {
            assert_eq!(fitting(none, wanted), None, "{none}");
        }
    }
}
