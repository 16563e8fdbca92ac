//! The command line for the life of a release: `approve`, `deploy`, `history`, `rollback` and `verify` of
//! `mlops_core::stage`, and `mlops_export`.
//!
//! Not for logic: `main` makes one call.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mlops_core::ids::{ReleasePrefix, Step};
use mlops_core::stage::{approve, deploy, history, sign, verify};
use mlops_runtime::renew;

mod export;

/// Seals the latest model with its score as a release, verifies it from disk and makes it live in
/// one atomic step
#[derive(Parser)]
#[command(
    version = mlops_runtime::VERSION,
    after_help = "Examples:\n  deployment --reason \"new data of July\"\n  deployment history\n  \
                  deployment rollback --reason \"too many false alarms\"\n\nExit codes: 0 done or \
                  nothing to do, 1 failed or a release is damaged, 2 wrong usage or configuration, \
                  75 another run is at work"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: mlops_runtime::Common,

    /// Why, for the record
    #[arg(long, default_value = "deployed by hand", value_parser = in_words)]
    reason: String,

    /// Make a release live even if it was rolled back
    #[arg(long)]
    again: bool,

    /// Make a model live even if it does no better than the best constant answer
    #[arg(long)]
    accept: bool,

    #[command(subcommand)]
    command: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List which release was live when, who decided it and why; newest first
    History,

    /// Make an earlier release live again: the last sound one before the live one
    Rollback {
        /// The release to make live; the beginning of its name is enough
        #[arg(long, value_name = "ID")]
        to: Option<ReleasePrefix>,

        /// Why, for the record
        #[arg(long, value_parser = in_words)]
        reason: String,
    },

    /// Make a challenger live that passed the gate and waits ("gate.mode" is "manual")
    Approve {
        /// The release; the beginning of its name is enough
        #[arg(value_name = "ID")]
        release: ReleasePrefix,

        /// Why, for the record
        #[arg(long, value_parser = in_words)]
        reason: String,

        /// Who approves it, for the record [default: the user who runs this]
        #[arg(long, value_name = "NAME")]
        who: Option<String>,
    },

    /// Reject a challenger that waits for approval
    Reject {
        /// The release; the beginning of its name is enough
        #[arg(value_name = "ID")]
        release: ReleasePrefix,

        /// Why, for the record
        #[arg(long, value_parser = in_words)]
        reason: String,

        /// Who rejects it, for the record [default: the user who runs this]
        #[arg(long, value_name = "NAME")]
        who: Option<String>,
    },

    /// List challengers that wait for approval, and what became of the last ones
    Pending,

    /// Check the live release from disk: digests, model, known predictions
    Verify {
        /// The release to check; the beginning of its name is enough
        #[arg(value_name = "ID")]
        release: Option<ReleasePrefix>,

        /// Check every release
        #[arg(long, conflicts_with = "release")]
        all: bool,

        /// A public key that must have signed them; may be repeated [default: "signing.trusted"]
        #[arg(long, value_name = "KEY")]
        trusted: Vec<PathBuf>,
    },

    /// Make a pair of keys to sign releases with
    Keygen {
        /// The file of the private key; FILE.pub becomes that of the public one [default: "signing.key_file"]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },

    /// Sign a release: a file beside its folder
    Sign {
        /// The release; the beginning of its name is enough [default: the live one]
        #[arg(value_name = "ID")]
        release: Option<ReleasePrefix>,

        /// The file of the private key [default: "signing.key_file"]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },

    /// Write a release in forms that other tools read
    Export(export::Export),

    /// Move a real folder at prod_deployment_path into models_path, untouched
    Adopt,
}

/// Refuses an empty reason, since others will read it.
fn in_words(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why in a few words: whoever reads the history will ask".to_owned()),
        reason => Ok(reason.to_owned()),
    }
}

/// Who decides: as told, or the user.
fn by(who: Option<String>) -> String {
    who.or_else(mlops_runtime::user).unwrap_or_else(|| "unknown".to_owned())
}

pub(crate) fn main() -> ExitCode {
    let Arguments { common, reason, again, accept, command } = Arguments::parse();
    match command {
        None => mlops_runtime::run(Step::Deployment, &common, |context, workspace| {
            let leave = deploy::Leave { again, accept };
            renew::deploy(context, workspace, &reason, leave)
        }),
        Some(Action::History) => mlops_runtime::look(&common, history::run),
        Some(Action::Rollback { to, reason }) => {
            mlops_runtime::run(Step::Rollback, &common, |context, workspace| {
                let to = to.map(|to| history::find(context, &to)).transpose()?;
                renew::roll_back(context, workspace, to.as_ref(), &reason)
            })
        }
        Some(Action::Approve { release, reason, who }) => {
            mlops_runtime::run(Step::Approve, &common, |context, workspace| {
                renew::approve(context, workspace, &release, (&by(who), &reason))
            })
        }
        Some(Action::Reject { release, reason, who }) => {
            mlops_runtime::run(Step::Reject, &common, |context, workspace| {
                approve::reject(context, workspace, &release, (&by(who), &reason))
            })
        }
        Some(Action::Pending) => mlops_runtime::look(&common, approve::pending),
        Some(Action::Verify { release, all, trusted }) => mlops_runtime::look(&common, |context| {
            let which = match (release, all) {
                (Some(id), _) => verify::Which::One(history::find(context, &id)?),
                (None, true) => verify::Which::All,
                (None, false) => verify::Which::Live,
            };
            verify::run(context, &which, &trusted)
        }),
        Some(Action::Keygen { file }) => {
            mlops_runtime::look(&common, |context| sign::keygen(context, file.as_deref()))
        }
        Some(Action::Sign { release, key }) => mlops_runtime::look(&common, |context| {
            let id = release.as_ref().map(|id| history::find(context, id)).transpose()?;
            sign::run(context, id.as_ref(), key.as_deref())
        }),
        Some(Action::Export(export)) => {
            mlops_runtime::look(&common, |context| export::run(context, &export))
        }
        Some(Action::Adopt) => {
            mlops_runtime::run(Step::AdoptFolder, &common, |context, _| deploy::adopt(context))
        }
    }
}
