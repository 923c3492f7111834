//! Reading flatbuffers that may be damaged or hostile.

use super::{Table, Value};

/// What is wrong with a file, and in which field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{place}: {problem}")]
pub(in crate::tflite) struct Flaw {
    /// `Table.field`, the innermost one.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

impl Flaw {
    pub fn new(problem: String) -> Self {
        Flaw {
            place: String::new(),
            problem,
        }
    }

    /// The same flaw, found in `place` unless it is known more precisely.
    pub fn inside(self, place: &str) -> Self {
        if self.place.is_empty() {
            Flaw {
                place: place.to_owned(),
                ..self
            }
        } else {
            self
        }
    }
}

/// The bytes of a file, and how much memory may still be filled from them.
#[derive(Debug)]
pub(in crate::tflite) struct Reader<'a> {
    bytes: &'a [u8],
    budget: usize,
}

/// A table whose head has been checked.
#[derive(Debug, Clone, Copy)]
pub(in crate::tflite) struct TableAt {
    start: usize,
    /// Bytes of the table itself, its fields in place.
    len: usize,
    vtable: usize,
    fields: usize,
}

/// A table of scalars whose schema is not known, as it stands in a file.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tflite) struct RawTable {
    /// Where each field stands in `inline`; 0 where it is absent.
    pub offsets: Vec<u16>,
    /// The table with its head of four bytes.
    pub inline: Vec<u8>,
    /// Its position modulo 8, on which the alignment of its fields depends.
    pub alignment: usize,
}

impl<'a> Reader<'a> {
    /// Memory that may be filled for each byte of the file; honest files stay below 5.
    const EXPANSION: usize = 16;

    /// The table that a file is about.
    pub fn root<T: Table<'a>>(bytes: &'a [u8]) -> Result<T, Flaw> {
        let budget = bytes.len().saturating_mul(Self::EXPANSION).saturating_add(1024);
        let mut reader = Reader { bytes, budget };
        reader.array::<8>(0).map_err(|flaw| flaw.inside("head"))?;
        T::get(&mut reader, 0).map_err(|flaw| flaw.inside("root"))
    }

    /// Pays for memory.
    pub fn charge(&mut self, bytes: usize) -> Result<(), Flaw> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(Flaw::new(format!(
                "the same {} bytes are used over and over, which no honest file does",
                self.bytes.len()
            ))),
        }
    }

    /// `N` bytes at a position.
    pub fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Flaw> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        bytes.copied().ok_or_else(|| {
            Flaw::new(format!(
                "{N} bytes at byte {at} end after byte {}, the end of the file",
                self.bytes.len()
            ))
        })
    }

    fn u16(&self, at: usize) -> Result<usize, Flaw> {
        self.array(at).map(|b| usize::from(u16::from_le_bytes(b)))
    }

    fn u32(&self, at: usize) -> Result<usize, Flaw> {
        self.array(at).map(|b| u32::from_le_bytes(b) as usize)
    }

    /// Start and length of the vector that the offset at `at` points to; all its elements are there.
    pub fn vector(&self, at: usize, size: usize) -> Result<(usize, usize), Flaw> {
        let head = at.saturating_add(self.u32(at)?);
        let (start, len) = (head.saturating_add(4), self.u32(head)?);
        let end = start.saturating_add(len.saturating_mul(size));
        if end > self.bytes.len() {
            let what = if size == 1 {
                "bytes".to_owned()
            } else {
                format!("elements of {size} bytes")
            };
            let file = self.bytes.len();
            let problem =
                format!("a vector of {len} {what} at byte {start} ends after byte {file}, the end of the file");
            return Err(Flaw::new(problem));
        }
        Ok((start, len))
    }

    /// The bytes that the offset at `at` points to.
    pub fn bytes_at(&self, at: usize) -> Result<&'a [u8], Flaw> {
        let (start, len) = self.vector(at, 1)?;
        Ok(&self.bytes[start..start + len])
    }

    /// The table that the offset at `at` points to.
    pub fn table(&self, at: usize) -> Result<TableAt, Flaw> {
        let start = at.saturating_add(self.u32(at)?);
        let back = i64::from(i32::from_le_bytes(self.array(start)?));
        let wrong = |problem: &str| Flaw::new(format!("the table at byte {start} {problem}"));
        let vtable = usize::try_from(start as i64 - back).map_err(|_| wrong("has its vtable before the file"))?;
        let (vtable_len, len) = (self.u16(vtable)?, self.u16(vtable.saturating_add(2))?);
        if vtable_len < 4 || vtable.saturating_add(vtable_len) > self.bytes.len() {
            return Err(wrong("has a vtable that is not inside the file"));
        }
        if len < 4 || start.saturating_add(len) > self.bytes.len() {
            return Err(wrong("is not inside the file"));
        }
        Ok(TableAt {
            start,
            len,
            vtable,
            fields: (vtable_len - 4) / 2,
        })
    }

    /// A table of scalars of unknown schema; its bytes are copied.
    pub fn raw(&mut self, table: TableAt) -> Result<RawTable, Flaw> {
        self.charge(table.len + 2 * table.fields)?;
        let offsets = (0..table.fields).map(|i| self.u16(table.vtable + 4 + 2 * i).map(|o| o as u16));
        let offsets: Vec<u16> = offsets.collect::<Result<_, _>>()?;
        if offsets.iter().any(|&o| usize::from(o) >= table.len) {
            return Err(Flaw::new(format!(
                "the table at byte {} has a field outside of itself",
                table.start
            )));
        }
        let inline = self.bytes[table.start..table.start + table.len].to_vec();
        Ok(RawTable {
            offsets,
            inline,
            alignment: table.start % 8,
        })
    }
}

impl TableAt {
    /// Where field `id` stands; `None` when it has its default.
    pub fn place(&self, reader: &Reader<'_>, id: usize, size: usize) -> Result<Option<usize>, Flaw> {
        if id >= self.fields {
            return Ok(None);
        }
        match reader.u16(self.vtable + 4 + 2 * id)? {
            0 => Ok(None),
            offset if offset < 4 || offset + size > self.len => Err(Flaw::new(format!(
                "field {id} of the table at byte {} is not inside it",
                self.start
            ))),
            offset => Ok(Some(self.start + offset)),
        }
    }

    /// The value of field `id`; `None` when it has its default.
    pub fn field<'a, V: Value<'a>>(&self, reader: &mut Reader<'a>, id: usize) -> Result<Option<V>, Flaw> {
        match self.place(reader, id, V::SIZE)? {
            Some(at) => V::get(reader, at).map(Some),
            None => Ok(None),
        }
    }
}
