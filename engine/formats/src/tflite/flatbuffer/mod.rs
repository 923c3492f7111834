//! Flatbuffers, as far as TFLite files need them: tables declared once, read and written by the same declaration.
//!
//! A table is declared in [`tables!`] like in a schema file, its fields in the order of their ids. [`Value`] says how one
//! field is stored. Because the types of a schema nest in finite depth, so does reading: offsets that form a circle
//! are only read again and again, until the [`Reader`]'s budget is spent.
//!
//! Source: FlatBuffers internals, <https://flatbuffers.dev/internals/>.

mod read;
mod write;

use std::borrow::Cow;

pub(super) use read::{Flaw, RawTable, Reader, TableAt};
pub(super) use write::{Layout, Writer};

/// What can stand in a field of a table or in a vector.
pub(super) trait Value<'a>: Sized {
    /// Bytes that it takes in place, which is its alignment too; 4 for what is stored elsewhere and pointed to.
    const SIZE: usize;

    /// Reads the value whose place is `at`; [`Self::SIZE`] bytes are known to be there.
    fn get(reader: &mut Reader<'a>, at: usize) -> Result<Self, Flaw>;

    /// Writes the value at its place, which is there already, and appends what is stored elsewhere.
    fn put(&self, out: &mut Writer, at: usize);

    /// Whether there is anything to write.
    fn is_some(&self) -> bool {
        true
    }
}

/// A table of the schema.
pub(super) trait Table<'a>: Sized {
    /// Reads the fields.
    fn read(reader: &mut Reader<'a>, table: TableAt) -> Result<Self, Flaw>;

    /// Appends the table and what it points to; returns its position.
    fn write(&self, out: &mut Writer) -> usize;
}

/// Declares tables: `Name { field: Type = default, … }`, the fields in the order of their ids.
///
/// A field equal to its default is not written, as in the reference implementation.
macro_rules! tables {
    ($($(#[$meta:meta])* $name:ident $(<$lifetime:lifetime>)? { $($field:ident: $ty:ty = $default:expr),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub(in crate::tflite) struct $name $(<$lifetime>)? { $(pub $field: $ty),* }

        impl $(<$lifetime>)? Default for $name $(<$lifetime>)? {
            fn default() -> Self {
                $name { $($field: $default),* }
            }
        }

        impl<'a> $crate::tflite::flatbuffer::Table<'a> for $name $(<$lifetime>)? {
            fn read(
                reader: &mut $crate::tflite::flatbuffer::Reader<'a>,
                table: $crate::tflite::flatbuffer::TableAt,
            ) -> Result<Self, $crate::tflite::flatbuffer::Flaw> {
                // Numbers the fields.
                #[allow(non_camel_case_types, dead_code, reason = "named after the fields; a table may have none")]
                enum Id { $($field),* }
                let _ = (&reader, table);
                Ok($name {
                    $($field: table
                        .field(reader, Id::$field as usize)
                        .map_err(|flaw| flaw.inside(concat!(stringify!($name), ".", stringify!($field))))?
                        .unwrap_or($default)),*
                })
            }

            fn write(&self, out: &mut $crate::tflite::flatbuffer::Writer) -> usize {
                let layout = $crate::tflite::flatbuffer::Layout::default()
                    $(.field(&self.$field, self.$field != $default))*;
                out.table(&layout)$(.field(&self.$field))*.end()
            }
        }
    )*};
}
pub(super) use tables;

macro_rules! scalars {
    ($($ty:ty),*) => {$(
        impl<'a> Value<'a> for $ty {
            const SIZE: usize = size_of::<$ty>();

            fn get(reader: &mut Reader<'a>, at: usize) -> Result<Self, Flaw> {
                reader.array(at).map(<$ty>::from_le_bytes)
            }

            fn put(&self, out: &mut Writer, at: usize) {
                out.set(at, &self.to_le_bytes());
            }
        }
    )*};
}

scalars!(i8, u8, u16, i32, u32, i64, u64, f32);

impl<'a> Value<'a> for bool {
    const SIZE: usize = 1;

    fn get(reader: &mut Reader<'a>, at: usize) -> Result<Self, Flaw> {
        u8::get(reader, at).map(|byte| byte != 0)
    }

    fn put(&self, out: &mut Writer, at: usize) {
        out.set(at, &[u8::from(*self)]);
    }
}

/// Text that is not UTF-8 is repaired: it only names things.
impl<'a> Value<'a> for String {
    const SIZE: usize = 4;

    fn get(reader: &mut Reader<'a>, at: usize) -> Result<Self, Flaw> {
        let bytes = reader.bytes_at(at)?;
        reader.charge(bytes.len())?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn put(&self, out: &mut Writer, at: usize) {
        out.bytes(at, self.as_bytes(), 4);
        out.zero();
    }
}

/// Bytes that readers may map straight into memory: aligned to 16, `force_align: 16` in the schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Aligned<'a>(pub Cow<'a, [u8]>);

impl<'a> Value<'a> for Aligned<'a> {
    const SIZE: usize = 4;

    fn get(reader: &mut Reader<'a>, at: usize) -> Result<Self, Flaw> {
        reader.bytes_at(at).map(|bytes| Aligned(Cow::Borrowed(bytes)))
    }

    fn put(&self, out: &mut Writer, at: usize) {
        out.bytes(at, &self.0, 16);
    }
}

impl<'a, V: Value<'a>> Value<'a> for Vec<V> {
    const SIZE: usize = 4;

    fn get(reader: &mut Reader<'a>, at: usize) -> Result<Self, Flaw> {
        let (start, len) = reader.vector(at, V::SIZE)?;
        reader.charge(len.saturating_mul(size_of::<V>()))?;
        (0..len).map(|i| V::get(reader, start + i * V::SIZE)).collect()
    }

    fn put(&self, out: &mut Writer, at: usize) {
        let start = out.vector(at, self.len(), V::SIZE);
        for (i, value) in self.iter().enumerate() {
            value.put(out, start + i * V::SIZE);
        }
    }
}

