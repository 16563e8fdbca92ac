//! S3: the promise of every place, servers that fail, and errors that help. Not for what is
//! done with the bytes.

use std::fs;
use std::time::{Duration, Instant};

use mlops_core::source::{Fetched, Source};
use mlops_testkit::conformance::{self, Ground, ODD_NAMES, bytes, list, noise};
use mlops_testkit::proxy::{Proxy, Trouble};
use mlops_testkit::s3::{KEYS, Server, entry};
use serde_json::Value;

use super::open;

/// The server as a ground for the promise of every place.
struct Bucket(Server);

fn opened(entry: &Value) -> Box<dyn Source> {
    open(std::path::Path::new("/"), entry, &KEYS).unwrap()
}

impl Ground for Bucket {
    fn open(&self) -> Box<dyn Source> {
        opened(&self.0.entry())
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.0.put(name, bytes);
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.0.path(name)).unwrap();
    }

    fn names(&self) -> Vec<&'static str> {
        ODD_NAMES.to_vec()
    }
}

#[test]
fn s3_conforms() {
    conformance::check(&Bucket(Server::start()));
}

#[test]
fn an_address_may_be_that_of_an_object_or_of_the_whole_bucket() {
    let server = Server::start();
    server.put("deep/a.csv", b"x");
    server.put("deep/b.csv", b"y");
    let names = |uri: &str| {
        let mut entry = server.entry();
        entry["uri"] = uri.into();
        let place = opened(&entry);
        let objects = list(&*place);
        objects.iter().for_each(|object| drop(bytes(&*place, object)));
        objects.into_iter().map(|object| object.name).collect::<Vec<_>>()
    };
    assert_eq!(names("s3://bucket"), ["exports/deep/a.csv", "exports/deep/b.csv"]);
    assert_eq!(names("s3://bucket/exports"), ["deep/a.csv", "deep/b.csv"]);
    assert_eq!(names("s3://bucket/exports/deep/b.csv"), ["b.csv"]);
    assert_eq!(names("s3://bucket/exports/none/"), [""; 0]);
}

#[test]
fn errors_say_what_to_do() {
    let server = Server::start();
    server.put("a.csv", b"x");
    let said = |change: &[(&str, Value)], environment: &[(&str, &str)]| {
        let mut entry = server.entry();
        change.iter().for_each(|(key, value)| entry[*key] = value.clone());
        let place = open(std::path::Path::new("/"), &entry, environment);
        let error = match place {
            Ok(place) => place.list(&mlops_core::source::Seen::default()).unwrap_err(),
            Err(error) => error,
        };
        let text = error.to_string();
        assert!(!text.contains(KEYS[1].1) && text.len() < 700, "{text}");
        text
    };
    let text = said(&[("uri", "s3://nothing/".into())], &KEYS);
    assert!(text.starts_with("there is no bucket \"nothing\": check"), "{text}");
    let wrong = [("AWS_ACCESS_KEY_ID", "me"), ("AWS_SECRET_ACCESS_KEY", "wrong")];
    let text = said(&[], &wrong);
    assert!(text.starts_with("the server refuses the secret key"), "{text}");
    let stranger = [("AWS_ACCESS_KEY_ID", "you"), KEYS[1]];
    let text = said(&[], &stranger);
    assert!(text.contains("AWS_ACCESS_KEY_ID") || text.starts_with("access is denied"), "{text}");
    let text = said(&[], &[]);
    assert!(text.starts_with("there are no credentials: set AWS_ACCESS_KEY_ID"), "{text}");
    let text = said(&[("region", Value::Null), ("endpoint", Value::Null)], &KEYS);
    assert!(text.starts_with("no region is known: set \"region\""), "{text}");
    let text = said(&[("endpoint", "http://10.0.0.9:9000".into())], &KEYS);
    assert!(text.contains("is not encrypted") && text.contains("\"allow_hosts\""), "{text}");
}

#[test]
fn servers_that_fail_for_a_while_are_asked_again() {
    let server = Server::start();
    let content = noise(20_000_000);
    server.put("a.csv", &content);
    let proxy = Proxy::before(server.address);
    for troubles in [
        vec![Trouble::Status(500), Trouble::Status(503), Trouble::Status(500)],
        vec![Trouble::Cut(0), Trouble::Cut(100)],
        vec![Trouble::None, Trouble::Cut(5_000_000), Trouble::Cut(1_000_000)],
        vec![Trouble::Cut(3_000_000), Trouble::Status(503), Trouble::Cut(9_000_000)],
    ] {
        proxy.next_are(&troubles);
        let place = opened(&entry(proxy.address()));
        let objects = list(&*place);
        assert!(bytes(&*place, &objects[0]) == content, "{troubles:?}");
    }
}

#[test]
fn servers_that_fail_for_good_are_given_up_within_a_bound() {
    let server = Server::start();
    server.put("a.csv", &vec![7; 3_000_000]);
    let proxy = Proxy::before(server.address);
    let mut entry = entry(proxy.address());
    entry["timeout"] = "2s".into();
    for trouble in [
        Trouble::Status(500),
        Trouble::Status(503),
        Trouble::Cut(2_000),
        Trouble::Silence,
        Trouble::Trickle(2_000, Duration::from_millis(200)),
    ] {
        proxy.always(Trouble::None);
        let place = opened(&entry);
        let object = list(&*place).remove(0);
        proxy.always(trouble);
        proxy.connections();
        let place = opened(&entry);
        let begun = Instant::now();
        let mut got = Vec::new();
        let fetched = place.fetch(&object, &mut got);
        let (took, connections) = (begun.elapsed(), proxy.connections());
        assert!(fetched.is_err(), "{trouble:?}: {fetched:?}");
        assert!(
            took < Duration::from_mins(1) && connections <= 32,
            "{trouble:?}: {took:?} {connections}"
        );
    }
}

/// Replaces the object when the first bytes arrive.
struct Meddler<'a>(&'a Server, bool);
impl std::io::Write for Meddler<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if !std::mem::replace(&mut self.1, true) {
            self.0.put("a.csv", &vec![8; 21_000_000]);
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_object_that_changes_while_it_is_read_is_left_to_the_next_run() {
    let server = Server::start();
    server.put("a.csv", &vec![7; 20_000_000]);
    let place = opened(&server.entry());
    let object = list(&*place).remove(0);
    // Ranges after the fourth are asked for only then.
    server.put("a.csv", &vec![7; 80_000_000]);
    let object = list(&*place).into_iter().find(|o| o.name == object.name).unwrap();
    let fetched = place.fetch(&object, &mut Meddler(&server, false)).unwrap();
    assert_eq!(fetched, Fetched::Changed);
}
