//! Builds the graph of an ONNX file step by step: each step has a name, which the next ones use.
//!
//! Not for which steps there are: see `core` and `classic`.

use std::collections::BTreeSet;

use prost::Message;

use super::proto::{
    Attribute, Axis, Entry, Graph, Kind, Model, Node, Opset, Shape, Tensor, TensorKind, ValueInfo,
    elements, kinds,
};

/// The set of core operators: the first in which texts can be compared.
const OPSET: i64 = 19;
/// The set of the operators of classic machine learning.
const CLASSIC: &str = "ai.onnx.ml";

/// A graph under construction.
#[derive(Debug, Default)]
pub(super) struct Builder {
    graph: Graph,
    classic: bool,
    taken: BTreeSet<String>,
}

impl Builder {
    /// A graph whose inputs have these names, which no step may take.
    pub(super) fn new(inputs: impl IntoIterator<Item = String>) -> Self {
        Self { taken: inputs.into_iter().collect(), ..Self::default() }
    }

    /// A name that nothing has yet.
    fn name(&mut self, stem: &str) -> String {
        let next = self.graph.node.len() + self.graph.initializer.len();
        let mut name = format!("{stem}_{next}");
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    /// The input `name` of such elements, with one value for each row.
    pub(super) fn input(&mut self, name: &str, elements: i32, width: Option<usize>) {
        self.graph.input.push(value(name, elements, width));
    }

    /// The value `of` becomes the output `name`.
    pub(super) fn output(&mut self, name: &str, of: &str, elements: i32, width: Option<usize>) {
        let node = node("Identity", vec![of.to_owned()], name.to_owned());
        self.graph.node.push(node);
        self.graph.output.push(value(name, elements, width));
    }

    fn constant(&mut self, tensor: Tensor) -> String {
        let name = self.name("constant");
        self.graph.initializer.push(Tensor { name: name.clone(), ..tensor });
        name
    }

    /// One number.
    pub(super) fn number(&mut self, x: f64) -> String {
        let data_type = elements::DOUBLE;
        self.constant(Tensor { data_type, double_data: vec![x], ..Tensor::default() })
    }

    /// Numbers with these lengths of axes.
    pub(super) fn numbers(&mut self, x: &[f64], dims: &[usize]) -> String {
        let (data_type, double_data) = (elements::DOUBLE, x.to_vec());
        self.constant(Tensor { dims: lengths(dims), data_type, double_data, ..Tensor::default() })
    }

    /// One number of the smaller kind.
    pub(super) fn float(&mut self, x: f32) -> String {
        let data_type = elements::FLOAT;
        self.constant(Tensor { data_type, float_data: vec![x], ..Tensor::default() })
    }

    /// Integers, for axes and the like.
    pub(super) fn integers(&mut self, x: &[i64]) -> String {
        let (data_type, int64_data) = (elements::INT64, x.to_vec());
        let dims = lengths(&[x.len()]);
        self.constant(Tensor { dims, data_type, int64_data, ..Tensor::default() })
    }

    /// Texts with these lengths of axes.
    pub(super) fn texts<'a>(
        &mut self,
        texts: impl IntoIterator<Item = &'a str>,
        dims: &[usize],
    ) -> String {
        let string_data = texts.into_iter().map(|text| text.as_bytes().to_vec()).collect();
        let data_type = elements::STRING;
        self.constant(Tensor { dims: lengths(dims), data_type, string_data, ..Tensor::default() })
    }

    /// The result of the core operator `operator`.
    pub(super) fn step(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.step_with(operator, inputs, Vec::new())
    }

    /// The same with settings.
    pub(super) fn step_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<Attribute>,
    ) -> String {
        let output = self.name(&operator.to_lowercase());
        let inputs = inputs.iter().map(|input| (*input).to_owned()).collect();
        self.graph.node.push(Node { attribute, ..node(operator, inputs, output.clone()) });
        output
    }

    /// The results of an operator of classic machine learning.
    pub(super) fn classic<const N: usize>(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<Attribute>,
    ) -> [String; N] {
        self.classic = true;
        let outputs: [String; N] =
            std::array::from_fn(|at| self.name(&format!("{}_{at}", operator.to_lowercase())));
        let inputs = inputs.iter().map(|input| (*input).to_owned()).collect();
        let node = node(operator, inputs, String::new());
        let (output, domain) = (outputs.to_vec(), CLASSIC.to_owned());
        self.graph.node.push(Node { output, attribute, domain, ..node });
        outputs
    }

    /// The bytes of the file.
    pub(super) fn finish(
        mut self,
        release: &str,
        about: &str,
        facts: Vec<(&str, String)>,
    ) -> Vec<u8> {
        "classifier".clone_into(&mut self.graph.name);
        let opset = |domain: &str, version| Opset { domain: domain.to_owned(), version };
        let mut opset_import = vec![opset("", OPSET)];
        if self.classic {
            opset_import.push(opset(CLASSIC, 3));
        }
        let entry = |(key, value): (&str, String)| Entry { key: key.to_owned(), value };
        let mut metadata_props = vec![entry(("release", release.to_owned()))];
        metadata_props.extend(facts.into_iter().map(entry));
        Model {
            ir_version: 9,
            producer_name: "mlops-export".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            doc_string: about.to_owned(),
            graph: Some(self.graph),
            opset_import,
            metadata_props,
        }
        .encode_to_vec()
    }
}

fn lengths(dims: &[usize]) -> Vec<i64> {
    dims.iter().map(|length| i64::try_from(*length).unwrap_or(i64::MAX)).collect()
}

fn node(operator: &str, input: Vec<String>, output: String) -> Node {
    Node { input, output: vec![output], op_type: operator.to_owned(), ..Node::default() }
}

fn value(name: &str, elem_type: i32, width: Option<usize>) -> ValueInfo {
    let rows = Axis { length: None, name: Some("rows".to_owned()) };
    let width = width.map(|width| Axis { length: i64::try_from(width).ok(), name: None });
    let shape = Some(Shape { dim: std::iter::once(rows).chain(width).collect() });
    let kind = Some(Kind { tensor: Some(TensorKind { elem_type, shape }) });
    ValueInfo { name: name.to_owned(), kind }
}

/// A setting that is one integer.
pub(super) fn integer(name: &str, i: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: Some(i), kind: kinds::INT, ..Attribute::default() }
}

/// A setting that is one text.
pub(super) fn text(name: &str, text: &str) -> Attribute {
    let s = Some(text.as_bytes().to_vec());
    Attribute { name: name.to_owned(), s, kind: kinds::STRING, ..Attribute::default() }
}

/// A setting that is one number.
pub(super) fn float(name: &str, f: f32) -> Attribute {
    Attribute { name: name.to_owned(), f: Some(f), kind: kinds::FLOAT, ..Attribute::default() }
}

/// A setting that is a list of numbers.
#[expect(clippy::cast_possible_truncation, reason = "these operators have only floats")]
pub(super) fn floats(name: &str, values: impl IntoIterator<Item = f64>) -> Attribute {
    let floats = values.into_iter().map(|x| x as f32).collect();
    Attribute { name: name.to_owned(), floats, kind: kinds::FLOATS, ..Attribute::default() }
}

/// A setting that is a list of texts.
pub(super) fn texts<'a>(name: &str, texts: impl IntoIterator<Item = &'a str>) -> Attribute {
    let strings = texts.into_iter().map(|text| text.as_bytes().to_vec()).collect();
    Attribute { name: name.to_owned(), strings, kind: kinds::STRINGS, ..Attribute::default() }
}
