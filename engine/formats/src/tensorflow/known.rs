//! Values that are known at import: weights, shapes, and what graphs compute of them.
//!
//! Exporters leave arithmetic on shapes (`Shape`, `StridedSlice`, `Pack`, …, for a batch of any size) and on weights (a batch
//! norm as `rsqrt`, `mul` and `sub`) in the graph. A graph describes one sample, so all of it is known here and computed once.

use std::sync::Arc;

use half::{bf16, f16};
use ir::Constant;

use super::proto::{self, NodeDef, attribute, dtype};

/// An array. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Numbers,
}

/// Integers and truth values of any width are computed with as 64-bit integers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Numbers {
    Ints(Arc<[i64]>),
    Floats(Arc<[f32]>),
}

impl Known {
    pub(super) fn ints(shape: Vec<usize>, values: Vec<i64>) -> Self {
        Known {
            shape,
            numbers: Numbers::Ints(values.into()),
        }
    }

    pub(super) fn floats(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Known {
            shape,
            numbers: Numbers::Floats(values.into()),
        }
    }

    /// The integers; `None` for floats.
    pub(super) fn as_ints(&self) -> Option<&[i64]> {
        match &self.numbers {
            Numbers::Ints(values) => Some(values),
            Numbers::Floats(_) => None,
        }
    }

    /// The floats; `None` for integers.
    pub(super) fn as_floats(&self) -> Option<&[f32]> {
        match &self.numbers {
            Numbers::Floats(values) => Some(values),
            Numbers::Ints(_) => None,
        }
    }

    /// As the constant of a graph; `None` where an integer does not fit 32 bits.
    pub(super) fn constant(&self) -> Option<Constant> {
        match &self.numbers {
            Numbers::Floats(values) => Constant::f32(self.shape.clone(), values.to_vec()),
            Numbers::Ints(values) => {
                let narrow: Result<Vec<i32>, _> = values.iter().map(|&v| i32::try_from(v)).collect();
                Constant::i32(self.shape.clone(), narrow.ok()?)
            }
        }
    }

    /// A tensor of the file. `None` where it is of another type, or has not as many values as its shape says.
    pub(super) fn of_proto(tensor: &proto::Tensor) -> Option<Self> {
        let shape = dims(tensor.shape.as_ref())?;
        let n = elements(&shape)?;
        if !tensor.content.is_empty() {
            return Self::of_bytes(tensor.dtype, shape, &tensor.content);
        }
        let fill = |len: usize| len == n || (1..=n).contains(&len) || n == 0;
        let floats =
            |values: Vec<f32>| fill(values.len()).then(|| Known::floats(shape.clone(), repeat_last(values, n)));
        let ints = |values: Vec<i64>| fill(values.len()).then(|| Known::ints(shape.clone(), repeat_last(values, n)));
        match tensor.dtype {
            dtype::FLOAT => floats(tensor.floats.clone()),
            dtype::DOUBLE => floats(tensor.doubles.iter().map(|&v| v as f32).collect()),
            dtype::HALF => floats(
                tensor
                    .halves
                    .iter()
                    .map(|&v| f16::from_bits(v as u16).to_f32())
                    .collect(),
            ),
            dtype::BFLOAT16 => floats(
                tensor
                    .halves
                    .iter()
                    .map(|&v| bf16::from_bits(v as u16).to_f32())
                    .collect(),
            ),
            dtype::INT32 => ints(tensor.ints.iter().map(|&v| i64::from(v)).collect()),
            dtype::INT64 => ints(tensor.longs.clone()),
            dtype::BOOL => ints(tensor.bools.iter().map(|&v| i64::from(v)).collect()),
            _ => None,
        }
    }

