//! What samples are labelled with in place of one class each: several classes, numbers, a class for each pixel, boxes around objects.

use serde::{Deserialize, Serialize};

use crate::samples::Samples;

/// The labels of all samples, in their order.
pub enum Targets {
    /// Any number of classes: 1 where a sample is of a class, 0 elsewhere, `[samples, classes]`.
    Sets(Vec<u8>),
    /// Numbers, all finite.
    Numbers {
        /// What they are called.
        names: Vec<String>,
        /// `[samples, names]`.
        values: Vec<f32>,
    },
    /// A class for each pixel, `[samples, height, width]` bytes; [`Targets::VOID`] where there is none.
    Masks(Samples),
    /// Boxes around objects.
    Boxes(Vec<Boxes>),
}

/// The objects in an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Boxes {
    /// Height and width of the image before it was resized.
    pub size: [f64; 2],
    /// The objects, in pixels of that size.
    pub objects: Vec<Boxed>,
}

/// An object in an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Boxed {
    /// Its class.
    pub class: u32,
    /// Left, top, width, height.
    pub bounds: [f64; 4],
    /// Its area, which may be less than that of its box.
    pub area: f64,
    /// Whether it stands for many that are not told apart.
    pub crowd: bool,
}

impl Targets {
    /// The value of a mask's pixel that has no class.
    pub const VOID: u8 = 255;

    /// What a sample is labelled with, behind «each with».
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sets(_) => "several classes",
            Self::Numbers { .. } => "numbers",
            Self::Masks(_) => "a mask",
            Self::Boxes(_) => "boxes",
        }
    }
}
