//! Zip archives: the members are read one after the other, as one table.
//!
//! Not for what is in a member: see [`crate::recognise`].

use std::io::{self, Read};
use std::sync::Arc;

use mlops_core::config::Compression;
use mlops_core::csv::formats::Batch;
use mlops_core::{Error, Result, text};
use zip::{CompressionMethod, ZipArchive};

use crate::decoder::{Decoder, Text};
use crate::dialect::{Delimited, Reading};
use crate::file::Window;
use crate::recognise::{self, Made, OwnedWish, Wish};
use crate::record::Dialect;
use crate::{names, ods, packed};

/// Members that an archive may have.
const MOST: usize = 100_000;

/// A member that has rows.
struct Member {
    name: Arc<str>,
    bytes: Window,
    method: CompressionMethod,
    checksum: u32,
    size: u64,
}

/// The rows of all members.
struct Members {
    wish: OwnedWish,
    /// The members to come, the last one first.
    left: Vec<Member>,
    present: Option<(Arc<str>, Box<dyn Decoder>)>,
    names: Option<Vec<String>>,
    extra: Vec<String>,
}

/// Whether the archive is a workbook.
pub(crate) fn is_workbook(window: &Window) -> bool {
    ZipArchive::new(window.clone()).is_ok_and(|mut archive| {
        let has = |name: &str| archive.index_for_name(name).is_some();
        has("xl/workbook.xml") || has("xl/workbook.bin") || ods::is_one(&mut archive)
    })
}

/// The rows of the members of an archive whose names have an ending of a known format; of all if none
/// has.
pub(crate) fn members(wish: Wish, window: &Window) -> Result<Box<dyn Decoder>> {
    let damaged = |e: &dyn std::fmt::Display| {
        wish.schema(&format!("the archive cannot be read: {e}: copy it again, or unpack it"))
    };
    let mut archive = ZipArchive::new(window.clone()).map_err(|e| damaged(&e))?;
    if archive.len() > MOST {
        return Err(wish.schema(&format!("the archive has more than {MOST} members: unpack it")));
    }
    let (mut left, mut passed) = (Vec::new(), Vec::new());
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(|e| damaged(&e))?;
        let name = member.name().map_err(|e| damaged(&e))?.into_owned();
        let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
        if file.is_empty() || file.starts_with('.') || name.starts_with("__MACOSX/") {
            continue;
        }
        if member.encrypted() {
            let name = text::name(&name);
            return Err(wish.schema(&format!("its member \"{name}\" is encrypted: unpack it")));
        }
        let Some(start) = member.data_start() else {
            return Err(damaged(&"a member has no beginning"));
        };
        let found = Member {
            name: name.as_str().into(),
            bytes: window.part(start, member.compressed_size()),
            method: member.compression(),
            checksum: member.crc32(),
            size: member.size(),
        };
        if names::takes(file) { left.push(found) } else { passed.push(found) }
    }
    if left.is_empty() {
        let has = |name: &str| archive.index_for_name(name).is_some();
        if has("[Content_Types].xml") || has("mimetype") {
            return Err(wish
                .schema("this is a document, not a table: save its table as .xlsx, .ods or CSV"));
        }
        left = passed;
    }
    left.reverse();
    // What was packed is named already.
    let mut wish = wish.owned();
    wish.options.format.compression = None;
    Ok(Box::new(Members { wish, left, present: None, names: None, extra: Vec::new() }))
}

impl Members {
    /// Opens the next member that has a header.
    fn open(&mut self) -> Result<bool> {
        while let Some(member) = self.left.pop() {
            let wish = self.wish.get();
            let name = Arc::clone(&member.name);
            let input = unpacked(wish, member)?;
            let mut decoder: Box<dyn Decoder> =
                match recognise::decode(wish, input, Some(Arc::clone(&name)), false)? {
                    Made::Rows(decoder) => decoder,
                    Made::Plain(text) | Made::Translated(text) => {
                        let text = Text::of(text, wish.path, Some(Arc::clone(&name)), false);
                        let reading = Reading {
                            dialect: Dialect::PLAIN,
                            names: Vec::new(),
                            header: true,
                            preamble: 0,
                        };
                        Box::new(Delimited::of(text, reading, wish.options.max_line_bytes))
                    }
                };
            let Some(names) = decoder.header()? else { continue };
            match &self.names {
                None => self.names = Some(names),
                Some(first) if *first == names => {}
                Some(_) => {
                    return Err(wish.schema(&format!(
                        "the columns of its member \"{}\" differ from those of the first one: pack \
                         files with the same columns in the same order",
                        text::name(&name)
                    )));
                }
            }
            self.present = Some((name, decoder));
            return Ok(true);
        }
        Ok(false)
    }
}

impl Decoder for Members {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        if self.present.is_none() {
            self.open()?;
        }
        Ok(self.names.clone())
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        loop {
            if let Some((_, decoder)) = &mut self.present {
                if decoder.next(batch)? {
                    return Ok(true);
                }
                for name in decoder.extra() {
                    if !self.extra.contains(&name) {
                        self.extra.push(name);
                    }
                }
                self.present = None;
            }
            if !self.open()? {
                return Ok(false);
            }
        }
    }

    fn extra(&self) -> Vec<String> {
        self.extra.clone()
    }
}

/// The bytes of a member, which end with an error if they are not those that were packed.
fn unpacked(wish: Wish, member: Member) -> Result<Box<dyn Read + Send>> {
    let Member { name, bytes, method, checksum, size } = member;
    let packed_size = bytes.len();
    let guarded = |compression| packed::unpack(compression, bytes.clone(), move || packed_size);
    let input = match method {
        CompressionMethod::Stored => Ok(Box::new(bytes) as Box<dyn Read + Send>),
        CompressionMethod::Deflated => {
            let reader = io::BufReader::with_capacity(1 << 16, bytes);
            let inflated = flate2::bufread::DeflateDecoder::new(reader);
            Ok(packed::guarded(Box::new(inflated), move || packed_size))
        }
        // The numbers that the format gives to bzip2, Zstandard and xz.
        #[expect(deprecated, reason = "the library is built without these methods")]
        CompressionMethod::Unsupported(12) => guarded(Compression::Bzip2),
        #[expect(deprecated, reason = "the library is built without these methods")]
        CompressionMethod::Unsupported(93) => guarded(Compression::Zstd),
        #[expect(deprecated, reason = "the library is built without these methods")]
        CompressionMethod::Unsupported(95) => guarded(Compression::Xz),
        other => {
            let name = text::name(&name);
            let message = format!("its member \"{name}\" is packed as {other}: unpack it");
            return Err(wish.schema(&message));
        }
    };
    let input = input.map_err(|e| Error::io("read", wish.path, e))?;
    let hasher = crc32fast::Hasher::new();
    Ok(Box::new(Checked { input, hasher, checksum, size, read: 0 }))
}

/// Compares the checksum at the end.
struct Checked {
    input: Box<dyn Read + Send>,
    hasher: crc32fast::Hasher,
    checksum: u32,
    size: u64,
    read: u64,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.read += n as u64;
        let ended = n == 0 && !buffer.is_empty();
        if ended && (self.read != self.size || self.hasher.clone().finalize() != self.checksum) {
            let message = "a member of the archive is damaged: copy the archive again";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(n)
    }
}
