//! The section `service`: where `app` listens, and its limits.
//!
//! Not for tokens: secrets come from the environment or from a file that it names.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::network::Network;
use super::section::Section;

/// How predictions are served.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 for any free one.
    pub port: u16,
    /// The name of the model in the Open Inference Protocol.
    pub model_name: String,
    /// Maximum number of simultaneous connections.
    pub max_connections: usize,
    /// Maximum number of requests in flight.
    pub max_in_flight: usize,
    /// Maximum size of a request body in bytes.
    pub max_body_bytes: usize,
    /// Maximum size in bytes of all bodies held at a time.
    pub max_total_body_bytes: usize,
    /// Maximum size in bytes of a file that a request may name.
    pub max_file_bytes: u64,
    /// How long the head of a request may take; idle connections are closed after it too.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long a whole request may take.
    pub request_timeout: Duration,
    /// How long requests in flight may take to finish when the service is told to stop.
    pub drain: Duration,
    /// Folders whose files a request may name, besides those of the configuration.
    pub data_folders: Vec<PathBuf>,
    /// Origins whose pages may call the service from a browser.
    pub cors_origins: Vec<String>,
    /// Host names of this service that are served without tokens, besides those of this machine.
    pub host_names: Vec<String>,
    /// The path under which a proxy serves the app: empty, or with a leading and without a trailing
    /// slash.
    pub root_path: String,
    /// The log of predictions, if there is one.
    pub prediction_log: Option<PredictionLog>,
    /// The certificate with which it answers, if it answers by TLS.
    pub tls: Option<Tls>,
    /// How much one client may ask, if that is limited.
    pub rate_limit: Option<RateLimit>,
    /// The proxies that are believed what they say of clients.
    pub proxies: Vec<Network>,
    /// The header in which they name the client.
    pub proxy_header: ProxyHeader,
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that vouch for it, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

/// How many requests one client may send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Requests per second in the long run.
    pub requests_per_second: f64,
    /// Requests at once after a pause.
    pub burst: u32,
    /// What makes one client.
    pub by: Counted,
}

/// What makes one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Its address; of IPv6 the first half, since a household has all of the second.
    Address,
    /// The token that it sends; without a known one, its address.
    Token,
}

/// The header in which proxies name their client. Only one is believed: a proxy that sets one of
/// them passes the other on as the client wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

/// The log of predictions, for joining with labels that arrive later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictionLog {
    /// The folder of its files.
    pub folder: PathBuf,
    /// Size in bytes at which a new file is started.
    pub max_bytes: u64,
    /// How many files are kept.
    pub keep_files: usize,
    /// Each line also has the features of its row.
    pub features: bool,
}

/// The IP address in `text`; `localhost` is the loopback address.
pub fn address(text: &str) -> Option<IpAddr> {
    if text.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::from([127, 0, 0, 1]));
    }
    text.parse().ok()
}

/// Whether `text` is a valid prefix of the service's paths.
pub fn is_root_path(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b);
    text.is_empty()
        || text.starts_with('/')
            && text.len() <= 200
            && !text.contains("//")
            && !text.ends_with('/')
            && text.bytes().all(plain)
}

