//! The description of an operation: its names, bodies and successful answers.
//!
//! Parts that follow from the endpoint (parameters, tokens, errors) are added by `super`.

use serde_json::{Map, Value, json};

use super::schemas::{explain, reference};
use crate::predict::explain::KEY;

pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain";
pub(crate) const HTML: &str = "text/html";
const FORM: &str = "application/x-www-form-urlencoded";
const CSV: &str = "text/csv";

/// See the module.
pub(crate) struct Operation {
    pub(super) value: Value,
    /// The request bodies.
    pub(super) body: Option<Value>,
    /// The requested object may not exist.
    pub(super) can_miss: bool,
    /// The state of the workspace may not allow it.
    pub(super) can_conflict: bool,
    /// What statuses mean here, where their names alone do not say it.
    pub(super) meanings: Vec<(u16, &'static str)>,
    /// What the name in the path stands for.
    pub(super) named: Option<&'static str>,
    /// Also answers as a page, also with errors.
    pub(super) is_page: bool,
    /// Parameters of the query.
    pub(super) query: Vec<Value>,
    /// The status and schema of the negative answer, if there is one.
    pub(super) otherwise: Option<(u16, &'static str)>,
}

impl Operation {
    /// `id` is its name in generated clients, `tag` its group.
    pub(crate) fn new(id: &str, tag: &str, summary: &str) -> Self {
        let value =
            json!({ "operationId": id, "tags": [tag], "summary": summary, "responses": {} });
        Self {
            value,
            body: None,
            can_miss: false,
            can_conflict: false,
            meanings: Vec::new(),
            named: None,
            is_page: false,
            query: Vec::new(),
            otherwise: None,
        }
    }

    /// Adds a JSON answer with the schema `schema`.
    pub(crate) fn answers(self, words: &str, schema: &str) -> Self {
        self.answer(words, JSON, &reference(schema))
    }

    /// Adds a text answer of media type `kind`.
    pub(crate) fn answers_text(self, words: &str, kind: &str) -> Self {
        self.answer(words, kind, &text())
    }

    fn answer(mut self, words: &str, kind: &str, schema: &Value) -> Self {
        self.value["responses"]["200"] =
            json!({ "description": words, "content": content(kind, schema) });
        self
    }

    /// Also answers as text, for clients that prefer that.
    pub(crate) fn also_text(mut self) -> Self {
        self.value["responses"]["200"]["content"][TEXT] = json!({ "schema": text() });
        self
    }

    /// Also answers as a page, for browsers.
    pub(crate) fn also_html(mut self) -> Self {
        self.value["responses"]["200"]["content"][HTML] = json!({ "schema": text() });
        self.is_page = true;
        self
    }

    /// Sends the browser to another page.
    pub(crate) fn goes_elsewhere(mut self, words: &str) -> Self {
        let header = json!({ "description": "where", "schema": { "type": "string" } });
        self.value["responses"]["303"] = json!({ "description": words,
            "content": content(HTML, &text()), "headers": { "Location": header } });
        self
    }

    /// Takes the parameter `name` of the query, which `words` describe.
    pub(crate) fn asks(mut self, name: &str, schema: &Value, words: &str) -> Self {
        self.query.push(json!({ "name": name, "in": "query", "required": false, "schema": schema,
            "description": words }));
        self
    }

    /// Answers a page of a list.
    pub(crate) fn paged(self) -> Self {
        let schema = json!({ "type": "integer", "minimum": 1, "maximum": 1_u64 << 40 });
        self.asks("page", &schema, "Which page of the list, from 1")
    }

    /// Takes a form with the schema `schema`.
    pub(crate) fn takes_form(mut self, schema: &str) -> Self {
        self.body = Some(json!({ "required": true, "content": content(FORM, &reference(schema)) }));
        self
    }

    /// Takes JSON with the schema `schema`.
    pub(crate) fn takes(mut self, schema: &str) -> Self {
        self.body = Some(json!({ "required": true, "content": content(JSON, &reference(schema)) }));
        self
    }

    /// Also takes CSV.
    pub(crate) fn also_csv(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body["content"][CSV] = json!({ "schema": text() });
        }
        self
    }

    /// The requested object may not exist: 404.
    pub(crate) fn can_miss(mut self) -> Self {
        self.can_miss = true;
        self
    }

    /// The state of the workspace may not allow it: 409.
    pub(crate) fn can_conflict(mut self) -> Self {
        self.can_conflict = true;
        self
    }

    /// What an answer with `status` means here.
    pub(crate) fn means(mut self, status: u16, words: &'static str) -> Self {
        self.meanings.push((status, words));
        self
    }

    /// What the name in the path stands for.
    pub(crate) fn names(mut self, words: &'static str) -> Self {
        self.named = Some(words);
        self
    }

    /// Takes `explain` in its query.
    pub(crate) fn explains(mut self) -> Self {
        self.query.push(json!({ "name": KEY, "in": "query", "required": false,
            "schema": explain() }));
        self
    }

    /// Gives the negative answer with 503 and the schema `schema`.
    pub(crate) fn or_no(mut self, schema: &'static str) -> Self {
        self.otherwise = Some((503, schema));
        self
    }
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

/// A body of a single media type.
pub(super) fn content(kind: &str, schema: &Value) -> Value {
    let mut content = Map::new();
    content.insert(kind.to_owned(), json!({ "schema": schema }));
    Value::Object(content)
}
