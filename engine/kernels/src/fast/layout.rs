//! Moving elements: slices, permutations and padding as copies of whole stretches.
//!
//! A move visits every element of a box of axes, each with a distance in the input and one in the output. Axes that follow each
//! other in both are one axis; what is left of the innermost is a stretch to copy at once, or a matrix to turn around.

use super::axes::{MOST, Places, merge, strides};
use super::isa::{FloatIsa, Isa};
use super::simd::{FloatTask, Floats};

/// Side of the tiles in which a matrix is turned: its lines stay in the first-level cache meanwhile.
const TILE: usize = 16;

/// Steps in the input and in the output.
type Axis = super::axes::Axis<2>;

/// A move of elements, planned once. There is none along more than eight axes that do not follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    input_len: usize,
    output_len: usize,
    /// Index of the first element in the input and in the output.
    first: [isize; 2],
    /// Outermost first.
    outer: Vec<Axis>,
    kernel: Kernel,
}

/// What is done at each place of the outer axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    /// Nothing: the box is empty.
    Nothing,
    /// So many elements that lie together in both.
    Run(usize),
    Turn(Matrix),
    /// Elements that lie together nowhere.
    Scattered(Axis),
}

impl Move {
    /// [`transpose`](crate::reference::transpose): axis `i` of the output is axis `permutation[i]` of the input.
    pub fn transpose(dims: &[usize], permutation: &[usize]) -> Option<Self> {
        assert_eq!(
            dims.len(),
            permutation.len(),
            "an axis of the output for each of the input"
        );
        let from = strides(dims);
        let size: Vec<usize> = permutation.iter().map(|&axis| dims[axis]).collect();
        let axes = permutation.iter().zip(strides(&size)).map(|(&axis, to)| Axis {
            count: dims[axis],
            steps: [from[axis] as isize, to as isize],
        });
        let len = dims.iter().product();
        Self::new([len, len], [0, 0], axes.collect())
    }

    /// [`slice`](crate::reference::slice): what starts at `begin`, every `step`-th element, of shape `size`.
    pub fn slice(dims: &[usize], begin: &[usize], step: &[isize], size: &[usize]) -> Option<Self> {
        assert!(
            dims.len() == begin.len() && dims.len() == step.len() && dims.len() == size.len(),
            "one of each per axis"
        );
        let (from, to) = (strides(dims), strides(size));
        let first = begin.iter().zip(&from).map(|(begin, stride)| begin * stride).sum();
        let axes = (0..dims.len()).map(|i| Axis {
            count: size[i],
            steps: [step[i] * from[i] as isize, to[i] as isize],
        });
        Self::new(
            [dims.iter().product(), size.iter().product()],
            [first, 0],
            axes.collect(),
        )
    }

    /// The input of shape `dims` into the middle of an output of shape `out_dims`: [`pad`](crate::reference::pad) without its fill.
    pub fn pad(dims: &[usize], before: &[usize], out_dims: &[usize]) -> Option<Self> {
        assert!(
            dims.len() == before.len() && dims.len() == out_dims.len(),
            "one of each per axis"
        );
        let (from, to) = (strides(dims), strides(out_dims));
        let first = before.iter().zip(&to).map(|(before, stride)| before * stride).sum();
        let axes = (0..dims.len()).map(|i| Axis {
            count: dims[i],
            steps: [from[i] as isize, to[i] as isize],
        });
        Self::new(
            [dims.iter().product(), out_dims.iter().product()],
            [0, first],
            axes.collect(),
        )
    }

