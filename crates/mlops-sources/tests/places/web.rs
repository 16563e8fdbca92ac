//! Web servers: the promise of every place, transfers that break off, and addresses that are not
//! called. Not for proxies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mlops_core::source::{Fetched, Seen, Source};
use mlops_testkit::conformance::{self, Ground, bytes, list};
use mlops_testkit::proxy::{Proxy, Trouble};
use serde_json::{Value, json};

use super::open;

/// A web server with one file.
#[derive(Clone)]
struct Site(Arc<Mutex<State>>, SocketAddr);

#[derive(Default)]
struct State {
    content: Vec<u8>,
    number: u64,
    tags: bool,
    ranges: bool,
    head: bool,
    redirect: Option<String>,
    requests: Vec<String>,
}

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = State { tags: true, ranges: true, head: true, ..State::default() };
        let site = Self(Arc::new(Mutex::new(state)), listener.local_addr().unwrap());
        let shared = site.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let site = shared.clone();
                thread::spawn(move || site.answer(client));
            }
        });
        site
    }

    fn answer(&self, mut client: TcpStream) {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            if !client.read(&mut byte).is_ok_and(|n| n > 0) {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let mut state = self.0.lock().unwrap();
        state.requests.push(head.clone());
        let tag = format!("\"v{}\"", state.number);
        let tags = if state.tags { format!("ETag: {tag}\r\n") } else { String::new() };
        let only_head = head.starts_with("head");
        let field = |name: &str| {
            let line = head.lines().find(|line| line.starts_with(name))?;
            Some(line[name.len()..].trim().to_owned())
        };
        let all = state.content.clone();
        let from =
            field("range: bytes=").and_then(|r| r.trim_end_matches('-').parse::<usize>().ok());
        let (status, content) = match (&state.redirect, from) {
            _ if only_head && !state.head => ("405 No", Vec::new()),
            (Some(to), _) => {
                let answer = format!(
                    "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = client.write_all(answer.as_bytes());
                return;
            }
            (None, Some(from)) if state.ranges && field("if-range: ").as_deref() == Some(&tag) => {
                ("206 Partial", all[from.min(all.len())..].to_vec())
            }
            _ => ("200 OK", all),
        };
        drop(state);
        let answer = format!(
            "HTTP/1.1 {status}\r\n{tags}Content-Length: {}\r\nConnection: close\r\n\r\n",
            content.len()
        );
        let _ = client.write_all(answer.as_bytes());
        if !only_head {
            let _ = client.write_all(&content);
        }
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    fn url(&self) -> String {
        url(self.1)
    }
}

/// The address of a web server with one file.
pub(crate) fn site_with(content: &[u8]) -> SocketAddr {
    let site = Site::start();
    site.set(|state| state.content = content.to_vec());
    site.1
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/data/f%20f.csv?sig=SECRET")
}

fn at(url: &str, more: &Value) -> mlops_core::Result<Box<dyn Source>> {
    let mut entry = json!({"uri": url, "timeout": "3s"});
    for (key, value) in more.as_object().unwrap() {
        entry[key] = value.clone();
    }
    open(Path::new("/"), &entry, &[])
}

impl Ground for Site {
    fn open(&self) -> Box<dyn Source> {
        at(&self.url(), &json!({})).unwrap()
    }

    fn put(&self, _: &str, bytes: &[u8]) {
        self.set(|state| {
            state.content = bytes.to_vec();
            state.number += 1;
        });
    }

    fn remove(&self, _: &str) {}

    fn names(&self) -> Vec<&'static str> {
        vec!["f f.csv"]
    }
}

/// The same without anything that says whether the file changed.
struct Untagged(Site);

impl Ground for Untagged {
    fn open(&self) -> Box<dyn Source> {
        self.0.open()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.0.put(name, bytes);
    }

    fn remove(&self, _: &str) {}

    fn names(&self) -> Vec<&'static str> {
        self.0.names()
    }

    fn has_versions(&self) -> bool {
        false
    }
}

#[test]
fn a_web_server_conforms() {
    conformance::check(&Site::start());
    let site = Site::start();
    site.set(|state| state.tags = false);
    conformance::check(&Untagged(site));
    let site = Site::start();
    site.set(|state| state.head = false);
    conformance::check(&Untagged(site));
}