impl<'a, V: Value<'a>> Value<'a> for Option<V> {
    const SIZE: usize = V::SIZE;

    fn get(reader: &mut Reader<'a>, at: usize) -> Result<Self, Flaw> {
        V::get(reader, at).map(Some)
    }

    fn put(&self, out: &mut Writer, at: usize) {
        if let Some(value) = self {
            value.put(out, at);
        }
    }

    fn is_some(&self) -> bool {
        self.is_some()
    }
}

impl<'a, T: Table<'a>> Value<'a> for T {
    const SIZE: usize = 4;

    fn get(reader: &mut Reader<'a>, at: usize) -> Result<Self, Flaw> {
        let table = reader.table(at)?;
        reader.charge(size_of::<Self>())?;
        T::read(reader, table)
    }

    fn put(&self, out: &mut Writer, at: usize) {
        let table = self.write(out);
        out.point(at, table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    tables! {
        Inner { values: Option<Vec<i32>> = None, wide: i64 = 0, tiny: i8 = 0 }
        Outer<'a> {
            kind: u32 = 7,
            name: Option<String> = None,
            data: Option<Aligned<'a>> = None,
            flag: bool = false,
            inners: Vec<Inner> = Vec::new(),
        }
    }

    fn outer() -> Outer<'static> {
        let inner = |n: i64| Inner {
            values: Some(vec![1, -2, 3]),
            wide: n,
            tiny: -1,
        };
        Outer {
            kind: 9,
            name: Some("näme".into()),
            data: Some(Aligned(Cow::Owned(vec![5; 33]))),
            flag: true,
            inners: vec![inner(1 << 40), Inner::default(), inner(0)],
        }
    }

    #[test]
    fn tables_are_read_back_and_equal_vtables_are_shared() {
        let bytes = Writer::root(&outer(), *b"TEST");
        assert_eq!(bytes.get(4..8), Some(b"TEST".as_slice()));
        assert_eq!(Reader::root::<Outer>(&bytes).unwrap(), outer());
        let small = Writer::root(&Outer::default(), *b"TEST");
        assert_eq!(Reader::root::<Outer>(&small).unwrap(), Outer::default());
        insta::assert_snapshot!(format!("{small:?}"), @"[12, 0, 0, 0, 84, 69, 83, 84, 4, 0, 4, 0, 4, 0, 0, 0]");
    }

    #[test]
    fn aligned_bytes_start_at_multiples_of_16() {
        let bytes = Writer::root(&outer(), *b"TEST");
        let data = bytes.windows(33).position(|w| w == [5; 33]).unwrap();
        assert_eq!(data % 16, 0);
    }

    #[test]
    fn a_cut_file_is_refused_wherever_it_is_cut() {
        let bytes = Writer::root(&outer(), *b"TEST");
        let last = bytes.iter().rposition(|&b| b != 0).unwrap();
        for n in 0..=last {
            assert!(
                Reader::root::<Outer>(&bytes[..n]).is_err(),
                "{n} of {} bytes",
                bytes.len()
            );
        }
        insta::assert_snapshot!(Reader::root::<Outer>(&bytes[..60]).unwrap_err(), @"Outer.data: 4 bytes at byte 60 end after byte 60, the end of the file");
    }

    #[test]
    fn one_large_vector_that_everything_points_to_exhausts_the_budget() {
        let mut file = Writer::root(
            &Outer {
                inners: vec![Inner::default(); 2000],
                ..Outer::default()
            },
            *b"TEST",
        );
        let large = Writer::root(
            &Inner {
                values: Some(vec![1; 4000]),
                ..Inner::default()
            },
            *b"TEST",
        );
        let target = file.len() + u32::from_le_bytes(large[..4].try_into().unwrap()) as usize;
        file.extend(&large);
        let vector = file.windows(4).position(|w| w == 2000u32.to_le_bytes()).unwrap() + 4;
        for at in (vector..).step_by(4).take(2000) {
            file[at..at + 4].copy_from_slice(&((target - at) as u32).to_le_bytes());
        }
        insta::assert_snapshot!(Reader::root::<Outer>(&file).unwrap_err(), @"Inner.values: the same 32068 bytes are used over and over, which no honest file does");
    }
}
