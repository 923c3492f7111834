//! Sums and products of two images, and functions of one.
//!
//! The second operand may be a single pixel, which meets every pixel of the first: the gate of a squeeze-and-excite block.

mod float;
mod int;

pub use float::{add_f32, clamp_f32, mul_f32, sub_f32};
pub use int::{ByteMap, IntAdd, IntMul};

use super::plane::{Plane, assert_same_image};

/// A stretch of elements that lie together in all three images.
#[derive(Debug, Clone, Copy)]
struct Run {
    a: usize,
    b: usize,
    to: usize,
    len: usize,
}

/// The runs of an operation on `a` and `b`: the whole image where nothing interrupts it, else its rows, else its pixels.
fn runs(a: &Plane, b: &Plane, to: &Plane) -> impl Iterator<Item = Run> + use<> {
    assert_same_image(a, to);
    let gate = (b.height, b.width) == (1, 1) && (a.height, a.width) != (1, 1);
    if !gate {
        assert_same_image(a, b);
    }
    assert_eq!(a.channels, b.channels, "channels of both operands");
    let whole = !gate && [a, b, to].iter().all(|plane| plane.is_contiguous());
    let (height, width, len) = match (gate, whole) {
        (true, _) => (a.height, a.width, a.channels),
        (false, true) => (1, 1, a.height * a.width * a.channels),
        (false, false) => (a.height, 1, a.width * a.channels),
    };
    let (a, b, to) = (*a, *b, *to);
    (0..height).flat_map(move |y| {
        (0..width).map(move |x| Run {
            a: a.at(y, x),
            b: if gate { b.at(0, 0) } else { b.at(y, x) },
            to: to.at(y, x),
            len,
        })
    })
}
