//! Layers that change an image's size: upsampling, resizing, cropping to the centre.

use ir::TensorId;
use ir::ops::{Coordinates, Interpolation, Reshape, Resize, Slice};

use super::{Call, Kind, none};
use crate::FormatError;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        classes: &["UpSampling1D"],
        slots: none,
        build: up_sampling_1d,
    },
    Kind {
        classes: &["UpSampling2D"],
        slots: none,
        build: up_sampling_2d,
    },
    Kind {
        classes: &["Resizing"],
        slots: none,
        build: resizing,
    },
    Kind {
        classes: &["CenterCrop"],
        slots: none,
        build: center_crop,
    },
];

/// Keras samples at pixel centres, as TensorFlow 2 does.
fn resize(call: &Call<'_, '_>, default: &'static str, size: [Option<usize>; 2]) -> Result<Resize, FormatError> {
    let attributes = call.attributes();
    let interpolation = match attributes.text("interpolation", default)? {
        "nearest" => Interpolation::Nearest,
        "bilinear" => Interpolation::Bilinear,
        _ => return Err(attributes.refuse("interpolation", "use nearest or bilinear")),
    };
    match size {
        [Some(h), Some(w)] => Ok(Resize {
            size: [h, w],
            interpolation,
            coordinates: Coordinates::HalfPixel,
        }),
        _ => Err(call.malformed("the new size is too large")),
    }
}

/// Every step repeated.
fn up_sampling_1d(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let (input, [n, length, c]) = call.input_of_rank::<3>()?;
    let size = call.attributes().single("size")?.unwrap_or(2);
    let op = resize(call, "nearest", [Some(1), length.checked_mul(size)])?;
    let shape = vec![n, op.size[1], c];
    let row = call.part(
        "expand",
        Reshape {
            shape: vec![n, 1, length, c],
        },
        &[input],
    )?;
    let resized = call.part("resize", op, &[row])?;
    call.output(Reshape { shape }, &[resized])
}

fn up_sampling_2d(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    call.attributes().channels_last()?;
    let (input, [_, h, w, _]) = call.input_of_rank::<4>()?;
    let [rows, columns] = call.attributes().pair("size", 1)?.unwrap_or([2, 2]);
    let op = resize(call, "nearest", [h.checked_mul(rows), w.checked_mul(columns)])?;
    call.output(op, &[input])
}

/// `height` and `width`.
fn target(call: &Call<'_, '_>) -> Result<[usize; 2], FormatError> {
    Ok([
        call.attributes().extent("height", None)?,
        call.attributes().extent("width", None)?,
    ])
}

fn resizing(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    let attributes = call.attributes();
    attributes.channels_last()?;
    for key in ["crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"] {
        if attributes.flag(key, false)? {
            return Err(attributes.refuse(key, "resize the images before the network sees them"));
        }
    }
    // How to fill padding that there is none of.
    for unused in ["fill_mode", "fill_value"] {
        attributes.get(unused);
    }
    let [h, w] = target(call)?;
    let input = call.input()?;
    let op = resize(call, "bilinear", [Some(h), Some(w)])?;
    call.output(op, &[input])
}

/// The middle `height` × `width`, the odd pixel left at the bottom and right.
fn center_crop(call: &mut Call<'_, '_>) -> Result<TensorId, FormatError> {
    call.attributes().channels_last()?;
    let (input, [n, h, w, c]) = call.input_of_rank::<4>()?;
    let [height, width] = target(call)?;
    let (Some(rows), Some(columns)) = (h.checked_sub(height), w.checked_sub(width)) else {
        return Err(call.unsupported(
            format!("the image, {h}×{w}, is smaller than the crop"),
            "use Resizing before it",
        ));
    };
    let (top, left) = (rows / 2, columns / 2);
    let op = Slice {
        begin: vec![0, top, left, 0],
        end: vec![n, top + height, left + width, c],
        stride: vec![1; 4],
    };
    call.output(op, &[input])
}
