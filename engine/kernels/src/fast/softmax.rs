//! Softmax over the last dimension.

use super::function::exp;
use super::isa::{FloatIsa, Isa, vectorized};
use super::simd::{FloatTask, Floats};
use crate::reference::{Softmax16Params, SoftmaxParams};

/// Numbers that are taken together; sums are made side by side.
const LANES: usize = 16;

/// `e^(beta·x) / Σ e^(beta·x)` of rows of `depth` elements, within 1e-6 of [`softmax_f32`](crate::reference::softmax_f32), relative for
/// results that are normal numbers; the same bits on every [`Isa`].
pub fn softmax_f32(isa: Isa, depth: usize, beta: f32, input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "elements");
    FloatIsa::new(isa).run(Rows {
        depth: depth.max(1),
        beta,
        input,
        output,
    });
}

struct Rows<'a> {
    depth: usize,
    beta: f32,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl FloatTask for Rows<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self {
            depth,
            beta,
            input,
            output,
        } = self;
        for (input, output) in input.chunks(depth).zip(output.chunks_mut(depth)) {
            let mut most = [f32::MIN; LANES];
            let (chunks, rest) = input.as_chunks::<LANES>();
            for chunk in chunks {
                for (most, &x) in most.iter_mut().zip(chunk) {
                    *most = if x > *most { x } else { *most };
                }
            }
            let max = most.iter().chain(rest).fold(f32::MIN, |max, &x| max.max(x));
            let mut sums = [0.0; LANES];
            let (chunks, rest) = input.as_chunks::<LANES>();
            let (slots, rest_slots) = output.as_chunks_mut::<LANES>();
            for (slots, chunk) in slots.iter_mut().zip(chunks) {
                for ((slot, &x), sum) in slots.iter_mut().zip(chunk).zip(&mut sums) {
                    *slot = exp((x - max) * beta);
                    *sum += *slot;
                }
            }
            let mut sum = sums.iter().sum::<f32>();
            for (slot, &x) in rest_slots.iter_mut().zip(rest) {
                *slot = exp((x - max) * beta);
                sum += *slot;
            }
            for slot in output {
                *slot /= sum;
            }
        }
    }
}

/// An integer softmax, as [`softmax_i8`](crate::reference::softmax_i8) defines it. Activations are bytes `q + 128`.
///
/// An exponential is one of 256: that of the difference between an element and the row's largest. They are in a table.
#[derive(Debug, Clone)]
pub struct ByteSoftmax {
    isa: Isa,
    /// By how much an element is below the largest, as `Q0.31`; 0 where nothing is left of it.
    exponentials: [i32; 256],
    /// What each adds to the sum.
    summands: [i32; 256],
}

impl ByteSoftmax {
    /// The table of exponentials, for `isa`, which must be available.
    pub fn new(isa: Isa, params: &SoftmaxParams) -> Self {
        let exponentials = std::array::from_fn(|below| params.exponential(-(below as i32)).unwrap_or(0));
        Self {
            isa,
            exponentials,
            summands: exponentials.map(SoftmaxParams::summand),
        }
    }

    /// Computes rows of `depth` elements.
    pub fn run(&self, depth: usize, input: &[u8], output: &mut [u8]) {
        assert_eq!(input.len(), output.len(), "elements");
        vectorized(self.isa, || {
            for (input, output) in input.chunks(depth.max(1)).zip(output.chunks_mut(depth.max(1))) {
                self.row(input, output);
            }
        });
    }

    #[inline(always)]
    fn row(&self, input: &[u8], output: &mut [u8]) {
        let max = input.iter().fold(0, |max, &x| if x > max { x } else { max });
        let sum = input
            .iter()
            .fold(0_i32, |sum, &x| sum.wrapping_add(self.summands[usize::from(max - x)]));
        let (scale, exponent) = SoftmaxParams::scale(sum);
        // Neither is ever negative, so that both roundings are halves added before a shift.
        let (scale, half) = (u64::from(scale.unsigned_abs()), (1_u64 << exponent) >> 1);
        for (input, output) in input.chunks(LANES).zip(output.chunks_mut(LANES)) {
            let mut lanes = [0_u32; LANES];
            for (lane, &x) in lanes.iter_mut().zip(input) {
                *lane = self.exponentials[usize::from(max - x)].unsigned_abs();
            }
            let bytes = lanes.map(|e| {
                let product = (scale * u64::from(e) + (1 << 30)) >> 31;
                ((product + half) >> exponent).min(255) as u8
            });
            output.copy_from_slice(&bytes[..input.len()]);
        }
    }
}

/// A softmax of 16-bit integers, as [`softmax_i16`](crate::reference::softmax_i16) defines it, with all exponentials in a table.
#[derive(Debug, Clone)]
pub struct ShortSoftmax {
    params: Softmax16Params,
    /// By how much an element is below the largest.
    exponentials: Vec<i16>,
}

impl ShortSoftmax {
    /// The table of exponentials.
    pub fn new(params: &Softmax16Params) -> Self {
        Self {
            exponentials: (0..1 << 16).map(|below: i32| params.exponential(-below)).collect(),
            params: params.clone(),
        }
    }

    /// Computes rows of `depth` elements.
    pub fn run(&self, depth: usize, input: &[i16], output: &mut [i16]) {
        assert_eq!(input.len(), output.len(), "elements");
        for (input, output) in input.chunks(depth.max(1)).zip(output.chunks_mut(depth.max(1))) {
            let max = input.iter().copied().max().map_or(0, i32::from);
            let mut sum = 0_i32;
            for (slot, &x) in output.iter_mut().zip(input) {
                *slot = self.exponentials[(max - i32::from(x)) as usize];
                sum = sum.wrapping_add((*slot).into());
            }
            let share = self.params.shares(sum);
            for slot in output {
                *slot = share(*slot);
            }
        }
    }
}
