//! Elements that come together along axes: sums, means, extremes. The loops are plain: compiled for the instruction set they become
//! vectors by themselves.
//!
//! Where neighbours of the input belong to different outputs, each output is made in the order of the input, as the plain kernels do.
//! Where they come together themselves, sixteen sums are made side by side and added at the end, on every [`Isa`].

use super::axes::{Axis, MOST, Places, merge, strides};
use super::isa::{FloatIsa, Isa};
use super::requantize::BIAS;
use super::simd::{FloatTask, Floats};
use crate::quantized::ClampInt;
use crate::reference::MeanParams;

/// Sums that are made side by side.
const LANES: usize = 16;

/// Which elements of a tensor come together, planned once.
#[derive(Debug, Clone)]
pub struct Folding {
    input_len: usize,
    output_len: usize,
    count: usize,
    /// Steps in the input and in the output.
    outer: Vec<Axis<2>>,
    /// A stretch of the input, and where it goes: side by side, or all to one element.
    inner: Axis<2>,
}

impl Folding {
    /// Reduction of `axes` of a tensor of shape `dims`; `None` along more than eight axes that do not follow each other, and of no
    /// elements.
    pub fn new(dims: &[usize], axes: &[usize]) -> Option<Self> {
        let kept: Vec<usize> = dims
            .iter()
            .enumerate()
            .map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size })
            .collect();
        let (from, to) = (strides(dims), strides(&kept));
        let mut all: Vec<Axis<2>> = (0..dims.len())
            .map(|axis| Axis {
                count: dims[axis],
                steps: [
                    from[axis] as isize,
                    if axes.contains(&axis) { 0 } else { to[axis] as isize },
                ],
            })
            .collect();
        let left = merge(&mut all);
        all.truncate(left);
        let inner = all
            .pop_if(|axis| axis.steps[0] == 1 && axis.steps[1] <= 1)
            .unwrap_or(Axis::ONE);
        let (input_len, output_len) = (dims.iter().product::<usize>(), kept.iter().product::<usize>());
        (all.len() <= MOST && input_len > 0).then(|| Self {
            input_len,
            output_len,
            count: input_len / output_len,
            outer: all,
            inner,
        })
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.output_len
    }

    /// Sums. Equals [`reduce_sum_f32`](crate::reference::reduce_sum_f32) up to the order of sums.
    pub fn sum_f32(&self, isa: Isa, input: &[f32], output: &mut [f32]) {
        self.run(isa, 0.0, |sum, x| sum + x, |x| x, input, output);
    }

    /// Means. Equals [`mean_f32`](crate::reference::mean_f32) up to the order of sums.
    pub fn mean_f32(&self, isa: Isa, input: &[f32], output: &mut [f32]) {
        self.sum_f32(isa, input, output);
        let count = self.count as f32;
        for sum in output {
            *sum /= count;
        }
    }

    /// The greatest elements, as [`reduce_max_f32`](crate::reference::reduce_max_f32).
    pub fn max_f32(&self, isa: Isa, input: &[f32], output: &mut [f32]) {
        self.run(
            isa,
            f32::MIN,
            |max, x| if x > max { x } else { max },
            |x| x,
            input,
            output,
        );
    }

    /// The least elements, as [`reduce_min_f32`](crate::reference::reduce_min_f32).
    pub fn min_f32(&self, isa: Isa, input: &[f32], output: &mut [f32]) {
        self.run(
            isa,
            f32::MAX,
            |min, x| if x < min { x } else { min },
            |x| x,
            input,
            output,
        );
    }

    /// The greatest elements of bytes or 16-bit integers; `least` is the least of the type.
    pub fn max<T: Copy + Ord>(&self, isa: Isa, least: T, input: &[T], output: &mut [T]) {
        self.run(isa, least, T::max, |x| x, input, output);
    }

    /// The least elements of bytes or 16-bit integers; `greatest` is the greatest of the type.
    pub fn min<T: Copy + Ord>(&self, isa: Isa, greatest: T, input: &[T], output: &mut [T]) {
        self.run(isa, greatest, T::min, |x| x, input, output);
    }

    /// Means of bytes `q + 128`, as [`mean_i8`](crate::reference::mean_i8); `sums` has an element for each output.
    pub fn mean_bytes(&self, isa: Isa, params: &MeanParams, input: &[u8], sums: &mut [i32], output: &mut [u8]) {
        self.run(isa, 0, i32::wrapping_add, |x: u8| x.into(), input, sums);
        for (slot, &sum) in output.iter_mut().zip(&*sums) {
            let biased = (self.count as i32).wrapping_mul(BIAS);
            *slot = ClampInt::I8.apply::<i8>(self.mean(params, sum.wrapping_sub(biased))) as u8 ^ 0x80;
        }
    }

    /// Means of 16-bit integers, as [`mean_i16`](crate::reference::mean_i16); `sums` has an element for each output.
    pub fn mean_shorts(&self, isa: Isa, params: &MeanParams, input: &[i16], sums: &mut [i32], output: &mut [i16]) {
        self.run(isa, 0, i32::wrapping_add, |x: i16| x.into(), input, sums);
        for (slot, &sum) in output.iter_mut().zip(&*sums) {
            *slot = ClampInt::I16.apply(self.mean(params, sum));
        }
    }

    fn mean(&self, params: &MeanParams, sum: i32) -> i32 {
        let zero = (self.count as i32).wrapping_mul(params.input_zero_point);
        let scaled = params.multiplier.apply_double(sum.wrapping_sub(zero));
        scaled.saturating_add(params.output_zero_point)
    }

    fn run<I: Copy, O: Copy>(
        &self,
        isa: Isa,
        start: O,
        join: impl Fn(O, O) -> O + Copy,
        element: impl Fn(I) -> O + Copy,
        input: &[I],
        output: &mut [O],
    ) {
        assert_eq!(
            (input.len(), output.len()),
            (self.input_len, self.output_len),
            "elements of input and output"
        );
        FloatIsa::new(isa).run(Fold {
            folding: self,
            start,
            join,
            element,
            input,
            output,
        });
    }
}

struct Fold<'a, I, O, J, E> {
    folding: &'a Folding,
    start: O,
    join: J,
    element: E,
    input: &'a [I],
    output: &'a mut [O],
}

impl<I: Copy, O: Copy, J: Fn(O, O) -> O + Copy, E: Fn(I) -> O + Copy> FloatTask for Fold<'_, I, O, J, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self {
            folding,
            start,
            join,
            element,
            input,
            output,
        } = self;
        output.fill(start);
        let Axis {
            count: len,
            steps: [_, side_by_side],
        } = folding.inner;
        for [from, to] in Places::new(&folding.outer, [0; 2]) {
            let run = &input[from as usize..][..len];
            if side_by_side == 1 {
                for (slot, &x) in output[to as usize..][..len].iter_mut().zip(run) {
                    *slot = join(*slot, element(x));
                }
                continue;
            }
            let mut lanes = [start; LANES];
            let (chunks, rest) = run.as_chunks::<LANES>();
            for chunk in chunks {
                for (lane, &x) in lanes.iter_mut().zip(chunk) {
                    *lane = join(*lane, element(x));
                }
            }
            let slot = &mut output[to as usize];
            for lane in lanes {
                *slot = join(*slot, lane);
            }
            for &x in rest {
                *slot = join(*slot, element(x));
            }
        }
    }
}
