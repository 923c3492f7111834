//! Shapes, data and comparisons that the property tests share.

use crate::fast::{Border, Plane, View, ViewMut};
use crate::quantized::{Activation, LinearParams, Quantization, Rounding};
use proptest::prelude::*;

/// Elements beyond a buffer's end that must stay as they are.
const GUARD: usize = 70;

/// Numbers drawn from a seed: cheaper than letting proptest shrink every element.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Bytes, the extremes more often than the others.
    pub(super) fn bytes(&mut self, n: usize) -> Vec<i8> {
        let byte = |x: u64| match x % 16 {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => (x >> 8) as i8,
        };
        (0..n).map(|_| byte(self.next())).collect()
    }

    /// 16-bit integers, the extremes more often than the others.
    pub(super) fn shorts(&mut self, n: usize) -> Vec<i16> {
        let short = |x: u64| match x % 16 {
            0 => i16::MIN,
            1 => i16::MAX,
            _ => (x >> 8) as i16,
        };
        (0..n).map(|_| short(self.next())).collect()
    }

    /// Floats in −1..1.
    pub(super) fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n)
            .map(|_| (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0)
            .collect()
    }

    /// Sums of products, now and then near the ends of `i32`.
    pub(super) fn biases(&mut self, n: usize) -> Vec<i32> {
        let bias = |x: u64| match x % 16 {
            0 => i32::MAX - (x >> 50) as i32,
            1 => i32::MIN + (x >> 50) as i32,
            _ => (x >> 44) as i32 - (1 << 19),
        };
        (0..n).map(|_| bias(self.next())).collect()
    }

    /// Integer parameters with zero points at the ends and factors from far below to above 1.
    pub(super) fn linear(&mut self, channels: usize, rounding: Rounding) -> LinearParams {
        const ZERO_POINTS: [i32; 5] = [-128, 127, 0, -3, 17];
        const ACTIVATIONS: [Activation; 4] = [
            Activation::None,
            Activation::Relu,
            Activation::Relu6,
            Activation::ReluN1To1,
        ];
        let zero_point = |x: u64| ZERO_POINTS[(x % 5) as usize];
        let (input, output) = (zero_point(self.next()), zero_point(self.next()));
        let activation = ACTIVATIONS[(self.next() % 4) as usize];
        // Ordinary layers are all below 1/2: without large factors the other half of the tests would not see that path.
        let (low, span) = if self.next().is_multiple_of(2) {
            (-16.0, 14.0)
        } else {
            (-34.0, 37.0)
        };
        let scales: Vec<f32> = self
            .floats(channels)
            .iter()
            .map(|x| (low + span * (x + 1.0) / 2.0).exp2())
            .collect();
        LinearParams::new(
            Quantization::new(1.0, input),
            &scales,
            Quantization::new(1.0, output),
            channels,
            activation,
            rounding,
        )
    }
}

/// Up to two pixels more on each side than needed.
pub(super) fn extra_border() -> impl Strategy<Value = Border> {
    (0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize).prop_map(|(top, bottom, left, right)| Border {
        top,
        bottom,
        left,
        right,
    })
}

/// A border that is as wide as both together.
pub(super) fn widen(a: Border, b: Border) -> Border {
    Border {
        top: a.top + b.top,
        bottom: a.bottom + b.bottom,
        left: a.left + b.left,
        right: a.right + b.right,
    }
}

/// A dense image in a buffer of exactly the plane's length, its border filled.
pub(super) fn framed<T: Copy>(plane: &Plane, image: &[T], border: T) -> Vec<T> {
    let mut buffer = vec![border; plane.len()];
    ViewMut::new(plane, &mut buffer).copy_from(image);
    buffer
}

/// What `kernel` writes into a plane, as a dense image. Fails if it writes outside of the image.
pub(super) fn written<T: Copy + PartialEq + std::fmt::Debug>(
    plane: &Plane,
    marks: [T; 2],
    kernel: impl Fn(ViewMut<'_, T>),
) -> Vec<T> {
    let outputs = marks.map(|mark| {
        let mut buffer = vec![mark; plane.len() + GUARD];
        kernel(ViewMut::new(plane, &mut buffer));
        let mut dense = vec![mark; plane.height * plane.width * plane.channels];
        View::new(plane, &buffer).copy_to(&mut dense);
        ViewMut::new(plane, &mut buffer).copy_from(&vec![mark; dense.len()]);
        assert!(buffer.iter().all(|&x| x == mark), "written outside of the image");
        dense
    });
    assert_eq!(
        outputs[0], outputs[1],
        "the whole image is written, and depends on the input only"
    );
    let [dense, _] = outputs;
    dense
}

/// `i8` values as the fast kernels hold them.
pub(super) fn biased(values: &[i8]) -> Vec<u8> {
    values.iter().map(|&x| x as u8 ^ 0x80).collect()
}
