//! Which pages there are, for the navigation.
//!
//! Not for how they are reached: see `endpoints`.

/// A group of pages.
pub(super) struct Group {
    pub(super) name: &'static str,
    /// Paths with the names of their pages.
    pub(super) pages: &'static [(&'static str, &'static str)],
}

/// All pages of the navigation, in its order.
pub(super) const MENU: &[Group] = &[
    Group { name: "Overview", pages: &[("/", "Start"), ("/findings", "Findings")] },
    Group {
        name: "Model",
        pages: &[
            ("/performance", "Performance"),
            ("/drift", "Drift"),
            ("/threshold", "Threshold"),
            ("/predictions", "Predictions"),
            ("/playground", "Playground"),
        ],
    },
    Group {
        name: "Operation",
        pages: &[
            ("/releases", "Releases"),
            ("/decisions", "Decisions"),
            ("/runs", "Runs"),
            ("/ingestions", "Ingestions"),
            ("/quarantine", "Quarantine"),
            ("/sources", "Sources"),
        ],
    },
    Group { name: "Service", pages: &[("/docs", "API")] },
];

/// The page of the navigation to which `path` belongs: the page itself, or one below it.
pub(super) fn place_of(path: &str) -> Option<&'static str> {
    let mut pages = MENU.iter().flat_map(|group| group.pages);
    let above = |page: &&(&'static str, &'static str)| {
        let rest = path.strip_prefix(page.0);
        rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && page.0 != "/"))
    };
    pages.find(above).map(|(path, _)| *path)
}
