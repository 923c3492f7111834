//! NumPy's `.npy` files (versions 1.0, 2.0 and 3.0 of the format, `numpy/lib/format.py`) and arrays in an `.npz`.
//!
//! Read: C and Fortran order, little- and big-endian, booleans, integers of 8 to 64 bits, `f32` and `f64`; the
//! claimed shape is checked against the length of the file before anything is allocated. Written: version 1.0, little-endian, C order.

mod header;

use self::header::Header;
use crate::dataset::Bytes;
use crate::error::DataError;
use crate::tree::Tree;

/// An array in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    data: Data,
}

impl Array {
    /// An array of `shape`, or `None` if the number of values is another.
    pub fn new(shape: Vec<usize>, data: Data) -> Option<Self> {
        (header::elements(&shape)? == data.len()).then_some(Self { shape, data })
    }

    /// Length of every axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Shape and values, given away.
    pub fn into_parts(self) -> (Vec<usize>, Data) {
        (self.shape, self.data)
    }
}

/// A number as NumPy stores it.
pub trait Element: Copy + sealed::Sealed {
    /// NumPy's type string, little-endian.
    const DESCR: &'static str;
    /// Writes the value into exactly its size of bytes.
    fn put(self, bytes: &mut [u8]);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($variant:ident $type:ty, $descr:literal, $doc:literal;)*) => {
        /// The values of an [`Array`] by their type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Data {
            /// `uint8`, used where it was read.
            U8(Bytes),
            /// `bool`.
            Bool(Vec<bool>),
            $(#[doc = $doc] $variant(Vec<$type>),)*
        }

        impl Data {
            /// Number of values.
            pub fn len(&self) -> usize {
                match self {
                    Self::U8(values) => values.len(),
                    Self::Bool(values) => values.len(),
                    $(Self::$variant(values) => values.len(),)*
                }
            }

            /// NumPy's name of the type.
            pub fn type_name(&self) -> &'static str {
                match self {
                    Self::U8(_) => "uint8",
                    Self::Bool(_) => "bool",
                    $(Self::$variant(_) => $doc.trim_matches(&['`', '.'][..]),)*
                }
            }

            /// The values rounded to `f32`.
            pub fn to_f32(&self) -> Vec<f32> {
                match self {
                    Self::U8(values) => values.iter().map(|&value| f32::from(value)).collect(),
                    Self::Bool(values) => values.iter().map(|&value| f32::from(u8::from(value))).collect(),
                    $(Self::$variant(values) => values.iter().map(|&value| value as f32).collect(),)*
                }
            }

            /// The values as integers; `None` if one of them is none.
            pub fn to_integers(&self) -> Option<Vec<i64>> {
                match self {
                    Self::U8(values) => Some(values.iter().map(|&value| i64::from(value)).collect()),
                    Self::Bool(values) => Some(values.iter().map(|&value| i64::from(value)).collect()),
                    $(Self::$variant(values) => values.iter().map(|&value| integer(value as f64)).collect(),)*
                }
            }

            /// Values of the type that `descr` (without byte order) names, in the order in which they are stored.
            fn decode(descr: &str, big_endian: bool, buffer: Vec<u8>, start: usize) -> Option<Self> {
                Some(match descr {
                    "u1" => Self::U8(Bytes::from_offset(buffer, start)),
                    "b1" => Self::Bool(buffer[start..].iter().map(|&byte| byte != 0).collect()),
                    $(_ if descr == &$descr[1..] => {
                        let take = if big_endian { <$type>::from_be_bytes } else { <$type>::from_le_bytes };
                        let (values, _) = buffer[start..].as_chunks();
                        Self::$variant(values.iter().map(|&bytes| take(bytes)).collect())
                    })*
                    _ => return None,
                })
            }

            fn reordered(self, from_fortran: &[usize]) -> Self {
                match self {
                    Self::U8(values) => Self::U8(reorder(&values, from_fortran).into()),
                    Self::Bool(values) => Self::Bool(reorder(&values, from_fortran)),
                    $(Self::$variant(values) => Self::$variant(reorder(&values, from_fortran)),)*
                }
            }
        }

        $(
            impl sealed::Sealed for $type {}
            impl Element for $type {
                const DESCR: &'static str = $descr;
                fn put(self, bytes: &mut [u8]) {
                    bytes.copy_from_slice(&self.to_le_bytes());
                }
            }
        )*

        /// Writes an array as an `.npy` file.
        pub fn write_array(array: &Array) -> Vec<u8> {
            match &array.data {
                Data::U8(values) => write(&array.shape, values),
                Data::Bool(values) => write(&array.shape, values),
                $(Data::$variant(values) => write(&array.shape, values),)*
            }
        }
    };
}

