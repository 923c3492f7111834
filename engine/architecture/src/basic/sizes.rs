//! Parameters that several modules share: sizes of windows and their padding.

use ir::ops::Padding;
use schemars::JsonSchema;
use serde::Deserialize;

/// Rows and columns: one number for both, or `[rows, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Pair {
    /// The same for both.
    Both(usize),
    /// Rows and columns.
    Each([usize; 2]),
}

impl Pair {
    pub const ONE: Pair = Pair::Both(1);

    pub fn get(self) -> [usize; 2] {
        match self {
            Pair::Both(n) => [n, n],
            Pair::Each(pair) => pair,
        }
    }
}

pub(super) fn one() -> Pair {
    Pair::ONE
}

/// How an image is padded by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Named {
    /// TensorFlow's SAME: as many rows out as in, divided by the stride; the odd pixel at the bottom and right.
    Same,
    /// None.
    Valid,
}

/// Padding: a number for all sides, `[rows, columns]`, `[top, bottom, left, right]`, `same` or `valid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Pad {
    /// All sides.
    All(usize),
    /// Above and below, left and right.
    Each([usize; 2]),
    /// Every side on its own.
    Sides([usize; 4]),
    /// By name.
    Named(Named),
}

impl Pad {
    pub const NONE: Pad = Pad::All(0);

    /// The four numbers for a window over an image of that many rows and columns.
    pub fn resolve(self, image: [usize; 2], kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Padding {
        match self {
            Pad::All(n) => Padding::all(n),
            Pad::Each([rows, columns]) => Padding {
                top: rows,
                bottom: rows,
                left: columns,
                right: columns,
            },
            Pad::Sides([top, bottom, left, right]) => Padding {
                top,
                bottom,
                left,
                right,
            },
            Pad::Named(Named::Same) => Padding::same(image, kernel, stride, dilation),
            Pad::Named(Named::Valid) => Padding::NONE,
        }
    }
}

pub(super) fn none() -> Pad {
    Pad::NONE
}

pub(super) fn yes() -> bool {
    true
}
