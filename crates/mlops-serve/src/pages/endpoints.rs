//! The endpoints of the dashboard: for each page its path, scope, handler and description.
//!
//! Not for the navigation: see `menu`. Not for other endpoints: see `crate::endpoints`.

use mlops_core::evaluation::metrics::Metric;
use mlops_core::stage::performance::METRICS;
use serde_json::json;

use super::style::{self, ICON, SHEET};
use super::{
    decisions, drift, findings, ingestions, log_in, performance, playground, predictions, release,
    releases, runs, sources, start, threshold,
};
use crate::access::Scope::{Open, Predict, Read};
use crate::call::at_once;
use crate::endpoint::{Endpoint, Operation as Op, Verb};
use crate::openapi::operation::{HTML, Operation as Described};
use crate::problem::Dialect::Page;

/// The table, in the order of the description.
pub(crate) static PAGES: &[Endpoint] = &[
    Endpoint::new(
        "/",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(start::start(call)),
            || shown("start", "Whether all is well, what is live and why, what is to be done"),
        )],
    ),
    Endpoint::new(
        "/performance",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(performance::performance(call)),
            || {
                let metrics: Vec<&str> = METRICS.into_iter().map(Metric::name).collect();
                let metric = json!({ "type": "string", "enum": metrics });
                shown("performance", "Scores over time, and the decisions")
                    .asks("metric", &metric, "The metric of the scores")
                    .paged()
            },
        )],
    ),
    Endpoint::new(
        "/drift",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(drift::drift(call)),
            || {
                let text = json!({ "type": "string" });
                shown("drift", "New rows against the training rows, column by column")
                    .asks(
                        "run",
                        &text,
                        "The run whose decision compared them; by default the newest",
                    )
                    .asks(
                        "asked",
                        &json!({ "type": "string", "format": "date" }),
                        "Instead of new rows those that a release was asked for, in the window that begins on this \
                         day; `asked.windows` has the windows",
                    )
                    .asks("release", &text, "With `asked`: the release; by default the live one")
                    .asks("column", &text, "Only columns with this in their name")
                    .paged()
                    .can_miss()
            },
        )],
    ),
    Endpoint::new(
        "/threshold",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(threshold::threshold(call)),
            || {
                let cost = json!({ "type": "number", "minimum": 0 });
                shown("threshold", "What other thresholds would change")
                    .asks("false_positive", &cost, "What a false positive costs")
                    .asks("false_negative", &cost, "What a false negative costs")
                    .asks("threshold", &cost, "A threshold to look at")
            },
        )],
    ),
    Endpoint::new(
        "/predictions",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(predictions::predictions(call)),
            || {
                let text = json!({ "type": "string" });
                let number = json!({ "type": "integer", "minimum": 0 });
                let summary = "Past predictions by an id, and rows of the data by their id columns, \
                               each as row.COLUMN, with their reasons";
                shown("predictions", summary)
                    .asks(
                        "id",
                        &text,
                        "A request's id, the caller's own, or the value of an id column",
                    )
                    .asks("at", &text, "The place of the one whose reasons are shown")
                    .asks("from", &text, "Where to go on with older ones")
                    .asks("data", &number, "The data set that is searched; the newest without it")
                    .asks("nth", &number, "The row of the data that is shown, from 0")
                    .asks("rows_from", &number, "Where to go on in the data")
            },
        )],
    ),
    Endpoint::new(
        "/playground",
        Page,
        &[
            Op::get(
                Read,
                |call| Box::pin(playground::form(call)),
                || shown("playgroundForm", "A form for a row to try"),
            ),
            Op {
                verb: Verb::Post,
                scope: Predict,
                max_body: Some(|service| service.max_body_bytes.min(playground::LARGEST)),
                handler: |call| Box::pin(playground::play(call)),
                describe: || {
                    Described::new(
                        "play",
                        "pages",
                        "The prediction for a row to try; nothing is recorded",
                    )
                    .takes_form("Record")
                    .answers("What the page shows", "Record")
                    .also_html()
                },
            },
        ],
    ),
    Endpoint::new(
        "/releases",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(releases::releases(call)),
            || shown("releases", "Which release was live when, and why").paged(),
        )],
    ),
    Endpoint::new(
        "/runs",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(runs::runs(call)),
            || {
                let text = json!({ "type": "string" });
                shown("runs", "What ran when, for how long, and how it ended")
                    .asks("step", &text, "Only runs of this step")
                    .asks("failed", &text, "Only runs that failed, whatever the value")
                    .asks(
                        "missing",
                        &text,
                        "With \"all\" a page shows the missing cells of every column",
                    )
                    .paged()
            },
        )],
    ),
    Endpoint::new(
        "/runs/{run}",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(runs::run(call)),
            || shown("run", "One run with all its steps").can_miss(),
        )],
    ),
    Endpoint::new(
        "/releases/{release}",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(release::release(call)),
            || shown("release", "One release: its scores, model and data").can_miss(),
        )],
    ),
    Endpoint::new(
        "/compare",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(release::compare(call)),
            || {
                shown("compare", "What differs between two releases")
                    .asks("a", &json!({ "type": "string" }), "The id of the first")
                    .asks("b", &json!({ "type": "string" }), "The id of the second")
                    .asks(
                        "all",
                        &json!({ "type": "string" }),
                        "Also what is the same, whatever the value",
                    )
                    .can_miss()
            },
        )],
    ),
    Endpoint::new(
        "/decisions",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(decisions::decisions(call)),
            || {
                shown("decisions", "What was decided when")
                    .asks(
                        "all",
                        &json!({ "type": "string" }),
                        "Also runs that found nothing new, whatever the value",
                    )
                    .paged()
            },
        )],
    ),
    Endpoint::new(
        "/decisions/{run}",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(decisions::decision(call)),
            || shown("decision", "One decision with all its numbers, and why").can_miss(),
        )],
    ),
    Endpoint::new(
        "/ingestions",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(ingestions::ingestions(call)),
            || shown("ingestions", "The files that were read, with their counts").paged(),
        )],
    ),
    Endpoint::new(
        "/quarantine",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(ingestions::quarantined(call)),
            || {
                shown("quarantine", "The rejected rows by file, reason and column")
                    .asks("file", &json!({ "type": "string" }), "Only rows of this file")
                    .asks(
                        "reason",
                        &json!({ "type": "string" }),
                        "Only rows rejected for this reason",
                    )
                    .asks(
                        "column",
                        &json!({ "type": "string" }),
                        "Only rows rejected for this column",
                    )
                    .paged()
            },
        )],
    ),
    Endpoint::new(
        "/sources",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(sources::sources(call)),
            || shown("sources", "When data of each source are due, and how that is computed"),
        )],
    ),
    Endpoint::new(
        "/findings",
        Page,
        &[Op::get(
            Read,
            |call| Box::pin(findings::findings(call)),
            || {
                let text = json!({ "type": "string" });
                let states = json!({ "type": "string", "enum": ["all", "open", "over"] });
                shown("findings", "What was found when, and whether it is over")
                    .asks("state", &states, "Only open ones or only those that are over")
                    .asks("severity", &text, "Only those that are at least this urgent")
                    .asks("before", &json!({ "type": "integer" }), "`next` of the page before")
            },
        )],
    ),
    Endpoint::new(
        "/login",
        Page,
        &[
            Op::get(
                Open,
                |call| at_once(Ok(log_in::form(&call))),
                || {
                    Described::new("logInForm", "pages", "The form for a token")
                        .asks("next", &json!({ "type": "string" }), "The page to go to")
                        .answers_text("Yes", HTML)
                },
            ),
            Op::form(
                Open,
                |call| Box::pin(log_in::log_in(call)),
                || {
                    Described::new("logIn", "pages", "Keep a token in the browser")
                        .takes_form("LogIn")
                        .goes_elsewhere("The token is known")
                },
            ),
        ],
    ),
    Endpoint::new(
        "/logout",
        Page,
        &[Op::form(
            Open,
            |call| at_once(Ok(log_in::log_out(&call))),
            || {
                Described::new("logOut", "pages", "Forget the tokens of the browser")
                    .goes_elsewhere("They are forgotten")
            },
        )],
    ),
    Endpoint::new(
        SHEET,
        Page,
        &[Op::get(
            Open,
            |call| at_once(Ok(style::style(&call))),
            || {
                Described::new("style", "pages", "The look of the pages")
                    .answers_text("Yes", "text/css")
            },
        )],
    ),
    Endpoint::new(
        ICON,
        Page,
        &[Op::get(
            Open,
            |call| at_once(Ok(style::icon(&call))),
            || Described::new("icon", "pages", "Their icon").answers_text("Yes", "image/svg+xml"),
        )],
    ),
];

/// A page of the dashboard, and its JSON.
fn shown(id: &str, summary: &str) -> Described {
    let format = json!({ "type": "string", "enum": ["json", "html"] });
    Described::new(id, "pages", summary)
        .asks("format", &format, "Instead of the header Accept")
        .answers("What the page shows", "Record")
        .also_html()
}