    /// Little-endian values. `None` for other types, or another number of bytes.
    pub(super) fn of_bytes(kind: i32, shape: Vec<usize>, bytes: &[u8]) -> Option<Self> {
        fn each<const N: usize, T>(bytes: &[u8], n: usize, value: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
            let (chunks, rest) = bytes.as_chunks::<N>();
            (rest.is_empty() && chunks.len() == n).then(|| chunks.iter().map(|&c| value(c)).collect())
        }
        let n = elements(&shape)?;
        Some(match kind {
            dtype::FLOAT => Known::floats(shape, each(bytes, n, f32::from_le_bytes)?),
            dtype::DOUBLE => Known::floats(shape, each(bytes, n, |b| f64::from_le_bytes(b) as f32)?),
            dtype::HALF => Known::floats(shape, each(bytes, n, |b| f16::from_le_bytes(b).to_f32())?),
            dtype::BFLOAT16 => Known::floats(shape, each(bytes, n, |b| bf16::from_le_bytes(b).to_f32())?),
            dtype::INT32 => Known::ints(shape, each(bytes, n, |b| i64::from(i32::from_le_bytes(b)))?),
            dtype::INT64 => Known::ints(shape, each(bytes, n, i64::from_le_bytes)?),
            dtype::BOOL => Known::ints(shape, each(bytes, n, |[b]: [u8; 1]| i64::from(b))?),
            _ => return None,
        })
    }
}

/// The list is shorter where its last value repeats.
fn repeat_last<T: Copy>(mut values: Vec<T>, n: usize) -> Vec<T> {
    if let Some(&last) = values.last() {
        values.resize(n, last);
    }
    values
}

/// The extents of a shape that is wholly known.
pub(super) fn dims(shape: Option<&proto::TensorShape>) -> Option<Vec<usize>> {
    let Some(shape) = shape else { return Some(Vec::new()) };
    shape.dims.iter().map(|d| usize::try_from(d.size).ok()).collect()
}

/// Number of elements, bounded so that no file can make us allocate more than it could mean.
fn elements(shape: &[usize]) -> Option<usize> {
    let n = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))?;
    (n <= 1 << 31).then_some(n)
}

