//! The pages of the dashboard over HTTP: who gets HTML and who JSON, log-in, prefix, policy, paging.
//!
//! Not for how they look and whether they are accessible: see `browser`.

use std::fmt;

use mlops_core::ids::{FindingKind, Severity, Step};
use mlops_core::run::attention::Finding;
use mlops_core::run::context::Report;
use mlops_serve::{Options, Tokens};
use mlops_testkit::dashboard::PAGES;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::Answer;
use crate::scene::{HEADER, Scene, Service};

const READ: &str = "read-0123456789abcdef";
const PREDICT: &str = "predict.0123456789/abcdef";
const BROWSER: (&str, &str) =
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

fn tokens() -> Tokens {
    let mut tokens = Tokens::default();
    tokens.add("read", READ, "a test").unwrap();
    tokens.add("predict", PREDICT, "a test").unwrap();
    tokens
}

fn browse(service: &Service, path: &str, headers: &[(&str, &str)]) -> Answer {
    service.ask("GET", path, &[&[BROWSER], headers].concat(), b"")
}

#[test]
fn every_page_is_html_for_browsers_and_json_for_programs() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    for path in PAGES {
        let page = browse(&service, path, &[]).ends_with(200);
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        let text = page.text();
        assert!(text.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{path}");
        let json = service.get(path).ends_with(200);
        assert_eq!(json.header("content-type"), "application/json", "{path}");
        assert!(json.header("vary").contains("accept"), "{path}");
        let named = browse(&service, &format!("{path}?format=json"), &[]).ends_with(200);
        assert_eq!(named.header("content-type"), "application/json", "{path}");
        assert!(json.json().is_object(), "{path}");
    }
    let start = service.get("/").json();
    assert_eq!(start["live"]["release"], service.get("/readyz").json()["model_version"]);
    assert_eq!(start["live"]["reason"], "a test asks");
    assert_eq!(start["service"]["state"], "good");
    let page = browse(&service, "/", &[]);
    assert!(page.text().contains("a test asks"), "{}", page.text());
    let missing = browse(&service, "/nowhere", &[]).ends_with(404);
    assert!(missing.text().contains("There is no such page"));
    assert!(service.get("/nowhere").ends_with(404).json()["detail"].is_string());
}

/// The state that the start page shows, and the kinds of what is to be done.
fn state(service: &Service) -> (Value, Vec<String>, Value) {
    let start = service.get("/").ends_with(200).json();
    let to_do = start["to_do"].as_array().unwrap().iter();
    let kinds = to_do.map(|one| one["kind"].as_str().unwrap().to_owned()).collect();
    (start["state"].clone(), kinds, start["live"]["score"].clone())
}

#[test]
fn the_start_page_says_when_records_or_files_of_the_live_release_are_gone() {
    let scene = Scene::empty(&json!({}));
    let people = |ids: std::ops::Range<u32>| {
        let row = |i: u32| {
            let age = 18 + i * 37 % 60;
            let churned = if (age > 47) ^ i.is_multiple_of(9) { "yes" } else { "no" };
            format!("c{i},{age},{},de,{churned}\n", i * 53 % 97)
        };
        format!("{HEADER}{}", ids.map(row).collect::<String>())
    };
    scene.file("in/a.csv", people(0..400));
    scene.file("test/t.csv", people(1000..1200));
    scene.release();
    let service = scene.serve();
    let (before, nothing, score) = state(&service);
    assert_eq!((&before, nothing.len()), (&json!("good"), 0));
    assert!(score["f1"].is_number());
    let gone = |name: &str, away: &str, work: &mut dyn FnMut()| {
        std::fs::rename(scene.path(name), scene.path(away)).unwrap();
        work();
        std::fs::rename(scene.path(away), scene.path(name)).unwrap();
    };
    gone("out/ledger.sqlite", "ledger", &mut || {
        let paths = ["/", "/runs", "/scoring", "/diagnostics", "/summarystats"];
        let page = [browse(&service, "/", &[])];
        for answer in paths.map(|path| service.get(path)).into_iter().chain(page) {
            let answer = answer.ends_with(500);
            assert!(
                answer.text().contains("the ledger, which has all records, is gone"),
                "{}",
                answer.text()
            );
        }
    });
    // As where nothing but models is served.
    gone("out", "away", &mut || {
        let (state, to_do, found) = state(&service);
        assert_eq!((state, found), (json!("unknown"), score.clone()));
        assert_eq!(to_do, Vec::<String>::new());
        assert!(!browse(&service, "/", &[]).text().contains("All is well"));
    });
    gone("models", "elsewhere", &mut || {
        let (state, to_do, found) = state(&service);
        assert_eq!((state, found), (json!("bad"), Value::Null));
        assert!(to_do.iter().any(|kind| kind == "damaged_release"), "{to_do:?}");
    });
    gone("live", "link", &mut || {
        let (state, to_do, _) = state(&service);
        assert_eq!(state, "bad");
        assert!(to_do.iter().any(|kind| kind == "nothing_live"), "{to_do:?}");
    });
    // Figures that somebody changed are not shown.
    let path = std::fs::canonicalize(scene.path("live")).unwrap().join("score.json");
    let bytes = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes.replacen("\"f1\": 0.", "\"f1\": 1.", 1)).unwrap();
    let (changed, to_do, found) = state(&service);
    assert_eq!((changed, found), (json!("bad"), Value::Null));
    assert!(to_do.iter().any(|kind| kind == "damaged_release"), "{to_do:?}");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(state(&service), (before, nothing, score));
}

