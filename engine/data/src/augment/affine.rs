//! A picture turned and resized about its middle.

/// Turns a picture by an angle (radians, clockwise) and resizes it by a factor. A pixel is mixed of the four around the place that it comes from
/// (bilinear); beyond the border there are zeros.
pub(super) fn turned(values: &mut [f32], [height, width, channels]: [usize; 3], angle: f32, factor: f32) {
    let old = values.to_vec();
    // The same on every machine, unlike the system's.
    let (sin, cos) = (libm::sinf(angle) / factor, libm::cosf(angle) / factor);
    let middle = |side: usize| (side as f32 - 1.0) / 2.0;
    let (middle_y, middle_x) = (middle(height), middle(width));
    let inside = |at: f32, side: usize| (at >= 0.0 && at < side as f32).then_some(at as usize);
    for (place, pixel) in values.chunks_exact_mut(channels).enumerate() {
        let (y, x) = ((place / width) as f32 - middle_y, (place % width) as f32 - middle_x);
        let (from_y, from_x) = (cos * y - sin * x + middle_y, sin * y + cos * x + middle_x);
        let (top, left) = (from_y.floor(), from_x.floor());
        let (down, right) = (from_y - top, from_x - left);
        pixel.fill(0.0);
        for (row, of_row) in [(top, 1.0 - down), (top + 1.0, down)] {
            for (column, of_column) in [(left, 1.0 - right), (left + 1.0, right)] {
                let (Some(row), Some(column)) = (inside(row, height), inside(column, width)) else {
                    continue;
                };
                let from = &old[(row * width + column) * channels..][..channels];
                for (value, &old) in pixel.iter_mut().zip(from) {
                    *value += of_row * of_column * old;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_moves_pixels_whole() {
        let mut values: Vec<f32> = (0..18u8).map(f32::from).collect();
        let pixels = |values: &[f32]| values.chunks(2).map(|pixel| pixel[0] as u8).collect::<Vec<u8>>();
        turned(&mut values, [3, 3, 2], std::f32::consts::FRAC_PI_2, 1.0);
        let rounded: Vec<f32> = values.iter().map(|value| value.round()).collect();
        // 0 2 4 / 6 8 10 / 12 14 16, clockwise.
        assert_eq!(pixels(&rounded), [12, 6, 0, 14, 8, 2, 16, 10, 4]);
    }

    #[test]
    fn half_the_size_leaves_a_border_of_zeros() {
        let mut values = vec![1.0; 64];
        turned(&mut values, [8, 8, 1], 0.0, 0.5);
        let ones = values.iter().filter(|value| **value > 0.99).count();
        assert_eq!(ones, 16);
        assert_eq!((values[0], values[9], values[27]), (0.0, 0.0, 1.0));
        let mut same: Vec<f32> = (0..64u8).map(f32::from).collect();
        turned(&mut same, [8, 8, 1], 0.0, 1.0);
        assert_eq!(same, (0..64u8).map(f32::from).collect::<Vec<f32>>());
    }
}
