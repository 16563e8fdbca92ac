//! `POST /approvals/{release}`: a person's decision on a challenger that waits, as `deployment approve` and
//! `deployment reject` make it.
//!
//! Not for which challenger may go live: see `mlops_core::stage::approve`.

use axum::RequestExt as _;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use mlops_core::ErrorKind;
use mlops_core::ids::{ReleaseId, ReleasePrefix, Step};
use mlops_core::stage::approve;
use serde::{Deserialize, Serialize};

use crate::access::Scope;
use crate::body::{self, Format};
use crate::call::Call;
use crate::problem::Problem;
use crate::state::App;
use crate::writing;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ruling {
    decision: Decision,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Approve,
    Reject,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Ruled {
    decision: Decision,
    release: ReleaseId,
    /// The release that was live before.
    previous: Option<ReleaseId>,
    who: String,
    reason: String,
}

/// Answers `POST /approvals/{release}`.
pub(crate) async fn decide(call: Call) -> Result<Response, Problem> {
    let Call { app, mut request, max_body, .. } = call;
    let named: Result<Path<String>, PathRejection> = request.extract_parts().await;
    let Path(named) = named.map_err(|e| Problem::new(e.status(), "the path cannot be read"))?;
    let which: ReleasePrefix = named.parse().map_err(|_| {
        writing::not_there(
            "the path names no release: it ends with the id of one, or its beginning",
        )
    })?;
    let who = writing::holder(&app.service().tokens, &request, Scope::Approve)?;
    let body = body::read(request, &app, max_body).await?;
    if body.format != Format::Json {
        return Err(Problem::malformed(
            "send JSON: {\"decision\": \"approve\", \"reason\": \"…\"}",
        ));
    }
    let ruling: Ruling = serde_json::from_slice(&body.bytes).map_err(|e| {
        Problem::malformed(format!(
            "send {{\"decision\": \"approve\" or \"reject\", \"reason\": \"…\"}}: {e}"
        ))
    })?;
    if ruling.reason.trim().is_empty() {
        return Err(Problem::malformed(
            "say why in \"reason\" in a few words: whoever reads the history will ask",
        ));
    }
    let disk = body::disk(&app).await?;
    body::work(true, move || {
        let _disk = disk;
        let ruled = rule(&app, &which, ruling, who)?;
        let Ruled { decision, release, who, .. } = &ruled;
        tracing::info!(?decision, release = release.as_str(), who, "a challenger was decided on");
        if let Some(renewal) = app.renewal.as_ref().filter(|_| ruled.decision == Decision::Approve)
        {
            renewal.release_changed();
        }
        let answer = serde_json::to_vec(&ruled).map_err(|e| Problem::internal(e.to_string()))?;
        Ok(body::typed(answer, "application/json"))
    })
    .await
}

/// Makes the decision, as a run of its own.
fn rule(app: &App, which: &ReleasePrefix, ruling: Ruling, who: String) -> Result<Ruled, Problem> {
    let context = &writing::run(&app.context);
    let Ruling { decision, reason } = ruling;
    let step = match decision {
        Decision::Approve => Step::Approve,
        Decision::Reject => Step::Reject,
    };
    let mut workspace = context.open(step).map_err(|e| writing::failed(&e))?;
    let by = (who.as_str(), reason.as_str());
    let done = match decision {
        Decision::Approve => context
            .step(&mut workspace, step, |w| approve::approve(context, w, which, by))
            .map(|done| (done.release, done.previous)),
        Decision::Reject => context
            .step(&mut workspace, step, |w| approve::reject(context, w, which, by))
            .map(|done| (done.release, None)),
    };
    let (release, previous) = done.map_err(|error| match error.kind() {
        ErrorKind::Missing(why) => writing::not_there(why.clone()),
        ErrorKind::Conflict(why) => writing::conflict(why.clone()),
        _ => writing::failed(&error),
    })?;
    Ok(Ruled { decision, release, previous, who, reason })
}
