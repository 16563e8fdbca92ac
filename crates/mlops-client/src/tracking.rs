//! A release in MLflow's tracking server: a run with parameters, metrics and the model folder, and a version
//! of a registered model with an alias.
//!
//! A release is recorded once: a second call finds its run by a tag, completes what an interrupted one left
//! out, and moves the alias. Not for the folder: see `mlops_export::mlflow`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mlops_core::{Error, Result, text};
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde_json::{Value, json};

use crate::transport::{self, reason};

/// The tag by which a run is found again.
const RELEASE: &str = "mlops.release";
/// The folder of the model among the artifacts of a run.
const MODEL: &str = "model";
/// How long one request may take, that of a large file included.
const TIMEOUT: Duration = Duration::from_mins(2);
/// The maximum number of parameters that a server takes at once, and of tags.
const MOST_PARAMETERS: usize = 100;
/// The maximum number of metrics that a server takes at once.
const MOST_METRICS: usize = 1000;
/// The maximum number of characters of a parameter, in the strictest servers.
const LONGEST: usize = 500;
/// The maximum number of characters of a server's words in an error.
const QUOTED: usize = 300;

/// Who asks. In no record, log or error.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody in particular.
    #[default]
    Nobody,
    /// `MLFLOW_TRACKING_TOKEN`.
    Token(String),
    /// `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`.
    Password(String, String),
}

impl Credentials {
    /// Those of the environment, in MLflow's own names.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name| variable(name).filter(|value: &String| !value.is_empty());
        match (value("MLFLOW_TRACKING_TOKEN"), value("MLFLOW_TRACKING_USERNAME")) {
            (Some(token), _) => Self::Token(token),
            (None, Some(name)) => {
                Self::Password(name, value("MLFLOW_TRACKING_PASSWORD").unwrap_or_default())
            }
            (None, None) => Self::Nobody,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// Where to record.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The address of the server: `http://127.0.0.1:5000`.
    pub uri: String,
    /// The name of the experiment, which is created if there is none.
    pub experiment: String,
    /// The registered model that gets a version, which is created if there is none.
    pub model: Option<String>,
    /// The alias that then stands for this version.
    pub alias: Option<String>,
    /// Who asks.
    pub credentials: Credentials,
}

/// What to record.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The name of the release.
    pub release: String,
    /// Parameters of the training.
    pub parameters: Vec<(String, String)>,
    /// Figures of the score.
    pub metrics: Vec<(String, f64)>,
    /// Further tags.
    pub tags: Vec<(String, String)>,
    /// Files of the model folder: their paths within it, and where they are.
    pub files: Vec<(String, PathBuf)>,
    /// Now, in milliseconds since 1970.
    pub at: i64,
}

/// What the server has now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tracked {
    /// The experiment's number.
    pub experiment: String,
    /// The run's number.
    pub run: String,
    /// The run was complete already.
    pub known: bool,
    /// The registered model with the number of the version.
    pub version: Option<(String, String)>,
    /// The alias that stands for it.
    pub alias: Option<String>,
    /// The page of the run.
    pub page: String,
}

