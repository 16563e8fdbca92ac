//! Requests whose end two readers could see in different places: each is refused and its connection
//! closed, or is read in the one way that the standard (RFC 9112) gives it.
//!
//! Behind each of them stands another request. If the service were to take a part of the first one
//! for a request, or this one for a part of the first, other answers would come. Not for heads that
//! are merely odd: see `foreign`.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::scene::Scene;

/// What comes behind each of them; only where the first request ends for certain is it one.
const NEXT: &str = "GET /next HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
/// A request inside a body.
const INNER: &str = "GET /inner HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The statuses of all answers that come for `bytes`.
fn statuses(address: SocketAddr, bytes: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.write_all(bytes).unwrap();
    let _ = stream.shutdown(Shutdown::Write);
    let mut all = Vec::new();
    // What came before a reset counts too.
    let _ = stream.read_to_end(&mut all);
    let text = String::from_utf8_lossy(&all);
    let lines = text.match_indices("HTTP/1.1 ").chain(text.match_indices("HTTP/1.0 "));
    lines.map(|(at, _)| text[at + 9..at + 12].parse().unwrap()).collect()
}

/// A post of what is no JSON with these lines of its head and this body.
fn post(lines: &str, body: &str) -> String {
    format!("POST /prediction HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n\r\n{body}")
}

/// How a shape is read.
enum Read {
    /// Refused, and the connection is closed.
    Not,
    /// As a request, behind which the next one is another.
    AsOne,
}

