//! Stored tensors: values in a field of their type, as raw bytes, or in another file.
//!
//! Source: `TensorProto` in `onnx.proto`, and `docs/ExternalData.md`. Element types that the IR does not have are
//! widened: `BFLOAT16` and `DOUBLE` become 32-bit floats, unsigned integers the next larger signed ones, 4-bit integers 8-bit ones.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use half::{bf16, f16};
use ir::{Constant, ElementType, Shape, TensorType};
use prost::Message;

use super::proto::{self, data_type};
use super::{malformed, unsupported};
use crate::{FormatError, int4};

/// Where the data of a tensor lies, if not in the model's own file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalData {
    /// The file, relative to the model's folder and inside it.
    pub location: String,
    /// First byte.
    pub offset: u64,
    /// Number of bytes; the rest of the file where it is not said.
    pub length: Option<u64>,
}

/// Gives the bytes of data outside of the model's file, or says why it cannot.
pub(super) type Resolve<'a> = &'a dyn Fn(&ExternalData) -> Result<Vec<u8>, String>;

/// The files beside the model that hold its weights, each once.
///
/// # Errors
/// Bytes that are no ONNX file, and locations outside of the model's folder.
pub fn external_files(bytes: &[u8]) -> Result<Vec<String>, FormatError> {
    super::guard::check(bytes)?;
    let model = proto::Model::decode(bytes).map_err(|e| malformed("the file", e.to_string()))?;
    let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
    let elsewhere = tensors.filter(|tensor| tensor.data_location == 1);
    let files: BTreeSet<String> = elsewhere
        .map(|t| external(t).map(|e| e.location))
        .collect::<Result<_, _>>()?;
    Ok(files.into_iter().collect())
}

fn place(tensor: &proto::Tensor) -> String {
    format!("tensor `{}`", tensor.name)
}

fn external(tensor: &proto::Tensor) -> Result<ExternalData, FormatError> {
    let find = |key: &str| {
        tensor
            .external_data
            .iter()
            .find(|e| e.key == key)
            .map(|e| e.value.as_str())
    };
    let number = |key: &str| {
        let parse = |text: &str| {
            let wrong = |_| {
                malformed(
                    place(tensor),
                    format!("external data has the {key} `{text}`, expected a number"),
                )
            };
            text.parse::<u64>().map_err(wrong)
        };
        find(key).map(parse).transpose()
    };
    let location = find("location").ok_or_else(|| malformed(place(tensor), "external data has no location"))?;
    let inside = Path::new(location)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !inside || location.contains('\\') {
        let problem = format!("its data is said to be in `{location}`, outside of the model's folder");
        return Err(malformed(place(tensor), problem));
    }
    Ok(ExternalData {
        location: location.to_owned(),
        offset: number("offset")?.unwrap_or(0),
        length: number("length")?,
    })
}

/// The constant that a tensor holds.
pub(super) fn constant(tensor: &proto::Tensor, resolve: Resolve<'_>) -> Result<Constant, FormatError> {
    let shape =
        shape(&tensor.dims).ok_or_else(|| malformed(place(tensor), format!("has the shape {:?}", tensor.dims)))?;
    let raw = match tensor.data_location {
        1 => {
            let data = external(tensor)?;
            let bytes = resolve(&data).map_err(|e| malformed(place(tensor), format!("`{}`: {e}", data.location)))?;
            Some(bytes)
        }
        _ => tensor.raw_data.clone(),
    };
    let elements = shape.elements();
    let wrong = |got: usize| {
        let problem = format!(
            "is {}{shape} of {elements} elements, but has data of {got}",
            data_type::name(tensor.data_type)
        );
        malformed(place(tensor), problem)
    };
    if let Some(raw) = raw {
        let size = stored_bytes(tensor.data_type, elements).ok_or_else(|| refused(tensor))?;
        if raw.len() != size {
            let problem = format!(
                "is {}{shape} of {size} bytes, but has data of {}",
                data_type::name(tensor.data_type),
                raw.len()
            );
            return Err(malformed(place(tensor), problem));
        }
        return from_raw(tensor.data_type, &shape, &raw).ok_or_else(|| refused(tensor));
    }
    let ints = || tensor.int32_data.iter();
    let bytes: Vec<u8> = match tensor.data_type {
        data_type::FLOAT => tensor.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        data_type::DOUBLE => tensor.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        data_type::INT32 => ints().flat_map(|v| v.to_le_bytes()).collect(),
        data_type::INT64 => tensor.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        data_type::UINT32 => tensor
            .uint64_data
            .iter()
            .flat_map(|&v| (v as u32).to_le_bytes())
            .collect(),
        data_type::UINT64 => tensor.uint64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        data_type::INT8 | data_type::UINT8 | data_type::BOOL | data_type::INT4 | data_type::UINT4 => {
            ints().map(|&v| v as u8).collect()
        }
        data_type::INT16 | data_type::UINT16 | data_type::FLOAT16 | data_type::BFLOAT16 => {
            ints().flat_map(|&v| (v as u16).to_le_bytes()).collect()
        }
        _ => return Err(refused(tensor)),
    };
    if stored_bytes(tensor.data_type, elements) != Some(bytes.len()) {
        return Err(wrong(bytes.len() / stored_bytes(tensor.data_type, 1).unwrap_or(1)));
    }
    from_raw(tensor.data_type, &shape, &bytes).ok_or_else(|| refused(tensor))
}

fn refused(tensor: &proto::Tensor) -> FormatError {
    unsupported(
        place(tensor),
        format!("has elements of type {}", data_type::name(tensor.data_type)),
        "numbers of 4 to 64 bits are read",
    )
}