impl fmt::Display for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = if self.known { ", which was there already" } else { "" };
        writeln!(f, "Recorded in MLflow as run {}{known}:\n  {}", self.run, self.page)?;
        if let Some((model, version)) = &self.version {
            write!(f, "  version {version} of the model {model}")?;
            if let Some(alias) = &self.alias {
                write!(f, ", alias {alias}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Records a release.
///
/// # Errors
/// `Config` if the address is none, `Remote` if the server does not answer, refuses something, or keeps no
/// files itself, and `Io` if a file cannot be read. What is there by then stays; a further call completes it.
pub fn record(to: &Destination, upload: &Upload) -> Result<Tracked> {
    let server = Server::new(to)?;
    let experiment = server.experiment(&to.experiment)?;
    let (run, known) = match server.found(&experiment, &upload.release)? {
        Some(run) => {
            let finished = run["info"]["status"] == "FINISHED";
            (run, finished)
        }
        None => (server.begun(&experiment, upload)?, false),
    };
    let id = text_of(&run["info"], "run_id", "a run")?;
    let artifacts = text_of(&run["info"], "artifact_uri", "a run")?;
    if !known {
        server.logged(&id, upload)?;
        for (name, path) in &upload.files {
            server.put(&artifacts, name, path)?;
        }
        let ended = json!({"run_id": id, "status": "FINISHED", "end_time": upload.at});
        server.post("runs/update", &ended)?;
    }
    let version = match &to.model {
        Some(model) => {
            let source = format!("{}/{MODEL}", artifacts.trim_end_matches('/'));
            let version = server.version(model, &source, &id, &upload.release)?;
            if let Some(alias) = &to.alias {
                let body = json!({"name": model, "alias": alias, "version": version});
                server.post("registered-models/alias", &body)?;
            }
            Some((model.clone(), version))
        }
        None => None,
    };
    let base = server.base.as_str().trim_end_matches('/');
    Ok(Tracked {
        page: format!("{base}/#/experiments/{experiment}/runs/{id}"),
        experiment,
        run: id,
        known,
        alias: version.as_ref().and(to.alias.clone()),
        version,
    })
}

struct Server {
    client: Client,
    base: Url,
    header: Option<HeaderValue>,
    password: Option<(String, String)>,
}

/// An answer that is no success.
struct Refusal {
    /// MLflow's own code, as `RESOURCE_DOES_NOT_EXIST`; empty if it has none.
    code: String,
    error: Error,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl Server {
    fn new(to: &Destination) -> Result<Self> {
        let wrong = |why: &str| Error::config("--mlflow-tracking", vec![why.to_owned()]);
        let base = Url::parse(&to.uri).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(base) = base.filter(Url::has_host) else {
            return Err(wrong("is not an address of a server: write it as http://host:5000"));
        };
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong(
                "has a name or a password: set MLFLOW_TRACKING_USERNAME and \
                 MLFLOW_TRACKING_PASSWORD instead, which nobody else can read",
            ));
        }
        let (mut header, mut password) = (None, None);
        match &to.credentials {
            Credentials::Nobody => {}
            Credentials::Token(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
                    Error::config(
                        "the environment",
                        vec!["MLFLOW_TRACKING_TOKEN has characters that no token has".to_owned()],
                    )
                })?;
                value.set_sensitive(true);
                header = Some(value);
            }
            Credentials::Password(name, word) => password = Some((name.clone(), word.clone())),
        }
        let secret = header.is_some() || password.is_some();
        if secret && base.scheme() == "http" && !transport::is_loopback(&base) {
            tracing::warn!("credentials go to {base} unencrypted: use an https:// address");
        }
        let client = transport::client(&base, TIMEOUT)
            // Credentials must not be sent to another address that this one redirects to.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::backend("the HTTP client", reason(e)))?;
        Ok(Self { client, base, header, password })
    }

    fn at(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(["api", "2.0"]).extend(path.split('/'));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Sends a request to `path` of the API; the answer is JSON, or nothing.
    fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value, Refusal> {
        let mut request = self.client.request(method, self.at(path, query));
        if let Some(header) = &self.header {
            request = request.header(AUTHORIZATION, header);
        }
        if let Some((name, word)) = &self.password {
            request = request.basic_auth(name, Some(word));
        }
        let failed = |code: String, why: &str| {
            let error = Error::remote(format!(
                "MLflow at {}: {path}: {}; what is recorded so far stays, and the same command \
                 completes it",
                self.base,
                text::visible(why)
            ));
            Refusal { code, error }
        };
        let response = with(request).send().map_err(|e| failed(String::new(), &reason(e)))?;
        let status = response.status();
        let body = response.text().map_err(|e| failed(String::new(), &reason(e)))?;
        let answer: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        let code = answer["error_code"].as_str().unwrap_or_default();
        let words = answer["message"].as_str().unwrap_or(&body);
        let words: String = words.chars().take(QUOTED).collect();
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ": set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and \
                 MLFLOW_TRACKING_PASSWORD"
            }
            _ => "",
        };
        Err(failed(code.to_owned(), &format!("it answers {status}: {}{hint}", words.trim())))
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        self.ask(Method::POST, &format!("mlflow/{path}"), &[], |request| {
            request.header(CONTENT_TYPE, "application/json").body(body.to_string())
        })
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Refusal> {
        self.ask(Method::GET, &format!("mlflow/{path}"), query, |request| request)
    }

    /// The number of the experiment `name`, which is created if there is none.
    fn experiment(&self, name: &str) -> Result<String> {
        match self.get("experiments/get-by-name", &[("experiment_name", name)]) {
            Ok(answer) => text_of(&answer["experiment"], "experiment_id", "an experiment"),
            Err(refusal) if refusal.code == "RESOURCE_DOES_NOT_EXIST" => {
                match self.post("experiments/create", &json!({ "name": name })) {
                    Ok(answer) => text_of(&answer, "experiment_id", "an experiment"),
                    // Somebody else was faster.
                    Err(refusal) if refusal.code == "RESOURCE_ALREADY_EXISTS" => {
                        let name = [("experiment_name", name)];
                        let answer = self.get("experiments/get-by-name", &name)?;
                        text_of(&answer["experiment"], "experiment_id", "an experiment")
                    }
                    Err(refusal) => Err(refusal.into()),
                }
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// The run of a release, if there is one: a complete one before others.
    fn found(&self, experiment: &str, release: &str) -> Result<Option<Value>> {
        let body = json!({
            "experiment_ids": [experiment],
            "filter": format!("tags.\"{RELEASE}\" = '{release}'"),
            "max_results": 100,
        });
        let mut answer = self.post("runs/search", &body)?;
        let Value::Array(runs) = answer["runs"].take() else { return Ok(None) };
        Ok(runs.into_iter().min_by_key(|run| run["info"]["status"] != "FINISHED"))
    }

    fn begun(&self, experiment: &str, upload: &Upload) -> Result<Value> {
        let body = json!({
            "experiment_id": experiment,
            "run_name": upload.release,
            "start_time": upload.at,
            "tags": [{"key": RELEASE, "value": upload.release}],
        });
        Ok(self.post("runs/create", &body)?["run"].take())
    }

    /// Parameters, metrics and tags of the run `id`; equal ones may be logged again.
    fn logged(&self, id: &str, upload: &Upload) -> Result<()> {
        let pairs = |all: &[(String, String)]| -> Vec<Value> {
            let value = |text: &str| text.chars().take(LONGEST).collect::<String>();
            all.iter().map(|(key, text)| json!({"key": key, "value": value(text)})).collect()
        };
        let metrics = upload.metrics.iter().map(
            |(key, value)| json!({"key": key, "value": value, "timestamp": upload.at, "step": 0}),
        );
        let metrics: Vec<Value> = metrics.collect();
        let (parameters, tags) = (pairs(&upload.parameters), pairs(&upload.tags));
        let batches = [
            ("params", parameters.chunks(MOST_PARAMETERS)),
            ("tags", tags.chunks(MOST_PARAMETERS)),
            ("metrics", metrics.chunks(MOST_METRICS)),
        ];
        for (what, chunks) in batches {
            for chunk in chunks {
                self.post("runs/log-batch", &json!({"run_id": id, what: chunk}))?;
            }
        }
        Ok(())
    }

    /// Sends a file of the model folder.
    fn put(&self, artifacts: &str, name: &str, path: &Path) -> Result<()> {
        let place = Url::parse(artifacts).ok().filter(|url| url.scheme() == "mlflow-artifacts");
        let Some(place) = place else {
            return Err(Error::remote(format!(
                "MLflow at {} keeps files at {}, which only itself can reach: start the server with \
                 --serve-artifacts and use an experiment that was created since",
                self.base,
                text::visible(artifacts)
            )));
        };
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        let within = place.path().trim_matches('/');
        let path = format!("mlflow-artifacts/artifacts/{within}/{MODEL}/{name}");
        self.ask(Method::PUT, &path, &[], |request| {
            request.header(CONTENT_TYPE, "application/octet-stream").body(bytes)
        })?;
        Ok(())
    }

    /// The version of `model` that the run `id` gave; made if there is none.
    fn version(&self, model: &str, source: &str, id: &str, release: &str) -> Result<String> {
        match self.post("registered-models/create", &json!({ "name": model })) {
            Err(refusal) if refusal.code != "RESOURCE_ALREADY_EXISTS" => return Err(refusal.into()),
            _ => {}
        }
        let filter = format!("run_id = '{id}'");
        let known = self.get("model-versions/search", &[("filter", &filter)])?;
        let versions = known["model_versions"].as_array().map_or(&[][..], Vec::as_slice);
        if let Some(version) = versions.iter().find(|version| version["name"] == model) {
            return text_of(version, "version", "a version");
        }
        let body = json!({
            "name": model, "source": source, "run_id": id,
            "tags": [{"key": RELEASE, "value": release}],
        });
        let answer = self.post("model-versions/create", &body)?;
        text_of(&answer["model_version"], "version", "a version")
    }
}

/// The member `name` of what the server says of `what`.
fn text_of(value: &Value, name: &str, what: &str) -> Result<String> {
    match &value[name] {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Error::remote(format!(
            "MLflow's answer about {what} has no {name}: is the address that of a tracking server?"
        ))),
    }
}
