//! The program `app` at work. Not for expectations.

#![allow(dead_code, reason = "each file of tests needs a part")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};

use mlops_testkit::binary::scene::alone;

/// A service that listens, with what it has said so far.
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) stderr: BufReader<std::process::ChildStderr>,
    pub(crate) said: String,
    pub(crate) address: String,
}

/// Starts a service, and waits until it listens.
pub(crate) fn start(command: &mut Command) -> Started {
    let mut child = {
        let _alone = alone();
        command.spawn().unwrap()
    };
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    let address = loop {
        let mut line = String::new();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended: {said}");
        said += &line;
        if let Some((_, rest)) = line.split_once("listening on http://") {
            break rest.trim_end_matches(['"', '}', '\n']).split('"').next().unwrap().to_owned();
        }
    };
    Started { child, stderr, said, address }
}

impl Started {
    /// Sends a request, and reads all that comes until the connection ends.
    pub(crate) fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// What `/proc` says of its memory, in bytes.
    pub(crate) fn memory(&self, name: &str) -> usize {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }

    /// One of its metrics.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let answer =
            self.ask("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let line = answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    }

    /// Sends a signal; exit code, standard output and all of standard error.
    pub(crate) fn stopped(mut self, signal: &str) -> (Option<i32>, String, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.stderr.read_to_string(&mut self.said).unwrap();
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), self.said)
    }
}

/// Asks for predictions of rows of CSV.
pub(crate) fn predict(rows: &str) -> String {
    format!(
        "POST /prediction HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: text/csv\r\n\
         content-length: {}\r\n\r\n{rows}",
        rows.len()
    )
}
