//! Writing flatbuffers from front to back: a table first, then what it points to.
//!
//! Offsets are unsigned, so whatever is pointed to comes later; only vtables may come earlier, and equal ones are
//! shared. The result depends on the values alone.

use std::collections::HashMap;

use super::{RawTable, Table, Value};

/// A file under construction.
#[derive(Debug, Default)]
pub(in crate::tflite) struct Writer {
    bytes: Vec<u8>,
    vtables: HashMap<Vec<u8>, usize>,
}

/// Which fields a table has, by their sizes; 0 for those that have their default.
#[derive(Debug, Default)]
pub(in crate::tflite) struct Layout(Vec<usize>);

impl Layout {
    /// Adds the next field.
    pub fn field<'a, V: Value<'a>>(mut self, value: &V, differs: bool) -> Self {
        self.0.push(if differs && value.is_some() { V::SIZE } else { 0 });
        self
    }
}

/// The fields of a table that are still to be written.
#[derive(Debug)]
pub(in crate::tflite) struct Fields<'w> {
    out: &'w mut Writer,
    table: usize,
    /// Relative to the table; 0 for a field that has its default.
    offsets: std::vec::IntoIter<u16>,
}

impl Fields<'_> {
    /// Writes the next field.
    pub fn field<'a, V: Value<'a>>(self, value: &V) -> Self {
        self.field_with(|out, at| value.put(out, at))
    }

    /// Writes the next field by hand, if it is to be written.
    pub fn field_with(mut self, put: impl FnOnce(&mut Writer, usize)) -> Self {
        if let Some(offset) = self.offsets.next().filter(|&o| o != 0) {
            put(self.out, self.table + usize::from(offset));
        }
        self
    }

    /// The position of the table.
    pub fn end(self) -> usize {
        self.table
    }
}

impl Writer {
    /// A file about one table: offset of the table, four letters that say what the file is, the table.
    ///
    /// A file longer than 2 GiB has wrapped offsets; the caller checks.
    pub fn root<'a>(table: &impl Table<'a>, identifier: [u8; 4]) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes.extend([0; 4]);
        out.bytes.extend(identifier);
        let root = table.write(&mut out);
        out.point(0, root);
        out.bytes
    }

    /// Appends a table of this layout, its fields zero.
    pub fn table(&mut self, layout: &Layout) -> Fields<'_> {
        // Large fields first, so that no field needs padding before it; the head takes four bytes.
        let mut offsets = vec![0u16; layout.0.len()];
        let mut len: usize = 4;
        for size in [8, 4, 2, 1] {
            for (offset, _) in offsets.iter_mut().zip(&layout.0).filter(|(_, s)| **s == size) {
                len = len.next_multiple_of(size);
                *offset = len as u16;
                len += size;
            }
        }
        let alignment = if layout.0.contains(&8) { 8 } else { 4 };
        let table = self.place(&offsets, len, |at| at % alignment == 0);
        self.bytes.resize(table + len, 0);
        Fields {
            out: self,
            table,
            offsets: offsets.into_iter(),
        }
    }

    /// Appends a table of unknown schema.
    pub fn raw(&mut self, raw: &RawTable) -> usize {
        let table = self.place(&raw.offsets, raw.inline.len(), |at| at % 8 == raw.alignment);
        // The head is new: it points to the vtable here, not to the one in the file that the table comes from.
        self.bytes.extend(raw.inline.iter().skip(4));
        table
    }

    /// Appends the vtable, unless there is one like it, and the head of a table of `len` bytes where `fits` likes it.
    fn place(&mut self, offsets: &[u16], len: usize, fits: impl Fn(usize) -> bool) -> usize {
        let used = offsets.iter().rposition(|&o| o != 0).map_or(0, |i| i + 1);
        let head = [4 + 2 * used as u16, len as u16];
        let vtable: Vec<u8> = head
            .iter()
            .chain(&offsets[..used])
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let at = if let Some(&at) = self.vtables.get(&vtable) {
            at
        } else {
            self.align(0, 2);
            let at = self.bytes.len();
            self.bytes.extend(&vtable);
            self.vtables.insert(vtable, at);
            at
        };
        while !fits(self.bytes.len()) {
            self.zero();
        }
        let table = self.bytes.len();
        self.bytes.extend((table as i32).wrapping_sub(at as i32).to_le_bytes());
        table
    }

    /// Overwrites bytes.
    pub fn set(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes at `at` the offset to `target`.
    pub fn point(&mut self, at: usize, target: usize) {
        self.set(at, &((target - at) as u32).to_le_bytes());
    }

    /// Appends a vector of `len` zeroed elements, points `at` to it, and returns the first element's position.
    pub fn vector(&mut self, at: usize, len: usize, size: usize) -> usize {
        self.head(at, len, size.max(4));
        let start = self.bytes.len();
        self.bytes.resize(start + len * size, 0);
        start
    }

    /// Appends a vector of bytes whose first is aligned, and points `at` to it.
    pub fn bytes(&mut self, at: usize, bytes: &[u8], alignment: usize) {
        self.head(at, bytes.len(), alignment);
        self.bytes.extend(bytes);
    }

    /// Appends one zero byte.
    pub fn zero(&mut self) {
        self.bytes.push(0);
    }

    fn head(&mut self, at: usize, len: usize, alignment: usize) {
        self.align(4, alignment);
        self.point(at, self.bytes.len());
        self.bytes.extend((len as u32).to_le_bytes());
    }

    /// Appends zeros until what follows `ahead` further bytes is aligned.
    fn align(&mut self, ahead: usize, alignment: usize) {
        let len = (self.bytes.len() + ahead).next_multiple_of(alignment) - ahead;
        self.bytes.resize(len, 0);
    }
}