elements! {
    I8 i8, "|i1", "`int8`.";
    I16 i16, "<i2", "`int16`.";
    U16 u16, "<u2", "`uint16`.";
    I32 i32, "<i4", "`int32`.";
    U32 u32, "<u4", "`uint32`.";
    I64 i64, "<i8", "`int64`.";
    U64 u64, "<u8", "`uint64`.";
    F32 f32, "<f4", "`float32`.";
    F64 f64, "<f8", "`float64`.";
}

impl sealed::Sealed for u8 {}
impl Element for u8 {
    const DESCR: &'static str = "|u1";
    fn put(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&[self]);
    }
}

impl sealed::Sealed for bool {}
impl Element for bool {
    const DESCR: &'static str = "|b1";
    fn put(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&[u8::from(self)]);
    }
}

impl Data {
    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The integer a number is, if it is one that `f64` holds exactly.
fn integer(value: f64) -> Option<i64> {
    let exact = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && (-exact..=exact).contains(&value)).then_some(value as i64)
}

/// Reads an `.npy` file; `place` names it in errors. Bytes (`uint8`) in C order are not copied.
pub fn read(bytes: Vec<u8>, place: &str) -> Result<Array, DataError> {
    let Header {
        descr,
        big_endian,
        fortran,
        shape,
        data_start,
    } = Header::parse(&bytes, place)?;
    let Some(data) = Data::decode(&descr, big_endian, bytes, data_start) else {
        let what = format!("element type `{descr}`");
        return Err(DataError::Unsupported {
            place: place.to_owned(),
            what,
            fix: "use bool, (u)int8..64, float32 or float64",
        });
    };
    let data = if fortran && shape.len() > 1 {
        data.reordered(&shape)
    } else {
        data
    };
    Ok(Array { shape, data })
}

/// The header of an array of `shape`, in C order, as [`write`] writes it.
pub(crate) fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    header::write(descr, shape)
}

/// Reads the arrays of an `.npz` file by name, without their `.npy`.
pub fn read_npz(bytes: Vec<u8>, place: &str) -> Result<Vec<(String, Array)>, DataError> {
    let tree = Tree::from_bytes(place, bytes)?;
    let arrays = tree
        .names()
        .filter_map(|name| Some((name.rsplit('/').next()?.strip_suffix(".npy")?, name)));
    arrays
        .map(|(stem, name)| {
            Ok((
                stem.to_owned(),
                read(tree.read(name)?.into_owned(), &format!("{place}: {name}"))?,
            ))
        })
        .collect()
}

/// Writes values of `shape`, in C order, as an `.npy` file.
pub fn write<T: Element>(shape: &[usize], values: &[T]) -> Vec<u8> {
    let mut file = header::write(T::DESCR, shape);
    let start = file.len();
    file.resize(start + size_of_val(values), 0);
    for (bytes, &value) in file[start..].chunks_exact_mut(size_of::<T>()).zip(values) {
        value.put(bytes);
    }
    file
}

