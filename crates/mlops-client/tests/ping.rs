//! Pings against real servers on loopback: good ones, bad ones, and none.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mlops_client::ping::{Pings, Signal};

const SECOND: Duration = Duration::from_secs(1);

/// A server that answers every request with `status`; gives the request lines.
fn server(status: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/key", listener.local_addr().unwrap());
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut request = String::new();
            while stream.read_line(&mut request).unwrap_or(0) > 2 {}
            let length = request.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            std::io::Read::read_exact(&mut stream, &mut body).unwrap();
            let line = request.lines().next().unwrap_or_default();
            let _ = sender.send(line.to_owned() + &String::from_utf8(body).unwrap());
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.get_mut().write_all(head.as_bytes()).unwrap();
        }
    });
    (url, lines)
}

#[test]
fn signals_arrive_in_order() {
    let (url, lines) = server("200 OK");
    let pings = Pings::new(Some(&url), 5 * SECOND);
    for signal in [Signal::Start, Signal::Success, Signal::Fail, Signal::Exit(1)] {
        pings.send(signal);
    }
    pings.finish();
    let paths: Vec<_> = lines.try_iter().collect();
    let expected = ["/key/start", "/key", "/key/fail", "/key/1"];
    assert_eq!(paths, expected.map(|path| format!("GET {path} HTTP/1.1")));
}

#[test]
fn a_ping_carries_a_text_where_there_is_something_to_say() {
    let (url, lines) = server("200 OK");
    let pings = Pings::new(Some(&url), 5 * SECOND);
    pings.send_with(Signal::Exit(3), "f1: 0.5\n".to_owned());
    pings.finish();
    assert_eq!(lines.try_iter().collect::<Vec<_>>(), ["POST /key/3 HTTP/1.1f1: 0.5\n"]);
}

#[test]
fn a_server_that_refuses_hears_the_next_signal_all_the_same() {
    let (url, lines) = server("503 Service Unavailable");
    let pings = Pings::new(Some(&url), 5 * SECOND);
    pings.send(Signal::Start);
    pings.send(Signal::Success);
    pings.finish();
    assert_eq!(lines.try_iter().count(), 2);
}

#[test]
fn an_unreachable_or_missing_address_costs_no_time() {
    // The port was free a moment ago, and nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = format!("http://127.0.0.1:{port}/key");
    for url in [Some(closed.as_str()), Some("http://"), None] {
        let begun = Instant::now();
        let pings = Pings::new(url, 5 * SECOND);
        pings.send(Signal::Start);
        pings.finish();
        assert!(begun.elapsed() < 4 * SECOND, "{url:?} took {:?}", begun.elapsed());
    }
}

#[test]
fn a_server_that_hangs_is_given_up_and_sending_never_waits() {
    // Connections are taken by the system's queue; nobody ever answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/key", listener.local_addr().unwrap());
    let pings = Pings::new(Some(&url), SECOND);
    let begun = Instant::now();
    pings.send(Signal::Start);
    pings.send(Signal::Success);
    pings.send(Signal::Success);
    assert!(begun.elapsed() < SECOND / 2, "sending took {:?}", begun.elapsed());
    pings.finish();
    assert!(begun.elapsed() < 4 * SECOND, "finishing took {:?}", begun.elapsed());
}
