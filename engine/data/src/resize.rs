//! Resizing images as Pillow and TensorFlow do, bit for bit.
//!
//! A network is trained with one way of resizing, and its accuracy on an edge-rich image depends on it; results here are equal to
//! those of the two libraries, which the golden arrays under `tests/golden` prove.

mod pillow;
mod tensorflow;

pub use pillow::{Filter, nearest, resample};
pub use tensorflow::bilinear;

/// Pixels in rows, channels last: `[height, width, channels]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture<T> {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values per pixel.
    pub channels: usize,
    /// `height · width · channels` values.
    pub pixels: Vec<T>,
}

impl<T: Copy> Picture<T> {
    /// Its `[height, width, channels]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }

    /// The middle `height` × `width` of the picture, or `None` where it is smaller. An odd remainder is halved as
    /// torchvision's `CenterCrop` does: rounded, halves to the even number.
    pub fn center_crop(&self, height: usize, width: usize) -> Option<Self> {
        let top = half_to_even(self.height.checked_sub(height)?);
        let left = half_to_even(self.width.checked_sub(width)?);
        let row = self.width * self.channels;
        let pixels = self
            .pixels
            .chunks_exact(row)
            .skip(top)
            .take(height)
            .flat_map(|row| &row[left * self.channels..(left + width) * self.channels])
            .copied()
            .collect();
        Some(Self {
            height,
            width,
            channels: self.channels,
            pixels,
        })
    }
}

fn half_to_even(remainder: usize) -> usize {
    let half = remainder / 2;
    half + (remainder % 2) * (half % 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_remainder_of_a_crop_is_halved_to_even() {
        let picture = Picture {
            height: 1,
            width: 6,
            channels: 1,
            pixels: vec![0, 1, 2, 3, 4, 5],
        };
        let crop = |width| picture.center_crop(1, width).map(|crop| crop.pixels);
        assert_eq!(crop(5), Some(vec![0, 1, 2, 3, 4]));
        assert_eq!(crop(3), Some(vec![2, 3, 4]));
        assert_eq!(crop(6), Some(vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(crop(7), None);
    }
}