/// Values in C order from values whose first axis runs fastest.
fn reorder<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for &side in shape {
        strides.push(stride);
        stride *= side;
    }
    let mut index = vec![0; shape.len()];
    let mut offset = 0;
    let mut ordered = Vec::with_capacity(values.len());
    while ordered.len() < values.len() {
        ordered.push(values[offset]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            offset += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            offset -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 1.0 with this header text.
    fn file(text: &str, data: &[u8]) -> Vec<u8> {
        let len = (text.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &len[..], text.as_bytes(), data].concat()
    }

    fn refused(bytes: Vec<u8>) -> String {
        read(bytes, "a.npy").expect_err("should be refused").to_string()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let arrays = [
            (vec![2, 1], Data::U8(vec![1, 2].into())),
            (vec![2], Data::Bool(vec![true, false])),
            (vec![1, 2], Data::I8(vec![-1, 2])),
            (vec![1], Data::I16(vec![-300])),
            (vec![1], Data::U16(vec![60000])),
            (vec![1], Data::I32(vec![-70000])),
            (vec![1], Data::U32(vec![u32::MAX])),
            (vec![1], Data::I64(vec![i64::MIN])),
            (vec![1], Data::U64(vec![u64::MAX])),
            (vec![], Data::F32(vec![0.5])),
            (vec![0, 3], Data::F64(vec![])),
        ];
        for (shape, data) in arrays {
            let array = Array::new(shape, data).expect("as many values as the shape says");
            let written = write_array(&array);
            assert_eq!(read(written, "a.npy").expect("own file"), array);
        }
    }

    #[test]
    fn the_header_is_numpys_own() {
        let written = write(&[3], &[1.0f32, 2.0, 3.0]);
        assert_eq!(written.len(), 128 + 12);
        assert_eq!(&written[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = String::from_utf8_lossy(&written[10..128]);
        assert_eq!(
            text.trim_end(),
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"
        );
        assert!(text.ends_with(" \n"));
    }

    #[test]
    fn fortran_order_becomes_c_order() {
        let text = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }";
        let array = read(file(text, &[1, 4, 2, 5, 3, 6]), "a.npy").expect("valid");
        assert_eq!(array.data(), &Data::U8(vec![1, 2, 3, 4, 5, 6].into()));
    }

    #[test]
    fn big_endian_and_later_versions_are_read() {
        let text = r#"{"shape": (1L,), "descr": ">i4", "fortran_order": False}"#;
        let expected = Data::I32(vec![258]);
        let old = file(text, &[0, 0, 1, 2]);
        assert_eq!(read(old.clone(), "a.npy").expect("version 1").data(), &expected);
        for version in [2, 3] {
            let mut new = old.clone();
            new[6] = version;
            new.splice(10..10, [0, 0]);
            assert_eq!(read(new, "a.npy").expect("long header").data(), &expected);
        }
    }

    #[test]
    fn lies_in_headers_are_refused_before_anything_is_allocated() {
        let claim = |shape: &str| {
            refused(file(
                &format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"),
                &[0; 8],
            ))
        };
        insta::assert_snapshot!(claim("(2,)"), @"a.npy: shape [2] of `f8` takes 16 bytes, the file holds 8");
        insta::assert_snapshot!(claim("(99999999999, 99999999999)"), @"a.npy: shape [99999999999, 99999999999] of `f8` takes more bytes than can be counted, the file holds 8");
        insta::assert_snapshot!(claim("(-1,)"), @"a.npy: not an .npy file: header: a length expected before `-1,)}`");
        insta::assert_snapshot!(claim("(99999999999999999999,)"), @"a.npy: not an .npy file: header: a length expected before `99999999999999999999`");
        insta::assert_snapshot!(refused(b"\x93NUMPY\x09\x00\x00\x00".to_vec()), @"a.npy: not an .npy file: version 9 is not 1, 2 or 3");
        insta::assert_snapshot!(refused(b"\x93NUMPY\x01\x00\xff\xff{".to_vec()), @"a.npy: not an .npy file: the header is truncated");
        insta::assert_snapshot!(refused(b"text".to_vec()), @r#"a.npy: not an .npy file: it does not begin with \x93NUMPY"#);
        insta::assert_snapshot!(refused(file("{'descr': [('a', '<f4')], ", &[])), @"a.npy: not an .npy file: header: `'` expected before `[('a', '<f4')], `");
        insta::assert_snapshot!(refused(file("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", &[0; 8])), @"a.npy: element type `c8` is not supported; use bool, (u)int8..64, float32 or float64");
        insta::assert_snapshot!(refused(file("{'descr': '<f4', 'shape': (0,)}", &[])), @"a.npy: not an .npy file: the header lacks descr, fortran_order or shape");
    }
}
