//! The endpoints of the dashboard: for each page its path, scope, handler and description.
//!
//! Not for the navigation: see `menu`. Not for other endpoints: see `crate::endpoints`.

use serde_json::json;

use super::style::{self, ICON, SHEET};
use super::{log_in, releases, runs, start};
use crate::access::Scope::{Open, Read};
use crate::call::at_once;
use crate::endpoint::{Endpoint, Operation as Op};
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
