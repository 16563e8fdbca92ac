//! A server between a client and another server, which fails as servers and networks do.
//!
//! What the client should make of that is in the tests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing: it goes through.
    None,
    /// An answer of this status at once, without asking the server.
    Status(u16),
    /// It is cut after so many bytes of the answers.
    Cut(usize),
    /// Each byte after the first so many takes this long.
    Trickle(usize, Duration),
    /// No answer ever, until the client gives up.
    Silence,
}

/// The proxy; it ends with the process.
#[derive(Debug, Clone)]
pub struct Proxy {
    address: SocketAddr,
    troubles: Arc<Mutex<Vec<Trouble>>>,
    last: Arc<Mutex<Trouble>>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy before the server at `server`.
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            troubles: Arc::default(),
            last: Arc::new(Mutex::new(Trouble::None)),
            connections: Arc::default(),
        };
        let shared = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                let trouble = shared.next();
                thread::spawn(move || handle(client, server, trouble));
            }
        });
        proxy
    }

    fn next(&self) -> Trouble {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let mut troubles = self.troubles.lock().unwrap();
        if troubles.is_empty() { *self.last.lock().unwrap() } else { troubles.remove(0) }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens to the next connections, one each; then nothing.
    pub fn next_are(&self, troubles: &[Trouble]) {
        *self.troubles.lock().unwrap() = troubles.to_vec();
        *self.last.lock().unwrap() = Trouble::None;
    }

    /// What happens to all connections from now on.
    pub fn always(&self, trouble: Trouble) {
        self.troubles.lock().unwrap().clear();
        *self.last.lock().unwrap() = trouble;
    }

    /// The number of connections since the last call.
    pub fn connections(&self) -> usize {
        self.connections.swap(0, Ordering::SeqCst)
    }
}

/// Reads up to the end of a request's head.
fn head(client: &mut TcpStream) {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|n| n > 0) {
        seen.push(byte[0]);
    }
}

fn handle(mut client: TcpStream, server: SocketAddr, trouble: Trouble) {
    match trouble {
        Trouble::Status(status) => {
            head(&mut client);
            let answer = format!(
                "HTTP/1.1 {status} Trouble\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = client.write_all(answer.as_bytes());
            return;
        }
        Trouble::Silence => {
            while client.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {}
            return;
        }
        Trouble::None | Trouble::Cut(_) | Trouble::Trickle(..) => {}
    }
    let Ok(mut upstream) = TcpStream::connect(server) else { return };
    let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut passed, mut bytes) = (0, [0; 1 << 14]);
    while let Ok(read @ 1..) = upstream.read(&mut bytes) {
        let sent = match trouble {
            Trouble::Cut(after) if passed + read > after => {
                let _ = client.write_all(&bytes[..after.saturating_sub(passed)]);
                break;
            }
            Trouble::Trickle(after, pause) if passed + read > after => {
                bytes[..read].iter().try_for_each(|byte| {
                    thread::sleep(pause);
                    client.write_all(&[*byte])
                })
            }
            _ => client.write_all(&bytes[..read]),
        };
        if sent.is_err() {
            break;
        }
        passed += read;
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = upstream.shutdown(std::net::Shutdown::Both);
}
