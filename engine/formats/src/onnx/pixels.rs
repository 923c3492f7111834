//! Which input pixels a resized image looks at, in the words of ONNX and in those of the IR.
//!
//! Positions are computed in 32 bits, as the runtimes do: where one lies on the edge between two pixels, the rounding decides.

use ir::ops::Coordinates;

/// Along one dimension: extents, and the factor that positions are computed with, which need not be their ratio.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub input: usize,
    pub output: usize,
    pub scale: f32,
}

/// Where output pixel `x` looks; `None` for an unknown mode. Source: `GetOriginalCoordinateFromResizedCoordinate` in ONNX Runtime's
/// `upsamplebase.h`.
pub(super) fn position(mode: &str, axis: Axis, x: usize) -> Option<f32> {
    let Axis { input, output, scale } = axis;
    let (x, length, resized) = (x as f32, input as f32, output as f32);
    Some(match mode {
        "half_pixel_symmetric" => {
            let adjustment = resized / (scale * length);
            let offset = length / 2.0 * (1.0 - adjustment);
            (f64::from(offset) + (f64::from(x) + 0.5) / f64::from(scale) - 0.5) as f32
        }
        "pytorch_half_pixel" | "align_corners" if output == 1 => 0.0,
        "half_pixel" | "pytorch_half_pixel" => (x + 0.5) / scale - 0.5,
        "align_corners" => x * (length - 1.0) / (resized - 1.0),
        "asymmetric" => x / scale,
        _ => return None,
    })
}

/// So close to the middle between two pixels ONNX Runtime takes a position for the middle.
const TIE: f32 = 1e-6;

/// The nearest pixel of each output pixel; `None` for unknown modes.
pub(super) fn nearest(mode: &str, rounding: &str, axis: Axis) -> Option<Vec<usize>> {
    let pixel = |x: usize| {
        let at = position(mode, axis, x)?;
        let above = at - at.floor() - 0.5;
        let whole = match rounding {
            "round_prefer_floor" if above <= TIE => at.floor(),
            "round_prefer_ceil" if above < -TIE => at.floor(),
            "round_prefer_floor" | "round_prefer_ceil" => at.floor() + 1.0,
            "floor" => at.floor(),
            "ceil" => at.ceil(),
            _ => return None,
        };
        Some(whole.clamp(0.0, axis.input as f32 - 1.0) as usize)
    };
    (0..axis.output).map(pixel).collect()
}

/// The pixels that the IR takes. Source: `GetNearestNeighbor` in TensorFlow Lite's `resize_nearest_neighbor.h`.
pub(super) fn nearest_of(coordinates: Coordinates, input: usize, output: usize) -> Vec<usize> {
    let (corners, offset) = match coordinates {
        Coordinates::AlignCorners => (output > 1, 0.0),
        Coordinates::HalfPixel => (false, 0.5),
        Coordinates::Asymmetric => (false, 0.0),
    };
    let scale = if corners {
        (input - 1) as f32 / (output - 1) as f32
    } else {
        input as f32 / output as f32
    };
    let pixel = |x: usize| {
        let at = (x as f32 + offset) * scale;
        let at = if coordinates == Coordinates::AlignCorners {
            at.round()
        } else {
            at.floor()
        };
        (at as usize).min(input - 1)
    };
    (0..output).map(pixel).collect()
}

/// What ONNX calls a form of the IR.
pub(super) fn name(form: Coordinates) -> &'static str {
    match form {
        Coordinates::HalfPixel => "half_pixel",
        Coordinates::AlignCorners => "align_corners",
        Coordinates::Asymmetric => "asymmetric",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against ONNX Runtime 1.31: `Resize` of 0, 1, 2, … by a scale.
    #[track_caller]
    fn check(input: usize, scale: f32, mode: &str, rounding: &str, wanted: &[usize]) {
        let output = wanted.len();
        assert_eq!((input as f32 * scale).floor() as usize, output);
        assert_eq!(nearest(mode, rounding, Axis { input, output, scale }).unwrap(), wanted);
    }

    #[test]
    fn nearest_pixels_are_found_with_the_scale_as_it_is_given() {
        // 15 of 9 pixels: by the ratio of the sizes the sixth would be the third, not the second.
        check(
            9,
            1.7,
            "asymmetric",
            "floor",
            &[0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 7, 7, 8],
        );
        check(
            7,
            2.3,
            "half_pixel",
            "round_prefer_floor",
            &[0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6],
        );
        check(10, 0.7, "asymmetric", "ceil", &[0, 2, 3, 5, 6, 8, 9]);
        check(
            9,
            1.3,
            "align_corners",
            "round_prefer_ceil",
            &[0, 1, 2, 2, 3, 4, 5, 6, 6, 7, 8],
        );
        check(10, 0.6, "half_pixel", "floor", &[0, 2, 3, 5, 6, 8]);
        check(
            5,
            1.7,
            "half_pixel_symmetric",
            "round_prefer_floor",
            &[0, 1, 1, 2, 2, 3, 3, 4],
        );
        // Almost in the middle, by the rounding of the scale.
        let (floor, ceil) = ("round_prefer_floor", "round_prefer_ceil");
        let halved = [1, 2, 4, 6, 7, 9, 11, 12, 14];
        check(16, 0.6, "half_pixel_symmetric", floor, &halved);
        check(
            5,
            2.5,
            "half_pixel_symmetric",
            "ceil",
            &[0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4],
        );
        check(
            38,
            0.25,
            "half_pixel_symmetric",
            ceil,
            &[3, 7, 11, 15, 19, 23, 27, 31, 35],
        );
    }

    #[test]
    fn the_forms_of_the_ir_go_by_the_ratio_of_sizes() {
        assert_eq!(nearest_of(Coordinates::Asymmetric, 9, 15)[5], 3);
        assert_eq!(nearest_of(Coordinates::AlignCorners, 3, 5), [0, 1, 1, 2, 2]);
        assert_eq!(
            nearest(
                "unknown",
                "floor",
                Axis {
                    input: 2,
                    output: 2,
                    scale: 1.0
                }
            ),
            None
        );
    }
}
