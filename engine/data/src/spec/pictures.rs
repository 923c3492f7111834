//! What happens to pictures before they are samples: size, color and layout.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A new size for every image: exactly one of `shorter` and `to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", from = "ResizeForm")]
pub struct Resize {
    /// Length of the shorter side; the other follows, rounded down (as torchvision's `Resize(int)`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub shorter: Option<u32>,
    /// `[height, width]`, whatever the proportions of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<[u32; 2]>,
    /// How new pixels are computed.
    pub method: Method,
}

/// How a recipe writes a [`Resize`].
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum ResizeForm {
    /// `[height, width]`, whatever the proportions of the image.
    To([u32; 2]),
    /// One of `shorter` and `to`.
    Full(ResizeFields),
}

/// The fields of a [`Resize`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ResizeFields {
    /// Length of the shorter side; the other follows, rounded down (as torchvision's `Resize(int)`).
    #[schemars(range(min = 1))]
    shorter: Option<u32>,
    /// `[height, width]`, whatever the proportions of the image.
    to: Option<[u32; 2]>,
    /// How new pixels are computed.
    #[serde(default)]
    method: Method,
}

impl From<ResizeForm> for Resize {
    fn from(form: ResizeForm) -> Self {
        match form {
            ResizeForm::To(to) => Self {
                to: Some(to),
                ..Self::default()
            },
            ResizeForm::Full(ResizeFields { shorter, to, method }) => Self { shorter, to, method },
        }
    }
}

/// How a resized pixel is computed from its neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The nearest pixel, as Pillow's `NEAREST`.
    Nearest,
    /// Pillow's `BILINEAR`: antialiased where it shrinks. The default of torchvision.
    #[default]
    Bilinear,
    /// Pillow's `BICUBIC` (a = −0.5), antialiased where it shrinks.
    Bicubic,
    /// Pillow's `LANCZOS` (3 lobes), antialiased where it shrinks.
    Lanczos,
    /// TensorFlow's `tf.image.resize(…, "bilinear")`: half-pixel centres, no antialiasing; makes float samples.
    TfBilinear,
}

/// Colour channels of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Color {
    /// One channel, luma by Pillow's `convert("L")` (ITU-R 601).
    Gray,
    /// Three channels; gray is repeated, transparency dropped.
    Rgb,
}

impl Color {
    /// Number of channels.
    pub const fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
        }
    }
}

/// Order of the axes of stored arrays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// As stored; `[N, H, W]` arrays of `u8` are gray images and get their channel axis.
    #[default]
    Auto,
    /// `[N, H, W, C]`.
    Hwc,
    /// `[N, C, H, W]`, turned to `[N, H, W, C]`.
    Chw,
    /// `[N, H, W]`, turned to `[N, H, W, 1]`.
    Hw,
}
