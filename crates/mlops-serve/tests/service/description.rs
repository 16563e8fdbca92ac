//! `/openapi.json` and its page, held against the service that they describe.

use serde_json::{Value, json};

use crate::scene::Scene;

#[test]
fn every_described_operation_is_there_and_every_answer_is_described() {
    let scene = Scene::deployed(&json!({}));
    scene.diagnose(None, None);
    let service = scene.serve();
    let api = service.get("/openapi.json").ends_with(200).json();
    let version = service.get("/readyz").json()["model_version"].as_str().unwrap().to_owned();
    let runs = service.get("/runs").ends_with(200).json();
    let run = runs["items"][0]["run_id"].as_str().unwrap().to_owned();
    let mut operations = 0;
    for (path, methods) in api["paths"].as_object().unwrap() {
        let real = path.replace("{model}", "model").replace("{version}", &version);
        let real = real.replace("{release}", &version).replace("{run}", &run);
        let real = match real.as_str() {
            "/compare" => format!("/compare?a={version}&b={version}"),
            _ => real,
        };
        // Nothing was decided here.
        let missing = path == "/decisions/{run}";
        let mut allowed = vec!["OPTIONS".to_owned()];
        for (method, operation) in methods.as_object().unwrap() {
            operations += 1;
            let upper = method.to_uppercase();
            allowed.push(upper.clone());
            allowed.extend((upper == "GET").then(|| "HEAD".to_owned()));
            for body in [&b""[..], b"{", b"[]", b"{\"inputs\": []}"] {
                if method == "get" && !body.is_empty() {
                    continue;
                }
                let answer = service.ask(&upper, &real, &[], body);
                let status = answer.status.to_string();
                let described = &operation["responses"][&status]["content"];
                let kind = answer.header("content-type").split(';').next().unwrap().to_owned();
                assert!(described[&kind].is_object(), "{upper} {real} {body:?}: {status} {kind}");
                let expected = if missing { 404 } else { 200 };
                assert!(method == "post" || answer.status == expected, "{upper} {real}: {status}");
            }
        }
        let mut found: Vec<String> = service
            .ask("OPTIONS", &real, &[], b"")
            .ends_with(204)
            .header("allow")
            .split(", ")
            .map(str::to_owned)
            .collect();
        found.sort();
        allowed.sort();
        assert_eq!(found, allowed, "{real}");
    }
    assert!(operations >= 24, "{operations}");
    let ids =
        api["paths"].as_object().unwrap().values().flat_map(|p| p.as_object().unwrap().values());
    let ids: std::collections::BTreeSet<&str> =
        ids.map(|o| o["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations, "an operationId is there twice");
    let row = &api["components"]["schemas"]["Row"];
    assert_eq!(row["required"], json!(["age", "balance", "country"]));
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|v| references(v, found));
            }
            Value::Array(list) => list.iter().for_each(|v| references(v, found)),
            _ => {}
        }
    }
    let api = Scene::empty(&json!({})).serve().get("/openapi.json").ends_with(200).json();
    let mut found = Vec::new();
    references(&api, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        assert!(api.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let service = Scene::empty(&json!({})).serve();
    {
        let path = "/docs";
        let page = service.get(path).ends_with(200);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
        for word in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.text().contains(word), "{word}");
        }
        assert!(page.text().contains("\"openapi.json\""));
    }
}