/// What `node` makes of inputs that are all known; `None` for operators that are not computed here.
pub(super) fn evaluate(node: &NodeDef, inputs: &[&Known]) -> Option<Known> {
    let int = |name: &str| match node.attributes.get(name)?.value.as_ref()? {
        attribute::Value::Int(value) => Some(*value),
        _ => None,
    };
    Some(match (node.op.as_str(), inputs) {
        ("Add" | "AddV2", [a, b]) => binary(a, b, i64::checked_add, |a, b| a + b)?,
        ("Sub", [a, b]) => binary(a, b, i64::checked_sub, |a, b| a - b)?,
        ("Mul", [a, b]) => binary(a, b, i64::checked_mul, |a, b| a * b)?,
        ("FloorDiv", [a, b]) => binary(a, b, i64::checked_div_euclid, |a, b| (a / b).floor())?,
        ("RealDiv", [a, b]) => binary(a, b, |_, _| None, |a, b| a / b)?,
        ("Maximum", [a, b]) => binary(a, b, |a, b| Some(a.max(b)), f32::max)?,
        ("Minimum", [a, b]) => binary(a, b, |a, b| Some(a.min(b)), f32::min)?,
        ("Rsqrt", [x]) => map(x, |x| 1.0 / x.sqrt())?,
        ("Sqrt", [x]) => map(x, f32::sqrt)?,
        ("Square", [x]) => map(x, |x| x * x)?,
        ("Neg", [x]) => map(x, |x| -x)?,
        ("Cast", [x]) => match (node.attributes.get("DstT")?.value.as_ref()?, &x.numbers) {
            (attribute::Value::Type(dtype::FLOAT), Numbers::Ints(v)) => {
                Known::floats(x.shape.clone(), v.iter().map(|&v| v as f32).collect())
            }
            (attribute::Value::Type(dtype::INT32 | dtype::INT64), Numbers::Floats(v)) => {
                Known::ints(x.shape.clone(), v.iter().map(|&v| v as i64).collect())
            }
            _ => (*x).clone(),
        },
        ("Pack", parts) if int("axis").unwrap_or(0) == 0 => {
            let (first, n) = (parts.first()?, parts.len());
            let mut values = Vec::new();
            for part in parts.iter().filter(|part| part.shape == first.shape) {
                values.extend_from_slice(part.as_ints()?);
            }
            let shape: Vec<usize> = std::iter::once(n).chain(first.shape.iter().copied()).collect();
            (values.len() == elements(&shape)?).then(|| Known::ints(shape, values))?
        }
        ("ConcatV2", [parts @ .., axis]) if parts.iter().all(|p| p.shape.len() == 1) && axis.as_ints()? == [0] => {
            let mut values = Vec::new();
            for part in parts {
                values.extend_from_slice(part.as_ints()?);
            }
            Known::ints(vec![values.len()], values)
        }
        ("Prod", [x, _]) if x.shape.len() <= 1 => {
            let product = x.as_ints()?.iter().try_fold(1_i64, |n, &v| n.checked_mul(v))?;
            Known::ints(Vec::new(), vec![product])
        }
        ("StridedSlice", [x, begin, end, stride]) if x.shape.len() == 1 => {
            let ([begin], [end], [stride]) = (begin.as_ints()?, end.as_ints()?, stride.as_ints()?) else {
                return None;
            };
            let n = i64::try_from(x.shape[0]).ok()?;
            let mask = |name: &str| int(name).unwrap_or(0) & 1 == 1;
            let place = |at: i64| (if at < 0 { at + n } else { at }).clamp(0, n);
            if mask("shrink_axis_mask") {
                let at = usize::try_from(if *begin < 0 { begin + n } else { *begin }).ok()?;
                Known::ints(Vec::new(), vec![*x.as_ints()?.get(at)?])
            } else {
                let from = if mask("begin_mask") { 0 } else { place(*begin) };
                let to = if mask("end_mask") { n } else { place(*end) };
                let step = usize::try_from(*stride).ok().filter(|&step| step > 0)?;
                let range = x.as_ints()?.get(from as usize..to.max(from) as usize)?;
                let values: Vec<i64> = range.iter().step_by(step).copied().collect();
                Known::ints(vec![values.len()], values)
            }
        }
        ("GatherV2", [x, indices, _]) if x.shape.len() == 1 => {
            let all = x.as_ints()?;
            let picked = indices
                .as_ints()?
                .iter()
                .map(|&i| all.get(usize::try_from(i).ok()?).copied());
            Known::ints(indices.shape.clone(), picked.collect::<Option<_>>()?)
        }
        ("Reshape" | "ExpandDims" | "Squeeze", [x, rest @ ..]) => {
            let n: usize = x.shape.iter().product();
            let shape = match (node.op.as_str(), rest) {
                ("Reshape", [shape]) => resolve_shape(shape.as_ints()?, n)?,
                ("ExpandDims", [axis]) => {
                    let mut shape = x.shape.clone();
                    let axis = axis.as_ints()?.first()?;
                    let rank = i64::try_from(shape.len()).ok()?;
                    let at = usize::try_from(if *axis < 0 { axis + rank + 1 } else { *axis }).ok()?;
                    (at <= shape.len()).then(|| shape.insert(at, 1))?;
                    shape
                }
                _ => x.shape.iter().copied().filter(|&d| d != 1).collect(),
            };
            if elements(&shape) != Some(n) {
                return None;
            }
            Known {
                shape,
                numbers: x.numbers.clone(),
            }
        }
        ("Fill", [shape, value]) => {
            let shape = resolve_shape(shape.as_ints()?, 0)?;
            let n = elements(&shape).filter(|&n| n <= 1 << 24)?;
            match &value.numbers {
                Numbers::Ints(v) => Known::ints(shape, vec![*v.first()?; n]),
                Numbers::Floats(v) => Known::floats(shape, vec![*v.first()?; n]),
            }
        }
        _ => return None,
    })
}

/// Extents for `n` elements; one of them may be −1, which stands for what is left.
pub(super) fn resolve_shape(wanted: &[i64], n: usize) -> Option<Vec<usize>> {
    let given: usize = wanted
        .iter()
        .filter(|&&d| d >= 0)
        .try_fold(1_usize, |n, &d| n.checked_mul(d as usize))?;
    let open = wanted.iter().filter(|&&d| d < 0).count();
    if open > 1 || (open == 1 && given == 0) {
        return None;
    }
    Some(
        wanted
            .iter()
            .map(|&d| if d < 0 { n / given } else { d as usize })
            .collect(),
    )
}

