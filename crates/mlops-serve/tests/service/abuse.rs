//! What an attacker who may ask tries next: tokens that are nearly right, and files that are swapped
//! while they are read. Not for memory: see the tests of the program `app`.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use mlops_serve::{Options, Tokens};
use serde_json::json;

use crate::http::Connection;
use crate::scene::{Scene, repetitions, rows};

#[test]
fn a_token_that_is_nearly_right_is_wrong() {
    const TOKEN: &str = "read-0123456789abcdef";
    let mut tokens = Tokens::default();
    tokens.add("read", TOKEN, "a test").unwrap();
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve_with(Options { tokens, ..Options::default() });
    let mut connection = Connection::open(service.address);
    let mut status =
        |value: &str| connection.send("GET", "/scoring", &[("authorization", value)], b"").status;
    assert_eq!(status(&format!("Bearer {TOKEN}")), 200);
    let mut wrong: Vec<String> = (0..TOKEN.len()).map(|n| TOKEN[..n].to_owned()).collect();
    for at in 0..TOKEN.len() {
        let mut bytes = TOKEN.as_bytes().to_vec();
        bytes[at] ^= 1;
        wrong.push(String::from_utf8(bytes).unwrap());
    }
    for token in [
        format!("{TOKEN}x"),
        format!("{TOKEN},{TOKEN}"),
        format!("{TOKEN} {TOKEN}"),
        TOKEN.to_uppercase(),
        format!("\"{TOKEN}\""),
        "x".repeat(10_000),
        "null".to_owned(),
        "' OR '1'='1".to_owned(),
        "*".to_owned(),
    ] {
        wrong.push(token);
    }
    for token in wrong {
        assert_eq!(status(&format!("Bearer {token}")), 401, "{token}");
    }
    for value in ["", "Bearer", "Bearer ", "Basic cmVhZA==", TOKEN, "Digest x"] {
        assert_eq!(status(value), 401, "{value}");
    }
    let twice = format!(
        "GET /scoring HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    connection.raw(twice.as_bytes());
    connection.answer(false).unwrap().ends_with(401);
}

#[test]
fn a_file_that_is_swapped_for_a_link_while_it_is_read_gives_nothing_away() {
    let scene = Scene::deployed(&json!({}));
    let (inside, outside) = (rows(3, 5, false), rows(7, 6, false));
    scene.file("secret.csv", &outside);
    scene.file("test/good.csv", &inside);
    let (name, spare) = (scene.path("test/swapped.csv"), scene.path("test/spare.part"));
    let folder = (scene.path("test/door"), scene.path("test/door.part"));
    scene.file("inner/secret.csv", &inside);
    let service = scene.serve();
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            // A file or a link out, and a folder of ours or a link out, by turns as fast as can be.
            let mut turn = false;
            while !over.load(Ordering::Relaxed) {
                turn = !turn;
                let target = if turn { "good.csv" } else { "../secret.csv" };
                symlink(target, &spare).unwrap();
                std::fs::rename(&spare, &name).unwrap();
                let target = if turn { "." } else { ".." };
                symlink(target, &folder.1).unwrap();
                std::fs::rename(&folder.1, &folder.0).unwrap();
            }
        });
        let (mut answered, mut refused) = (0, 0);
        for _ in 0..repetitions(400, 20_000) {
            for path in ["test/swapped.csv", "test/door/secret.csv", "test/door/good.csv"] {
                let answer = service.post("/prediction", &json!({ "filepath": path }));
                if answer.status == 200 {
                    let found = answer.json()["predictions"].as_array().unwrap().len();
                    assert_eq!(found, 3, "{path} gave rows of another folder");
                    answered += 1;
                } else {
                    assert!([400, 404].contains(&answer.status), "{answer:?}");
                    refused += 1;
                }
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(refused > 0, "{answered} answered, {refused} refused");
    });
}