/// Bytes of so many elements; `None` for a type that is not read.
fn stored_bytes(code: i32, elements: usize) -> Option<usize> {
    Some(match code {
        data_type::INT4 | data_type::UINT4 => elements.div_ceil(2),
        data_type::INT8 | data_type::UINT8 | data_type::BOOL => elements,
        data_type::INT16 | data_type::UINT16 | data_type::FLOAT16 | data_type::BFLOAT16 => elements.saturating_mul(2),
        data_type::FLOAT | data_type::INT32 | data_type::UINT32 => elements.saturating_mul(4),
        data_type::DOUBLE | data_type::INT64 | data_type::UINT64 => elements.saturating_mul(8),
        _ => return None,
    })
}

/// A constant from little-endian bytes, as many as the type and shape need.
fn from_raw(code: i32, shape: &Shape, raw: &[u8]) -> Option<Constant> {
    let words = || raw.as_chunks::<4>().0.iter();
    let long = || raw.as_chunks::<8>().0.iter();
    let short = || raw.as_chunks::<2>().0.iter();
    let same = |element| Constant::from_le_bytes(&TensorType::new(element, shape.clone()), raw);
    let bytes = |element, bytes: Vec<u8>| Constant::from_le_bytes(&TensorType::new(element, shape.clone()), &bytes);
    let integers = |values: Vec<i64>| {
        let stored: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Constant::from_le_bytes(&TensorType::new(ElementType::I64, shape.clone()), &stored)
    };
    match code {
        data_type::FLOAT => same(ElementType::F32),
        data_type::FLOAT16 => same(ElementType::F16),
        data_type::INT8 => same(ElementType::I8),
        data_type::UINT8 => same(ElementType::U8),
        data_type::INT16 => same(ElementType::I16),
        data_type::INT32 => same(ElementType::I32),
        data_type::INT64 => same(ElementType::I64),
        data_type::BOOL => same(ElementType::Bool),
        data_type::UINT16 => {
            let values = short().map(|&b| i32::from(u16::from_le_bytes(b)));
            bytes(ElementType::I32, values.flat_map(i32::to_le_bytes).collect())
        }
        data_type::UINT32 => integers(words().map(|&b| i64::from(u32::from_le_bytes(b))).collect()),
        // Beyond 63 bits there are only fill values.
        data_type::UINT64 => integers(
            long()
                .map(|&b| i64::try_from(u64::from_le_bytes(b)).unwrap_or(i64::MAX))
                .collect(),
        ),
        data_type::DOUBLE => Constant::f32(shape.clone(), long().map(|&b| f64::from_le_bytes(b) as f32).collect()),
        data_type::BFLOAT16 => Constant::f32(
            shape.clone(),
            short().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        ),
        data_type::UINT4 => bytes(ElementType::U8, int4::halves(raw, shape.elements()).collect()),
        data_type::INT4 => bytes(ElementType::I8, int4::unpack(raw, shape.elements())),
        _ => None,
    }
}

/// The element type that a declared one becomes.
pub(super) fn element(code: i32) -> Option<ElementType> {
    Some(match code {
        data_type::FLOAT | data_type::DOUBLE | data_type::BFLOAT16 => ElementType::F32,
        data_type::FLOAT16 => ElementType::F16,
        data_type::INT8 | data_type::INT4 => ElementType::I8,
        data_type::UINT8 | data_type::UINT4 => ElementType::U8,
        data_type::INT16 => ElementType::I16,
        data_type::INT32 | data_type::UINT16 => ElementType::I32,
        data_type::INT64 | data_type::UINT32 | data_type::UINT64 => ElementType::I64,
        data_type::BOOL => ElementType::Bool,
        _ => return None,
    })
}

/// The type that an element type is written as.
pub(super) const fn code(element: ElementType) -> i32 {
    match element {
        ElementType::F32 => data_type::FLOAT,
        ElementType::F16 => data_type::FLOAT16,
        ElementType::I8 => data_type::INT8,
        ElementType::U8 => data_type::UINT8,
        ElementType::I16 => data_type::INT16,
        ElementType::I32 => data_type::INT32,
        ElementType::I64 => data_type::INT64,
        ElementType::Bool => data_type::BOOL,
    }
}

/// A shape of at most `i32::MAX` elements, which is what the formats on both sides can count.
pub(super) fn shape(dims: &[i64]) -> Option<Shape> {
    let dims: Vec<usize> = dims.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<_>>()?;
    let shape = Shape(dims);
    i32::try_from(shape.elements()).ok()?;
    shape.dims().iter().all(|&d| i32::try_from(d).is_ok()).then_some(shape)
}

/// Half-precision constants widened, since arithmetic is done in 32 bits; others as they are.
pub(super) fn widened(constant: Constant) -> Constant {
    match constant {
        Constant::F16(halves) => {
            let values = halves.iter().copied().map(f16::to_f32).collect();
            Constant::f32(halves.shape(), values).expect("as many values as before")
        }
        other => other,
    }
}

/// A tensor of 8-bit integers between −8 and 7, written as 4-bit ones.
pub(super) fn packed(name: &str, data: &Constant) -> proto::Tensor {
    proto::Tensor {
        data_type: data_type::INT4,
        raw_data: Some(int4::pack(&data.to_le_bytes())),
        ..stored(name, data)
    }
}

/// A tensor as it is written.
pub(super) fn stored(name: &str, data: &Constant) -> proto::Tensor {
    proto::Tensor {
        dims: data.dims().iter().map(|&d| d as i64).collect(),
        data_type: code(data.element()),
        name: name.to_owned(),
        raw_data: Some(data.to_le_bytes()),
        ..proto::Tensor::default()
    }
}
