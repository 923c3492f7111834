//! Functions of two tensors, which may repeat along axes, and functions of one.

mod float;
mod int;
mod lookup;
mod unary;

pub use float::{Binary, binary_f32};
pub(super) use int::splat;
pub use int::{ByteZip, ShortZip};
pub use lookup::{ByteMap, Lookup, Stored};
pub(super) use unary::gate_rows;
pub use unary::{Gate, clamp_f32, gated_f32, unary_f32};

use super::axes::{Axis, MOST, Places, merge};
use super::plane::{Plane, assert_same_image};

/// How the elements of two operands meet: shapes that broadcast, as NumPy, ONNX and TensorFlow define it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meeting {
    a: [usize; MOST],
    b: [usize; MOST],
    to: [usize; MOST],
}

impl Meeting {
    /// Operands of these shapes; `None` where two dimensions differ and neither is 1, or there are more than eight.
    pub fn new(a: &[usize], b: &[usize]) -> Option<Self> {
        let extended = |dims: &[usize]| {
            let mut all = [1; MOST];
            all[MOST.checked_sub(dims.len())?..].copy_from_slice(dims);
            Some(all)
        };
        let (a, b) = (extended(a)?, extended(b)?);
        let mut to = a;
        for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
            *to = match (a, b) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            };
        }
        Some(Self { a, b, to })
    }

    /// The stretches of the output. Panics unless the planes have the shapes.
    #[inline(always)]
    fn walk(&self, a: &Plane, b: &Plane, to: &Plane) -> Walk {
        if self.to.contains(&0) {
            let none = Axis { count: 0, ..Axis::ONE };
            return Walk {
                axes: [none; MOST],
                outer: 1,
                inner: none,
                first: [0; 3],
            };
        }
        let strides = [(&self.a, a), (&self.b, b), (&self.to, to)].map(|(dims, plane)| steps(dims, plane));
        let mut axes = [Axis::<3>::ONE; MOST];
        for (i, axis) in axes.iter_mut().enumerate() {
            *axis = Axis {
                count: self.to[i],
                steps: strides.map(|steps| steps[i]),
            };
        }
        let len = merge(&mut axes);
        let together = |axis: &Axis<3>| axis.steps[2] == 1 && axis.steps[0] <= 1 && axis.steps[1] <= 1;
        let inner = axes[..len].last().copied().filter(together);
        Walk {
            axes,
            outer: len - usize::from(inner.is_some()),
            inner: inner.unwrap_or(Axis::ONE),
            first: [a, b, to].map(|plane| plane.at(0, 0) as isize),
        }
    }
}

/// How a [`Meeting`] is walked over three buffers.
struct Walk {
    axes: [Axis<3>; MOST],
    outer: usize,
    /// The axis along which the output lies together, and each operand, unless it repeats.
    inner: Axis<3>,
    first: [isize; 3],
}

impl Walk {
    #[inline(always)]
    fn runs(&self) -> impl Iterator<Item = Run> {
        let Axis { count, steps } = self.inner;
        Places::new(&self.axes[..self.outer], self.first).map(move |[a, b, to]| Run {
            a: a as usize,
            b: b as usize,
            to: to as usize,
            len: count,
            repeats: [steps[0] == 0, steps[1] == 0],
        })
    }
}

/// Elements from one step along each axis to the next in a buffer, 0 where there is one step only.
#[inline(always)]
fn steps(dims: &[usize; MOST], plane: &Plane) -> [isize; MOST] {
    let mut steps = [0; MOST];
    let [.., height, width, channels] = *dims;
    let elements: usize = dims.iter().product();
    assert_eq!(
        elements,
        plane.height * plane.width * plane.channels,
        "elements of {plane:?}"
    );
    let mut stride = 1;
    for (step, &dim) in steps.iter_mut().zip(dims).rev() {
        if dim != 1 {
            *step = stride;
        }
        stride *= dim as isize;
    }
    if (plane.height, plane.width, plane.channels) == (height, width, channels) {
        if height != 1 {
            steps[MOST - 3] = plane.row_stride() as isize;
        }
    } else {
        assert!(plane.is_contiguous(), "{plane:?} is no image of shape {dims:?}");
    }
    steps
}

/// A stretch of elements of the output, and where its operands are: together, or one that repeats.
#[derive(Debug, Clone, Copy)]
struct Run {
    a: usize,
    b: usize,
    to: usize,
    len: usize,
    /// Whether the first and the second operand are one element.
    repeats: [bool; 2],
}

impl Run {
    /// Elements of the operands.
    fn lens(&self) -> [usize; 2] {
        self.repeats.map(|repeats| if repeats { 1 } else { self.len })
    }
}

/// The stretches of two images of one size, by their first indices and length: the whole image, or its rows.
fn stretches(x: &Plane, to: &Plane) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
    assert_same_image(x, to);
    let whole = x.is_contiguous() && to.is_contiguous();
    let (height, len) = if whole {
        (1, x.height * x.width * x.channels)
    } else {
        (x.height, x.width * x.channels)
    };
    let (x, to) = (*x, *to);
    (0..height).map(move |y| (x.at(y, 0), to.at(y, 0), len))
}
