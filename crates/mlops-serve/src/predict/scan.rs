//! Reads rows of JSON as programs write them: objects of numbers, null, true, false and texts without
//! escapes. Their names are compared where they stand, and a number with few digits is converted as it is
//! passed.
//!
//! What it reads means what `serde_json` reads there, which a test compares. It reads nothing else, and
//! leaves every fault to `super::json`, whose parser knows the words for it. That one takes three times as
//! long for a thousand rows. Not for the meaning of fields: see `super::rows`.

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'t> {
    Null,
    Truth(bool),
    /// A whole number.
    Natural(u64),
    /// A whole number below zero.
    Negative(i64),
    /// Any other number.
    Real(f64),
    Text(&'t str),
}

/// The name of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key<'t> {
    /// That of a column, which was expected in this place.
    Column(usize),
    /// Any other one.
    Name(&'t str),
}

/// A text and a place in it.
#[derive(Debug)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// Where the values of the object that was read last begin and end.
    places: Vec<(usize, usize)>,
}

/// Most digits whose number is exact in 64 bits.
const DIGITS: usize = 18;
/// From here on, doubles cannot represent every integer.
const EXACT: u64 = 1 << 53;
/// The powers of ten that doubles represent.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0, places: Vec::new() }
    }

    /// The text from here on.
    pub(crate) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Goes on `bytes` bytes.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Passes blanks, and `byte` if it stands behind them; returns whether it did.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.next() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Whether only blanks are left.
    pub(crate) fn is_done(&mut self) -> bool {
        self.next().is_none()
    }

    /// Reads an object into `fields`, in place of what they hold; `expected` says which column is likely in a
    /// place, and how its name is written in JSON. Returns false, and stays where it is, if the object is not
    /// one that it reads.
    pub(crate) fn object<'e>(
        &mut self,
        fields: &mut Vec<(Key<'t>, Value<'t>)>,
        expected: impl Fn(usize) -> Option<(usize, &'e [u8])>,
    ) -> bool {
        self.whole(|scanner| {
            fields.clear();
            scanner.places.clear();
            scanner.fields(fields, expected)
        })
    }

    /// Reads by `read`; returns whether it could, and stays where it is if not.
    #[inline]
    pub(crate) fn whole(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> bool {
        let before = self.at;
        let done = read(self).is_some();
        if !done {
            self.at = before;
        }
        done
    }

    /// What stood before each value of the object that was read last and began at `from`, and behind the last one.
    pub(crate) fn between(&self, from: usize) -> impl Iterator<Item = &'t [u8]> {
        let bytes = self.text.as_bytes();
        let ends = std::iter::once(from).chain(self.places.iter().map(|(_, end)| *end));
        let starts = self.places.iter().map(|(start, _)| *start).chain([self.at]);
        ends.zip(starts).map(|(end, start)| bytes.get(end..start).unwrap_or_default())
    }

    /// The place of the next byte that is no blank.
    pub(crate) fn start(&mut self) -> usize {
        self.next();
        self.at
    }

    /// Passes `literal`.
    #[inline]
    pub(crate) fn pass(&mut self, literal: &[u8]) -> Option<()> {
        let found = self.text.as_bytes().get(self.at..)?.starts_with(literal);
        self.at += literal.len();
        found.then_some(())
    }

    fn fields<'e>(
        &mut self,
        fields: &mut Vec<(Key<'t>, Value<'t>)>,
        expected: impl Fn(usize) -> Option<(usize, &'e [u8])>,
    ) -> Option<()> {
        self.must(b'{')?;
        if self.eat(b'}') {
            return Some(());
        }
        loop {
            self.next()?;
            let rest = self.text.as_bytes().get(self.at..)?;
            let key = match expected(fields.len()) {
                Some((column, name)) if rest.starts_with(name) => {
                    self.at += name.len();
                    Key::Column(column)
                }
                _ => Key::Name(self.string()?),
            };
            self.must(b':')?;
            let from = self.start();
            fields.push((key, self.value()?));
            self.places.push((from, self.at));
            if !self.eat(b',') {
                return self.must(b'}');
            }
        }
    }

    /// Reads a value that begins here.
    #[inline]
    pub(crate) fn value(&mut self) -> Option<Value<'t>> {
        match self.byte()? {
            b'"' => Some(Value::Text(self.string()?)),
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Truth(true)),
            b'f' => self.word("false", Value::Truth(false)),
            _ => self.number(),
        }
    }

    /// Reads a number that begins here, as the double that is next to it.
    #[inline]
    pub(crate) fn real(&mut self) -> Option<f64> {
        match self.number()? {
            Value::Natural(value) => Some(value as f64),
            Value::Negative(value) => Some(value as f64),
            Value::Real(value) => Some(value),
            Value::Null | Value::Truth(_) | Value::Text(_) => None,
        }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The first byte behind blanks, which are passed.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    #[inline]
    fn must(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    fn word(&mut self, word: &str, value: Value<'t>) -> Option<Value<'t>> {
        let found = self.rest().starts_with(word);
        self.at += word.len();
        found.then_some(value)
    }

    /// A text without escapes.
    #[inline]
    fn string(&mut self) -> Option<&'t str> {
        let from = self.at + 1;
        if self.byte() != Some(b'"') {
            return None;
        }
        let rest = self.text.as_bytes().get(from..)?;
        let length = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f))?;
        self.at = from + length + 1;
        (rest[length] == b'"').then(|| self.text.get(from..from + length))?
    }

    /// Passes digits, with which `value` goes on; returns their number.
    #[inline]
    fn digits(&mut self, value: &mut u64) -> usize {
        let from = self.at;
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            *value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        self.at - from
    }

    #[inline]
    fn number(&mut self) -> Option<Value<'t>> {
        let from = self.at;
        let negative = self.byte()? == b'-';
        self.at += usize::from(negative);
        let leading_zero = self.byte()? == b'0';
        let mut value = 0;
        let whole = self.digits(&mut value);
        if whole == 0 || whole > DIGITS || leading_zero && whole > 1 {
            return None;
        }
        match self.byte() {
            Some(b'.' | b'e' | b'E') => {}
            _ if !negative => return Some(Value::Natural(value)),
            _ if value == 0 => return Some(Value::Real(-0.0)),
            _ => return Some(Value::Negative(-i64::try_from(value).ok()?)),
        }
        let mut behind = 0;
        if self.byte() == Some(b'.') {
            self.at += 1;
            behind = self.digits(&mut value);
            if behind == 0 {
                return None;
            }
        }
        let mut short = whole + behind <= DIGITS && value < EXACT;
        if let Some(b'e' | b'E') = self.byte() {
            short = false;
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            if self.digits(&mut 0) == 0 {
                return None;
            }
        }
        // The quotient of two exact numbers is rounded once, as the number itself would be.
        if short && let Some(power) = POWERS.get(behind) {
            let number = value as f64 / power;
            return Some(Value::Real(if negative { -number } else { number }));
        }
        let number: f64 = self.text.get(from..self.at)?.parse().ok()?;
        number.is_finite().then_some(Value::Real(number))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use serde::de::{Deserializer, MapAccess, Visitor};
    use serde_json::Value as Json;

    use super::*;

    /// The fields of an object, those of the same name too.
    struct All(Vec<(String, Json)>);

    impl<'de> serde::Deserialize<'de> for All {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Fields;
            impl<'de> Visitor<'de> for Fields {
                type Value = All;

                fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<All, A::Error> {
                    let mut all = Vec::new();
                    while let Some(field) = map.next_entry()? {
                        all.push(field);
                    }
                    Ok(All(all))
                }
            }
            deserializer.deserialize_map(Fields)
        }
    }

    const NAMES: [&str; 3] = ["\"a\"", "\"b \\\"x\\\"\"", "\"größe\""];

    /// What serde_json reads of `text`, if it is an object, and whether ours read it too and the same.
    fn compare(text: &str) -> (bool, bool) {
        let mut scanner = Scanner::new(text);
        let mut fields = Vec::new();
        let read = scanner.object(&mut fields, |place| Some((place, NAMES.get(place)?.as_bytes())));
        let theirs = serde_json::from_str::<All>(text);
        if !read {
            assert_eq!(scanner.rest(), text, "it must stay where it is");
            return (theirs.is_ok(), false);
        }
        if !scanner.is_done() {
            return (theirs.is_ok(), false);
        }
        let theirs = theirs.unwrap_or_else(|error| panic!("{text}: {error}")).0;
        assert_eq!(fields.len(), theirs.len(), "{text}");
        for ((key, value), (name, expected)) in fields.iter().zip(&theirs) {
            let key = match key {
                Key::Column(c) => serde_json::from_str::<String>(NAMES[*c]).unwrap(),
                Key::Name(name) => (*name).to_owned(),
            };
            assert_eq!(key, *name, "{text}");
            let same = match *value {
                Value::Null => expected.is_null(),
                Value::Truth(truth) => expected.as_bool() == Some(truth),
                Value::Natural(n) => expected.as_u64() == Some(n),
                Value::Negative(n) => expected.as_i64() == Some(n),
                Value::Real(number) => {
                    expected.is_f64()
                        && expected.as_f64().is_some_and(|f| f.to_bits() == number.to_bits())
                }
                Value::Text(text) => expected.as_str() == Some(text),
            };
            assert!(same, "{text}: {value:?} is not {expected}");
        }
        (true, true)
    }

    #[test]
    fn what_programs_write_is_read() {
        for text in [
            "{}",
            " { } ",
            r#"{"a":1}"#,
            r#"{"a": 1, "b \"x\"": -2.5, "größe": null}"#,
            r#"{"größe":"ü","a":true,"b":false}"#,
            "{\n\t\"a\" : 0 ,\r\n \"c\" : -0 }",
            r#"{"a":999999999999999999,"x":-999999999999999999}"#,
            r#"{"a":0.1,"b":123456789.125,"c":9007199254740993.5,"d":1e-7,"e":1.5E+300}"#,
            r#"{"a":0.000000000000000000000001,"b":3.141592653589793238462643383279}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"":""}"#,
        ] {
            assert_eq!(compare(text), (true, true), "{text}");
        }
    }

    #[test]
    fn what_it_does_not_know_is_left_to_the_other_parser() {
        for text in [
            r#"{"a":"\n"}"#,
            r#"{"\u0061":1}"#,
            r#"{"a":[1]}"#,
            r#"{"a":{}}"#,
            r#"{"a":18446744073709551615}"#,
            r#"{"a":1e400}"#,
        ] {
            let (_, read) = compare(text);
            assert!(!read, "{text}");
        }
    }

    #[test]
    fn nothing_is_read_that_is_no_json() {
        for text in [
            "",
            "{",
            "{]",
            "[1]",
            "1",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\" 1}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":-}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":1e}",
            "{\"a\":1e+}",
            "{\"a\":+1}",
            "{\"a\":NaN}",
            "{\"a\":nul}",
            "{\"a\":nulll}",
            "{\"a\":truefalse}",
            "{\"a\":1 2}",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":\"x}",
            "{\"a\":1}}",
            "{\"a\":0x1}",
            "{\"a\":1\u{a0}}",
            "\u{feff}{}",
            "{\"a\":1_000}",
            "{\"a\":--1}",
        ] {
            assert_eq!(compare(text), (false, false), "{text}");
        }
    }

    #[test]
    fn a_hundred_thousand_damaged_objects_mean_what_the_other_parser_reads() {
        let samples = [
            r#"{"a":12.50,"b \"x\"":-7,"größe":"Köln","more":null,"x":true,"y":1.25e-3}"#,
            r#"{"größe" : 0.30000000000000004, "a" : 123456789012345678, "s":"plain text" }"#,
        ];
        let marks = b"\"{}[]:,.-+eE0123456789ntf \\\n\xc3x";
        let (mut state, mut sound, mut read) = (42_u64, 0, 0);
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for n in 0..100_000 {
            let mut bytes = samples[n % samples.len()].as_bytes().to_vec();
            for _ in 0..random(4) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = marks[random(marks.len())],
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, marks[random(marks.len())]),
                }
            }
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let (theirs, ours) = compare(&text);
            sound += u32::from(theirs);
            read += u32::from(ours);
        }
        assert!(sound > 30_000 && read > sound * 8 / 10, "{sound} are JSON, {read} were read");
    }
}
