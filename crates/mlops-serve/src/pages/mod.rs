//! The dashboard: pages for people, each with its JSON at the same path.
//!
//! | noun | file |
//! |---|---|
//! | [`View`] | `view`: what a page shows, once as HTML and once as JSON; who gets which |
//! | `Visit` | `visit`: a request for a page, as the page sees it: prefix, path, query, log-in |
//! | `Query` | `query`: the fields of an address or a form |
//! | `endpoints` | every page, once: its path, who may see it, how it is described |
//! | `layout` | the frame of every page: head, navigation, footer |
//! | `menu` | which pages there are, for the navigation |
//! | `table`, `parts`, `values` | the components of pages: tables with paging, cards, facts, commands; numbers and times |
//! | `charts`, `reasons` | charts with their numbers; what moved a prediction |
//! | `predicted`, `rows`, `missing` | parts of pages: the prediction for a row of texts, rows of the data, missing data over time |
//! | `style` | the style sheet and the icon |
//! | `log_in` | the form for a token, and the cookie that keeps it |
//!
//! A page reads the ledger and the release in a thread that may block; it writes nothing, and fetches nothing from
//! elsewhere. There is no script. Not for what is shown: the views are `mlops_core::stage::views`.

mod asked;
mod charts;
mod decisions;
mod drift;
pub(crate) mod endpoints;
mod findings;
mod ingestions;
mod layout;
pub(crate) mod log_in;
mod menu;
mod missing;
mod parts;
mod performance;
mod playground;
mod predicted;
mod predictions;
pub(crate) mod query;
mod reasons;
mod release;
mod releases;
mod rows;
mod runs;
mod sources;
mod start;
mod style;
mod table;
mod threshold;
mod values;
pub(crate) mod view;
pub(crate) mod visit;