fn map(x: &Known, f: impl Fn(f32) -> f32) -> Option<Known> {
    Some(Known::floats(
        x.shape.clone(),
        x.as_floats()?.iter().map(|&v| f(v)).collect(),
    ))
}

fn binary(
    a: &Known,
    b: &Known,
    ints: impl Fn(i64, i64) -> Option<i64>,
    floats: impl Fn(f32, f32) -> f32,
) -> Option<Known> {
    let shape = ir::Shape(a.shape.clone()).broadcast(&ir::Shape(b.shape.clone()))?.0;
    let n = elements(&shape)?;
    let (at_a, at_b) = (indices(&a.shape, &shape), indices(&b.shape, &shape));
    Some(match (&a.numbers, &b.numbers) {
        (Numbers::Ints(a), Numbers::Ints(b)) => {
            let values = (0..n).map(|i| ints(a[at_a(i)], b[at_b(i)])).collect::<Option<_>>()?;
            Known::ints(shape, values)
        }
        (Numbers::Floats(a), Numbers::Floats(b)) => {
            let values = (0..n).map(|i| floats(a[at_a(i)], b[at_b(i)])).collect();
            Known::floats(shape, values)
        }
        _ => return None,
    })
}

/// Where element `i` of an array broadcast to `to` lies in the array of shape `from`.
fn indices(from: &[usize], to: &[usize]) -> impl Fn(usize) -> usize + use<> {
    let mut strides = Vec::new();
    let (mut inner, mut own) = (1, 1);
    for (k, &extent) in to.iter().enumerate().rev() {
        let mine = (k + from.len()).checked_sub(to.len()).map_or(1, |k| from[k]);
        strides.push((inner, extent.max(1), if mine == 1 { 0 } else { own }));
        inner *= extent.max(1);
        own *= mine;
    }
    move |i| {
        strides
            .iter()
            .map(|&(inner, extent, stride)| i / inner % extent * stride)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_broadcast() {
        let a = Known::floats(vec![2, 1], vec![1.0, 2.0]);
        let b = Known::floats(vec![3], vec![10.0, 20.0, 30.0]);
        let sum = binary(&a, &b, |_, _| None, |a, b| a + b).unwrap();
        assert_eq!(sum, Known::floats(vec![2, 3], vec![11.0, 21.0, 31.0, 12.0, 22.0, 32.0]));
    }

    #[test]
    fn one_value_stands_for_all() {
        let tensor = proto::Tensor {
            dtype: dtype::INT32,
            shape: Some(proto::TensorShape {
                dims: vec![proto::Dimension { size: 3 }],
                unknown_rank: false,
            }),
            ints: vec![7],
            ..Default::default()
        };
        assert_eq!(Known::of_proto(&tensor), Some(Known::ints(vec![3], vec![7, 7, 7])));
    }

    #[test]
    fn values_that_do_not_fill_a_shape_are_not_reshaped() {
        let node = NodeDef {
            op: "Reshape".into(),
            ..NodeDef::default()
        };
        let x = Known::floats(vec![4], vec![0.0; 4]);
        let to = |dims: Vec<i64>| evaluate(&node, &[&x, &Known::ints(vec![dims.len()], dims)]).map(|k| k.shape);
        assert_eq!(to(vec![2, -1]), Some(vec![2, 2]));
        assert_eq!(to(vec![3]), None);
        assert_eq!(to(vec![3, -1]), None);
    }

    #[test]
    fn an_open_extent_takes_what_is_left() {
        assert_eq!(resolve_shape(&[1, -1, 4], 24), Some(vec![1, 6, 4]));
        assert_eq!(resolve_shape(&[-1, -1], 24), None);
        assert_eq!(resolve_shape(&[-1, 0], 24), None);
    }
}
