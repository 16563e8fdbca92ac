//! A batch of an Arrow table: its columns, opened where their buffers lie in the file.
//!
//! Not for finding batches: see [`super::messages`].

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use polars_arrow_format::ipc::{CompressionType, RecordBatchRef};

use super::column::{Column, Dictionary, Text, Values};
use super::layout::{Buffers, Kind, Layout};
use super::stored::{Bits, Pool, Stored, damaged};
use crate::file::Window;

/// Bytes of all open buffers together.
const BUFFERED: usize = 1 << 22;

/// Bytes of texts that are unpacked at a time where values refer to any of them.
const UNPACKED: u64 = 1 << 26;

/// The columns of a batch.
pub(super) struct Columns {
    pub(super) columns: Vec<Column>,
    pub(super) rows: u64,
}

/// A buffer of the body.
#[derive(Clone, Copy)]
struct Range {
    offset: i64,
    length: i64,
}

/// Where the buffers of a batch lie.
struct Body<'a> {
    window: &'a Window,
    packing: Option<CompressionType>,
    buffers: Vec<Range>,
    /// Bytes that are read of a buffer at a time.
    size: usize,
}

impl Body<'_> {
    fn window(&self, buffer: usize) -> io::Result<Window> {
        let range = self.buffers.get(buffer).ok_or_else(|| damaged("a buffer is missing"))?;
        let offset = u64::try_from(range.offset).ok();
        let length = u64::try_from(range.length).ok();
        let inside = offset.zip(length).filter(|(offset, length)| {
            offset.checked_add(*length).is_some_and(|end| end <= self.window.len())
        });
        let (offset, length) = inside.ok_or_else(|| damaged("a buffer lies outside the file"))?;
        Ok(self.window.part(offset, length))
    }

    fn stored(&self, buffer: usize) -> io::Result<Stored> {
        Stored::of(self.window(buffer)?, self.packing, self.size)
    }
}

/// What a batch has of each field: its first buffer, how many, and its rows and missing values.
struct Part {
    first: usize,
    count: usize,
    length: i64,
    missing: i64,
}

/// Opens the fields `chosen` of a batch whose body is in `window`.
pub(super) fn open(
    layout: &Layout,
    chosen: &[usize],
    dictionaries: &HashMap<i64, Arc<Dictionary>>,
    batch: &RecordBatchRef,
    window: &Window,
) -> io::Result<Columns> {
    let broken = |e: polars_arrow_format::ipc::planus::Error| damaged(&e.to_string());
    let length = batch.length().map_err(broken)?;
    let rows = u64::try_from(length).map_err(|_| damaged("a batch has less than no rows"))?;
    let packing = match batch.compression().map_err(broken)? {
        Some(packing) => Some(packing.codec().map_err(broken)?),
        None => None,
    };
    let buffers = batch.buffers().map_err(broken)?.into_iter().flatten();
    let buffers =
        buffers.map(|buffer| Range { offset: buffer.offset(), length: buffer.length() }).collect();
    let mut nodes = batch.nodes().map_err(broken)?.into_iter().flatten();
    let mut views = batch.variadic_buffer_counts().map_err(broken)?.into_iter().flatten();
    let mut parts = Vec::with_capacity(layout.fields.len());
    let mut first = 0_usize;
    for field in &layout.fields {
        let node = nodes.next().ok_or_else(|| damaged("a column is missing in a batch"))?;
        let count = match field.buffers {
            Buffers::Some(count) => count,
            Buffers::Views => {
                let more = views.next().and_then(|count| usize::try_from(count).ok());
                2_usize.saturating_add(more.ok_or_else(|| damaged("a buffer is missing"))?)
            }
        };
        parts.push(Part { first, count, length: node.length(), missing: node.null_count() });
        first = first.saturating_add(count);
    }
    let size = (BUFFERED / (3 * chosen.len().max(1))).clamp(256, 1 << 16);
    let body = Body { window, packing, buffers, size };
    let mut left = UNPACKED;
    let mut columns = Vec::with_capacity(chosen.len());
    for at in chosen {
        let (Some(part), Some(kind)) = (parts.get(*at), layout.fields[*at].kind) else { continue };
        if part.length != length {
            return Err(damaged("a column has another number of values than its batch has rows"));
        }
        let mut valid = Vec::new();
        for field in layout.lineage(*at) {
            let part = &parts[field];
            if part.missing != 0 && kind != Kind::Missing && part.count > 0 {
                valid.push(Bits::of(body.stored(part.first)?));
            }
        }
        let values = values(&body, part, kind, &mut left)?;
        let dictionary = match kind {
            Kind::Index(_, id) => dictionaries.get(&id).cloned(),
            _ => None,
        };
        columns.push(Column { kind, valid, values, dictionary });
    }
    Ok(Columns { columns, rows })
}

fn values(body: &Body, part: &Part, kind: Kind, left: &mut u64) -> io::Result<Values> {
    let second = part.first + 1;
    Ok(match kind {
        Kind::Missing => Values::Nothing,
        Kind::Bool => Values::Bits(Bits::of(body.stored(second)?)),
        Kind::Text(wide) => Values::Text(Text {
            offsets: body.stored(second)?,
            wide,
            next: None,
            bytes: body.stored(second + 1)?,
            at: 0,
        }),
        Kind::View => {
            let pools = second + 1..part.first.saturating_add(part.count);
            let pools = pools.map(|buffer| Pool::of(&body.window(buffer)?, body.packing, left));
            Values::Views(body.stored(second)?, pools.collect::<io::Result<_>>()?)
        }
        _ => Values::Fixed(body.stored(second)?),
    })
}
