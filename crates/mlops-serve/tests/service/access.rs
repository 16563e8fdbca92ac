//! Who may ask. Not for how tokens are compared: a test beside `access` does that.

use mlops_core::{Error, ErrorKind};
use mlops_serve::{Options, Server, Tokens};
use serde_json::json;

use crate::scene::{Scene, rows};

const READ: &str = "read-0123456789abcdef";
const PREDICT: &str = "predict-0123456789abcdef";

fn tokens() -> Tokens {
    let mut tokens = Tokens::default();
    tokens.add("read", READ, "a test").unwrap();
    tokens.add("predict", PREDICT, "a test").unwrap();
    tokens
}

/// Whether it listens with these options.
fn binds(scene: &Scene, options: Options) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = Options { port: Some(0), ..options };
    runtime.block_on(Server::bind(&scene.context(), options)).map(drop)
}

#[test]
fn an_address_that_others_reach_needs_tokens_or_explicit_permission() {
    let scene = Scene::empty(&json!({ "service": { "host": "0.0.0.0" } }));
    let error = binds(&scene, Options::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error}");
    assert!(error.to_string().contains("--insecure"), "{error}");
    binds(&scene, Options { insecure: true, ..Options::default() }).unwrap();
    binds(&scene, Options { tokens: tokens(), ..Options::default() }).unwrap();
    let home = Some([127, 0, 0, 1].into());
    binds(&scene, Options { host: home, ..Options::default() }).unwrap();
}

#[test]
fn each_endpoint_requires_its_scope_and_health_requires_none() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve_with(Options { tokens: tokens(), ..Options::default() });
    let body = rows(1, 1, false);
    let ask = |method: &str, path: &str, token: Option<&str>| {
        let bearer = token.map(|t| format!("Bearer {t}")).unwrap_or_default();
        let mut headers = vec![("content-type", "text/csv")];
        headers.extend(token.map(|_| ("authorization", bearer.as_str())));
        service.ask(method, path, &headers, if method == "POST" { body.as_bytes() } else { b"" })
    };
    for path in ["/livez", "/readyz", "/ping", "/v2/health/live", "/docs"] {
        ask("GET", path, None).ends_with(200);
    }
    for path in ["/scoring", "/metrics", "/openapi.json", "/v2/models/model"] {
        let refused = ask("GET", path, None).ends_with(401);
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        ask("GET", path, Some("a-token-nobody-knows")).ends_with(401);
        ask("GET", path, Some(PREDICT)).ends_with(403);
        ask("GET", path, Some(READ)).ends_with(200);
    }
    for path in ["/prediction", "/scoring", "/invocations"] {
        ask("POST", path, None).ends_with(401);
        ask("POST", path, Some(READ)).ends_with(403);
        ask("POST", path, Some(PREDICT)).ends_with(200);
    }
    let refused = ask("POST", "/v2/models/model/infer", None).ends_with(401);
    assert!(refused.json()["error"].is_string(), "{refused:?}");
    assert!(
        service
            .ask("GET", "/openapi.json", &[("authorization", &format!("Bearer {READ}"))], b"")
            .json()["security"]
            .is_array()
    );
}