/// A step that did its work and found something.
#[derive(Serialize)]
struct Found(#[serde(skip)] Vec<Finding>);

impl fmt::Display for Found {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl Report for Found {
    fn findings(&self) -> Vec<Finding> {
        self.0.clone()
    }
}

#[test]
fn the_start_page_contradicts_no_finding_that_is_open() {
    let scene = Scene::empty(&json!({}));
    let service = scene.serve();
    let find = |found: Vec<Finding>| {
        scene.step(Step::FullProcess, |_, _| Ok(Found(found)));
        let json = service.get("/").ends_with(200).json();
        (json, browse(&service, "/", &[]).ends_with(200).text().to_owned())
    };
    // Drift lasts until rows are judged again, so that it stands beside what comes after it.
    for (severity, state) in [(Severity::Warning, "warning"), (Severity::Person, "bad")] {
        for kind in FindingKind::ALL.iter().filter(|kind| **kind != FindingKind::WaitsForApproval) {
            let text = format!("a test found {kind}");
            let finding = Finding { kind: *kind, subjects: Vec::new(), severity, text };
            let (json, page) = find(vec![finding]);
            assert_eq!(json["state"], state, "{kind}: {json}");
            assert!(!page.contains("All is well"), "{kind}: {page}");
            assert_eq!(page.contains("It works, but "), severity == Severity::Warning, "{kind}");
            let open = json["open_findings"].as_array().unwrap();
            let found = json!({ "kind": kind, "severity": severity, "count": 1 });
            assert!(open.contains(&found), "{kind}: {json}");
            let told = severity == Severity::Person || page.contains("/findings?state=open");
            assert!(told, "{kind}: {page}");
            let name = kind.as_str().replace('_', " ");
            let of = |check: &&Value| check["words"].as_str().unwrap().contains(&name);
            let check = json["checks"].as_array().unwrap().iter().find(of).unwrap();
            assert_eq!(check["state"], state, "{kind}: {json}");
        }
    }
    let open = find(Vec::new()).0["open_findings"].clone();
    assert!(!open.to_string().contains("refused_file"), "what is over is told no longer: {open}");
}

#[test]
fn the_navigation_leads_to_every_page_that_tests_open() {
    let scene = Scene::empty(&json!({}));
    let page = browse(&scene.serve(), "/", &[]).ends_with(200);
    let menu = page.text().split("<nav class=\"side\"").nth(1).unwrap();
    let menu = menu.split("</nav>").next().unwrap();
    let links = menu.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let links: Vec<&str> = links.filter(|path| *path != "/docs").collect();
    assert_eq!(links, PAGES);
}

#[test]
fn no_page_has_a_script_or_anything_from_elsewhere() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    for path in PAGES.iter().chain(&["/nowhere", "/login"]) {
        let page = browse(&service, path, &[]);
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("script") && !policy.contains("unsafe"), "{path}: {policy}");
        let text = page.text();
        for word in ["<script", "http://", "https://", " style=", "onclick", "javascript:"] {
            assert!(
                !text.replace("http://www.w3.org/2000/svg", "").contains(word),
                "{path}: {word}"
            );
        }
        let sheet =
            text.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
        let sheet = service.get(sheet).ends_with(200);
        assert!(sheet.header("content-type").starts_with("text/css"));
        assert!(!sheet.text().contains("url(") && !sheet.text().contains("@import"));
    }
}

