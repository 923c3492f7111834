//! `upsample`.

use ir::ops::{self, Coordinates, Interpolation};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Module;
use super::sizes::Pair;
use crate::builder::{Outcome, Refusal, Site};

/// How new pixels are made.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// The nearest pixel.
    #[default]
    Nearest,
    /// A weighted mean of four.
    Bilinear,
}

/// Enlarges an image, as PyTorch's `Upsample`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upsample {
    /// Times as many rows and columns.
    scale: Pair,
    /// How new pixels are made.
    #[serde(default)]
    mode: Mode,
    /// Whether the corners of both images meet, instead of the centres of their pixels (bilinear only).
    #[serde(default)]
    align_corners: bool,
}

impl Module for Upsample {
    const NAME: &'static str = "upsample";
    const EXAMPLE: &'static str = "up: { upsample: { scale: 2 } }";

    fn build(&self, site: &mut Site<'_, '_>) -> Outcome {
        let [h, w, _] = site.image()?;
        let scale = self.scale.get();
        let size = [h.checked_mul(scale[0]), w.checked_mul(scale[1])];
        let [Some(rows), Some(columns)] = size else {
            return Err(Refusal::new("the image becomes too large"));
        };
        let (interpolation, coordinates) = match (self.mode, self.align_corners) {
            // PyTorch's nearest looks at `floor(x · in / out)`.
            (Mode::Nearest, _) => (Interpolation::Nearest, Coordinates::Asymmetric),
            (Mode::Bilinear, false) => (Interpolation::Bilinear, Coordinates::HalfPixel),
            (Mode::Bilinear, true) => (Interpolation::Bilinear, Coordinates::AlignCorners),
        };
        let op = ops::Resize {
            size: [rows, columns],
            interpolation,
            coordinates,
        };
        let input = site.input();
        Ok(vec![site.add(op, &[input])?])
    }
}
