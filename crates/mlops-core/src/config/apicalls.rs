//! The section `apicalls`: the app's address, for programs that call it.
//!
//! Not for the app itself, nor for its tokens, which come from the environment only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::section::Section;
use super::service::Service;

/// How the app is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCalls {
    /// The app's address; by default the one on which it listens.
    pub url: String,
    /// Time limit of one attempt.
    pub timeout: Duration,
}

pub(super) fn apicalls(mut section: Section, service: &Service) -> ApiCalls {
    let url = section.text("url");
    if let Some(url) = &url
        && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
    {
        section.problem("url", "must start with http:// or https://");
    }
    let timeout = section.integer("timeout_seconds", &(1..=600), 10);
    section.finish();
    let url = url.unwrap_or_else(|| {
        let host = match service.host {
            // An app that listens on all addresses listens on this machine too.
            IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            host => host,
        };
        let scheme = if service.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", SocketAddr::new(host, service.port))
    });
    ApiCalls { url, timeout: Duration::from_secs(timeout) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Result;
    use crate::config::Config;

    fn parse(more: &str) -> Result<Config> {
        let five = r#""input_folder_path":"in","output_folder_path":"out",
            "test_data_path":"test","output_model_path":"m","prod_deployment_path":"p""#;
        Config::parse(&format!("{{{five}{more}}}"), Path::new("config.json"))
    }

    #[test]
    fn the_app_is_on_this_machine_unless_an_address_is_given() {
        let of = |more: &str| parse(more).unwrap().apicalls;
        let seconds = Duration::from_secs;
        assert_eq!(
            of(""),
            ApiCalls { url: "http://127.0.0.1:8000".to_owned(), timeout: seconds(10) }
        );
        let own = of(r#","apicalls":{"url":"https://app.example/risk","timeout_seconds":60}"#);
        assert_eq!(own.url, "https://app.example/risk");
        assert_eq!(own.timeout, seconds(60));
    }

    #[test]
    fn an_app_that_listens_elsewhere_is_found_there() {
        for (service, url) in [
            (r#"{"port":9000}"#, "http://127.0.0.1:9000"),
            (r#"{"host":"0.0.0.0"}"#, "http://127.0.0.1:8000"),
            (r#"{"host":"::"}"#, "http://[::1]:8000"),
            (r#"{"host":"10.0.0.7"}"#, "http://10.0.0.7:8000"),
        ] {
            let config = parse(&format!(r#","service":{service}"#)).unwrap();
            assert_eq!(config.apicalls.url, url, "{service}");
        }
    }

    #[test]
    fn wrong_values_are_named_together() {
        let error =
            parse(r#","apicalls":{"url":"app.example","timeout_second":1,"timeout_seconds":0}"#)
                .unwrap_err()
                .to_string();
        for part in [
            "\"apicalls.url\" must start with http:// or https://",
            "\"apicalls.timeout_seconds\" must be a whole number from 1 to 600, not 0",
            "did you mean \"apicalls.timeout_seconds\"?",
        ] {
            assert!(error.contains(part), "missing {part:?} in:\n{error}");
        }
    }
}