#[test]
fn a_browser_logs_in_with_a_token_and_out_again() {
    let scene = Scene::deployed(&json!({ "service": { "root_path": "/models/churn" } }));
    let service = scene.serve_with(Options { tokens: tokens(), ..Options::default() });
    let asked = browse(&service, "/models/churn/runs?page=2", &[]).ends_with(401);
    assert!(asked.text().contains("action=\"/models/churn/login\""), "{}", asked.text());
    assert!(asked.text().contains("name=\"next\" value=\"/runs?page=2\""), "{}", asked.text());
    service.get("/").ends_with(401).json();
    let form = [BROWSER, ("content-type", "application/x-www-form-urlencoded")];
    let log_in = |token: &str, more: &[(&str, &str)]| {
        let body = format!("token={}&next=/runs%3Fpage=2", token.replace('/', "%2F"));
        service.ask("POST", "/models/churn/login", &[&form[..], more].concat(), body.as_bytes())
    };
    let refused = log_in("nobody-knows-this-one", &[]).ends_with(401);
    assert!(refused.text().contains("not known"), "{}", refused.text());
    assert!(!refused.text().contains("nobody-knows-this-one"));
    let cookie_of = |answer: &Answer| {
        let cookie = answer.header("set-cookie").to_owned();
        for word in ["; HttpOnly", "; SameSite=Strict", "; Path=/models/churn"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        cookie
    };
    let entered = log_in(READ, &[]).ends_with(303);
    assert_eq!(entered.header("location"), "/models/churn/runs?page=2");
    let set = cookie_of(&entered);
    assert!(!set.contains("Secure"), "{set}");
    let secure = log_in(READ, &[("x-forwarded-proto", "https")]).ends_with(303);
    assert!(cookie_of(&secure).contains("; Secure"));
    let cookie = set.split(';').next().unwrap();
    for path in PAGES {
        browse(&service, path, &[("cookie", cookie)]).ends_with(200);
    }
    // A second token adds its scope.
    let second = log_in(PREDICT, &[("cookie", cookie)]).ends_with(303);
    let both = cookie_of(&second).split(';').next().unwrap().to_owned();
    browse(&service, "/", &[("cookie", &both)]).ends_with(200);
    let predict = |headers: &[(&str, &str)]| {
        let row = b"[{\"age\": 40, \"balance\": 1, \"country\": \"de\"}]";
        let headers = [&[("content-type", "application/json")], headers].concat();
        service.ask("POST", "/prediction", &headers, row).status
    };
    let own = "http://localhost";
    assert_eq!(predict(&[("cookie", cookie), ("origin", own)]), 403, "a token for reading");
    assert_eq!(predict(&[("cookie", &both), ("origin", own)]), 200);
    assert_eq!(predict(&[("cookie", &both)]), 403, "nothing says that a page of ours asks");
    assert_eq!(predict(&[("cookie", &both), ("origin", "http://evil.example")]), 403);
    let bearer = format!("Bearer {PREDICT}");
    assert_eq!(predict(&[("authorization", &bearer)]), 200);
    let out = service.ask("POST", "/models/churn/logout", &form, b"").ends_with(303);
    assert_eq!(out.header("location"), "/models/churn/login");
    assert!(cookie_of(&out).contains("Max-Age=0"));
}

#[test]
fn links_follow_the_prefix_of_a_proxy() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    for path in PAGES {
        let page = browse(&service, path, &[("x-forwarded-prefix", "/other")]).ends_with(200);
        let text = page.text();
        for link in ["href=\"", "action=\""] {
            for target in text.split(link).skip(1) {
                let target = target.split('"').next().unwrap();
                assert!(
                    target.starts_with("/other/") || target.starts_with('#'),
                    "{path}: {target}"
                );
            }
        }
    }
}

#[test]
fn what_was_asked_stands_beside_new_rows_and_has_a_page_of_its_own() {
    let log = json!({ "prediction_log_path": "log", "prediction_log_features": true });
    let scene = Scene::deployed(&json!({ "service": log }));
    let service = scene.serve();
    let none = browse(&service, "/drift", &[]).ends_with(200);
    assert!(none.text().contains("No requests to the live release are on record"));
    let rows: Vec<Value> =
        (0..400).map(|i| json!({ "age": 90 + i % 5, "balance": i, "country": "de" })).collect();
    service.post("/prediction", &Value::from(rows)).ends_with(200);
    drop(service);
    scene.diagnose(None, None);
    let service = scene.serve();
    let all = service.get("/drift").ends_with(200).json();
    let window = &all["asked"]["windows"][0];
    assert_eq!(
        (&window["rows"], &window["total"], &all["asked"]["shown"]),
        (&json!(400), &json!(3), &Value::Null)
    );
    assert!(window["named"].as_array().unwrap().contains(&json!("age")), "{window}");
    let day = window["from"].as_str().unwrap();
    let release = window["release"].as_str().unwrap();
    let address = format!("/drift?asked={day}&release={release}");
    assert!(browse(&service, "/drift", &[]).text().contains(&address.replace('&', "&amp;")));
    for address in [address.clone(), format!("/drift?asked={day}")] {
        let shown = &service.get(&address).ends_with(200).json()["asked"]["shown"];
        assert_eq!((&shown["release"], &shown["compared_rows"]), (&json!(release), &json!(400)));
        assert_eq!(shown["columns"]["items"][0]["drifted"], true);
    }
    let page = browse(&service, &format!("{address}&column=AGE"), &[]).ends_with(200);
    let text = page.text();
    assert!(text.contains("Drift of what is asked") && text.contains("<svg"), "{text}");
    assert!(text.contains("name=\"asked\" value=\"") && !text.contains("id=\"c1\""), "{text}");
    service.get("/drift?asked=2001-01-01").ends_with(404);
    service.get("/drift?asked=yesterday").ends_with(400);
    service.get(&format!("/drift?asked={day}&release=r-9-0123456789ab")).ends_with(404);
}

#[test]
fn pages_of_a_workspace_without_records_say_so() {
    let scene = Scene::empty(&json!({}));
    let service = scene.serve();
    for path in PAGES {
        browse(&service, path, &[]).ends_with(200);
    }
    let start = service.get("/").json();
    assert_eq!(start["live"], Value::Null);
    assert_eq!(start["state"], "unknown");
    assert!(browse(&service, "/", &[]).text().contains("first_run"));
}
