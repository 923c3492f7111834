//! `tf.image.resize(…, "bilinear")`: half-pixel centres, no antialiasing, in `f32`
//! (`tensorflow/core/kernels/image/resize_bilinear_op.cc`: `compute_interpolation_weights`, `compute_lerp`).

use super::Picture;

/// The two neighbours of an output pixel and how far it lies from the lower one.
struct Between {
    lower: usize,
    upper: usize,
    lerp: f32,
}

fn between(input: usize, output: usize) -> Vec<Between> {
    let scale = input as f32 / output as f32;
    (0..output)
        .map(|place| {
            let position = (place as f32 + 0.5) * scale - 0.5;
            let floor = position.floor();
            let upper = (position.ceil().max(0.0) as usize).min(input - 1);
            Between {
                lower: floor.max(0.0) as usize,
                upper,
                lerp: position - floor,
            }
        })
        .collect()
}

/// Resizes to `height` × `width`, neither of them 0.
pub fn bilinear<T: Copy + Into<f32>>(picture: &Picture<T>, height: usize, width: usize) -> Picture<f32> {
    let channels = picture.channels;
    let (rows, columns) = (between(picture.height, height), between(picture.width, width));
    let mut pixels = Vec::with_capacity(height * width * channels);
    for row in &rows {
        for column in &columns {
            for channel in 0..channels {
                let at =
                    |y: usize, x: usize| -> f32 { picture.pixels[(y * picture.width + x) * channels + channel].into() };
                let across = |y| at(y, column.lower) + (at(y, column.upper) - at(y, column.lower)) * column.lerp;
                let (top, bottom) = (across(row.lower), across(row.upper));
                pixels.push(top + (bottom - top) * row.lerp);
            }
        }
    }
    Picture {
        height,
        width,
        channels,
        pixels,
    }
}
