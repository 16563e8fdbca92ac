//! The pages in a real browser: axe-core without findings, every control by keyboard, nothing wider than the screen.
//!
//! Needs Node, Chromium and two packages of npm (see `.ci/run`); without them the test says that it was not run. Not
//! for what the pages say: see `pages`.

use std::path::PathBuf;
use std::process::Command;

use mlops_serve::{Options, Tokens};
use mlops_testkit::dashboard::PAGES;
use serde_json::{Value, json};

use crate::scene::{Scene, rows};

/// The tools, or what is missing.
fn tools() -> Result<(PathBuf, &'static str), String> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/pages");
    let tools = std::env::var_os("MLOPS_PAGE_TOOLS").map_or(here, PathBuf::from);
    for package in ["axe-core", "puppeteer-core"] {
        if !tools.join("node_modules").join(package).is_dir() {
            return Err(format!("no {package}: npm install --prefix target/tools/pages {package}"));
        }
    }
    let is_there = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    if !is_there(&"node") {
        return Err("no node".to_owned());
    }
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(is_there);
    Ok((tools, browser.ok_or("no chromium")?))
}

/// Looks at `paths` of the service at `url`.
fn look(url: &str, paths: &[String]) {
    let (tools, browser) = match tools() {
        Ok(found) => found,
        Err(reason) => {
            return mlops_testkit::not_run(&reason);
        }
    };
    let which = Command::new("sh").args(["-c", "command -v \"$0\"", browser]).output().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/browser.mjs");
    let pictures = std::env::var("MLOPS_PAGE_PICTURES").unwrap_or_else(|_| "-".to_owned());
    let mut command = Command::new("node");
    command.arg(script).arg(tools).arg(String::from_utf8(which.stdout).unwrap().trim());
    let output = command.args([url, &pictures]).args(paths).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn pages_are_accessible_in_light_and_dark_on_desks_and_phones() {
    // A name as long as names get, from right to left, with marks on its letters, and with what browsers run.
    let long = format!("\u{5d0}\u{5d1}e\u{301}<script>alert(1)</script>{}", "wide_".repeat(90));
    let wide: Vec<String> = (0..499).map(|k| format!("column_{k}")).collect();
    let numeric: Vec<&str> =
        ["age", "balance", &long].into_iter().chain(wide.iter().map(String::as_str)).collect();
    let scene = Scene::empty(&json!({ "schema": { "id": ["customer"], "numeric": numeric,
        "categorical": ["country"], "target": "churned", "positive_label": "yes", "negative_label": "no" },
        "expect": { "schedule": "0 6 * * 1-5", "timezone": "Europe/Berlin" } }));
    let with_more = |n, seed| {
        let text = rows(n, seed, false);
        let lines = text.lines().enumerate().map(|(k, line)| {
            let more: Vec<String> = (0..500)
                .map(|c| match (k, c) {
                    (0, 0) => format!("\"{long}\""),
                    (0, c) => wide[c - 1].clone(),
                    (k, c) => ((k * 7919 + c * 104_729) % 101).to_string(),
                })
                .collect();
            format!("{line},{}\n", more.join(","))
        });
        lines.collect::<String>()
    };
    let broken = with_more(1, 9).lines().nth(1).unwrap().replacen(',', &format!(",{long}"), 1);
    scene.file("in/a.csv", with_more(300, 1) + &broken + "\n");
    scene.file("in/<script>alert(2)</script>.csv", "nothing;here\n1;2\n");
    scene.file("test/test.csv", with_more(200, 2));
    scene.release();
    let service = scene.serve();
    let runs: Value = service.get("/runs").ends_with(200).json();
    let run =
        runs["items"].as_array().unwrap().last().unwrap()["run_id"].as_str().unwrap().to_owned();
    let live = service.get("/readyz").json()["model_version"].as_str().unwrap().to_owned();
    let mut paths: Vec<String> = PAGES.map(str::to_owned).to_vec();
    paths.extend([
        format!("/runs/{run}"),
        format!("/releases/{live}"),
        format!("/compare?a={live}&b={live}&all=1"),
        "/runs?page=99".to_owned(),
        "/nowhere".to_owned(),
    ]);
    look(&format!("http://{}", service.address), &paths);
}

#[test]
fn the_form_for_a_token_is_accessible_too() {
    let mut tokens = Tokens::default();
    tokens.add("read", "read-0123456789abcdef", "a test").unwrap();
    let scene = Scene::empty(&json!({}));
    let service = scene.serve_with(Options { tokens, ..Options::default() });
    look(&format!("http://{}", service.address), &["/login".to_owned(), "/runs".to_owned()]);
}
