//! An address that `--init` was given: whether a source can have it, and whether a configuration may hold it.
//!
//! Not for reaching the place: see `data`.

use mlops_core::config::sources::without_secrets;
use mlops_core::{Error, Result, text};

/// Schemes of databases, which have tables.
const DATABASES: [&str; 3] = ["postgres://", "postgresql://", "sqlite:"];
/// Schemes of places that have files.
const FILES: [&str; 5] = ["s3://", "gs://", "az://", "https://", "http://"];
/// Parts of the names under which addresses carry secrets.
const SECRETS: [&str; 7] = ["pass", "pwd", "secret", "token", "sig", "key", "credential"];

/// Whether `data` is an address, and not the path of a file or folder.
pub(crate) fn is_one(data: &str) -> bool {
    (data.contains("://") || data.starts_with("sqlite:")) && !data.starts_with("file://")
}

/// As messages and commands to be copied show it.
pub(crate) fn shown(data: &str) -> String {
    let plain = if is_one(data) { without_secrets(data) } else { data.to_owned() };
    text::one_line(&plain)
}

/// Whether it is that of a database.
pub(crate) fn is_database(address: &str) -> bool {
    DATABASES.iter().any(|scheme| address.starts_with(scheme))
}

/// Refuses an address that no source can have, and one with a secret, which everybody who can read the
/// configuration would see.
pub(crate) fn check(address: &str) -> Result<()> {
    let shown = shown(address);
    if !is_database(address) && !FILES.iter().any(|scheme| address.starts_with(scheme)) {
        return Err(Error::data(format!(
            "{shown} is not a place that can be read: name a file, a folder, or an address that begins with s3://, \
             gs://, az://, https://, http://, postgres:// or sqlite:"
        )));
    }
    let Some(secret) = secret(address) else { return Ok(()) };
    let instead = if address.starts_with("postgres") {
        "leave it out, and set PGPASSWORD, or add a line to the file of PGPASSFILE (~/.pgpass)"
    } else if address.starts_with("http") {
        "download the file and name it instead, or have a program fetch it (\"command\" in docs/sources.md)"
    } else {
        "leave it out, and set the environment variables of the service (docs/sources.md)"
    };
    Err(Error::data(format!(
        "the address {shown} has a secret ({secret}), which everybody who can read the configuration would see: \
         {instead}"
    )))
}

/// What in the address is a secret, without the secret itself.
fn secret(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (place, query) = rest.split_at(end);
    // A password may have a slash in it, though it should not, and the name of an object a colon or an @.
    let user = place.rsplit_once('@').map(|(user, _)| user);
    let password = user.and_then(|user| user.split_once(':')).is_some_and(|(name, password)| {
        let first = password.split_once('/').map(|(first, _)| first);
        let port = first.is_some_and(|first| first.bytes().all(|b| b.is_ascii_digit()));
        !name.contains('/') && !port
    });
    if password {
        return Some("a password".to_owned());
    }
    let names = query.split(['?', '&', '#']).filter_map(|pair| pair.split_once('='));
    let mut secrets = names.map(|(name, _)| name).filter(|name| {
        let name = name.to_ascii_lowercase();
        SECRETS.iter().any(|part| name.contains(part))
    });
    secrets.next().map(|name| text::name(name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_and_not_shown() {
        for (address, found) in [
            ("postgres://me:SECRET@h:5432/db", Some("a password")),
            ("postgres://me:SEC/RET@h/db", Some("a password")),
            ("postgres://h/db?user=me&password=SECRET", Some("password")),
            ("https://me:SECRET@h/a.csv", Some("a password")),
            ("https://h/a.csv?sv=1&sig=SECRET", Some("sig")),
            ("https://h/a.csv?X-Amz-Signature=SECRET", Some("X-Amz-Signature")),
            ("https://h/a.csv?access_token=SECRET", Some("access_token")),
            ("s3://KEY:SECRET@bucket/a", Some("a password")),
            ("s3://bucket/a:b@c/d.csv", None),
            ("postgres://me@h:5432/db?sslmode=require", None),
            ("https://h:8080/p@q/a.csv?format=csv&year=2024", None),
            ("sqlite:crm.db", None),
        ] {
            assert_eq!(secret(address).as_deref(), found, "{address}");
            let said = check(address).err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(said.is_empty(), found.is_none(), "{address}: {said}");
            assert!(!said.contains("SECRET") && !shown(address).contains("SECRET"), "{said}");
        }
        let said = check("ftp://h/a.csv").unwrap_err().to_string();
        assert!(said.starts_with("ftp://h/a.csv is not a place"), "{said}");
    }
}
