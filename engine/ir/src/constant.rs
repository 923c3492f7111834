//! Constant tensor data: typed n-dimensional arrays that are cheap to clone.

use half::f16;
use ndarray::{ArcArray, ArrayD, Axis, IxDyn};

use crate::{ElementType, Shape, TensorType};

/// The data of a constant tensor, always dense in row-major order.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is named after its element type")]
pub enum Constant {
    F32(ArcArray<f32, IxDyn>),
    F16(ArcArray<f16, IxDyn>),
    I8(ArcArray<i8, IxDyn>),
    U8(ArcArray<u8, IxDyn>),
    I16(ArcArray<i16, IxDyn>),
    I32(ArcArray<i32, IxDyn>),
    I64(ArcArray<i64, IxDyn>),
    Bool(ArcArray<bool, IxDyn>),
}

/// Runs `$body` with `$a` bound to the array of any variant.
macro_rules! each {
    ($constant:expr, $a:ident => $body:expr) => {
        match $constant {
            Constant::F32($a) => $body,
            Constant::F16($a) => $body,
            Constant::I8($a) => $body,
            Constant::U8($a) => $body,
            Constant::I16($a) => $body,
            Constant::I32($a) => $body,
            Constant::I64($a) => $body,
            Constant::Bool($a) => $body,
        }
    };
}

impl Constant {
    /// Element type and shape.
    pub fn ty(&self) -> TensorType {
        TensorType::new(self.element(), self.dims())
    }

    /// Element type.
    pub const fn element(&self) -> ElementType {
        match self {
            Constant::F32(_) => ElementType::F32,
            Constant::F16(_) => ElementType::F16,
            Constant::I8(_) => ElementType::I8,
            Constant::U8(_) => ElementType::U8,
            Constant::I16(_) => ElementType::I16,
            Constant::I32(_) => ElementType::I32,
            Constant::I64(_) => ElementType::I64,
            Constant::Bool(_) => ElementType::Bool,
        }
    }

    /// The dimensions.
    pub fn dims(&self) -> &[usize] {
        each!(self, a => a.shape())
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        each!(self, a => a.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A 32-bit float constant; `None` where `values` does not fill `shape`.
    pub fn f32(shape: impl Into<Shape>, values: Vec<f32>) -> Option<Self> {
        Some(Constant::F32(array(shape, values)?))
    }

    /// A signed byte constant; `None` where `values` does not fill `shape`.
    pub fn i8(shape: impl Into<Shape>, values: Vec<i8>) -> Option<Self> {
        Some(Constant::I8(array(shape, values)?))
    }

    /// A 32-bit integer constant; `None` where `values` does not fill `shape`.
    pub fn i32(shape: impl Into<Shape>, values: Vec<i32>) -> Option<Self> {
        Some(Constant::I32(array(shape, values)?))
    }

    /// The values of a 32-bit float constant in row-major order.
    pub fn as_f32(&self) -> Option<&[f32]> {
        if let Constant::F32(a) = self {
            a.as_slice()
        } else {
            None
        }
    }

    /// The values of a half-precision constant in row-major order.
    pub fn as_f16(&self) -> Option<&[f16]> {
        if let Constant::F16(a) = self {
            a.as_slice()
        } else {
            None
        }
    }

    /// The values of a signed byte constant in row-major order.
    pub fn as_i8(&self) -> Option<&[i8]> {
        if let Constant::I8(a) = self { a.as_slice() } else { None }
    }

    /// The values of a 32-bit integer constant in row-major order.
    pub fn as_i32(&self) -> Option<&[i32]> {
        if let Constant::I32(a) = self {
            a.as_slice()
        } else {
            None
        }
    }

    /// Makes the data dense in row-major order, as every constant in a graph is.
    #[must_use]
    pub fn dense(self) -> Self {
        fn dense<T: Clone>(a: ArcArray<T, IxDyn>) -> ArcArray<T, IxDyn> {
            if a.is_standard_layout() {
                a
            } else {
                ArrayD::from_shape_vec(a.raw_dim(), a.iter().cloned().collect())
                    .expect("as many values as before")
                    .into_shared()
            }
        }
        match self {
            Constant::F32(a) => Constant::F32(dense(a)),
            Constant::F16(a) => Constant::F16(dense(a)),
            Constant::I8(a) => Constant::I8(dense(a)),
            Constant::U8(a) => Constant::U8(dense(a)),
            Constant::I16(a) => Constant::I16(dense(a)),
            Constant::I32(a) => Constant::I32(dense(a)),
            Constant::I64(a) => Constant::I64(dense(a)),
            Constant::Bool(a) => Constant::Bool(dense(a)),
        }
    }

    /// The dimensions permuted: dimension `i` of the result is dimension `axes[i]` of `self`.
    ///
    /// `None` unless `axes` is a permutation.
    pub fn permuted(&self, axes: &[usize]) -> Option<Self> {
        let mut seen = axes.to_vec();
        seen.sort_unstable();
        if seen != (0..self.dims().len()).collect::<Vec<_>>() {
            return None;
        }
        Some(
            match self.clone() {
                Constant::F32(a) => Constant::F32(a.permuted_axes(axes)),
                Constant::F16(a) => Constant::F16(a.permuted_axes(axes)),
                Constant::I8(a) => Constant::I8(a.permuted_axes(axes)),
                Constant::U8(a) => Constant::U8(a.permuted_axes(axes)),
                Constant::I16(a) => Constant::I16(a.permuted_axes(axes)),
                Constant::I32(a) => Constant::I32(a.permuted_axes(axes)),
                Constant::I64(a) => Constant::I64(a.permuted_axes(axes)),
                Constant::Bool(a) => Constant::Bool(a.permuted_axes(axes)),
            }
            .dense(),
        )
    }

    /// The elements at `indices` along an axis, in that order; `None` where there is no such axis or index.
    pub fn selected(&self, axis: usize, indices: &[usize]) -> Option<Self> {
        let extent = *self.dims().get(axis)?;
        if indices.iter().any(|&i| i >= extent) {
            return None;
        }
        let axis = Axis(axis);
        // Selecting may leave another order of the axes in memory.
        let selected = match self {
            Constant::F32(a) => Constant::F32(a.select(axis, indices).into_shared()),
            Constant::F16(a) => Constant::F16(a.select(axis, indices).into_shared()),
            Constant::I8(a) => Constant::I8(a.select(axis, indices).into_shared()),
            Constant::U8(a) => Constant::U8(a.select(axis, indices).into_shared()),
            Constant::I16(a) => Constant::I16(a.select(axis, indices).into_shared()),
            Constant::I32(a) => Constant::I32(a.select(axis, indices).into_shared()),
            Constant::I64(a) => Constant::I64(a.select(axis, indices).into_shared()),
            Constant::Bool(a) => Constant::Bool(a.select(axis, indices).into_shared()),
        };
        Some(selected.dense())
    }

    /// The same values in another shape of equally many elements.
    pub fn reshaped(&self, shape: impl Into<Shape>) -> Option<Self> {
        let shape = IxDyn(shape.into().dims());
        Some(match self.clone().dense() {
            Constant::F32(a) => Constant::F32(a.into_shape_with_order(shape).ok()?),
            Constant::F16(a) => Constant::F16(a.into_shape_with_order(shape).ok()?),
            Constant::I8(a) => Constant::I8(a.into_shape_with_order(shape).ok()?),
            Constant::U8(a) => Constant::U8(a.into_shape_with_order(shape).ok()?),
            Constant::I16(a) => Constant::I16(a.into_shape_with_order(shape).ok()?),
            Constant::I32(a) => Constant::I32(a.into_shape_with_order(shape).ok()?),
            Constant::I64(a) => Constant::I64(a.into_shape_with_order(shape).ok()?),
            Constant::Bool(a) => Constant::Bool(a.into_shape_with_order(shape).ok()?),
        })
    }

    /// Little-endian bytes in row-major order: the form in safetensors and TFLite buffers.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        fn write<const N: usize, T: Copy>(array: &ArcArray<T, IxDyn>, to: impl Fn(T) -> [u8; N]) -> Vec<u8> {
            // A copy only of what lies in another order.
            let array = array.as_standard_layout();
            let values = array.as_slice().expect("its layout is the standard one");
            let mut bytes = vec![0; N * values.len()];
            for (slot, &value) in bytes.as_chunks_mut::<N>().0.iter_mut().zip(values) {
                *slot = to(value);
            }
            bytes
        }
        match self {
            Constant::F32(a) => write(a, f32::to_le_bytes),
            Constant::F16(a) => write(a, f16::to_le_bytes),
            Constant::I8(a) => write(a, i8::to_le_bytes),
            Constant::U8(a) => write(a, u8::to_le_bytes),
            Constant::I16(a) => write(a, i16::to_le_bytes),
            Constant::I32(a) => write(a, i32::to_le_bytes),
            Constant::I64(a) => write(a, i64::to_le_bytes),
            Constant::Bool(a) => write(a, |v| [u8::from(v)]),
        }
    }

