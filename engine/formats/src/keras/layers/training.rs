//! Layers that act in training only: nodes that return their input, which folding removes.

use ir::TensorId;
use ir::ops::{Dropout, Identity};

use super::{Call, Kind, none};
use crate::FormatError;

/// Layers that change images at random.
pub(in crate::keras) const AUGMENTATIONS: [&str; 24] = [
    "AugMix",
    "CutMix",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "Solarization",
];

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &[
            "AlphaDropout",
            "Dropout",
            "GaussianDropout",
            "SpatialDropout1D",
            "SpatialDropout2D",
            "SpatialDropout3D",
        ],
        slots: none,
        build: dropout,
    },
    Kind {
        classes: &["ActivityRegularization", "GaussianNoise", "Identity"],
        slots: none,
        build: identity,
    },
    Kind {
        classes: &AUGMENTATIONS,
        slots: none,
        build: augmentation,
    },
];

fn dropout(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let input = call.input()?;
    let rate = call.attributes().number("rate")?.unwrap_or(0.0);
    // SpatialDropout drops whole channels, wherever they stand.
    call.attributes().get("data_format");
    call.output(Dropout { rate }, &[input])
}

fn identity(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let input = call.input()?;
    for regularizer in ["l1", "l2"] {
        call.attributes().get(regularizer);
    }
    call.output(Identity {}, &[input])
}

/// How an image would be distorted does not matter.
fn augmentation(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let input = call.input()?;
    call.attributes().get_all();
    call.output(Identity {}, &[input])
}
