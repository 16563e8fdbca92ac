//! Promotions and rollbacks while requests are answered: none fails, none mixes two models; a
//! release that is broken never comes into service.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mlops_core::ids::ReleaseId;
use mlops_core::stage::sign;
use serde_json::json;

use crate::http::Connection;
use crate::scene::{Scene, Service, repetitions, rows};

/// Two releases, the second live.
fn two() -> (Scene, [ReleaseId; 2]) {
    let scene = Scene::deployed(&json!({}));
    let first = scene.context().store().live().unwrap().unwrap();
    scene.file("in/b.csv", rows(300, 3, false));
    let second = scene.release();
    assert_ne!(first, second);
    (scene, [first, second])
}

/// Waits until the service answers with `release`; how long it took.
fn wait(service: &Service, release: &ReleaseId) -> Duration {
    let begun = Instant::now();
    while service.get("/readyz").json()["model_version"] != json!(release) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{release} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

#[test]
fn metrics_are_about_the_release_that_they_name() {
    let (scene, releases) = two();
    let context = scene.context();
    let service = scene.serve();
    for release in releases.iter().chain(&releases) {
        context.store().promote(release).unwrap();
        wait(&service, release);
        let metrics = service.get("/metrics");
        let text = metrics.text();
        let lines = text.lines().filter(|line| {
            ["mlops_model_info{", "mlops_model_f1{"].iter().any(|name| line.starts_with(name))
        });
        let named: Vec<&str> = lines.collect();
        assert_eq!(named.len(), 2, "{named:?}");
        let of = format!("version=\"{release}\"");
        assert!(named.iter().all(|line| line.contains(&of)), "{release}: {named:?}");
    }
}

#[test]
fn no_request_fails_or_mixes_models_during_promotions_and_rollbacks() {
    let (scene, releases) = two();
    let context = scene.context();
    let service = scene.serve();
    let body = rows(20, 9, true);
    let headers = [("content-type", "text/csv")];
    let mut expected = BTreeMap::new();
    for release in &releases {
        context.store().promote(release).unwrap();
        wait(&service, release);
        let answer = service.csv("/prediction", &body).ends_with(200);
        assert_eq!(answer.json()["model_version"], json!(release));
        expected.insert(release.to_string(), answer.bits());
    }
    let over = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    let (expected, over, answered) = (&expected, &over, &answered);
    std::thread::scope(|threads| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                threads.spawn(|| {
                    let mut seen = BTreeMap::<String, u64>::new();
                    let mut connection = Connection::open(service.address);
                    while !over.load(Ordering::Relaxed) {
                        let answer =
                            connection.send("POST", "/prediction", &headers, body.as_bytes());
                        let answer = answer.ends_with(200);
                        let version = answer.json()["model_version"].as_str().unwrap().to_owned();
                        assert_eq!(answer.header("x-model-version"), version);
                        assert_eq!(answer.bits(), expected[&version], "{version}");
                        *seen.entry(version).or_default() += 1;
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    seen
                })
            })
            .collect();
        // The pointer moves far more often than it is looked at, and each few times it rests.
        for i in 0..repetitions(30, 1000) {
            let at = usize::try_from(i % 2).unwrap();
            context.store().promote(&releases[at]).unwrap();
            if i % 5 == 0 {
                wait(&service, &releases[at]);
            } else {
                std::thread::sleep(Duration::from_millis(i * 7 % 60));
            }
        }
        over.store(true, Ordering::Relaxed);
        for client in clients {
            let seen = client.join().unwrap();
            assert_eq!(seen.len(), 2, "both models answered: {seen:?}");
        }
    });
    assert!(answered.load(Ordering::Relaxed) > 100);
    assert!(service.ended().drained);
}

