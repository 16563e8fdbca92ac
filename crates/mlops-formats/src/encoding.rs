//! Text in other encodings than UTF-8: recognises them where they are unmistakable, and decodes.
//!
//! Not for guessing: a legacy encoding must be configured.

use std::io::{self, Read};
use std::path::Path;

use encoding_rs::{CoderResult, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use mlops_core::{Error, Result, text};

/// The encoding of a text that begins with `head`: the configured one, or UTF-16 if it cannot be
/// anything else; `None` for UTF-8.
pub(crate) fn of(
    configured: Option<&str>,
    head: &[u8],
    path: &Path,
) -> Result<Option<&'static Encoding>> {
    if let Some(label) = configured {
        let found = Encoding::for_label(label.as_bytes()).ok_or_else(|| {
            let message = format!(
                "the encoding \"{}\" of \"format.encoding\" is not known: name one of the WHATWG's \
                 standard, such as \"utf-8\", \"utf-16le\" or \"windows-1252\"",
                text::name(label)
            );
            Error::schema(path.display().to_string(), message)
        })?;
        return Ok(Some(found).filter(|found| *found != UTF_8));
    }
    if let Some((found, _)) = Encoding::for_bom(head) {
        return Ok(Some(found).filter(|found| *found != UTF_8));
    }
    // Each ASCII character has a zero byte on the same side.
    let pairs = head.as_chunks::<2>().0;
    let pairs = &pairs[..pairs.len().min(32)];
    let all =
        |zero: usize| pairs.len() >= 4 && pairs.iter().all(|p| p[zero] == 0 && p[1 - zero] != 0);
    Ok(if all(1) {
        Some(UTF_16LE)
    } else if all(0) {
        Some(UTF_16BE)
    } else {
        None
    })
}

/// A text as UTF-8. What is no character in its encoding becomes a byte that is none in UTF-8, so that
/// the row is quarantined.
pub(crate) struct Decoded {
    input: Box<dyn Read + Send>,
    decoder: encoding_rs::Decoder,
    raw: Vec<u8>,
    at: usize,
    ended: bool,
    finished: bool,
    text: Vec<u8>,
    given: usize,
}

impl Decoded {
    /// The text of `input`.
    pub(crate) fn of(input: Box<dyn Read + Send>, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        let (raw, text) = (Vec::new(), Vec::new());
        Self { input, decoder, raw, at: 0, ended: false, finished: false, text, given: 0 }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.at == self.raw.len() && !self.ended {
            self.raw.clear();
            self.at = 0;
            self.ended = self.input.by_ref().take(1 << 16).read_to_end(&mut self.raw)? == 0;
        }
        self.text.clear();
        self.given = 0;
        let room =
            self.decoder.max_utf8_buffer_length_without_replacement(self.raw.len() - self.at);
        self.text.resize(room.unwrap_or(1 << 16).max(64), 0);
        let mut written = 0;
        loop {
            let (result, read, wrote) = self.decoder.decode_to_utf8_without_replacement(
                &self.raw[self.at..],
                &mut self.text[written..],
                self.ended,
            );
            self.at += read;
            written += wrote;
            match result {
                DecoderResult::InputEmpty => {
                    self.finished = self.ended;
                    break;
                }
                DecoderResult::OutputFull => break,
                DecoderResult::Malformed(..) if written < self.text.len() => {
                    self.text[written] = 0xff;
                    written += 1;
                }
                DecoderResult::Malformed(..) => {
                    self.text.push(0xff);
                    written += 1;
                    break;
                }
            }
        }
        self.text.truncate(written);
        Ok(())
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            if self.finished {
                return Ok(0);
            }
            self.fill()?;
        }
        let n = buffer.len().min(self.text.len() - self.given);
        buffer[..n].copy_from_slice(&self.text[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

/// `head` as UTF-8, as far as it is whole.
pub(crate) fn head(head: &[u8], encoding: &'static Encoding) -> Vec<u8> {
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let mut text = vec![0; decoder.max_utf8_buffer_length(head.len()).unwrap_or(0)];
    let (result, _, written, _) = decoder.decode_to_utf8(head, &mut text, false);
    debug_assert!(result == CoderResult::InputEmpty, "the buffer is large enough");
    text.truncate(written);
    text
}
