//! Tensors of a file: types, quantization and data, checked against each other.

use std::collections::HashMap;

use ir::{Constant, ElementType, Quantization, Scale, Shape, Tensor, TensorType};

use crate::tflite::schema::{Model, QuantizationParameters, SparsityParameters, Tensor as Table};
use crate::tflite::sparse::{self, MOST_EXPANSION};
use crate::tflite::write::INT4;
use crate::tflite::{malformed, unsupported};
use crate::{FormatError, int4};

/// Sparse constants of a small file may become as many bytes in any case.
const ALWAYS_EXPANDED: usize = 1 << 24;

/// The buffers of a file, each made a constant once for each element type.
pub(super) struct Data<'f> {
    bytes: &'f [u8],
    model: &'f Model<'f>,
    made: HashMap<(u32, ElementType, bool), Constant>,
    /// Bytes of constants that may still be made.
    budget: usize,
    /// Bytes that sparse constants may still become.
    dense_budget: usize,
}

impl<'f> Data<'f> {
    pub fn new(bytes: &'f [u8], model: &'f Model<'f>) -> Self {
        // Buffers may share bytes, but honest files hardly do it.
        Data {
            bytes,
            model,
            made: HashMap::new(),
            budget: bytes.len().saturating_mul(4),
            dense_budget: bytes.len().saturating_mul(MOST_EXPANSION).max(ALWAYS_EXPANDED),
        }
    }

    /// What stands in a buffer; `None` for an empty one.
    fn stored(&self, place: &str, index: u32) -> Result<Option<&'f [u8]>, FormatError> {
        let buffer = self.model.buffers.get(index as usize);
        let buffer = buffer.ok_or_else(|| malformed(place, format!("there is no buffer {index}")))?;
        // Offsets 0 and 1 say that the data is in the flatbuffer.
        if buffer.offset > 1 {
            let range = usize::try_from(buffer.offset)
                .ok()
                .zip(usize::try_from(buffer.size).ok());
            let bytes = range.and_then(|(start, len)| self.bytes.get(start..start.checked_add(len)?));
            let problem = || format!("{} bytes at byte {} are not in the file", buffer.size, buffer.offset);
            return bytes.map(Some).ok_or_else(|| malformed(place, problem()));
        }
        Ok(buffer
            .data
            .as_ref()
            .map(|data| data.0.as_ref())
            .filter(|data| !data.is_empty()))
    }

    fn constant(
        &mut self,
        place: &str,
        index: u32,
        ty: &TensorType,
        packed: bool,
    ) -> Result<Option<Constant>, FormatError> {
        let Some(stored) = self.stored(place, index)? else {
            return Ok(None);
        };
        let size = if packed { ty.bytes().div_ceil(2) } else { ty.bytes() };
        if stored.len() != size {
            let problem = format!(
                "is {ty}, which takes {size} bytes, but buffer {index} has {}",
                stored.len()
            );
            return Err(malformed(place, problem));
        }
        if let Some(made) = self.made.get(&(index, ty.element, packed)) {
            return Ok(made.reshaped(ty.shape.clone()));
        }
        self.budget = self.budget.checked_sub(ty.bytes()).ok_or_else(|| {
            malformed(
                place,
                "many tensors are made of the same few bytes, which no honest file does",
            )
        })?;
        let made = if packed {
            Constant::from_le_bytes(ty, &int4::unpack(stored, ty.bytes()))
        } else {
            Constant::from_le_bytes(ty, stored)
        };
        if let Some(made) = &made {
            self.made.insert((index, ty.element, packed), made.clone());
        }
        Ok(made)
    }

    /// All values of a constant that is stored without its zeros.
    fn sparse(
        &mut self,
        place: &str,
        index: u32,
        ty: &TensorType,
        parameters: &SparsityParameters,
    ) -> Result<Constant, FormatError> {
        let stored = self.stored(place, index)?;
        let stored = stored.ok_or_else(|| malformed(place, "is stored sparsely, but has no values"))?;
        self.dense_budget = self.dense_budget.checked_sub(ty.bytes()).ok_or_else(|| {
            let problem = format!(
                "is stored sparsely, and with its zeros the file would be more than {MOST_EXPANSION} times as large"
            );
            unsupported(place, problem, "store the weights in dense form")
        })?;
        let dense = sparse::dense(stored, ty, parameters).map_err(|problem| malformed(place, problem))?;
        Constant::from_le_bytes(ty, &dense).ok_or_else(|| malformed(place, format!("does not hold {ty}")))
    }
}

/// A tensor of the file under a unique name.
pub(super) fn tensor(name: String, table: &Table, data: &mut Data<'_>) -> Result<Tensor, FormatError> {
    let place = format!("tensor `{name}`");
    if table.is_variable && table.buffer != 0 && data.stored(&place, table.buffer)?.is_some() {
        return Err(unsupported(
            place,
            "is a variable that does not begin with zeros",
            "export the model without state",
        ));
    }
    if table.external_buffer != 0 {
        return Err(unsupported(
            place,
            "is stored in another file",
            "store the weights in the model",
        ));
    }
    let ty = TensorType {
        element: element(&place, table.ty)?,
        shape: shape(&place, table)?,
    };
    let quantization = match &table.quantization {
        Some(parameters) if !ty.element.is_float() => quantization(&place, parameters, &ty)?,
        _ => None,
    };
    let packed = table.ty == INT4;
    let data = match &table.sparsity {
        Some(_) if packed => {
            return Err(unsupported(
                place,
                "holds 4-bit integers in sparse form",
                "store them in dense form, two a byte",
            ));
        }
        Some(parameters) => Some(data.sparse(&place, table.buffer, &ty, parameters)?),
        None if table.buffer == 0 => None,
        None => data.constant(&place, table.buffer, &ty, packed)?,
    };
    Ok(Tensor {
        name,
        ty,
        quantization,
        data,
    })
}

