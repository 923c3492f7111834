//! Explicit padding ↔ TFLite's `SAME` and `VALID`.
//!
//! TFLite computes padding from extents, so that explicit padding can be said only where it is what would be computed.
//! Source: `ComputePaddingHeightWidth` in TensorFlow Lite's `kernels/padding.h`.

use ir::ops::{Activation, Padding};

use super::schema::{SAME, VALID};

/// Rows and columns that a window slides over, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub input: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
}

impl Window {
    /// The scheme that yields this padding; `None` when there is none.
    pub fn scheme(&self, padding: Padding) -> Option<i8> {
        if padding == Padding::NONE {
            Some(VALID)
        } else {
            (padding == self.same()).then_some(SAME)
        }
    }

    /// The padding that a scheme yields; `None` for an unknown scheme.
    pub fn padding(&self, scheme: i8) -> Option<Padding> {
        match scheme {
            SAME => Some(self.same()),
            VALID => Some(Padding::NONE),
            _ => None,
        }
    }

    fn same(&self) -> Padding {
        Padding::same(self.input, self.kernel, self.stride, self.dilation)
    }
}

/// Rows and columns of a transposed convolution, which TFLite pads as the convolution from its output to its input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transposed {
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
}

impl Transposed {
    /// The scheme under which the first kernel row and column fall `top` and `left` pixels outside of the output.
    pub fn scheme(&self, [top, left]: [usize; 2]) -> Option<i8> {
        if self.stride.contains(&0) {
            return None;
        }
        let valid = |i: usize| {
            let windows = self.output[i]
                .checked_sub(self.kernel[i])
                .map(|room| room / self.stride[i] + 1);
            windows == Some(self.input[i])
        };
        let same = |i: usize, before: usize| {
            self.output[i].div_ceil(self.stride[i]) == self.input[i] && before == self.excess(i) / 2
        };
        if [top, left] == [0, 0] && valid(0) && valid(1) {
            Some(VALID)
        } else {
            (same(0, top) && same(1, left)).then_some(SAME)
        }
    }

    /// Padding and output padding under a scheme; `None` for an unknown scheme.
    ///
    /// What the kernel covers beyond the output is cut off as padding; what it does not reach is output padding.
    pub fn padding(&self, scheme: i8) -> Option<(Padding, [usize; 2])> {
        let [rows, columns] = [self.excess(0), self.excess(1)];
        let (top, left) = match scheme {
            SAME => (rows / 2, columns / 2),
            VALID => (0, 0),
            _ => return None,
        };
        let padding = Padding {
            top,
            bottom: rows - top,
            left,
            right: columns - left,
        };
        let missing = |i: usize| self.output[i].saturating_sub(self.covered(i));
        Some((padding, [missing(0), missing(1)]))
    }

    /// The output that remains when nothing is cut off before it, with `before` rows and columns more ahead of it.
    pub fn whole(&self, before: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|i| self.covered(i).max(self.output[i].saturating_add(before[i])))
    }

    fn covered(&self, i: usize) -> usize {
        let steps = self.input[i].saturating_sub(1).saturating_mul(self.stride[i]);
        steps.saturating_add(self.kernel[i])
    }

    fn excess(&self, i: usize) -> usize {
        self.covered(i).saturating_sub(self.output[i])
    }
}

/// `ActivationFunctionType`, of recurrent layers.
pub(super) const RELU: i8 = 1;
/// `ActivationFunctionType`.
pub(super) const RELU6: i8 = 3;
/// `ActivationFunctionType`.
pub(super) const TANH: i8 = 4;

/// `ActivationFunctionType`.
pub(super) const fn activation_code(activation: Activation) -> i8 {
    match activation {
        Activation::None => 0,
        Activation::Relu => 1,
        Activation::ReluN1To1 => 2,
        Activation::Relu6 => 3,
    }
}

/// The clamp of an `ActivationFunctionType`; `None` for other functions.
pub(super) const fn activation_of(code: i8) -> Option<Activation> {
    Some(match code {
        0 => Activation::None,
        1 => Activation::Relu,
        2 => Activation::ReluN1To1,
        3 => Activation::Relu6,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_computable_padding_has_a_scheme() {
        let window = Window {
            input: [5, 6],
            kernel: [3, 3],
            stride: [2, 2],
            dilation: [1, 1],
        };
        assert_eq!(window.scheme(Padding::NONE), Some(VALID));
        assert_eq!(
            window.scheme(Padding {
                top: 1,
                bottom: 1,
                left: 0,
                right: 1
            }),
            Some(SAME)
        );
        assert_eq!(window.scheme(Padding::all(1)), None);
    }

    #[test]
    fn transposed_padding_is_that_of_the_convolution_back() {
        let of = |output: usize| Transposed {
            input: [4, 4],
            output: [output; 2],
            kernel: [3, 3],
            stride: [2, 2],
        };
        assert_eq!(of(8).scheme([0, 0]), Some(SAME));
        assert_eq!(of(9).scheme([0, 0]), Some(VALID));
        assert_eq!(of(8).scheme([1, 1]), None);
        assert_eq!(of(7).scheme([1, 1]), Some(SAME));
        let (padding, missing) = of(8).padding(SAME).unwrap();
        assert_eq!(
            (padding, missing),
            (
                Padding {
                    top: 0,
                    bottom: 1,
                    left: 0,
                    right: 1
                },
                [0, 0]
            )
        );
        let wide = Transposed {
            kernel: [2, 2],
            stride: [3, 3],
            output: [12, 12],
            ..of(0)
        };
        assert_eq!(
            (wide.scheme([0, 0]), wide.padding(VALID)),
            (Some(VALID), Some((Padding::NONE, [1, 1])))
        );
    }
}
