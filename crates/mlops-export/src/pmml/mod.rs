//! A model as documents of the Predictive Model Markup Language (PMML) 4.4: what all of them share.
//!
//! [`regression`] can express every model, [`scorecard`] those whose columns all have bins or categories.
//! Not for the formula: see `crate::formula`.

use std::fmt::Write as _;

use mlops_core::release::Release;

use crate::formula::Formula;

pub mod regression;
pub mod scorecard;

/// A whole file: `fields` are those of the dictionary, `model` is one element.
fn file(release: &Release, fields: &str, model: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <PMML version=\"4.4\" xmlns=\"http://www.dmg.org/PMML-4_4\">\n\
         \x20 <Header description={about}>\n\
         \x20   <Application name=\"mlops-export\" version=\"{version}\"/>\n\
         \x20 </Header>\n\
         \x20 <DataDictionary>\n{fields}\x20 </DataDictionary>\n{model}</PMML>\n",
        about = quoted(&format!(
            "Release {}, trained on {}",
            release.id,
            release.manifest.dataset.file_name()
        )),
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// The columns that a prediction takes, as fields of the dictionary.
fn dictionary(formula: &Formula) -> String {
    let mut fields = String::new();
    for name in &formula.numbers {
        let name = quoted(name);
        let _ = writeln!(
            fields,
            "    <DataField name={name} optype=\"continuous\" dataType=\"double\"/>"
        );
    }
    for name in &formula.texts {
        let name = quoted(name);
        let _ = write!(
            fields,
            "    <DataField name={name} optype=\"categorical\" dataType=\"string\">"
        );
        for spelling in formula.missing.iter().map(String::as_str).chain([""]) {
            let _ = write!(fields, "<Value value={} property=\"missing\"/>", quoted(spelling));
        }
        fields.push_str("</DataField>\n");
    }
    fields
}

/// What a reader makes of values that the dictionary does not foresee.
fn mining(formula: &Formula) -> String {
    let mut fields = String::new();
    for name in &formula.numbers {
        let name = quoted(name);
        let _ = writeln!(
            fields,
            "      <MiningField name={name} invalidValueTreatment=\"asMissing\"/>"
        );
    }
    for name in &formula.texts {
        let name = quoted(name);
        let _ = writeln!(fields, "      <MiningField name={name} invalidValueTreatment=\"asIs\"/>");
    }
    fields
}

fn apply(function: &str, arguments: &[&str]) -> String {
    let function = escaped(function);
    format!("<Apply function=\"{function}\">{}</Apply>", arguments.concat())
}

fn constant(x: f64) -> String {
    format!("<Constant dataType=\"double\">{x:?}</Constant>")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Line ends and tabs would become blanks in an attribute; XML has no other control characters.
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}