/// The shapes, each with its name and with how it is read.
#[expect(clippy::too_many_lines, reason = "a table")]
fn shapes() -> Vec<(&'static str, String, Read)> {
    use Read::{AsOne, Not};
    let (long, n) = (format!("{:0>70}", 5), INNER.len());
    let chunked = "transfer-encoding: chunked";
    let end = "5\r\nhello\r\n0\r\n\r\n";
    vec![
        // Two lengths.
        ("equal lengths", post("content-length: 5\r\ncontent-length: 5", "hello"), AsOne),
        ("lengths", post("content-length: 5\r\ncontent-length: 6", "hello"), Not),
        (
            "lengths, 0 first",
            post(&format!("content-length: 0\r\ncontent-length: {n}"), INNER),
            Not,
        ),
        ("lengths, 0 last", post(&format!("content-length: {n}\r\ncontent-length: 0"), INNER), Not),
        ("a list of equal lengths", post("content-length: 5, 5", "hello"), Not),
        ("a list of lengths", post("content-length: 5, 6", "hello"), Not),
        ("a list of none", post("content-length: ,", "hello"), Not),
        // Lengths that are no numbers, or not for everybody.
        ("+", post("content-length: +5", "hello"), Not),
        ("-", post("content-length: -5", "hello"), Not),
        ("hexadecimal", post("content-length: 0x5", "hello"), Not),
        ("a fraction", post("content-length: 5.0", "hello"), Not),
        ("an exponent", post("content-length: 5e0", "hello"), Not),
        ("quotes", post("content-length: \"5\"", "hello"), Not),
        ("underscores", post("content-length: 1_0", "hellohello"), Not),
        ("words", post("content-length: five", "hello"), Not),
        ("nothing", post("content-length:", "hello"), Not),
        ("a space inside", post("content-length: 5 0", "hello"), Not),
        ("other digits", post("content-length: ٥", "hello"), Not),
        ("zeros in front", post("content-length: 005", "hello"), AsOne),
        ("many zeros", post(&format!("content-length: {long}"), "hello"), AsOne),
        ("beyond 64 bits", post("content-length: 18446744073709551621", "hello"), Not),
        ("all of 64 bits", post("content-length: 18446744073709551615", "hello"), Not),
        ("a semicolon", post("content-length: 5;q=1", "hello"), Not),
        ("a NUL", post("content-length: 5\0", "hello"), Not),
        // Names of headers.
        ("a space before the colon", post("content-length : 5", "hello"), Not),
        ("a tab before the colon", post("content-length\t: 5", "hello"), Not),
        ("a space before the name", post(" content-length: 5", "hello"), Not),
        ("a NUL in the name", post("content-length\0: 5", "hello"), Not),
        ("a letter beyond ASCII", post("cöntent-length: 5", "hello"), Not),
        ("no name", post(": 5", "hello"), Not),
        ("no colon", post("content-length 5", "hello"), Not),
        ("an underscore", post(&format!("content_length: {n}"), ""), AsOne),
        ("capitals", post("CONTENT-LENGTH: 5", "hello"), AsOne),
        // Lines.
        ("a folded length", post("content-length:\r\n 5", "hello"), Not),
        ("a folded coding", post("transfer-encoding:\r\n chunked", end), Not),
        ("a folded other line", post("x: y\r\n z\r\ncontent-length: 5", "hello"), Not),
        ("a bare CR in a value", post("x: y\rcontent-length: 5", ""), Not),
        ("a bare CR at the end", post("x: y\r\rcontent-length: 5", ""), Not),
        ("bare LF between lines", post("x: y\ncontent-length: 5", "hello"), AsOne),
        // Both.
        ("both, length first", post(&format!("content-length: 3\r\n{chunked}"), end), Not),
        ("both, coding first", post(&format!("{chunked}\r\ncontent-length: 3"), end), Not),
        (
            "both, the length covers another request",
            post(&format!("content-length: {}\r\n{chunked}", n + 5), &format!("0\r\n\r\n{INNER}")),
            Not,
        ),
        ("both, the length is none", post(&format!("{chunked}\r\ncontent-length: x"), end), Not),
        // Codings.
        ("identity", post("transfer-encoding: identity", "hello"), Not),
        ("another one", post("transfer-encoding: gzip", "hello"), Not),
        ("chunked, then another", post("transfer-encoding: chunked, gzip", end), Not),
        (
            "chunked, then identity",
            post(&format!("{chunked}\r\ntransfer-encoding: identity"), end),
            Not,
        ),
        ("xchunked", post("transfer-encoding: xchunked", end), Not),
        ("chunked with quotes", post("transfer-encoding: \"chunked\"", end), Not),
        ("a vertical tab", post("transfer-encoding: \u{b}chunked", end), Not),
        ("a space before its colon", post("transfer-encoding : chunked", end), Not),
        ("capitals", post("Transfer-Encoding: CHUNKED", end), AsOne),
        ("a tab before the value", post("transfer-encoding:\tchunked", end), AsOne),
        ("twice", post(&format!("{chunked}\r\n{chunked}"), end), AsOne),
        ("HTTP/1.0", post(chunked, end).replacen("HTTP/1.1", "HTTP/1.0", 1), Not),
        // Chunks.
        ("an extension", post(chunked, "5;a=b\r\nhello\r\n0\r\n\r\n"), AsOne),
        ("an extension with quotes", post(chunked, "5;a=\"b\"\r\nhello\r\n0\r\n\r\n"), AsOne),
        ("an extension with a bare LF", post(chunked, "5;a\nhello\r\n0\r\n\r\n"), Not),
        ("an extension without end", post(chunked, &format!("5;{}", "a".repeat(100_000))), Not),
        ("a size with 0x", post(chunked, "0x5\r\nhello\r\n0\r\n\r\n"), Not),
        ("a size with a sign", post(chunked, "+5\r\nhello\r\n0\r\n\r\n"), Not),
        ("a negative size", post(chunked, "-5\r\nhello\r\n0\r\n\r\n"), Not),
        ("no size", post(chunked, "\r\nhello\r\n0\r\n\r\n"), Not),
        ("a size beyond 64 bits", post(chunked, "10000000000000005\r\nhello\r\n0\r\n\r\n"), Not),
        ("a size with an underscore", post(chunked, "1_0\r\nhellohello\r\n0\r\n\r\n"), Not),
        ("a size ended by LF", post(chunked, "5\nhello\r\n0\r\n\r\n"), Not),
        ("a size ended by CR", post(chunked, "5\rhello\r\n0\r\n\r\n"), Not),
        ("data that are longer", post(chunked, "5\r\nhelloo\r\n0\r\n\r\n"), Not),
        ("data that are shorter", post(chunked, "6\r\nhello\r\n0\r\n\r\n"), Not),
        ("data ended by LF", post(chunked, "5\r\nhello\n0\r\n\r\n"), Not),
        ("a last size ended by LF", post(chunked, "5\r\nhello\r\n0\n\n"), Not),
        ("zeros before a size", post(chunked, "00005\r\nhello\r\n0\r\n\r\n"), AsOne),
        ("capitals in a size", post(chunked, "A\r\nhellohello\r\n0\r\n\r\n"), AsOne),
        ("trailers", post(chunked, "5\r\nhello\r\n0\r\nx: y\r\n\r\n"), AsOne),
        (
            "a length as a trailer",
            post(chunked, "5\r\nhello\r\n0\r\ncontent-length: 50\r\n\r\n"),
            AsOne,
        ),
        // The first line.
        ("two spaces", "GET  /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), Not),
        ("a tab", "GET\t/nowhere\tHTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), Not),
        ("HTTP/0.9", "GET /nowhere\r\n\r\n".to_owned(), Not),
        ("HTTP/1.2", "GET /nowhere HTTP/1.2\r\nhost: localhost\r\n\r\n".to_owned(), Not),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), Not),
        (
            "a space in the path",
            "GET /no where HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
            Not,
        ),
        ("a NUL in the path", "GET /no\0where HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), Not),
        (
            "empty lines in front",
            "\r\n\r\nGET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
            AsOne,
        ),
        // Host.
        (
            "two hosts",
            "GET /nowhere HTTP/1.1\r\nhost: localhost\r\nhost: evil\r\n\r\n".to_owned(),
            Not,
        ),
        (
            "equal hosts",
            "GET /nowhere HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n".to_owned(),
            Not,
        ),
        // A body where none is expected.
        (
            "GET with a body",
            format!(
                "GET /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: {n}\r\n\r\n{INNER}"
            ),
            AsOne,
        ),
    ]
}

#[test]
fn no_request_is_read_in_two_ways() {
    let shapes = shapes();
    assert!(shapes.len() >= 62, "{}", shapes.len());
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let mut wrong = Vec::new();
    for (name, request, read) in shapes {
        let found = statuses(service.address, (request + NEXT).as_bytes());
        let right = match read {
            Read::AsOne => matches!(found[..], [400 | 404, 404]),
            Read::Not => found.len() <= 1 && found.iter().all(|s| (400..=505).contains(s)),
        };
        if !right {
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The service is as well as before.
    service.get("/livez").ends_with(200);
    let metrics = service.get("/metrics").ends_with(200);
    assert!(metrics.text().contains("mlops_refusals_total{reason=\"malformed\"} "));
}

#[test]
fn a_host_that_is_not_ours_is_refused_however_it_is_written() {
    let service = Scene::empty(&json!({})).serve();
    for host in [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "evil-localhost",
        "localhost@evil.example",
        "evil.example@localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1:80@evil.example",
        "[::1].evil.example",
        "[::1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",
        "[::]",
        "[::ffff:8.8.8.8]",
        "localhost,evil.example",
        "localhost evil.example",
        "localhost/evil.example",
        "localhost#evil.example",
        "localhost?evil.example",
        "localhost\\evil.example",
        "%6cocalhost",
        "*",
        ".",
        "",
    ] {
        let request =
            format!("GET /openapi.json HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let found = statuses(service.address, request.as_bytes());
        assert!(found == [421] || found == [400], "{host:?}: {found:?}");
    }
    // What the first line says counts, as it would for a proxy.
    let both = "GET http://evil.example/openapi.json HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(statuses(service.address, both.as_bytes()), [421]);
    for target in ["//evil.example/", "/\\evil.example", "http:///", "*", "localhost:80"] {
        let request =
            format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let found = statuses(service.address, request.as_bytes());
        assert!(matches!(found[..], [400 | 404 | 421]), "{target}: {found:?}");
    }
}
