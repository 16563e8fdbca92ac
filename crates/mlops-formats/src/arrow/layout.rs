//! The columns of an Arrow table: what their values are, and in which order a batch has their buffers.
//!
//! A schema is not trusted: a hostile one that refers to its own fields endlessly ends in an error. Not for the values: see [`super::column`].

use std::collections::HashMap;
use std::io;

use polars_arrow_format::ipc::planus::Result as FlatResult;
use polars_arrow_format::ipc::{
    DateUnit, Endianness, FieldRef, IntRef, MetadataVersion, Precision, SchemaRef, TimeUnit,
    TypeRef, UnionMode,
};

use super::stored::damaged;
use crate::typed::{Meaning, Unit};

/// More fields, or fields within more fields, are a damaged file.
const MOST_FIELDS: usize = 1 << 18;
const DEEPEST: usize = 64;

/// The fields of a table, each before those within it.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) fields: Vec<Field>,
    /// The values of the dictionaries, by their number.
    pub(super) dictionaries: HashMap<i64, Layout>,
}

/// A field of a table.
pub(super) struct Field {
    /// Its path, `address.city`.
    pub(super) name: String,
    /// The structure that it is part of.
    pub(super) parent: Option<usize>,
    pub(super) buffers: Buffers,
    /// What its values are, if a row has one of them as a cell.
    pub(super) kind: Option<Kind>,
}

/// The buffers that a batch has of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Buffers {
    /// So many.
    Some(usize),
    /// Two, and those that the views refer to.
    Views,
}

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Missing,
    Bool,
    Integer(Integer, Meaning, Scale),
    Half,
    Single,
    Double,
    /// Bytes, of which as many are one value.
    Fixed(usize),
    Uuid,
    /// Texts between offsets, which are wide or not.
    Text(bool),
    View,
    /// Numbers of values of this dictionary.
    Index(Integer, i64),
}

/// How an integer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Integer {
    /// Its bytes.
    pub(super) width: usize,
    pub(super) signed: bool,
}

/// What an integer is multiplied with or divided by, so that it has a unit that cells can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    One,
    /// Seconds become milliseconds.
    Thousand,
    /// Milliseconds become days.
    PerDay,
}

fn flat<T>(result: FlatResult<T>) -> io::Result<T> {
    result.map_err(|e| damaged(&e.to_string()))
}

fn signed(width: usize) -> Integer {
    Integer { width, signed: true }
}

fn integer(int: &IntRef) -> io::Result<Integer> {
    let width = match flat(int.bit_width())? {
        8 => 1,
        16 => 2,
        32 => 4,
        64 => 8,
        _ => return Err(damaged("an integer has an unknown width")),
    };
    Ok(Integer { width, signed: flat(int.is_signed())? })
}

fn unit(unit: TimeUnit) -> (Unit, Scale) {
    match unit {
        TimeUnit::Second => (Unit::Milli, Scale::Thousand),
        TimeUnit::Millisecond => (Unit::Milli, Scale::One),
        TimeUnit::Microsecond => (Unit::Micro, Scale::One),
        TimeUnit::Nanosecond => (Unit::Nano, Scale::One),
    }
}

/// Whether a field is marked as a UUID.
fn is_uuid(field: &FieldRef) -> io::Result<bool> {
    for pair in flat(field.custom_metadata())?.into_iter().flatten() {
        let pair = flat(pair)?;
        if flat(pair.key())? == Some("ARROW:extension:name") {
            return Ok(flat(pair.value())? == Some("arrow.uuid"));
        }
    }
    Ok(false)
}