    /// [`gather`](crate::reference::gather), where the indices are two loops of equal steps, as those of a channel shuffle, a slice
    /// or a reversal are; `None` for others.
    pub fn gather(outer: usize, extent: usize, inner: usize, indices: &[i32]) -> Option<Self> {
        let index = |i: usize| {
            let index = indices.get(i).and_then(|&index| usize::try_from(index).ok());
            index.unwrap_or(0).min(extent.saturating_sub(1)) as isize
        };
        let count = indices.len();
        let step = index(1) - index(0);
        let even = 1 + (1..count).take_while(|&i| index(i) - index(i - 1) == step).count();
        let (rows, far) = (count.checked_div(even)?, index(even) - index(0));
        let regular = |i: usize| index(i) == index(0) + (i / even) as isize * far + (i % even) as isize * step;
        if extent == 0 || !count.is_multiple_of(even) || !(0..count).all(regular) {
            return None;
        }
        let [size, rest] = [inner as isize, (count * inner) as isize];
        let axes = [
            (outer, [(extent * inner) as isize, rest]),
            (rows, [far * size, (even * inner) as isize]),
            (even, [step * size, size]),
            (inner, [1, 1]),
        ];
        Self::new(
            [outer * extent * inner, outer * count * inner],
            [index(0) as usize * inner, 0],
            axes.map(|(count, steps)| Axis { count, steps }).into(),
        )
    }

    /// Panics unless all places lie in an input and an output of these lengths.
    fn new([input_len, output_len]: [usize; 2], first: [usize; 2], mut axes: Vec<Axis>) -> Option<Self> {
        let first = first.map(|at| at as isize);
        let planned = |outer, kernel| Self {
            input_len,
            output_len,
            first,
            outer,
            kernel,
        };
        if axes.iter().any(|axis| axis.count == 0) {
            return Some(planned(Vec::new(), Kernel::Nothing));
        }
        for (buffer, len) in [input_len, output_len].into_iter().enumerate() {
            let reaches = || axes.iter().map(|axis| (axis.count as isize - 1) * axis.steps[buffer]);
            let least = first[buffer] + reaches().map(|reach| reach.min(0)).sum::<isize>();
            let most = first[buffer] + reaches().map(|reach| reach.max(0)).sum::<isize>();
            assert!(least >= 0 && most < len as isize, "the move leaves its buffers");
        }
        let left = merge(&mut axes);
        axes.truncate(left);
        let kernel = match axes.pop() {
            None => Kernel::Run(1),
            Some(Axis { count, steps: [1, 1] }) => Kernel::Run(count),
            Some(last) => match axes
                .iter()
                .position(|axis| axis.steps[0] == 1)
                .filter(|_| last.steps[1] == 1)
            {
                // The axis along which the input lies together, and the last, along which the output does.
                Some(at) => {
                    let together = axes.remove(at);
                    Kernel::Turn(Matrix {
                        rows: last.count,
                        columns: together.count,
                        apart: last.steps[0],
                        step: together.steps[1] as usize,
                    })
                }
                None => Kernel::Scattered(last),
            },
        };
        (axes.len() <= MOST).then(|| planned(axes, kernel))
    }

    #[inline(always)]
    fn places(&self) -> impl Iterator<Item = [usize; 2]> {
        Places::new(&self.outer, self.first).map(|[from, to]| [from as usize, to as usize])
    }

    /// Whether whole stretches of at least `least` elements are copied.
    pub fn copies_runs(&self, least: usize) -> bool {
        matches!(self.kernel, Kernel::Run(len) if len >= least)
    }

    /// Moves the elements; what the move does not reach of `output` stays.
    pub fn run<T: Copy>(&self, isa: Isa, input: &[T], output: &mut [T]) {
        assert_eq!(
            (input.len(), output.len()),
            (self.input_len, self.output_len),
            "elements of input and output"
        );
        FloatIsa::new(isa).run(Walk {
            plan: self,
            input,
            output,
        });
    }
}

