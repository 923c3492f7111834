//! Element types, shapes and their text form `f32[1,32,32,3]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What one element of a tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ElementType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision; stored only, arithmetic is done in [`ElementType::F32`].
    F16,
    /// Signed byte: the activations and weights of the integer graphs.
    I8,
    /// Unsigned byte: model edges of legacy quantization.
    U8,
    /// Signed 16-bit: the activations of 16×8 quantization.
    I16,
    /// Signed 32-bit: biases, indices.
    I32,
    /// Signed 64-bit: biases of 16×8 quantization, shapes.
    I64,
    /// One byte per truth value.
    Bool,
}

impl ElementType {
    /// All element types with their text names.
    pub const NAMES: [(ElementType, &'static str); 8] = [
        (ElementType::F32, "f32"),
        (ElementType::F16, "f16"),
        (ElementType::I8, "i8"),
        (ElementType::U8, "u8"),
        (ElementType::I16, "i16"),
        (ElementType::I32, "i32"),
        (ElementType::I64, "i64"),
        (ElementType::Bool, "bool"),
    ];

    /// Bytes that one element takes.
    pub const fn size(self) -> usize {
        match self {
            ElementType::I8 | ElementType::U8 | ElementType::Bool => 1,
            ElementType::F16 | ElementType::I16 => 2,
            ElementType::F32 | ElementType::I32 => 4,
            ElementType::I64 => 8,
        }
    }

    /// Whether values are floating point.
    pub const fn is_float(self) -> bool {
        matches!(self, ElementType::F32 | ElementType::F16)
    }

    /// The least and greatest value of an integer type that can be quantized to; `None` for the others.
    pub const fn quantized_range(self) -> Option<(i32, i32)> {
        match self {
            ElementType::I8 => Some((-128, 127)),
            ElementType::U8 => Some((0, 255)),
            ElementType::I16 => Some((-32768, 32767)),
            ElementType::F32 | ElementType::F16 | ElementType::I32 | ElementType::I64 | ElementType::Bool => None,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(t, _)| t == self).map_or("?", |(_, n)| n);
        f.write_str(name)
    }
}

/// The extent of each dimension, outermost first; the last one is contiguous. A scalar has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// Number of elements; 1 for a scalar.
    ///
    /// Saturates instead of overflowing, so that a hostile shape is merely too large.
    pub fn elements(&self) -> usize {
        self.0.iter().fold(1usize, |n, &d| n.saturating_mul(d))
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The dimensions.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// `[N, H, W, C]` of a rank-4 shape.
    pub fn nhwc(&self) -> Option<[usize; 4]> {
        self.0.as_slice().try_into().ok()
    }

    /// NumPy broadcasting of two shapes; `None` where dimensions differ and neither is 1.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let at = |s: &Shape, i: usize| (i + s.rank()).checked_sub(rank).map_or(1, |k| s.0[k]);
        (0..rank)
            .map(|i| match (at(self, i), at(other, i)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Shape)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(dims.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape(dims)
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(dims.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

/// Element type and shape, written `f32[1,32,32,3]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// What an element is.
    pub element: ElementType,
    /// How many there are along each dimension.
    pub shape: Shape,
}

impl TensorType {
    /// A type from its parts.
    pub fn new(element: ElementType, shape: impl Into<Shape>) -> Self {
        TensorType {
            element,
            shape: shape.into(),
        }
    }

    /// A 32-bit float tensor.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        Self::new(ElementType::F32, shape)
    }

    /// The same shape with other elements.
    #[must_use]
    pub fn with_element(&self, element: ElementType) -> Self {
        TensorType {
            element,
            shape: self.shape.clone(),
        }
    }

    /// Bytes that the tensor takes when stored densely.
    pub fn bytes(&self) -> usize {
        self.shape.elements().saturating_mul(self.element.size())
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.element, self.shape)
    }
}

impl FromStr for TensorType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a tensor type such as f32[1,32,32,3]");
        let (element, dims) = text.split_once('[').ok_or_else(wrong)?;
        let dims = dims.strip_suffix(']').ok_or_else(wrong)?;
        let element = ElementType::NAMES
            .iter()
            .find(|(_, n)| *n == element)
            .ok_or_else(wrong)?
            .0;
        let dims = dims
            .split(',')
            .map(str::trim)
            .filter(|d| !d.is_empty())
            .map(|d| d.parse::<usize>().map_err(|_| wrong()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(TensorType {
            element,
            shape: Shape(dims),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_written_and_read_back() {
        for text in ["f32[1,32,32,3]", "i8[10]", "i32[]"] {
            assert_eq!(text.parse::<TensorType>().unwrap().to_string(), text);
        }
        insta::assert_snapshot!("f33[1]".parse::<TensorType>().unwrap_err(), @"`f33[1]` is not a tensor type such as f32[1,32,32,3]");
    }

    #[test]
    fn shapes_broadcast_as_in_numpy() {
        let b = |a: &[usize], b: &[usize]| Shape::from(a).broadcast(&b.into()).map(|s| s.to_string());
        assert_eq!(b(&[1, 4, 4, 8], &[8]).as_deref(), Some("[1,4,4,8]"));
        assert_eq!(b(&[1, 1, 1, 8], &[1, 4, 4, 1]).as_deref(), Some("[1,4,4,8]"));
        assert_eq!(b(&[2], &[3]), None);
        assert_eq!(b(&[], &[3]).as_deref(), Some("[3]"));
    }

    #[test]
    fn a_hostile_shape_saturates() {
        assert_eq!(Shape(vec![usize::MAX, 16]).elements(), usize::MAX);
    }
}
