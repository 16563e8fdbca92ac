//! An operation under construction: its names, its bodies and its good answers.
//!
//! What follows from its address (parameters, tokens, errors) is added by `super`.

use serde_json::{Map, Value, json};

use super::schemas::reference;

pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain";
const CSV: &str = "text/csv";

/// See the module.
pub(crate) struct Operation {
    pub(super) value: Value,
    /// The bodies that it takes.
    pub(super) body: Option<Value>,
    /// Whether what is asked for may not be there.
    pub(super) can_miss: bool,
    /// The answer that is no success, if there is one: its status and schema.
    pub(super) otherwise: Option<(u16, &'static str)>,
}

impl Operation {
    /// `id` names it in generated clients, `tag` is its group.
    pub(crate) fn new(id: &str, tag: &str, summary: &str) -> Self {
        let value =
            json!({ "operationId": id, "tags": [tag], "summary": summary, "responses": {} });
        Self { value, body: None, can_miss: false, otherwise: None }
    }

    /// Answers with JSON of the schema called `schema`.
    pub(crate) fn answers(self, words: &str, schema: &str) -> Self {
        self.answer(words, JSON, &reference(schema))
    }

    /// Answers with text of the media type `kind`.
    pub(crate) fn answers_text(self, words: &str, kind: &str) -> Self {
        self.answer(words, kind, &text())
    }

    fn answer(mut self, words: &str, kind: &str, schema: &Value) -> Self {
        self.value["responses"]["200"] =
            json!({ "description": words, "content": content(kind, schema) });
        self
    }

    /// The same answer also as text, for whoever prefers that.
    pub(crate) fn also_text(mut self) -> Self {
        self.value["responses"]["200"]["content"][TEXT] = json!({ "schema": text() });
        self
    }

    /// Takes JSON of the schema called `schema`.
    pub(crate) fn takes(mut self, schema: &str) -> Self {
        self.body = Some(json!({ "required": true, "content": content(JSON, &reference(schema)) }));
        self
    }

    /// The same also as CSV.
    pub(crate) fn also_csv(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body["content"][CSV] = json!({ "schema": text() });
        }
        self
    }

    /// What is asked for may not be there: 404.
    pub(crate) fn can_miss(mut self) -> Self {
        self.can_miss = true;
        self
    }

    /// Answers "no" with 503 and the schema called `schema`.
    pub(crate) fn or_no(mut self, schema: &'static str) -> Self {
        self.otherwise = Some((503, schema));
        self
    }
}

fn text() -> Value {
    json!({ "type": "string" })
}

/// A body of one media type.
pub(super) fn content(kind: &str, schema: &Value) -> Value {
    let mut content = Map::new();
    content.insert(kind.to_owned(), json!({ "schema": schema }));
    Value::Object(content)
}
