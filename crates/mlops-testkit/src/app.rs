//! An app that answers as a test wants it, over a real socket on loopback.
//!
//! Not for the real app: it has tests of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// What an app was asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// What stands between method and version.
    pub path: String,
    /// `name: value` lines, in small letters.
    pub headers: Vec<String>,
    /// Its body; what is no text is replaced.
    pub body: String,
}

impl Request {
    /// Method and path, as `GET /scoring`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What it does about it.
pub enum Reply {
    /// Status with further headers, and body.
    Answer(&'static str, Vec<String>, Vec<u8>),
    /// Nothing, for longer than anybody waits.
    Hang,
    /// A head, and then a body that never ends, a byte at a time.
    Dribble,
    /// A body without end, as fast as it goes.
    Endless,
    /// The end of the connection.
    Close,
}

/// `status` with a JSON body, from the release `release` if it has a name.
pub fn reply(status: &'static str, release: &str, body: &Value) -> Reply {
    let mut headers = vec!["Content-Type: application/json".to_owned()];
    if !release.is_empty() {
        headers.push(format!("X-Model-Version: {release}"));
    }
    Reply::Answer(status, headers, body.to_string().into_bytes())
}

/// An error as the app words it.
pub fn problem(status: &'static str, detail: &str) -> Reply {
    let code: u16 = status[..3].parse().unwrap();
    reply(status, "", &json!({"type": "about:blank", "status": code, "detail": detail}))
}

/// What a healthy app with the release `release` answers. The probability is the last feature's
/// hundredth.
pub fn healthy(request: &Request, release: &str) -> Reply {
    let body = match request.path.as_str() {
        "/prediction" => {
            let cell = |line: &str| line.rsplit(',').nth(1).unwrap_or_default().parse::<f64>();
            let rows = request.body.lines().skip(1);
            let probabilities: Vec<f64> =
                rows.map(|line| cell(line).unwrap_or_default() / 100.0).collect();
            let labels: Vec<u8> = probabilities.iter().map(|p| u8::from(*p > 0.5)).collect();
            json!({"predictions": labels, "probabilities": probabilities, "rows": labels.len(),
                "model_version": release, "imputed": {"age": 1}})
        }
        "/scoring" => json!({"release": release, "f1": 0.8125}),
        "/summarystats" => json!({"columns": [{"name": "age", "mean": 41.5}]}),
        "/diagnostics" => json!({"timings": {"training": 0.25}}),
        _ => return problem("404 Not Found", "no such address"),
    };
    reply("200 OK", release, &body)
}

/// A running app.
pub struct App {
    /// Its address.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl App {
    /// Answers each request, the first of which has number 0, with what `answer` says.
    pub fn start(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read(&stream) else { return };
                    let number = {
                        let mut kept = kept.lock().unwrap();
                        kept.push(request.clone());
                        kept.len() - 1
                    };
                    // A caller that has left is part of some tests.
                    let _ = write(&mut stream, answer(&request, number));
                });
            }
        });
        Self { url, requests }
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The same, as `GET /scoring`.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }
}

/// An address where nobody listens.
pub fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim() {
            "" => break,
            line => headers.push(line.to_lowercase()),
        }
    }
    let length = headers.iter().find_map(|h| h.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn write(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Answer(status, headers, body) => {
            let length = format!("Content-Length: {}", body.len());
            let first = format!("HTTP/1.1 {status}");
            let more = [length, "Connection: close\r\n\r\n".to_owned()];
            let head = [vec![first], headers, more.to_vec()].concat().join("\r\n");
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body)
        }
        Reply::Hang => {
            std::thread::sleep(Duration::from_mins(1));
            Ok(())
        }
        Reply::Dribble => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
            loop {
                stream.write_all(b" ")?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[")?;
            let piece = vec![b'1'; 1 << 20];
            loop {
                stream.write_all(&piece)?;
            }
        }
        Reply::Close => Ok(()),
    }
}
