//! HTTP/1.1 on a plain socket: nothing is retried, followed or repaired. Not for expectations.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self:#?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Checks the status.
    pub(crate) fn ends_with(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {self:#?}", String::from_utf8_lossy(&self.body));
        self
    }

    /// The probabilities, as bits.
    pub(crate) fn bits(&self) -> Vec<u64> {
        let value = self.json();
        let numbers = value["probabilities"].as_array().unwrap();
        numbers.iter().map(|p| p.as_f64().unwrap().to_bits()).collect()
    }
}

/// A connection that is kept.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The same, where the other side may have closed already.
    pub(crate) fn try_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let stream = self.0.get_mut();
        stream.set_write_timeout(Some(Duration::from_millis(300)))?;
        stream.write_all(bytes)
    }

    /// Sends nothing more.
    pub(crate) fn said_all(&mut self) {
        self.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Reads an answer if there is one now.
    pub(crate) fn answer_at_once(&mut self) -> Option<Answer> {
        self.0.get_mut().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let answer = self.answer(false);
        self.0.get_mut().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        answer
    }

    /// Sends a request and reads its answer.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.raw(&head(method, path, headers, body.len()));
        self.raw(body);
        self.answer(method == "HEAD").unwrap()
    }

    /// Reads an answer; nothing when the connection was closed.
    pub(crate) fn answer(&mut self, head_only: bool) -> Option<Answer> {
        let mut line = String::new();
        if self.0.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; if head_only { 0 } else { length }];
        self.0.read_exact(&mut body).unwrap();
        if headers.get("transfer-encoding").is_some_and(|kind| kind == "chunked") && !head_only {
            body = self.chunks()?;
        }
        Some(Answer { status, headers, body })
    }

    /// A body that comes in pieces; nothing when it broke off.
    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim_end(), 16).ok()?;
            let start = body.len();
            body.resize(start + size + 2, 0);
            self.0.read_exact(&mut body[start..]).ok()?;
            body.truncate(start + size);
            if size == 0 {
                return Some(body);
            }
        }
    }

    /// Whether the other side closed.
    pub(crate) fn closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

/// The head of a request.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if length > 0 || method == "POST" {
        text += &format!("content-length: {length}\r\n");
    }
    (text + "\r\n").into_bytes()
}