    /// The inverse of [`Constant::to_le_bytes`]; `None` where the length does not fit `ty`.
    pub fn from_le_bytes(ty: &TensorType, bytes: &[u8]) -> Option<Self> {
        fn read<const N: usize, T>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
            bytes.as_chunks::<N>().0.iter().map(|&c| from(c)).collect()
        }
        if bytes.len() != ty.bytes() {
            return None;
        }
        let shape = ty.shape.clone();
        Some(match ty.element {
            ElementType::F32 => Constant::F32(array(shape, read(bytes, f32::from_le_bytes))?),
            ElementType::F16 => Constant::F16(array(shape, read(bytes, f16::from_le_bytes))?),
            ElementType::I8 => Constant::I8(array(shape, read(bytes, i8::from_le_bytes))?),
            ElementType::U8 => Constant::U8(array(shape, bytes.to_vec())?),
            ElementType::I16 => Constant::I16(array(shape, read(bytes, i16::from_le_bytes))?),
            ElementType::I32 => Constant::I32(array(shape, read(bytes, i32::from_le_bytes))?),
            ElementType::I64 => Constant::I64(array(shape, read(bytes, i64::from_le_bytes))?),
            ElementType::Bool => Constant::Bool(array(shape, bytes.iter().map(|&b| b != 0).collect())?),
        })
    }
}

fn array<T: Clone>(shape: impl Into<Shape>, values: Vec<T>) -> Option<ArcArray<T, IxDyn>> {
    ArrayD::from_shape_vec(IxDyn(shape.into().dims()), values)
        .ok()
        .map(ArrayD::into_shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_back() {
        let c = Constant::f32([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(Constant::from_le_bytes(&c.ty(), &c.to_le_bytes()), Some(c.clone()));
        assert_eq!(Constant::from_le_bytes(&c.ty(), &c.to_le_bytes()[1..]), None);
    }

    #[test]
    fn a_permuted_constant_is_dense() {
        let c = Constant::f32([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let t = c.permuted(&[1, 0]).unwrap();
        assert_eq!(t.dims(), [3, 2]);
        assert_eq!(t.as_f32().unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert!(c.permuted(&[0, 0]).is_none());
        let s = c.selected(1, &[2, 0]).unwrap();
        assert_eq!(s.as_f32().unwrap(), [3.0, 1.0, 6.0, 4.0]);
        assert!(c.selected(1, &[3]).is_none() && c.selected(2, &[0]).is_none());
    }
}
