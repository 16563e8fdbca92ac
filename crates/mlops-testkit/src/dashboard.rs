//! The pages of the dashboard, for all tests that open every one of them.
//!
//! A test of the service compares the list with the navigation of its pages. Not for pages with parameters.

/// The paths of all pages that the navigation leads to, the description of the endpoints left out.
pub const PAGES: [&str; 13] = [
    "/",
    "/findings",
    "/performance",
    "/drift",
    "/threshold",
    "/predictions",
    "/playground",
    "/releases",
    "/decisions",
    "/runs",
    "/ingestions",
    "/quarantine",
    "/sources",
];
