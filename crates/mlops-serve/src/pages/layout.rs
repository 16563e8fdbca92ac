//! The frame of every page: head, navigation, heading, footer.
//!
//! Not for the content: see [`super::view`].

use maud::{DOCTYPE, Markup, html};

use super::menu::{MENU, place_of};
use super::parts::label;
use super::style;
use super::visit::Visit;

/// A whole page with `title` as its heading and `main` below it.
pub(crate) fn page(visit: &Visit, title: &str, main: &Markup) -> Markup {
    let json = visit.with("format", "json");
    html! {
        (head(visit, title))
        body {
            a.skip href="#main" { "Skip to the content" }
            header.top {
                a.brand href=(visit.link("/")) { (style::mark()) span { "Model operations" } }
                details.menu {
                    summary { "Menu" }
                    nav aria-label="Pages" { (menu(visit)) }
                }
                @if visit.guarded {
                    form.out method="post" action=(visit.link("/logout")) {
                        button.quiet type="submit" { "Log out" }
                    }
                }
            }
            div.frame {
                nav.side aria-label="Pages" { (menu(visit)) }
                main #main tabindex="-1" {
                    h1 { (label(title)) }
                    (main)
                    footer {
                        p {
                            a href=(json) { "This page as JSON" }
                            " · mlops " (env!("CARGO_PKG_VERSION"))
                            " · Times are in UTC."
                        }
                    }
                }
            }
        }
    }
}

/// A page without navigation, for those who are not logged in.
pub(super) fn bare(visit: &Visit, title: &str, main: &Markup) -> Markup {
    html! {
        (head(visit, title))
        body.bare {
            header.top { span.brand { (style::mark()) span { "Model operations" } } }
            main #main { h1 { (title) } (main) }
        }
    }
}

fn head(visit: &Visit, title: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en";
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (mlops_report::font::clean(title)) " · Model operations" }
            link rel="stylesheet" href=(visit.link(style::sheet_path()));
            link rel="icon" type="image/svg+xml" href=(visit.link(style::ICON));
        }
    }
}

fn menu(visit: &Visit) -> Markup {
    let here = place_of(&visit.path);
    html! {
        @for group in MENU {
            p { (group.name) }
            ul {
                @for (path, name) in group.pages {
                    @let current = here == Some(*path);
                    @let exact = visit.path == *path;
                    li {
                        a href=(visit.link(path))
                            aria-current=[current.then_some(if exact { "page" } else { "true" })]
                            { (name) }
                    }
                }
            }
        }
    }
}
