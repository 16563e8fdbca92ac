//! The messages of an Arrow file or stream: where they are and what they are of.
//!
//! A file is a stream with a table of contents at its end, which alone says what belongs to it. Not for
//! what is in a batch: see [`super::batch`].

use std::io::{self, Read};

use polars_arrow_format::ipc::planus::ReadAsRoot;
use polars_arrow_format::ipc::{BlockRef, FooterRef, MessageRef, MetadataVersion};

use super::layout::Layout;
use super::stored::damaged;
use crate::file::Window;

/// The first and last bytes of a file.
const MAGIC: &[u8] = b"ARROW1";

/// The description of a batch or a table is not longer than this.
const LONGEST: u64 = 1 << 26;

/// A message: its description, and its body.
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    pub(super) body: Window,
    /// Where the next one begins.
    end: u64,
}

/// All messages, in order.
pub(super) enum Messages {
    /// Those that a file lists: dictionaries, then batches.
    Listed(Window, std::vec::IntoIter<u64>),
    /// Those of a stream, from this place on.
    Streamed(Window, u64),
}

fn broken(error: polars_arrow_format::ipc::planus::Error) -> io::Error {
    damaged(&error.to_string())
}

/// The `length` bytes from `at` on.
fn bytes(window: &Window, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut part = window.part(at, length);
    if length > LONGEST || part.len() < length {
        return Err(damaged("it is cut off"));
    }
    let mut bytes = Vec::new();
    part.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The message at `at`; `None` if there is none any more.
fn message(window: &Window, at: u64) -> io::Result<Option<Message>> {
    if at == window.len() {
        return Ok(None);
    }
    let word = |at| {
        let word = bytes(window, at, 4)?;
        Ok::<_, io::Error>(u32::from_le_bytes(word.try_into().unwrap_or_default()))
    };
    // Before 2019 the length came first.
    let (length, start) = match word(at)? {
        u32::MAX => (word(at + 4)?, at + 8),
        length => (length, at + 4),
    };
    if length == 0 {
        return Ok(None);
    }
    let bytes = bytes(window, start, length.into())?;
    let body = MessageRef::read_as_root(&bytes).and_then(|message| message.body_length());
    let body = u64::try_from(body.map_err(broken)?);
    let body = body.map_err(|_| damaged("a batch has less than no bytes"))?;
    let at = start + u64::from(length);
    let part = window.part(at, body);
    if part.len() < body {
        return Err(damaged("it is cut off"));
    }
    Ok(Some(Message { bytes, body: part, end: at + body }))
}

impl Messages {
    /// The messages in `window`, and the columns that they are of.
    pub(super) fn of(window: &Window) -> io::Result<(Self, Layout)> {
        let mut head = Vec::new();
        window.part(0, MAGIC.len() as u64).read_to_end(&mut head)?;
        if head.starts_with(b"FEA1") {
            return Err(damaged("it has version 1 of Feather"));
        }
        if head != MAGIC {
            let first = message(window, 0)?.ok_or_else(|| damaged("it has no columns"))?;
            let message = MessageRef::read_as_root(&first.bytes).map_err(broken)?;
            let version = message.version().map_err(broken)?;
            let layout = match message.header().map_err(broken)? {
                Some(polars_arrow_format::ipc::MessageHeaderRef::Schema(schema)) => {
                    Layout::of(&schema, version)?
                }
                _ => return Err(damaged("it does not begin with its columns")),
            };
            return Ok((Self::Streamed(window.clone(), first.end), layout));
        }
        let cut_off = || damaged("it is cut off");
        let end = window.len().checked_sub(10).ok_or_else(cut_off)?;
        let tail = bytes(window, end, 10)?;
        if !tail.ends_with(MAGIC) {
            return Err(cut_off());
        }
        let length = u32::from_le_bytes(tail[..4].try_into().unwrap_or_default());
        let start = end.checked_sub(length.into()).ok_or_else(cut_off)?;
        let footer = bytes(window, start, length.into())?;
        let footer = FooterRef::read_as_root(&footer).map_err(broken)?;
        let version = footer.version().map_err(broken)?;
        let schema = footer.schema().map_err(broken)?;
        let schema = schema.ok_or_else(|| damaged("it has no columns"))?;
        let layout = Layout::of(&schema, version.max(MetadataVersion::V4))?;
        let start = |block: BlockRef| {
            u64::try_from(block.offset()).map_err(|_| damaged("a batch begins before the file"))
        };
        let dictionaries = footer.dictionaries().map_err(broken)?.into_iter().flatten();
        let batches = footer.record_batches().map_err(broken)?.into_iter().flatten();
        let places = dictionaries.chain(batches).map(start).collect::<io::Result<Vec<_>>>()?;
        Ok((Self::Listed(window.clone(), places.into_iter()), layout))
    }

    /// The next one.
    pub(super) fn next(&mut self) -> io::Result<Option<Message>> {
        match self {
            Self::Listed(window, places) => match places.next() {
                Some(at) => {
                    message(window, at)?.map(Some).ok_or_else(|| damaged("a batch is missing"))
                }
                None => Ok(None),
            },
            Self::Streamed(window, at) => {
                let found = message(window, *at)?;
                if let Some(found) = &found {
                    *at = found.end;
                }
                Ok(found)
            }
        }
    }
}