pub(super) fn service(mut section: Section, at: &impl Fn(String) -> PathBuf) -> Service {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let host = section.text("host").unwrap_or_else(|| "127.0.0.1".to_owned());
    let host = address(&host).unwrap_or_else(|| {
        let message =
            "must be \"localhost\" or an IP address, such as \"127.0.0.1\", or \"0.0.0.0\" for all";
        section.problem("host", message);
        IpAddr::from([127, 0, 0, 1])
    });
    let port = section.integer("port", &(0..=65_535), 8000);
    let model_name = section.text("model_name").unwrap_or_else(|| "model".to_owned());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !model_name.chars().all(plain) {
        section.problem("model_name", "may have letters, digits, '-', '_' and '.' only");
    }
    let cors_origins = section.texts("cors_origins").unwrap_or_default();
    for origin in &cors_origins {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let host = rest.is_some_and(|r| !r.is_empty() && !r.contains(['/', ' ', '*']));
        if !host || !origin.is_ascii() {
            let example = "each must look like \"https://pages.example\"";
            section.problem("cors_origins", &format!("holds {origin:?}: {example}"));
        }
    }
    let host_names = section.texts("host_names").unwrap_or_default();
    for name in &host_names {
        if name.is_empty() || name.contains(['/', ':', '*', ' ']) || !name.is_ascii() {
            let example = "each must be a name without a port, such as \"models.example\"";
            section.problem("host_names", &format!("holds {name:?}: {example}"));
        }
    }
    let root_path = section.text("root_path").unwrap_or_default();
    let root_path = root_path.trim_end_matches('/').to_owned();
    if !is_root_path(&root_path) {
        section.problem("root_path", "must be a path such as \"/models/churn\"");
    }
    let log_folder = section.text("prediction_log_path").map(at);
    let log_bytes = section.integer("prediction_log_max_bytes", &(4096..=1 << 40), 64 << 20);
    let log_files = section.integer("prediction_log_keep_files", &(1..=100_000), 10);
    let log_features = section.boolean("prediction_log_features", false);
    if log_features && log_folder.is_none() {
        let message =
            "has a meaning only with \"service.prediction_log_path\", the folder of the log";
        section.problem("prediction_log_features", message);
    }
    let mut seconds =
        |key, default| Duration::from_secs(section.integer(key, &(1..=86_400), default));
    let (header, body) =
        (seconds("header_timeout_seconds", 15), seconds("body_timeout_seconds", 30));
    let (request, drain) = (seconds("request_timeout_seconds", 60), seconds("drain_seconds", 25));
    let max_body = section.integer("max_body_bytes", &(1024..=1 << 30), 16 << 20);
    let given = section.has("max_total_body_bytes");
    let total =
        section.integer("max_total_body_bytes", &(1024..=1 << 40), (64 << 20).max(max_body));
    if given && total < max_body {
        section.problem("max_total_body_bytes", "must not be less than \"service.max_body_bytes\"");
    }
    let proxies = networks(&mut section);
    let service = Service {
        host,
        port: u16::try_from(port).unwrap_or_default(),
        model_name,
        max_connections: size(section.integer("max_connections", &(1..=100_000), 1024)),
        max_in_flight: size(section.integer("max_in_flight", &(1..=100_000), 256)),
        max_body_bytes: size(max_body),
        max_total_body_bytes: size(total),
        max_file_bytes: section.integer("max_file_bytes", &(1024..=1 << 40), 64 << 20),
        header_timeout: header,
        body_timeout: body,
        request_timeout: request,
        drain,
        data_folders: section
            .texts("data_folders")
            .unwrap_or_default()
            .into_iter()
            .map(at)
            .collect(),
        cors_origins,
        host_names,
        root_path,
        prediction_log: log_folder.map(|folder| PredictionLog {
            folder,
            max_bytes: log_bytes,
            keep_files: size(log_files),
            features: log_features,
        }),
        tls: tls(&mut section, at),
        rate_limit: rate_limit(&mut section),
        proxies,
        proxy_header: section.choice(
            "proxy_header",
            &[
                ("X-Forwarded-For", ProxyHeader::XForwardedFor),
                ("Forwarded", ProxyHeader::Forwarded),
            ],
            ProxyHeader::XForwardedFor,
        ),
    };
    section.finish();
    service
}

fn networks(section: &mut Section) -> Vec<Network> {
    let mut networks = Vec::new();
    for text in section.texts("proxies").unwrap_or_default() {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(form) => section.problem("proxies", &format!("holds {text:?}: {form}")),
        }
    }
    networks
}

fn tls(section: &mut Section, at: &impl Fn(String) -> PathBuf) -> Option<Tls> {
    let given = section.is_object("tls");
    let mut tls = section.section("tls");
    let mut file = |key, what| {
        let text = tls.text(key);
        if given && text.is_none() {
            tls.problem(key, &format!("is missing: name a PEM file with {what}"));
        }
        text.map(at)
    };
    let certificate = file("certificate", "the certificate and those that vouch for it");
    let key = file("key", "its private key");
    tls.finish();
    certificate.zip(key).map(|(certificate, key)| Tls { certificate, key })
}

