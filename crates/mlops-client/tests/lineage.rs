//! Events of OpenLineage on their way to an address: in order, and without harm if nobody is there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use mlops_client::lineage::Posts;

#[test]
fn events_arrive_in_order_before_the_run_ends() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/lineage", server.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        let (mut stream, _) = server.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while bodies.len() < 3 {
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                let (name, value) = line.trim().split_once(':').unwrap_or_default();
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            bodies.push(String::from_utf8(body).unwrap());
            stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
        bodies
    });
    let posts = Posts::new(&url, Duration::from_secs(10));
    for event in ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"] {
        posts.send(event);
    }
    drop(posts);
    assert_eq!(serving.join().unwrap(), ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]);
}

#[test]
fn nobody_at_the_address_and_no_address_do_no_harm() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    drop(server);
    for url in [url.as_str(), "no address"] {
        let posts = Posts::new(url, Duration::from_secs(1));
        posts.send("{}");
    }
}
