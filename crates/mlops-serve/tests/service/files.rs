//! Files that a request names: those in the folders of data, and no other, by whatever way.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::scene::{HEADER, Scene, rows};

#[test]
fn files_of_the_data_folders_are_read_under_the_names_that_callers_use() {
    let scene = Scene::deployed(&json!({ "service": { "data_folders": ["more"] } }));
    let text = rows(50, 4, true);
    scene.file("test/some.csv", &text);
    scene.file("more/deep/other.csv", &text);
    let service = scene.serve();
    let expected = service.csv("/prediction", &text).ends_with(200).bits();
    let absolute = scene.path("test/some.csv");
    for body in [
        json!({ "filepath": "test/some.csv" }),
        json!({ "filepath": "/test/some.csv" }),
        json!({ "filepath": "./test/some.csv" }),
        json!({ "filepath": absolute }),
        json!({ "data_path": "test/some.csv" }),
        json!({ "file_name": "some.csv" }),
        json!({ "data_path": "test", "file_name": "some.csv" }),
        json!({ "data_path": "/test/", "file_name": "/some.csv" }),
        json!({ "filepath": "deep/other.csv" }),
        json!({ "filepath": "more/deep/other.csv", "comment": "ignored" }),
    ] {
        let answer = service.post("/prediction", &body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert_eq!(answer.bits(), expected, "{body}");
    }
    let scored = service.post("/scoring", &json!({ "filepath": "test/some.csv" })).ends_with(200);
    assert_eq!(scored.json()["n"], 50);
    service.post("/scoring", &json!({ "filepath": "test/none.csv" })).ends_with(404);
}

#[test]
fn nothing_else_is_read_and_no_answer_has_a_path() {
    let scene = Scene::deployed(&json!({ "service": { "max_file_bytes": 20_000 } }));
    let text = rows(10, 4, false);
    scene.file("secret.csv", &text);
    scene.file("secret/other.csv", &text);
    scene.file("test/large.csv", rows(2000, 4, false));
    scene.file("test/broken.csv", format!("{HEADER}x,y,z,de,yes\n"));
    scene.file("test/foreign.csv", "top,secret,words\n1,2,3\n");
    scene.file("test/notes.txt", &text);
    std::fs::create_dir(scene.path("test/folder.csv")).unwrap();
    symlink(scene.path("secret.csv"), scene.path("test/link.csv")).unwrap();
    symlink(scene.path("secret"), scene.path("test/linked")).unwrap();
    symlink("/etc/passwd", scene.path("test/passwd.csv")).unwrap();
    symlink(scene.path("test/notes.txt"), scene.path("test/ending.csv")).unwrap();
    let service = scene.serve();
    let long = format!("{}.csv", "x".repeat(5000));
    let outside = scene.path("secret.csv");
    for (name, status) in [
        ("../secret.csv", 400),
        ("test/../secret.csv", 400),
        ("secret.csv", 404),
        ("/secret.csv", 404),
        (outside.to_str().unwrap(), 404),
        ("test/link.csv", 404),
        ("test/linked/other.csv", 404),
        ("test/passwd.csv", 404),
        ("test/ending.csv", 404),
        ("test/folder.csv", 404),
        ("test/none.csv", 404),
        ("test/notes.txt", 400),
        ("/etc/passwd", 400),
        ("out/ledger.sqlite", 400),
        ("config.json", 400),
        ("test", 400),
        ("", 400),
        ("a\u{0}b.csv", 400),
        (&long, 404),
        ("test/large.csv", 413),
        ("test/broken.csv", 422),
        ("test/foreign.csv", 400),
    ] {
        let answer = service.post("/prediction", &json!({ "filepath": name }));
        assert_eq!(answer.status, status, "{name:?}: {}", answer.text());
        let root = scene.root().to_str().unwrap();
        assert!(
            !answer.text().contains(root) && !answer.text().contains("root:"),
            "{}",
            answer.text()
        );
    }
    let both = json!({ "filepath": "a.csv", "file_name": "b.csv" });
    service.post("/prediction", &both).ends_with(400);
}
