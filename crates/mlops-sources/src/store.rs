//! Object stores: S3 and compatible ones, Google Cloud Storage, Azure Blob Storage.
//!
//! Listed by pages, read in ranges at the same time, each on condition that the object is still the
//! listed one. Credentials come from the environment only. Not for single files of web servers: see
//! `web`.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::SecondsFormat;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mlops_core::config;
use mlops_core::source::{Fetched, FetchedRange, Object, Seen, Source};
use mlops_core::{Error, Result, text};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, RetryConfig,
};

use crate::environment::Environment;
use crate::{hosts, tls, worker};

/// Larger objects are read in ranges of this size.
const PART: u64 = 8 << 20;
/// Ranges of one object that are read at the same time.
const PARTS: usize = 4;
/// Attempts for the bytes of one range, after the answer has begun.
const ATTEMPTS: u32 = 4;
/// Attempts for a request whose answer is an error of the server, besides the first.
const RETRIES: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A bucket, or a folder or an object in it.
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    name: String,
    /// Without a slash at the end.
    prefix: String,
    /// The address ends without a slash, so that it may be that of an object.
    may_be_object: bool,
}

impl Bucket {
    pub(crate) fn new(
        source: &config::Source,
        uri: &str,
        environment: &Environment,
    ) -> Result<Self> {
        tls::ready();
        let (scheme, rest) = uri.split_once("://").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(Error::data(format!(
                "its \"uri\" names no bucket: write {scheme}://BUCKET/FOLDER/"
            )));
        }
        let store: Arc<dyn ObjectStore> = match scheme {
            "s3" => s3(source, bucket, environment)?,
            "gs" => google(source, bucket, environment)?,
            _ => azure(source, bucket, environment)?,
        };
        Ok(Self {
            store,
            name: bucket.to_owned(),
            may_be_object: !prefix.is_empty() && !prefix.ends_with('/'),
            prefix: prefix.trim_matches('/').to_owned(),
        })
    }

    fn failed(&self, error: &object_store::Error) -> Error {
        Error::remote(text::bounded(advice(&text::causes(error), &self.name)))
    }

    /// An object under the folder of the address, as a list has it.
    fn object(&self, found: &ObjectMeta) -> Object {
        let key = found.location.as_ref();
        let inside = key.strip_prefix(&self.prefix).unwrap_or(key);
        Object {
            name: inside.trim_start_matches('/').to_owned(),
            version: Some(version(found)),
            size: Some(found.size),
            modified: Some(found.last_modified),
        }
    }

    async fn all(&self) -> Result<Vec<Object>, object_store::Error> {
        let prefix = Path::parse(&self.prefix)?;
        let found: Vec<ObjectMeta> = self.store.list(Some(&prefix)).try_collect().await?;
        if found.is_empty() && self.may_be_object {
            return match self.store.head(&prefix).await {
                Ok(found) => {
                    let name = prefix.filename().unwrap_or_default().to_owned();
                    Ok(vec![Object { name, ..self.object(&found) }])
                }
                Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let mut objects: Vec<Object> = found.iter().map(|found| self.object(found)).collect();
        // Consoles make an empty object to show a folder.
        objects.retain(|object| !object.name.is_empty());
        objects.sort();
        Ok(objects)
    }

    fn key(&self, object: &Object) -> Result<Path, object_store::Error> {
        let name = &object.name;
        let whole = self.may_be_object
            && self.prefix.rsplit('/').next().is_some_and(|last| last == name.as_str());
        let key = match (whole, self.prefix.as_str()) {
            (true, prefix) => prefix.to_owned(),
            (false, "") => name.clone(),
            (false, prefix) => format!("{prefix}/{name}"),
        };
        Ok(Path::parse(key)?)
    }

    /// The bytes of a range, or of all; nothing if the object is not the listed one any more.
    async fn part(
        &self,
        key: &Path,
        listed: &Object,
        range: Option<GetRange>,
    ) -> Result<Option<(Bytes, Option<String>)>, object_store::Error> {
        let tag = listed.version.as_deref().filter(|version| version.starts_with('"'));
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let options = GetOptions {
                range: range.clone(),
                if_match: tag.map(str::to_owned),
                ..GetOptions::default()
            };
            let result = match self.store.get_opts(key, options).await {
                Ok(result) => result,
                Err(
                    object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. },
                ) => return Ok(None),
                // It is shorter now.
                Err(error) if text::causes(&error).contains("InvalidRange") => return Ok(None),
                // Those that may pass were tried again already.
                Err(error) => return Err(error),
            };
            if !is_same(listed, &result.meta) {
                return Ok(None);
            }
            let tag = result.meta.e_tag.clone();
            match result.bytes().await {
                Ok(bytes) => return Ok(Some((bytes, tag))),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(error) => {
                    tracing::debug!(attempt, "again: {error}");
                    tokio::time::sleep(pause).await;
                    (attempt, pause) = (attempt + 1, (2 * pause).min(LONGEST_PAUSE));
                }
            }
        }
    }
}