#[test]
fn a_broken_release_leaves_the_old_one_in_service_and_a_sound_one_ends_the_trouble() {
    let (scene, [first, second]) = two();
    let context = scene.context();
    let service = scene.serve();
    assert_eq!(service.get("/readyz").ends_with(200).json()["status"], "ready");
    let model = scene.path(&format!("models/{first}/trainedmodel.bin"));
    let sound = fs::read(&model).unwrap();
    let mut broken = sound.clone();
    *broken.last_mut().unwrap() ^= 1;
    fs::write(&model, broken).unwrap();
    context.store().promote(&first).unwrap();
    let begun = Instant::now();
    let degraded = loop {
        let answer = service.get("/readyz").ends_with(200).json();
        if answer["status"] != "ready" {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
    };
    assert_eq!(degraded["status"], "degraded");
    assert_eq!(degraded["model_version"], json!(second));
    assert_eq!(degraded["trouble"]["release"], json!(first));
    assert!(!degraded.to_string().contains(scene.root().to_str().unwrap()), "{degraded}");
    let metrics = service.get("/metrics");
    assert!(!metrics.text().contains("mlops_model_reload_total{result=\"failure\"} 0"));
    assert!(metrics.text().contains(&format!("mlops_model_info{{version=\"{second}\"")));
    let answer = service.csv("/prediction", &rows(2, 1, false)).ends_with(200);
    assert_eq!(answer.json()["model_version"], json!(second));

    context.store().promote(&second).unwrap();
    let begun = Instant::now();
    while service.get("/readyz").json()["status"] != "ready" {
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    fs::write(&model, sound).unwrap();
    context.store().promote(&first).unwrap();
    wait(&service, &first);
}

#[test]
fn without_a_release_it_waits_for_one() {
    let scene = Scene::empty(&json!({}));
    let service = scene.serve();
    service.get("/livez").ends_with(200);
    let ready = service.get("/readyz").ends_with(503);
    assert_eq!(ready.json()["status"], "no model");
    assert_eq!(ready.header("retry-after"), "1");
    for path in ["/v2/health/ready", "/ping", "/scoring", "/v2/models/model"] {
        service.get(path).ends_with(503);
    }
    let refused = service.csv("/prediction", &rows(1, 1, false)).ends_with(503);
    assert!(refused.json()["detail"].as_str().unwrap().contains("run `deployment`"));
    scene.file("in/a.csv", rows(300, 1, false));
    scene.file("test/test.csv", rows(200, 2, false));
    let release = scene.release();
    wait(&service, &release);
    service.csv("/prediction", &rows(1, 1, false)).ends_with(200);
}

#[test]
fn a_release_that_nobody_trusted_signed_leaves_the_old_one_in_service_until_it_is_signed() {
    let (scene, [first, second]) = two();
    let key = scene.path("key");
    sign::keygen(&scene.context(), Some(&key)).unwrap();
    let config = scene.context().config.file.clone();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen('{', "{\"signing\": {\"trusted\": [\"key.pub\"]},", 1))
        .unwrap();
    let context = scene.context();
    sign::run(&context, Some(&second), Some(&key)).unwrap();
    let service = scene.serve();
    assert_eq!(service.get("/readyz").ends_with(200).json()["status"], "ready");
    // Whoever can write here can move the pointer.
    context.store().promote(&first).unwrap();
    let begun = Instant::now();
    let degraded = loop {
        let answer = service.get("/readyz").ends_with(200).json();
        if answer["status"] != "ready" {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
    };
    assert_eq!(degraded["model_version"], json!(second));
    assert_eq!(degraded["trouble"]["release"], json!(first));
    let reason = degraded["trouble"]["reason"].as_str().unwrap();
    assert!(reason.contains("not signed by a trusted key"), "{degraded}");
    let answer = service.csv("/prediction", &rows(2, 1, false)).ends_with(200);
    assert_eq!(answer.json()["model_version"], json!(second));
    sign::run(&context, Some(&first), Some(&key)).unwrap();
    wait(&service, &first);
    assert_eq!(service.get("/readyz").ends_with(200).json()["status"], "ready");
}
