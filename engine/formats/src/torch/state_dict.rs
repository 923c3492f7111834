//! A state dict: tensors by name, in the order of the file.

use half::{bf16, f16};
use indexmap::IndexMap;

/// What one element of a stored tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is named after its element type")]
pub enum Dtype {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Dtype {
    /// Every element type with its name in PyTorch (`torch.float32`) and that of its storage (`torch.FloatStorage`).
    pub(super) const NAMES: [(Dtype, &'static str, &'static str); 10] = [
        (Dtype::F64, "float64", "DoubleStorage"),
        (Dtype::F32, "float32", "FloatStorage"),
        (Dtype::F16, "float16", "HalfStorage"),
        (Dtype::BF16, "bfloat16", "BFloat16Storage"),
        (Dtype::I64, "int64", "LongStorage"),
        (Dtype::I32, "int32", "IntStorage"),
        (Dtype::I16, "int16", "ShortStorage"),
        (Dtype::I8, "int8", "CharStorage"),
        (Dtype::U8, "uint8", "ByteStorage"),
        (Dtype::Bool, "bool", "BoolStorage"),
    ];

    /// Bytes that one element takes.
    pub const fn size(self) -> usize {
        match self {
            Dtype::F64 | Dtype::I64 => 8,
            Dtype::F32 | Dtype::I32 => 4,
            Dtype::F16 | Dtype::BF16 | Dtype::I16 => 2,
            Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
        }
    }

    /// PyTorch's name, such as `float32`.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(d, ..)| *d == self).map_or("?", |(_, n, _)| n)
    }
}

/// A tensor as stored: dense, row-major, little-endian, in the framework's own layout (channels first).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateTensor {
    /// What an element is.
    pub dtype: Dtype,
    /// Dimensions; none for a scalar.
    pub shape: Vec<usize>,
    data: Vec<u8>,
}

impl StateTensor {
    /// A tensor; `None` where `data` does not fill `shape`.
    pub fn new(dtype: Dtype, shape: Vec<usize>, data: Vec<u8>) -> Option<Self> {
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        (elements.checked_mul(dtype.size())? == data.len()).then_some(StateTensor { dtype, shape, data })
    }

    /// A 32-bit float tensor; `None` where `values` does not fill `shape`.
    pub fn f32(shape: Vec<usize>, values: &[f32]) -> Option<Self> {
        Self::new(Dtype::F32, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// The values as 32-bit floats, rounded where the type is wider.
    pub fn to_f32(&self) -> Vec<f32> {
        fn map<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            data.as_chunks::<N>().0.iter().map(|&bytes| value(bytes)).collect()
        }
        let data = &self.data;
        match self.dtype {
            Dtype::F64 => map(data, |b| f64::from_le_bytes(b) as f32),
            Dtype::F32 => map(data, f32::from_le_bytes),
            Dtype::F16 => map(data, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => map(data, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::I64 => map(data, |b| i64::from_le_bytes(b) as f32),
            Dtype::I32 => map(data, |b| i32::from_le_bytes(b) as f32),
            Dtype::I16 => map(data, |b| i16::from_le_bytes(b).into()),
            Dtype::I8 => map(data, |b| i8::from_le_bytes(b).into()),
            Dtype::U8 => map(data, |[b]| b.into()),
            Dtype::Bool => map(data, |[b]| f32::from(u8::from(b != 0))),
        }
    }
}

/// Tensors by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateDict {
    /// In the order of the file.
    pub tensors: IndexMap<String, StateTensor>,
    /// Classes and functions that the file names beyond what tensors need, sorted. None of them was looked up or called.
    pub inert: Vec<String>,
    /// The entry of a checkpoint that they were taken from, where none was named.
    pub taken: Option<String>,
    /// Other entries of the checkpoint that hold tensors of the same names, such as averages of the weights.
    pub others: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_type_become_floats() {
        let read = |dtype, bytes: &[u8]| StateTensor::new(dtype, vec![1], bytes.to_vec()).unwrap().to_f32()[0];
        assert_eq!(read(Dtype::F64, &(-1.5f64).to_le_bytes()), -1.5);
        assert_eq!(read(Dtype::F16, &f16::from_f32(0.25).to_le_bytes()), 0.25);
        assert_eq!(read(Dtype::BF16, &bf16::from_f32(3.0).to_le_bytes()), 3.0);
        assert_eq!(read(Dtype::I64, &(-7i64).to_le_bytes()), -7.0);
        assert_eq!(read(Dtype::Bool, &[2]), 1.0);
    }

    #[test]
    fn a_tensor_fills_its_shape() {
        assert!(StateTensor::f32(vec![2, 2], &[0.0; 3]).is_none());
        assert!(StateTensor::new(Dtype::F32, vec![usize::MAX, 2], Vec::new()).is_none());
        assert_eq!(StateTensor::f32(vec![], &[1.0]).unwrap().elements(), 1);
    }
}