impl Source for Bucket {
    fn list(&self, _: &Seen) -> Result<Vec<Object>> {
        worker::wait(self.all())?.map_err(|error| self.failed(&error))
    }

    fn fetch(&self, object: &Object, to: &mut dyn Write) -> Result<Fetched> {
        Ok(match self.fetch_range(object, 0..object.size.unwrap_or_default(), to)? {
            FetchedRange::Whole { .. } => Fetched::Whole { cursor: None },
            FetchedRange::Changed => Fetched::Changed,
        })
    }

    fn has_ranges(&self, object: &Object) -> bool {
        object.size.is_some()
    }

    fn fetch_range(
        &self,
        object: &Object,
        range: Range<u64>,
        to: &mut dyn Write,
    ) -> Result<FetchedRange> {
        let key = self.key(object).map_err(|error| self.failed(&error))?;
        let size = range.end.saturating_sub(range.start);
        let is_all = range == (0..object.size.unwrap_or_default());
        let ranges: Vec<Option<GetRange>> = if is_all && size <= PART {
            vec![None]
        } else {
            let end = range.end;
            let starts = range.step_by(usize::try_from(PART).unwrap_or(usize::MAX));
            starts.map(|at| Some(GetRange::Bounded(at..end.min(at + PART)))).collect()
        };
        worker::wait(async {
            let parts = ranges.into_iter().map(|range| self.part(&key, object, range));
            let mut parts = stream::iter(parts).buffered(PARTS);
            let (mut got, mut first) = (0, None);
            while let Some(part) = parts.next().await {
                let Some((bytes, tag)) = part.map_err(|error| self.failed(&error))? else {
                    return Ok(FetchedRange::Changed);
                };
                if *first.get_or_insert_with(|| tag.clone()) != tag {
                    return Ok(FetchedRange::Changed);
                }
                got += bytes.len() as u64;
                to.write_all(&bytes).map_err(|e| Error::backend("keeping the object", e))?;
            }
            let version = first.flatten();
            Ok(if got == size { FetchedRange::Whole { version } } else { FetchedRange::Changed })
        })?
    }
}

/// The ETag, or else time and size.
fn version(found: &ObjectMeta) -> String {
    found.e_tag.clone().unwrap_or_else(|| {
        let time = found.last_modified.to_rfc3339_opts(SecondsFormat::Nanos, true);
        format!("{time} {}", found.size)
    })
}

/// Whether the object that answers is the listed one. A list may have no ETag where an answer has one;
/// an answer has its time in whole seconds.
fn is_same(listed: &Object, found: &ObjectMeta) -> bool {
    let tagged = listed.version.as_deref().is_some_and(|version| version.starts_with('"'));
    match &found.e_tag {
        Some(tag) if tagged => listed.version.as_ref() == Some(tag),
        _ => {
            let seconds = listed.modified.map(|time| time.timestamp());
            listed.size == Some(found.size) && seconds == Some(found.last_modified.timestamp())
        }
    }
}

