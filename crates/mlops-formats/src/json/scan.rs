//! The grammar of JSON, read in place: numbers keep their spelling and strings their bytes.
//!
//! Not for what a value is used for: see [`super::columns`].

/// Why a value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The bytes end before the value does.
    End,
    /// It is no JSON.
    Syntax(&'static str),
}

/// A value, as a range of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    True,
    False,
    /// Its spelling.
    Number(usize, usize),
    /// `Infinity`, which is no JSON but what many programs write; whether it is negative.
    Infinite(bool),
    Text(Text),
    /// An object or array, skipped.
    Nested(usize, usize),
}

/// What is between two quotes, as a range of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether it has escapes.
    pub(crate) escaped: bool,
    /// Whether it has commas.
    pub(crate) commas: bool,
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// The highest bits of the bytes that equal `b`: the first one of them is right, later ones may be others.
fn equal(word: u64, b: u8) -> u64 {
    below(word ^ (ONES * u64::from(b)), 1)
}

/// The same for control characters.
fn control(word: u64) -> u64 {
    below(word, 0x20)
}

/// The same for bytes below `limit`, which is at most 128.
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGHS
}

/// Objects in objects; a deeper one is refused.
const DEEPEST: usize = 128;

/// A place in some bytes.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
    /// Whether a value may go on behind a line end.
    lines: bool,
}

