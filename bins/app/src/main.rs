//! The command line of `mlops_serve`.
//!
//! Not for logic: `main` makes one call.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use mlops_core::config::Config;
use mlops_core::{Error, Result};
use mlops_serve::{Options, Reload, Settings, Tokens};

/// Serves predictions of the live release over HTTP; follows promotions and rollbacks while it runs
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "Examples:\n  app                          on http://127.0.0.1:8000\n  app \
                  --port 9000 --quiet       errors only\n  MLOPS_READ_TOKEN=… MLOPS_PREDICT_TOKEN=… \
                  app --host 0.0.0.0\n\nSIGHUP makes it reload configuration, tokens and certificate; a second SIGTERM or Ctrl-C ends it at once.\n\nExit codes: 0 stopped on request with all requests answered, 1 \
                  failed or requests were cut off, 2 wrong usage or configuration"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// The IP address to listen on, or localhost, instead of service.host
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    host: Option<IpAddr>,

    /// The port to listen on, instead of service.port; 0 takes any that is free
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// A file of tokens, one per line: a scope (read, predict, labels or approve), the token, and the name of
    /// who has it if records are to have it; in addition to those in MLOPS_READ_TOKEN, MLOPS_PREDICT_TOKEN,
    /// MLOPS_LABELS_TOKEN and MLOPS_APPROVE_TOKEN
    #[arg(long, value_name = "PATH", env = "MLOPS_TOKENS_FILE")]
    tokens_file: Option<PathBuf>,

    /// Answer other machines without a token
    #[arg(long)]
    insecure: bool,
}

pub(crate) fn main() -> ExitCode {
    let Arguments { common, host, port, tokens_file, insecure } = Arguments::parse();
    mlops_runtime::attend(&common, |context, access_log| {
        let options = Options {
            host,
            port,
            insecure,
            tokens: tokens(tokens_file.as_deref())?,
            access_log,
            json_log: common.log_format == "json",
            reload: Some(reload(common.config.clone(), tokens_file)),
            renew: Some(Arc::new(mlops_runtime::renew::now)),
        };
        mlops_serve::run(context, options)
    })
}

/// The reaction to SIGHUP: reads the files again.
fn reload(config: PathBuf, tokens_file: Option<PathBuf>) -> Reload {
    Box::new(move || {
        let config = Config::load(&config)?;
        Ok(Settings { config, tokens: tokens(tokens_file.as_deref())? })
    })
}

fn address(text: &str) -> std::result::Result<IpAddr, &'static str> {
    mlops_core::config::address(text).ok_or("give localhost or an IP address")
}

fn tokens(file: Option<&Path>) -> Result<Tokens> {
    let mut tokens = Tokens::default();
    for (name, scope) in [
        ("MLOPS_READ_TOKEN", "read"),
        ("MLOPS_PREDICT_TOKEN", "predict"),
        ("MLOPS_LABELS_TOKEN", "labels"),
        ("MLOPS_APPROVE_TOKEN", "approve"),
    ] {
        if let Some(token) = mlops_runtime::secret(name) {
            tokens.add(scope, &token, name)?;
        }
    }
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        tokens.add_lines(&text, &path.display().to_string())?;
    }
    Ok(tokens)
}