fn retries(timeout: Duration) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 },
        max_retries: RETRIES,
        retry_timeout: timeout,
    }
}

/// Settings of connections to `endpoint`, or to the provider's own servers.
fn connections(source: &config::Source, endpoint: Option<&str>) -> Result<ClientOptions> {
    let options = ClientOptions::new()
        .with_timeout(source.access.timeout)
        .with_connect_timeout(source.access.timeout.min(Duration::from_secs(5)));
    let Some(rest) = endpoint.and_then(|endpoint| endpoint.strip_prefix("http://")) else {
        return Ok(options);
    };
    let host = host_of(rest);
    if !hosts::is_loopback(host) && !source.access.allow_hosts.iter().any(|name| name == host) {
        return Err(Error::data(format!(
            "its \"endpoint\" is not encrypted: write https://, or name {host} in \"allow_hosts\""
        )));
    }
    // A machine without certificates needs none.
    Ok(options.with_allow_http(true).with_no_system_certificates(true))
}

/// The host in `host:port/path`.
fn host_of(rest: &str) -> &str {
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn s3(
    source: &config::Source,
    bucket: &str,
    environment: &Environment,
) -> Result<Arc<dyn ObjectStore>> {
    let access = &source.access;
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
    for (name, value) in environment.beginning("AWS_") {
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    let endpoint = access.endpoint.clone().or_else(|| {
        let names = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
        names.iter().find_map(|name| environment.get(name)).map(str::to_owned)
    });
    if let Some(region) = &access.region {
        builder = builder.with_region(region);
    } else if endpoint.is_none() && !environment.has(&["AWS_REGION", "AWS_DEFAULT_REGION"]) {
        return Err(Error::data(
            "no region is known: set \"region\" of the source, or AWS_REGION in the environment",
        ));
    }
    // Without these, the library asks an address that answers only on machines of the provider.
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE"];
    let container =
        ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    if !environment.has(&keys) && !environment.has(&container) {
        return Err(Error::data(
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the \
             environment, or AWS_SKIP_SIGNATURE=true for a public bucket",
        ));
    }
    // A certificate is for one label before the server's name, and an address has no names below.
    let by_name = !access.path_style && !bucket.contains('.');
    if let Some(endpoint) = &endpoint {
        let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
        let host = host_of(rest);
        let plain =
            hosts::is_loopback(host) || hosts::bare(host).parse::<std::net::IpAddr>().is_ok();
        let by_name = by_name && !plain;
        let address = if by_name {
            format!("{scheme}://{bucket}.{}", rest.trim_end_matches('/'))
        } else {
            format!("{scheme}://{}", rest.trim_end_matches('/'))
        };
        builder = builder.with_endpoint(address).with_virtual_hosted_style_request(by_name);
    } else {
        builder = builder.with_virtual_hosted_style_request(by_name);
    }
    let options = connections(source, endpoint.as_deref())?;
    let built = builder.with_client_options(options).with_retry(retries(access.timeout)).build();
    built.map(|store| Arc::new(store) as _).map_err(|error| unusable(&error, bucket))
}

fn google(
    source: &config::Source,
    bucket: &str,
    environment: &Environment,
) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket);
    for (name, value) in environment.beginning("GOOGLE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = &source.access.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    let keys = [
        "GOOGLE_SERVICE_ACCOUNT",
        "GOOGLE_SERVICE_ACCOUNT_PATH",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_SKIP_SIGNATURE",
    ];
    if !environment.has(&keys) {
        return Err(Error::data(
            "there are no credentials: set GOOGLE_APPLICATION_CREDENTIALS to the path of a key file, \
             or GOOGLE_SKIP_SIGNATURE=true for a public bucket",
        ));
    }
    let options = connections(source, source.access.endpoint.as_deref())?;
    let retry = retries(source.access.timeout);
    let built = builder.with_client_options(options).with_retry(retry).build();
    built.map(|store| Arc::new(store) as _).map_err(|error| unusable(&error, bucket))
}