/// The dimensions that the signature leaves open, but for the first, which counts samples.
pub(super) fn open_dimensions(table: &Table) -> Vec<usize> {
    let signature = table.shape_signature.iter().chain(&table.shape);
    let mut open: Vec<usize> = signature
        .flat_map(|s| s.iter().enumerate().skip(1).filter(|(_, d)| **d < 0).map(|(i, _)| i))
        .collect();
    open.sort_unstable();
    open.dedup();
    open
}

/// An input must have a known size, and nothing in it yet.
pub(super) fn check_input(tensor: &Tensor, table: &Table) -> Result<(), FormatError> {
    let place = || format!("input `{}`", tensor.name);
    if tensor.data.is_some() {
        return Err(malformed(place(), "is a constant"));
    }
    if let Some(axis) = open_dimensions(table).first() {
        let problem = format!("dimension {axis} has no fixed extent");
        return Err(unsupported(
            place(),
            problem,
            "export the model with fixed sizes; only the batch may vary",
        ));
    }
    Ok(())
}

/// `TensorType`.
fn element(place: &str, code: i8) -> Result<ElementType, FormatError> {
    const OTHERS: &[(i8, &str)] = &[
        (5, "strings"),
        (8, "64-bit complex numbers"),
        (10, "64-bit floats"),
        (11, "128-bit complex numbers"),
        (12, "unsigned 64-bit integers"),
        (13, "resources"),
        (14, "variants"),
        (15, "unsigned 32-bit integers"),
        (16, "unsigned 16-bit integers"),
        (18, "bfloat16 numbers"),
        (19, "2-bit integers"),
        (20, "unsigned 4-bit integers"),
        (21, "8-bit floats"),
        (22, "8-bit floats"),
    ];
    let known = ElementType::NAMES.iter().map(|&(element, _)| element);
    if code == INT4 {
        return Ok(ElementType::I8);
    }
    known
        .into_iter()
        .find(|&e| super::super::write::type_code(e) == code)
        .ok_or_else(|| match OTHERS.iter().find(|(c, _)| *c == code) {
            Some((_, what)) => unsupported(place, format!("holds {what}"), "convert the model to other types"),
            None => malformed(place, format!("has the unknown element type {code}")),
        })
}

/// The shape for one sample: extents that the signature leaves open are 1.
fn shape(place: &str, table: &Table) -> Result<Shape, FormatError> {
    let dims = table.shape.as_deref().unwrap_or_default();
    let signature = table
        .shape_signature
        .as_deref()
        .filter(|s| s.len() == dims.len())
        .unwrap_or(dims);
    let extent = |(&dim, &signature): (&i32, &i32)| {
        let dim = if dim.min(signature) == -1 { 1 } else { dim };
        usize::try_from(dim).map_err(|_| malformed(place, format!("has a dimension of {dim}")))
    };
    dims.iter()
        .zip(signature)
        .map(extent)
        .collect::<Result<Vec<_>, _>>()
        .map(Shape)
}

fn quantization(
    place: &str,
    parameters: &QuantizationParameters,
    ty: &TensorType,
) -> Result<Option<Quantization>, FormatError> {
    if parameters.details_type != 0 {
        return Err(unsupported(
            place,
            "is quantized in blocks or by a custom scheme",
            "quantize by tensor or channel",
        ));
    }
    let scales = parameters.scale.as_deref().unwrap_or_default();
    if scales.is_empty() {
        return Ok(None);
    }
    let scale = |&s: &f32| Scale::new(s).ok_or_else(|| malformed(place, format!("has a scale of {s}")));
    let scales = scales.iter().map(scale).collect::<Result<Vec<_>, _>>()?;
    let zero_point = |&z: &i64| i32::try_from(z).map_err(|_| malformed(place, format!("has a zero point of {z}")));
    let given = parameters.zero_point.as_deref().unwrap_or_default();
    let zero_points = match given {
        [] => vec![0; scales.len()],
        &[z] => vec![zero_point(&z)?; scales.len()],
        _ => given.iter().map(zero_point).collect::<Result<Vec<_>, _>>()?,
    };
    let axis = if scales.len() == 1 {
        None
    } else {
        let axis = usize::try_from(parameters.quantized_dimension)
            .ok()
            .filter(|&a| a < ty.shape.rank());
        let problem = || {
            format!(
                "is quantized along dimension {}, but is {ty}",
                parameters.quantized_dimension
            )
        };
        Some(axis.ok_or_else(|| malformed(place, problem()))?)
    };
    Ok(Some(Quantization {
        scales,
        zero_points,
        axis,
        block: None,
    }))
}