impl<'a> Scanner<'a> {
    /// The beginning of `bytes`.
    pub(crate) fn of(bytes: &'a [u8], lines: bool) -> Self {
        Self { bytes, at: 0, lines }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Skips blanks and returns the next byte.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<u8, Problem> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'\n') if self.lines => self.at += 1,
                Some(b) => return Ok(*b),
                None => return Err(Problem::End),
            }
        }
    }

    /// Whether nothing but blanks is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek() == Err(Problem::End)
    }

    /// Takes `b`.
    #[inline]
    pub(crate) fn expect(&mut self, b: u8, message: &'static str) -> Result<(), Problem> {
        if self.peek()? == b {
            self.at += 1;
            return Ok(());
        }
        Err(Problem::Syntax(message))
    }

    /// Takes `b` if it is next.
    #[inline]
    pub(crate) fn takes(&mut self, b: u8) -> Result<bool, Problem> {
        let found = self.peek()? == b;
        self.at += usize::from(found);
        Ok(found)
    }

    /// A text: what is between its quotes.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<Text, Problem> {
        self.expect(b'"', "a name in quotes is missing")?;
        let mut text = Text { start: self.at, end: self.at, escaped: false, commas: false };
        loop {
            // Eight bytes at a time up to the first one that means something.
            while let Some(word) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
                let word = u64::from_le_bytes(*word);
                let special = equal(word, b'"') | equal(word, b'\\') | control(word);
                let before = special & special.wrapping_neg();
                text.commas |= equal(word, b',') & before.wrapping_sub(1) != 0;
                self.at += special.trailing_zeros() as usize / 8;
                if special != 0 {
                    break;
                }
            }
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    text.end = self.at;
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    text.escaped = true;
                    match self.bytes.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                            self.at += 2;
                        }
                        Some(b'u') => {
                            for i in 2..6 {
                                match self.bytes.get(self.at + i) {
                                    Some(b) if b.is_ascii_hexdigit() => {}
                                    Some(_) => return Err(Problem::Syntax("an escape is wrong")),
                                    None => return Err(Problem::End),
                                }
                            }
                            self.at += 6;
                        }
                        Some(_) => return Err(Problem::Syntax("an escape is wrong")),
                        None => return Err(Problem::End),
                    }
                }
                Some(0..=0x1f) => {
                    return Err(Problem::Syntax(
                        "a text is not closed, or has a control character",
                    ));
                }
                Some(b) => {
                    text.commas |= *b == b',';
                    self.at += 1;
                }
                None => return Err(Problem::End),
            }
        }
    }

    /// The name of a member of an object, and its colon.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Text, Problem> {
        let key = self.text()?;
        self.expect(b':', "a colon is missing")?;
        Ok(key)
    }

    /// The next value; nested ones are skipped.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Value, Problem> {
        match self.peek()? {
            b'"' => self.text().map(Value::Text),
            b'-' | b'0'..=b'9' => self.number(),
            b'n' => self.word(b"null", Value::Null),
            // No number is missing, as it is in every other format.
            b'N' => self.word(b"NaN", Value::Null),
            b'I' => self.word(b"Infinity", Value::Infinite(false)),
            b't' => self.word(b"true", Value::True),
            b'f' => self.word(b"false", Value::False),
            b'{' | b'[' => {
                let start = self.at;
                self.nested()?;
                Ok(Value::Nested(start, self.at))
            }
            _ => Err(Problem::Syntax("a value is missing")),
        }
    }

    /// Skips the next value.
    pub(crate) fn skip(&mut self) -> Result<(), Problem> {
        self.value().map(|_| ())
    }

    fn word(&mut self, word: &[u8], value: Value) -> Result<Value, Problem> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(value);
        }
        let cut_off = word.starts_with(rest);
        Err(if cut_off { Problem::End } else { Problem::Syntax("a word is not a value") })
    }

    fn digits(&mut self) -> Result<(), Problem> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false if self.at == self.bytes.len() => Err(Problem::End),
            false => Err(Problem::Syntax("a number lacks digits")),
        }
    }

    #[inline]
    fn number(&mut self) -> Result<Value, Problem> {
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
            if self.bytes.get(self.at) == Some(&b'I') {
                return self.word(b"Infinity", Value::Infinite(true));
            }
        }
        let first = self.at;
        self.digits()?;
        if self.bytes[first] == b'0' && self.at > first + 1 {
            return Err(Problem::Syntax("a number begins with a zero"));
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Value::Number(start, self.at))
    }

    /// Skips an object or array, without recursion.
    fn nested(&mut self) -> Result<(), Problem> {
        let mut open = Vec::new();
        loop {
            // A value begins here.
            match self.peek()? {
                b @ (b'{' | b'[') => {
                    self.at += 1;
                    if open.len() >= DEEPEST {
                        return Err(Problem::Syntax("its values are nested too deeply"));
                    }
                    let close = if b == b'{' { b'}' } else { b']' };
                    if !self.takes(close)? {
                        open.push(close);
                        if close == b'}' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => {
                    self.text()?;
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                }
                b'n' | b't' | b'f' | b'N' | b'I' => {
                    self.value()?;
                }
                _ => return Err(Problem::Syntax("a value is missing")),
            }
            // A value ended here.
            loop {
                let Some(close) = open.last() else { return Ok(()) };
                if self.takes(b',')? {
                    if *close == b'}' {
                        self.key()?;
                    }
                    break;
                }
                self.expect(*close, "a comma or the end of an object or array is missing")?;
                open.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISE: &[u8] = b"{}[]\",:0123eE+-.tnu\\ \x01";

    /// The grammar is that of serde_json, which is asked for each of many damaged texts.
    #[test]
    fn accepts_what_another_parser_accepts() {
        let seeds = [
            r#"{"a":1,"b":[true,false,null,-0.5e+3],"c":{"d":"x\n\u00e9"}}"#,
            r#"[{"x":"","y":[]},{},[[]],1E5,0,-1]"#,
            r#""t\\\"""#,
        ];
        let mut state = 7_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap_or(0) % below
        };
        let mut accepted = 0;
        for round in 0..30_000 {
            let mut text = seeds[round % seeds.len()].as_bytes().to_vec();
            for _ in 0..=random(2) {
                let at = random(text.len());
                match random(3) {
                    0 => drop(text.remove(at)),
                    1 => text.insert(at, NOISE[random(NOISE.len())]),
                    _ => text[at] = NOISE[random(NOISE.len())],
                }
                if text.is_empty() {
                    text.push(b'1');
                }
            }
            let mut scanner = Scanner::of(&text, true);
            let ours = scanner.skip().is_ok() && scanner.is_at_end();
            let theirs = serde_json::from_slice::<&serde_json::value::RawValue>(&text).is_ok();
            accepted += usize::from(theirs);
            assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&text));
        }
        assert!(accepted > 1000, "{accepted}");
    }
}