/// The buffers of a field, what its values are, and whether its fields are cells of the same row.
fn of_type(
    field: &FieldRef,
    version: MetadataVersion,
) -> io::Result<(Buffers, Option<Kind>, bool)> {
    let Some(found) = flat(field.type_())? else { return Err(damaged("a column has no type")) };
    let cells = |kind| Ok((Buffers::Some(2), Some(kind), false));
    let integers = |width, meaning, scale| cells(Kind::Integer(signed(width), meaning, scale));
    let width = |bits: i32| if bits == 32 { 4 } else { 8 };
    let others = |buffers| Ok((Buffers::Some(buffers), None, false));
    match found {
        TypeRef::Null(_) => Ok((Buffers::Some(0), Some(Kind::Missing), false)),
        TypeRef::Bool(_) => cells(Kind::Bool),
        TypeRef::Int(int) => cells(Kind::Integer(integer(&int)?, Meaning::Integer, Scale::One)),
        TypeRef::FloatingPoint(float) => cells(match flat(float.precision())? {
            Precision::Half => Kind::Half,
            Precision::Single => Kind::Single,
            Precision::Double => Kind::Double,
        }),
        TypeRef::Decimal(decimal) => {
            let width = match flat(decimal.bit_width())? {
                32 => 4,
                64 => 8,
                256 => 32,
                _ => 16,
            };
            integers(width, Meaning::Decimal(flat(decimal.scale())?), Scale::One)
        }
        TypeRef::Date(date) => match flat(date.unit())? {
            DateUnit::Day => integers(4, Meaning::Date, Scale::One),
            DateUnit::Millisecond => integers(8, Meaning::Date, Scale::PerDay),
        },
        TypeRef::Time(time) => {
            let (unit, scale) = unit(flat(time.unit())?);
            integers(width(flat(time.bit_width())?), Meaning::Time(unit), scale)
        }
        TypeRef::Timestamp(time) => {
            let (unit, scale) = unit(flat(time.unit())?);
            let utc = flat(time.timezone())?.is_some_and(|zone| !zone.is_empty());
            integers(8, Meaning::Timestamp(unit, utc), scale)
        }
        TypeRef::Duration(_) => integers(8, Meaning::Integer, Scale::One),
        TypeRef::FixedSizeBinary(bytes) => {
            let width = usize::try_from(flat(bytes.byte_width())?)
                .map_err(|_| damaged("values have less than no bytes"))?;
            cells(if width == 16 && is_uuid(field)? { Kind::Uuid } else { Kind::Fixed(width) })
        }
        TypeRef::Utf8(_) | TypeRef::Binary(_) => {
            Ok((Buffers::Some(3), Some(Kind::Text(false)), false))
        }
        TypeRef::LargeUtf8(_) | TypeRef::LargeBinary(_) => {
            Ok((Buffers::Some(3), Some(Kind::Text(true)), false))
        }
        TypeRef::Utf8View(_) | TypeRef::BinaryView(_) => {
            Ok((Buffers::Views, Some(Kind::View), false))
        }
        TypeRef::Struct(_) => Ok((Buffers::Some(1), None, true)),
        TypeRef::FixedSizeList(_) => others(1),
        TypeRef::Interval(_) | TypeRef::List(_) | TypeRef::LargeList(_) | TypeRef::Map(_) => {
            others(2)
        }
        TypeRef::ListView(_) | TypeRef::LargeListView(_) => others(3),
        TypeRef::RunEndEncoded(_) => others(0),
        TypeRef::Union(union) => {
            let validity = usize::from(version < MetadataVersion::V5);
            others(validity + if flat(union.mode())? == UnionMode::Dense { 2 } else { 1 })
        }
    }
}

impl Layout {
    /// The fields of a table.
    pub(super) fn of(schema: &SchemaRef, version: MetadataVersion) -> io::Result<Self> {
        if flat(schema.endianness())? == Endianness::Big {
            return Err(damaged("its numbers are big-endian"));
        }
        let mut layout = Self::default();
        let mut left = MOST_FIELDS;
        for field in flat(schema.fields())?.into_iter().flatten() {
            layout.add(&flat(field)?, version, None, true, DEEPEST, &mut left)?;
        }
        Ok(layout)
    }

    /// Adds `field` and those within it; `single` says that a row has at most one value of it.
    fn add(
        &mut self,
        field: &FieldRef,
        version: MetadataVersion,
        parent: Option<usize>,
        single: bool,
        depth: usize,
        left: &mut usize,
    ) -> io::Result<()> {
        *left = left.checked_sub(1).ok_or_else(|| damaged("it has too many columns"))?;
        let depth = depth.checked_sub(1).ok_or_else(|| damaged("its columns lie too deep"))?;
        let own = flat(field.name())?.unwrap_or_default();
        let name = match parent.and_then(|parent| self.fields.get(parent)) {
            Some(parent) => format!("{}.{own}", parent.name),
            None => own.to_owned(),
        };
        if let Some(encoding) = flat(field.dictionary())? {
            let index = match flat(encoding.index_type())? {
                Some(index) => integer(&index)?,
                None => signed(4),
            };
            let id = flat(encoding.id())?;
            let mut values = Self::default();
            values.add_plain(field, version, (None, true), String::new(), depth, left)?;
            let is_cell = values.fields.first().is_some_and(|field| field.kind.is_some());
            self.dictionaries.extend(std::mem::take(&mut values.dictionaries));
            self.dictionaries.insert(id, values);
            let kind = (single && is_cell).then_some(Kind::Index(index, id));
            self.fields.push(Field { name, parent, buffers: Buffers::Some(2), kind });
            return Ok(());
        }
        self.add_plain(field, version, (parent, single), name, depth, left)
    }

    /// The same for the values themselves.
    fn add_plain(
        &mut self,
        field: &FieldRef,
        version: MetadataVersion,
        (parent, single): (Option<usize>, bool),
        name: String,
        depth: usize,
        left: &mut usize,
    ) -> io::Result<()> {
        let (buffers, kind, is_struct) = of_type(field, version)?;
        let at = self.fields.len();
        self.fields.push(Field { name, parent, buffers, kind: kind.filter(|_| single) });
        for child in flat(field.children())?.into_iter().flatten() {
            self.add(&flat(child)?, version, Some(at), single && is_struct, depth, left)?;
        }
        Ok(())
    }

    /// The fields whose values are cells.
    pub(super) fn cells(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.fields.len()).filter(|at| self.fields[*at].kind.is_some())
    }

    /// The structures that the field `at` lies in, and itself.
    pub(super) fn lineage(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(at), |at| self.fields.get(*at)?.parent)
    }
}