fn azure(
    source: &config::Source,
    bucket: &str,
    environment: &Environment,
) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = MicrosoftAzureBuilder::new().with_container_name(bucket);
    for (name, value) in environment.beginning("AZURE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = &source.access.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    if !environment.has(&["AZURE_STORAGE_ACCOUNT_NAME"]) {
        return Err(Error::data(
            "no account is known: set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or \
             AZURE_STORAGE_SAS_KEY, in the environment",
        ));
    }
    let options = connections(source, source.access.endpoint.as_deref())?;
    let retry = retries(source.access.timeout);
    let built = builder.with_client_options(options).with_retry(retry).build();
    built.map(|store| Arc::new(store) as _).map_err(|error| unusable(&error, bucket))
}

fn unusable(error: &object_store::Error, bucket: &str) -> Error {
    Error::data(text::bounded(advice(&text::causes(error), bucket)))
}

/// What an error means, and what to do about it.
fn advice(words: &str, bucket: &str) -> String {
    let known: [(&[&str], String); 9] = [
        (
            &["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"],
            format!(
                "there is no bucket \"{bucket}\": check the \"uri\", the region and the endpoint"
            ),
        ),
        (
            &["InvalidAccessKeyId"],
            "the server does not know AWS_ACCESS_KEY_ID: check the key and the endpoint".to_owned(),
        ),
        (
            &["SignatureDoesNotMatch", "AuthenticationFailed"],
            "the server refuses the secret key: check AWS_SECRET_ACCESS_KEY (or the key of this \
             provider) for missing or added characters"
                .to_owned(),
        ),
        (
            &["ExpiredToken", "TokenRefreshRequired"],
            "the temporary credentials have expired: renew them, with AWS_SESSION_TOKEN".to_owned(),
        ),
        (
            &["RequestTimeTooSkewed", "Request date header too old"],
            "the clock of this machine differs too much from the server's: set it (timedatectl \
             set-ntp true)"
                .to_owned(),
        ),
        (
            &[
                "AuthorizationHeaderMalformed",
                "PermanentRedirect",
                "IllegalLocationConstraint",
                "incorrectly configured region",
            ],
            format!("the bucket \"{bucket}\" is in another region: set \"region\" of the source"),
        ),
        (
            &["AccessDenied", "403 Forbidden", "Forbidden"],
            format!(
                "access is denied: the credentials need the right to list the bucket \"{bucket}\" \
                 and to read its objects (s3:ListBucket, s3:GetObject)"
            ),
        ),
        (
            &[
                "Connection refused",
                "dns error",
                "No route to host",
                "timed out",
                "operation timed",
            ],
            "nobody answers: check whether the server is running, the host and the port of \
             \"endpoint\"; stores other than Amazon's need one"
                .to_owned(),
        ),
        (
            &["invalid path", "InvalidPath"],
            "a name in the bucket has empty parts, such as a//b, or a dot alone, which cannot be \
             read: rename the object, or narrow the \"uri\""
                .to_owned(),
        ),
    ];
    let found = known.into_iter().find(|(codes, _)| codes.iter().any(|code| words.contains(code)));
    match found {
        Some((_, advice)) => format!("{advice} ({})", shorter(words)),
        None => shorter(words),
    }
}

/// Without line ends and markup, and not long.
fn shorter(words: &str) -> String {
    const LONGEST: usize = 400;
    let mut line = text::one_line(words);
    if line.len() > LONGEST {
        line.truncate(line.floor_char_boundary(LONGEST));
        line.push('…');
    }
    line
}