/// All of a move.
struct Walk<'a, T> {
    plan: &'a Move,
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: Copy> FloatTask for Walk<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Floats>(self, _: S) {
        let Self { plan, input, output } = self;
        match plan.kernel {
            Kernel::Nothing => {}
            Kernel::Run(len) => {
                for [from, to] in plan.places() {
                    output[to..to + len].copy_from_slice(&input[from..from + len]);
                }
            }
            Kernel::Turn(matrix) => {
                for [from, to] in plan.places() {
                    matrix.turn(input, from as isize, &mut output[to..]);
                }
            }
            Kernel::Scattered(last) => {
                for [from, to] in plan.places() {
                    for i in 0..last.count as isize {
                        output[to.wrapping_add_signed(i * last.steps[1])] =
                            input[from.wrapping_add_signed(i * last.steps[0])];
                    }
                }
            }
        }
    }
}

/// A matrix that is turned around: `rows` of `columns` elements, `apart` from each other in the input; elements of a column lie
/// together in the output, columns are `step` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Matrix {
    rows: usize,
    columns: usize,
    apart: isize,
    step: usize,
}

impl Matrix {
    #[inline(always)]
    fn turn<T: Copy>(self, input: &[T], from: isize, output: &mut [T]) {
        let Self {
            rows, columns, step, ..
        } = self;
        match (rows, step) {
            (2, 2) => self.interleave::<T, 2>(input, from, output),
            (3, 3) => self.interleave::<T, 3>(input, from, output),
            (4, 4) => self.interleave::<T, 4>(input, from, output),
            (8, 8) => self.interleave::<T, 8>(input, from, output),
            _ if columns <= 4 => self.part(input, from, output),
            _ => {
                for first_row in (0..rows).step_by(TILE) {
                    for first in (0..columns).step_by(TILE) {
                        let tile = Self {
                            rows: TILE.min(rows - first_row),
                            columns: TILE.min(columns - first),
                            ..self
                        };
                        let from = from + first_row as isize * self.apart + first as isize;
                        tile.part(input, from, &mut output[first * step + first_row..]);
                    }
                }
            }
        }
    }

    /// The matrix as it is, row by row of the output.
    #[inline(always)]
    fn part<T: Copy>(self, input: &[T], from: isize, output: &mut [T]) {
        for column in 0..self.columns {
            let line = &mut output[column * self.step..][..self.rows];
            for (row, slot) in line.iter_mut().enumerate() {
                *slot = input[(from + row as isize * self.apart) as usize + column];
            }
        }
    }

    /// `N` rows that become one stretch: an element of each in turn.
    #[inline(always)]
    fn interleave<T: Copy, const N: usize>(self, input: &[T], from: isize, output: &mut [T]) {
        let rows: [&[T]; N] =
            std::array::from_fn(|row| &input[(from + row as isize * self.apart) as usize..][..self.columns]);
        let (lines, _) = output[..N * self.columns].as_chunks_mut::<N>();
        for (column, line) in lines.iter_mut().enumerate() {
            for (slot, row) in line.iter_mut().zip(rows) {
                *slot = row[column];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kernel, Matrix, Move};

    #[test]
    fn axes_that_follow_each_other_are_one_copy() {
        let all = Move::transpose(&[2, 3, 4], &[0, 1, 2]).unwrap();
        assert_eq!((all.outer.len(), all.kernel), (0, Kernel::Run(24)));
        let padded = Move::pad(&[1, 5, 7, 3], &[0, 1, 1, 0], &[1, 7, 9, 3]).unwrap();
        assert_eq!((padded.outer.len(), padded.kernel), (1, Kernel::Run(21)));
        assert!(padded.copies_runs(21) && !padded.copies_runs(22));
    }

    #[test]
    fn a_channel_shuffle_interleaves_rows() {
        let shuffle = Move::transpose(&[1, 9, 2, 58], &[0, 1, 3, 2]).unwrap();
        let turn = Kernel::Turn(Matrix {
            rows: 2,
            columns: 58,
            apart: 58,
            step: 2,
        });
        assert_eq!((shuffle.outer.len(), shuffle.kernel), (1, turn));
    }

    #[test]
    #[should_panic(expected = "leaves its buffers")]
    fn a_slice_beyond_the_end_is_refused() {
        Move::slice(&[4], &[2], &[1], &[3]);
    }
}
