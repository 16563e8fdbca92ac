//! Finds texts that mention an erased person, by the values that identify the person.
//!
//! A value is mentioned if it stands between characters that are neither letters nor digits. A value without a
//! letter could be any number, and counts only as a whole text or after "= ", which precedes ids in our messages.
//! Not for rows and records: see `csv::forgotten`.

use super::name;

/// What stands in the place of a value.
const ERASED: &str = "(erased)";

/// Whether `text` mentions one of `people`: all the values that name the person.
pub fn mentions(text: &str, people: &[Vec<String>]) -> bool {
    people.iter().any(|person| is_mentioned(text, person))
}

/// `text` without the values of those of `people` whom it mentions; `None` if it mentions nobody.
pub fn without(text: &str, people: &[Vec<String>]) -> Option<String> {
    let mut found: Option<String> = None;
    for person in people {
        let text = found.as_deref().unwrap_or(text);
        if is_mentioned(text, person) {
            let silent = person.iter().fold(text.to_owned(), |text, value| silence(&text, value));
            found = Some(silent);
        }
    }
    found
}

fn is_mentioned(text: &str, person: &[String]) -> bool {
    let mut values = person.iter().filter(|value| !value.is_empty()).peekable();
    let named = values.peek().is_some();
    named && values.all(|value| spellings(value).iter().any(|v| next(text, v, 0).is_some()))
}

/// The text with another word for each mention of a value.
fn silence(text: &str, value: &str) -> String {
    let mut text = text.to_owned();
    for value in spellings(value) {
        let (mut out, mut from) = (String::new(), 0);
        while let Some(at) = next(&text, &value, from) {
            out.push_str(&text[from..at]);
            out.push_str(ERASED);
            from = at + value.len();
        }
        out.push_str(&text[from..]);
        text = out;
    }
    text
}

/// A value as it is, and as messages spell it.
fn spellings(value: &str) -> Vec<String> {
    let mut all = vec![value.to_owned()];
    let printed = name(value);
    if *printed != *value {
        all.push(printed.into_owned());
    }
    all.retain(|value| !value.is_empty());
    all
}

/// Where the next mention begins, from `from` on.
fn next(text: &str, value: &str, from: usize) -> Option<usize> {
    let lettered = value.chars().any(char::is_alphabetic);
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let is = |at: &usize| {
        let (before, after) = (&text[..*at], &text[at + value.len()..]);
        let alone = !before.chars().next_back().is_some_and(part)
            && !after.chars().next().is_some_and(part);
        let whole = before.is_empty() && after.is_empty();
        alone && (lettered || whole || before.ends_with("= "))
    };
    text.get(from..)?.match_indices(value).map(|(at, _)| from + at).find(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_as_words_and_numbers_only_where_they_are_ids() {
        let values = |list: &[&str]| vec![list.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>()];
        let c17 = values(&["c17"]);
        let text = "a.csv: line 4 (id = c17) repeats line c170; c17, 'c17'";
        assert_eq!(
            without(text, &c17).unwrap(),
            "a.csv: line 4 (id = (erased)) repeats line c170; (erased), '(erased)'"
        );
        assert!(!mentions("c170 xc17 c_c17", &c17) && without("", &c17).is_none());
        let number = values(&["17"]);
        assert!(!mentions("17 rows of line 17", &number));
        assert_eq!(without("line 17 (id = 17)", &number).unwrap(), "line 17 (id = (erased))");
        assert_eq!(without("17", &number).unwrap(), "(erased)");
        assert!(!mentions("anything", &values(&[""])));
        assert!(mentions("of Zürich.", &values(&["Zürich"])));
        // Who is named by two values is mentioned only with both.
        let both = values(&["ann", "berlin"]);
        assert!(!mentions("berlin", &both) && !mentions("ann", &both));
        assert_eq!(without("ann of berlin", &both).unwrap(), "(erased) of (erased)");
    }
}
