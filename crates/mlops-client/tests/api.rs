//! Single calls to apps that are down, slow, broken or only busy, over real sockets.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

/// An app that answers as a test wants it.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use mlops_client::call::{Api, Call, Options};
use mlops_core::platform::clock::Clock;
use mlops_testkit::app::{App, Reply, healthy, nobody, problem, reply};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

/// A clock on which only sleeping takes time; it keeps how long each sleep was.
#[derive(Default)]
struct Pauses(Mutex<Vec<Duration>>);

impl Pauses {
    fn taken(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

impl Clock for Pauses {
    fn now(&self) -> DateTime<Utc> {
        DateTime::default()
    }

    fn elapsed(&self) -> Duration {
        self.taken().iter().sum()
    }

    fn sleep(&self, time: Duration) {
        self.0.lock().unwrap().push(time);
    }
}

fn options(url: &str) -> Options {
    Options {
        url: url.to_owned(),
        read_token: None,
        predict_token: None,
        timeout: 20 * SECOND,
        attempts: 4,
        within: None,
        only_if_up: false,
        request_id: "run-7".to_owned(),
    }
}

/// Calls `GET /scoring` with the longest pauses; gives the call and the pauses.
fn get(options: Options) -> (Call, Vec<Duration>) {
    let clock = Arc::new(Pauses::default());
    let api = Api::new(options, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let call = api.with_random(|| 1.0).get("/scoring");
    (call, clock.taken())
}

fn millis(pauses: &[Duration]) -> Vec<u128> {
    pauses.iter().map(Duration::as_millis).collect()
}

#[test]
fn a_good_answer_is_taken_at_once_with_its_release() {
    let app = App::start(|request, _| healthy(request, "r-1-a"));
    let (call, pauses) = get(options(&app.url));
    assert_eq!((call.status, call.attempts, call.error.as_deref()), (Some(200), 1, None));
    assert_eq!((call.release.as_deref(), &call.answer["f1"]), (Some("r-1-a"), &json!(0.8125)));
    assert!(pauses.is_empty() && call.from_app());
    let headers = &app.requests()[0].headers;
    for expected in ["accept: application/json", "x-request-id: run-7"] {
        assert!(headers.iter().any(|h| h == expected), "{expected} in {headers:?}");
    }
    assert!(headers.iter().all(|h| !h.starts_with("authorization")), "{headers:?}");
}

#[test]
fn a_busy_app_is_asked_again_after_pauses_that_double() {
    let busy = |release| {
        App::start(move |request, number| match number {
            0 => problem("503 Service Unavailable", "no model yet"),
            1 => problem("429 Too Many Requests", "slowly"),
            2 => Reply::Close,
            _ => healthy(request, release),
        })
    };
    let app = busy("r-1-a");
    let (call, pauses) = get(options(&app.url));
    assert_eq!((call.status, call.attempts, call.error), (Some(200), 4, None));
    assert_eq!(millis(&pauses), [200, 400, 800]);
    let app = busy("r-1-a");
    let clock = Arc::new(Pauses::default());
    let api = Api::new(options(&app.url), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let call = api.with_random(|| 0.0).post_csv("/prediction", b"age,\n1,\n");
    assert_eq!((call.status, call.attempts), (Some(200), 4));
    assert_eq!(millis(&clock.taken()), [100, 200, 400]);
}

#[test]
fn the_pause_that_the_app_asks_for_is_made_within_reason() {
    let asks = |seconds: &'static str| {
        App::start(move |request, number| match number {
            0 => {
                let headers = vec![format!("Retry-After: {seconds}")];
                Reply::Answer("503 Service Unavailable", headers, Vec::new())
            }
            _ => healthy(request, "r-1-a"),
        })
    };
    for (asked, pause) in [("3", 3000), ("86400", 10_000), ("soon", 200)] {
        let app = asks(asked);
        assert_eq!(millis(&get(options(&app.url)).1), [pause], "{asked}");
    }
}

#[test]
fn it_gives_up_after_the_last_try_and_says_what_was_said() {
    let app = App::start(|_, _| problem("503 Service Unavailable", "no verified model is live"));
    let (call, pauses) = get(options(&app.url));
    assert_eq!((call.status, call.attempts, pauses.len()), (Some(503), 4, 3));
    assert_eq!(call.error.as_deref(), Some("no verified model is live"));
    assert!(call.from_app());
}

#[test]
fn errors_that_would_come_again_are_not_asked_for_again() {
    for (status, code) in [
        ("500 Internal Server Error", 500),
        ("400 Bad Request", 400),
        ("401 Unauthorized", 401),
        ("404 Not Found", 404),
        ("422 Unprocessable Content", 422),
    ] {
        let app = App::start(move |_, _| problem(status, "not\u{1b}[31m so"));
        let (call, pauses) = get(options(&app.url));
        assert_eq!((call.status, call.attempts), (Some(code), 1), "{status}");
        assert_eq!(call.error.as_deref(), Some("not [31m so"));
        assert!(pauses.is_empty());
    }
}

#[test]
fn nobody_there_is_asked_again_unless_that_is_an_answer() {
    let url = nobody();
    let (call, pauses) = get(options(&url));
    assert_eq!((call.status, call.attempts, pauses.len()), (None, 4, 3));
    assert!(call.error.as_deref().unwrap().contains("refused"), "{call:?}");
    let (call, pauses) = get(Options { only_if_up: true, ..options(&url) });
    assert_eq!((call.attempts, pauses.len()), (1, 0));
    assert!(!call.reached() && !call.from_app());
}

#[test]
fn an_app_that_hangs_before_or_within_its_answer_is_given_up() {
    for within in [false, true] {
        let app = App::start(move |_, _| if within { Reply::Dribble } else { Reply::Hang });
        let short = Options { timeout: SECOND / 4, attempts: 2, ..options(&app.url) };
        let (call, pauses) = get(short);
        assert_eq!((call.attempts, pauses.len()), (2, 1));
        let error = call.error.unwrap();
        assert_eq!(error, "no answer within 1 s", "within: {within}");
    }
}

#[test]
fn nothing_is_tried_beyond_the_time_for_all_calls() {
    let app = App::start(|_, _| problem("503 Service Unavailable", "busy"));
    // The second pause, 400 ms, has no room after the first one.
    let bounded = Options { within: Some(Duration::from_millis(550)), ..options(&app.url) };
    let clock = Arc::new(Pauses::default());
    let api = Api::new(bounded, Arc::clone(&clock) as Arc<dyn Clock>).unwrap().with_random(|| 1.0);
    let call = api.get("/scoring");
    assert_eq!((call.attempts, millis(&clock.taken())), (2, vec![200]));
    clock.sleep(SECOND);
    let late = api.get("/scoring");
    assert_eq!(late.error.as_deref(), Some("there was no time left for it"));
    assert_eq!(app.requests().len(), 2);
}

#[test]
fn another_server_is_told_from_the_app() {
    let page = || Reply::Answer("200 OK", Vec::new(), b"<html>hello</html>".to_vec());
    let app = App::start(move |_, _| page());
    let (call, _) = get(options(&app.url));
    assert_eq!(call.error.as_deref(), Some("the answer is not JSON: is this the app?"));
    assert!(call.reached() && !call.from_app());

    let app = App::start(|_, _| reply("404 Not Found", "", &json!({"message": "no"})));
    let (call, _) = get(options(&app.url));
    assert_eq!(call.error.as_deref(), Some("no"));
    assert!(!call.from_app());

    let app = App::start(|_, _| Reply::Answer("200 OK", Vec::new(), vec![0xff, 0xfe]));
    assert!(get(options(&app.url)).0.error.unwrap().contains("not JSON"));
}

#[test]
fn a_huge_answer_is_cut_off() {
    let app = App::start(|_, _| Reply::Endless);
    let (call, pauses) = get(options(&app.url));
    assert!(call.error.as_deref().unwrap().contains("over 33554432 bytes"), "{call:?}");
    assert_eq!((call.attempts, pauses.len(), call.answer), (1, 0, Value::Null));
}

#[test]
fn each_scope_has_its_token_which_stands_nowhere_else() {
    let app = App::start(|_, _| problem("401 Unauthorized", "wrong token"));
    let token = |name: &str| Some(format!("hush-{name}"));
    let with = Options { read_token: token("r"), predict_token: token("p"), ..options(&app.url) };
    assert!(!format!("{with:?}").contains("hush"));
    let api = Api::new(with, Arc::new(Pauses::default())).unwrap();
    assert!(!format!("{api:?}").contains("hush"));
    let calls = [api.get("/scoring"), api.post_csv("/prediction", b"age,\n1,\n")];
    for (request, name) in app.requests().iter().zip(["r", "p"]) {
        let header = format!("authorization: bearer hush-{name}");
        assert!(request.headers.contains(&header), "{request:?}");
    }
    assert!(!serde_json::to_string(&calls).unwrap().contains("hush"), "{calls:?}");
    let broken = Options { predict_token: Some("hush\nhush".to_owned()), ..options(&app.url) };
    let error = Api::new(broken, Arc::new(Pauses::default())).unwrap_err().to_string();
    assert!(error.contains("MLOPS_PREDICT_TOKEN") && !error.contains("hush"), "{error}");
}

#[test]
fn the_token_does_not_follow_a_redirection() {
    let other = App::start(|request, _| healthy(request, "r-1-a"));
    let there = format!("Location: {}/scoring", other.url);
    let app =
        App::start(move |_, _| Reply::Answer("302 Found", vec![there.clone()], b"{}".to_vec()));
    let with = Options { read_token: Some("hush".to_owned()), ..options(&app.url) };
    let (call, _) = get(with);
    assert_eq!(call.status, Some(302));
    assert!(call.error.is_some() && other.requests().is_empty());
}

#[test]
fn an_address_may_have_a_path() {
    let app = App::start(|_, _| reply("200 OK", "r-1-a", &json!({})));
    for url in [format!("{}/risk", app.url), format!("{}/risk/", app.url)] {
        assert_eq!(get(options(&url)).0.status, Some(200));
    }
    assert_eq!(app.lines(), ["GET /risk/scoring", "GET /risk/scoring"]);
}
