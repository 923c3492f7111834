//! MATLAB's MAT-files of level 5, as far as arrays of structures with texts and numbers go.
//!
//! A header of 128 bytes, then elements: a type and a length (for up to 4 bytes both in one word), the data, padding to 8 bytes. An array is
//! an element of elements: flags, dimensions, name, content; it may be packed as a whole. Source: MathWorks, *MAT-File Format*, level 5.

use std::io::Read;

use flate2::read::ZlibDecoder;

const HEADER: usize = 128;
const MATRIX: u32 = 14;
const PACKED: u32 = 15;
const STRUCT: u32 = 2;
const CHARS: u32 = 4;

/// The most bytes that a packed array may unpack to.
const MOST: u64 = 256 << 20;

/// A field of a structure.
#[derive(Debug, PartialEq)]
pub(super) enum Field {
    Text(String),
    /// The first of its numbers.
    Number(f64),
    Other,
}

impl Field {
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Other => None,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) | Self::Other => None,
        }
    }
}

/// The named fields of every structure of an array.
///
/// # Errors
/// The file is none of this format, or holds no such array with such fields.
pub(super) fn structs<const N: usize>(bytes: &[u8], array: &str, fields: [&str; N]) -> Result<Vec<[Field; N]>, String> {
    match bytes.get(126..HEADER) {
        Some(b"IM") => {}
        Some(b"MI") => return Err("big-endian MAT-files are not read; save it again on another machine".into()),
        _ => return Err("not a MAT-file of level 5".into()),
    }
    let mut rest = &bytes[HEADER..];
    while !rest.is_empty() {
        let (kind, data, after) = element(rest).ok_or("the MAT-file is truncated")?;
        rest = after;
        let mut unpacked = Vec::new();
        let data = if kind == PACKED {
            let read = ZlibDecoder::new(data).take(MOST).read_to_end(&mut unpacked);
            read.map_err(|error| format!("an array does not unpack: {error}"))?;
            match element(&unpacked) {
                Some((MATRIX, data, _)) => data,
                _ => continue,
            }
        } else {
            data
        };
        if let Some(matrix) = Matrix::read(data)
            && matrix.name == array.as_bytes()
        {
            return matrix
                .rows(fields)
                .ok_or_else(|| format!("`{array}` is no array of structures with {}", fields.join(", ")));
        }
    }
    Err(format!("holds no `{array}`"))
}

/// The type and data of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let first = word(0)?;
    if first >> 16 != 0 {
        let data = bytes
            .get(4..4 + (first >> 16) as usize)
            .filter(|data| data.len() <= 4)?;
        return Some((first & 0xffff, data, bytes.get(8..).unwrap_or_default()));
    }
    let len = word(4)? as usize;
    let data = bytes.get(8..)?.get(..len)?;
    let padded = if first == PACKED { len } else { len.next_multiple_of(8) };
    Some((first, data, bytes.get(8 + padded..).unwrap_or_default()))
}

/// An array: what it is, how many entries it has, and its content.
struct Matrix<'a> {
    class: u32,
    count: usize,
    name: &'a [u8],
    content: &'a [u8],
}

impl<'a> Matrix<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (_, flags, rest) = element(bytes)?;
        let (_, sides, rest) = element(rest)?;
        let (_, name, content) = element(rest)?;
        let sides = sides.as_chunks::<4>().0;
        let count = sides
            .iter()
            .try_fold(1usize, |n, &side| n.checked_mul(u32::from_le_bytes(side) as usize))?;
        Some(Self {
            class: u32::from(*flags.first()?),
            count,
            name,
            content,
        })
    }

    /// The named fields of its structures.
    fn rows<const N: usize>(&self, wanted: [&str; N]) -> Option<Vec<[Field; N]>> {
        if self.class != STRUCT {
            return None;
        }
        let (_, len, rest) = element(self.content)?;
        let (_, names, mut rest) = element(rest)?;
        let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
        let names: Vec<&[u8]> = names.chunks_exact((len > 0).then_some(len)?).collect();
        let named = |wanted: &str| {
            names.iter().position(|name| {
                let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
                name[..end] == *wanted.as_bytes()
            })
        };
        let places: Vec<usize> = wanted.iter().map(|wanted| named(wanted)).collect::<Option<_>>()?;
        let mut rows = Vec::new();
        for _ in 0..self.count {
            let mut row = [const { Field::Other }; N];
            for at in 0..names.len() {
                let (kind, data, after) = element(rest)?;
                rest = after;
                for (field, _) in row.iter_mut().zip(&places).filter(|(_, place)| **place == at) {
                    *field = if kind == MATRIX {
                        Matrix::read(data)?.field()
                    } else {
                        Field::Other
                    };
                }
            }
            rows.push(row);
        }
        Some(rows)
    }

    /// A text, or a number that may be stored in fewer bytes than it has.
    fn field(&self) -> Field {
        let Some((kind, data, _)) = element(self.content) else {
            return Field::Other;
        };
        if self.class == CHARS {
            let units = data.as_chunks::<2>().0.iter().map(|&unit| u16::from_le_bytes(unit));
            return Field::Text(match kind {
                4 | 17 => char::decode_utf16(units)
                    .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect(),
                _ => String::from_utf8_lossy(data).into_owned(),
            });
        }
        let number = match kind {
            1 => first(data).map(|b| f64::from(i8::from_le_bytes(b))),
            2 => first(data).map(|b| f64::from(u8::from_le_bytes(b))),
            3 => first(data).map(|b| f64::from(i16::from_le_bytes(b))),
            4 => first(data).map(|b| f64::from(u16::from_le_bytes(b))),
            5 => first(data).map(|b| f64::from(i32::from_le_bytes(b))),
            6 => first(data).map(|b| f64::from(u32::from_le_bytes(b))),
            7 => first(data).map(|b| f64::from(f32::from_le_bytes(b))),
            9 => first(data).map(f64::from_le_bytes),
            _ => None,
        };
        number.map_or(Field::Other, Field::Number)
    }
}

fn first<const W: usize>(data: &[u8]) -> Option<[u8; W]> {
    data.first_chunk::<W>().copied()
}