fn rate_limit(section: &mut Section) -> Option<RateLimit> {
    let given = section.is_object("rate_limit");
    let mut limit = section.section("rate_limit");
    let requests_per_second = limit.number("requests_per_second", &(0.001..=1e6), 10.0);
    let burst = limit.integer("burst", &(1..=1_000_000), 20);
    let by = [("address", Counted::Address), ("token", Counted::Token)];
    let by = limit.choice("by", &by, Counted::Address);
    limit.finish();
    let burst = u32::try_from(burst).unwrap_or(u32::MAX);
    given.then_some(RateLimit { requests_per_second, burst, by })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Result;
    use crate::config::Config;

    fn parse(service: &str) -> Result<Service> {
        let text = format!(
            r#"{{"input_folder_path":"in","output_folder_path":"out","test_data_path":"test",
            "output_model_path":"m","prod_deployment_path":"p","service":{service}}}"#
        );
        Config::parse(&text, Path::new("/w/config.json")).map(|config| config.service)
    }

    #[test]
    fn nobody_else_can_reach_it_by_default() {
        let service = parse("{}").unwrap();
        assert!(service.host.is_loopback() && service.cors_origins.is_empty());
        assert_eq!(
            (service.port, service.max_connections, service.max_in_flight),
            (8000, 1024, 256)
        );
        assert_eq!((service.prediction_log, service.data_folders), (None, Vec::new()));
    }

    #[test]
    fn values_are_taken_and_paths_resolve_from_the_file() {
        let service = parse(
            r#"{"host":"::","port":0,"model_name":"churn-1","data_folders":["more"],
            "prediction_log_path":"log","drain_seconds":3,"cors_origins":["https://a.example"]}"#,
        )
        .unwrap();
        assert_eq!((service.host.is_unspecified(), service.port), (true, 0));
        assert_eq!(service.data_folders, [Path::new("/w/more")]);
        assert_eq!(service.prediction_log.unwrap().folder, Path::new("/w/log"));
        assert_eq!(service.drain, Duration::from_secs(3));
        let service =
            parse(r#"{"host":"localhost","root_path":"/models/","max_body_bytes":99000000}"#);
        let service = service.unwrap();
        assert!(service.host.is_loopback() && service.root_path == "/models");
        assert_eq!(service.max_total_body_bytes, 99_000_000);
    }

    #[test]
    fn what_the_internet_asks_for_is_off_until_it_is_named() {
        let service = parse("{}").unwrap();
        assert_eq!((service.tls, service.rate_limit), (None, None));
        assert!(service.proxies.is_empty());
        let service = parse(
            r#"{"tls":{"certificate":"c.pem","key":"/k.pem"},"rate_limit":{"burst":5},
            "proxies":["10.0.0.0/8","::1"],"proxy_header":"Forwarded"}"#,
        )
        .unwrap();
        let tls = Tls { certificate: "/w/c.pem".into(), key: "/k.pem".into() };
        assert_eq!(service.tls, Some(tls));
        let limit = RateLimit { requests_per_second: 10.0, burst: 5, by: Counted::Address };
        assert_eq!(service.rate_limit, Some(limit));
        assert_eq!(service.proxies.len(), 2);
        assert_eq!(service.proxy_header, ProxyHeader::Forwarded);
        let error = parse(
            r#"{"tls":{"certificate":"c.pem"},"proxies":["proxy.example"],
            "rate_limit":{"by":"cookie","requests_per_second":0}}"#,
        );
        let error = error.unwrap_err().to_string();
        for part in [
            "\"service.tls.key\" is missing",
            "\"service.proxies\" holds \"proxy.example\"",
            "\"service.rate_limit.by\"",
            "\"service.rate_limit.requests_per_second\"",
        ] {
            assert!(error.contains(part), "missing {part:?} in:\n{error}");
        }
    }

    #[test]
    fn wrong_values_are_named_together() {
        let error = parse(
            r#"{"host":"everywhere","port":70000,"model_name":"a/b","prt":1,
            "cors_origins":["*"],"max_in_flight":0,"host_names":["a:1"],"root_path":"x",
            "max_total_body_bytes":2048}"#,
        );
        let error = error.unwrap_err().to_string();
        for part in [
            "\"service.host\" must be \"localhost\" or an IP address",
            "\"service.host_names\" holds \"a:1\"",
            "\"service.root_path\" must be a path",
            "\"service.max_total_body_bytes\" must not be less",
            "\"service.port\" must be a whole number from 0 to 65535",
            "\"service.model_name\" may have",
            "did you mean \"service.port\"?",
            "\"service.cors_origins\" holds \"*\"",
            "\"service.max_in_flight\" must be",
        ] {
            assert!(error.contains(part), "missing {part:?} in:\n{error}");
        }
    }
}
