//! Addresses in messages. Not for reaching them.

/// The address without password, query and fragment, which may hold secrets.
pub(crate) fn without_secrets(uri: &str) -> String {
    let end = uri.find(['?', '#']).unwrap_or(uri.len());
    let uri = &uri[..end];
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let host = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}@{host}"),
            None => format!("{user}@{host}"),
        },
        None => authority.to_owned(),
    };
    format!("{scheme}://{authority}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out() {
        for (uri, shown) in [
            ("https://h/p/f.csv?sig=SECRET#x", "https://h/p/f.csv"),
            ("postgres://me:SECRET@h:5432/db?password=SECRET", "postgres://me@h:5432/db"),
            ("postgres://me@h/db", "postgres://me@h/db"),
            ("https://me:SEC@RET@h/a@b", "https://me@h/a@b"),
            ("sqlite:crm.db", "sqlite:crm.db"),
        ] {
            assert_eq!(without_secrets(uri), shown);
        }
    }
}