fn content() -> Vec<u8> {
    conformance::noise(3_000_000)
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let site = Site::start();
    site.put("", &content());
    let proxy = Proxy::before(site.1);
    for ranges in [true, false] {
        site.set(|state| state.ranges = ranges);
        for troubles in [
            vec![Trouble::Status(503), Trouble::Status(500), Trouble::Cut(0)],
            vec![Trouble::Cut(1_000_000)],
            vec![
                Trouble::Cut(500_000),
                Trouble::Status(500),
                Trouble::Cut(900_000),
                Trouble::Cut(100),
            ],
        ] {
            proxy.always(Trouble::None);
            let place = at(&url(proxy.address()), &json!({})).unwrap();
            let object = list(&*place).remove(0);
            proxy.next_are(&troubles);
            site.set(|state| state.requests.clear());
            assert!(bytes(&*place, &object) == content(), "{troubles:?}");
        }
        let asked = site.0.lock().unwrap().requests.concat();
        assert!(asked.contains("range: bytes=") && asked.contains("if-range: \"v1\""), "{asked}");
    }
    // Another file in the meantime, or no way to tell: nothing.
    let place = at(&url(proxy.address()), &json!({})).unwrap();
    let object = list(&*place).remove(0);
    site.put("", &content()[1..]);
    assert_eq!(place.fetch(&object, &mut Vec::new()).unwrap(), Fetched::Changed);
    site.set(|state| state.tags = false);
    let object = list(&*place).remove(0);
    proxy.next_are(&[Trouble::Cut(1_000_000)]);
    assert!(place.fetch(&object, &mut Vec::new()).is_err());
}

#[test]
fn servers_that_fail_for_good_are_given_up() {
    let site = Site::start();
    site.put("", &content());
    let proxy = Proxy::before(site.1);
    for trouble in [
        Trouble::Status(500),
        Trouble::Cut(0),
        Trouble::Cut(300),
        Trouble::Silence,
        Trouble::Trickle(1_000, Duration::from_millis(100)),
    ] {
        proxy.always(Trouble::None);
        let place = at(&url(proxy.address()), &json!({"timeout": "1s"})).unwrap();
        let object = list(&*place).remove(0);
        proxy.always(trouble);
        let begun = Instant::now();
        let error = place.fetch(&object, &mut Vec::new()).unwrap_err().to_string();
        assert!(begun.elapsed() < Duration::from_secs(40), "{trouble:?}: {:?}", begun.elapsed());
        assert!(!error.contains("SECRET") && error.contains("/data/f%20f.csv: "), "{error}");
    }
}

#[test]
fn redirects_lead_nowhere_inside() {
    let (site, inner) = (Site::start(), Site::start());
    site.put("", b"outer");
    inner.put("", b"inner");
    let error = |to: &str| {
        site.set(|state| state.redirect = Some(to.to_owned()));
        let place = at(&site.url(), &json!({})).unwrap();
        let error = match place.list(&Seen::default()) {
            Ok(objects) => place.fetch(&objects[0], &mut Vec::new()).unwrap_err(),
            Err(error) => error,
        };
        error.to_string()
    };
    for to in [
        "http://10.1.2.3/".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://localhost:{}/", inner.1.port()),
        format!("http://[::1]:{}/", inner.1.port()),
        format!("https://localhost:{}/", inner.1.port()),
        "ftp://example.com/".to_owned(),
        "http://example.com/".to_owned(),
    ] {
        let text = error(&to);
        assert!(text.contains("allow_hosts") || text.contains("ftp"), "{to}: {text}");
    }
    assert!(inner.0.lock().unwrap().requests.is_empty());
    let text = error(&site.url());
    assert!(text.contains("too often"), "{text}");
    // Named, it may be called.
    let place = at(&site.url(), &json!({"allow_hosts": ["localhost"]})).unwrap();
    site.set(|state| state.redirect = Some(format!("http://localhost:{}/", inner.1.port())));
    let object = place.list(&Seen::default()).unwrap().remove(0);
    assert_eq!(bytes(&*place, &object), b"inner");
    assert!(at("http://example.com/x.csv", &json!({})).is_err());
    assert!(at("https://192.168.0.1/x.csv", &json!({})).is_err());
}
