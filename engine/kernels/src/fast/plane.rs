//! Where the pixels of one image lie in a buffer that carries its own border.
//!
//! A convolution with padding reads pixels outside its input. Instead of asking for every tap whether it lies inside, the buffer
//! of a tensor has the border physically, filled once with the value that means zero: `0.0`, or the zero point. Kernels write the
//! inside only, so the border stays as it was filled, and a buffer may be reused by any tensor of the same [`Plane`] and zero
//! point. The kernel's row of `k_w` pixels is then one contiguous run of `k_w · channels` values, inside or not.

use crate::shape::{Conv2dShape, DepthwiseConv2dShape};

/// Pixels around an image that are physically present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(missing_docs, reason = "the field names are the documentation")]
pub struct Border {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Border {
    /// No border.
    pub const NONE: Self = Self {
        top: 0,
        bottom: 0,
        left: 0,
        right: 0,
    };

    /// The border that the input of a convolution needs.
    pub fn of_conv(shape: &Conv2dShape) -> Self {
        Window::of_conv(shape).border(shape.in_h, shape.in_w, shape.out_h, shape.out_w)
    }

    /// The border that the input of a depthwise convolution needs.
    pub fn of_depthwise(shape: &DepthwiseConv2dShape) -> Self {
        Window::of_depthwise(shape).border(shape.in_h, shape.in_w, shape.out_h, shape.out_w)
    }

    /// The smallest border that serves two readers.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            top: self.top.max(other.top),
            bottom: self.bottom.max(other.bottom),
            left: self.left.max(other.left),
            right: self.right.max(other.right),
        }
    }

    fn covers(self, needed: Self) -> bool {
        self.union(needed) == self
    }
}

/// Geometry of one channels-last image in a buffer: rows of `left + width + right` pixels of `channels` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the field names are the documentation")]
pub struct Plane {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub border: Border,
}

impl Plane {
    /// An image without border.
    pub fn dense(height: usize, width: usize, channels: usize) -> Self {
        Self {
            height,
            width,
            channels,
            border: Border::NONE,
        }
    }

    /// The same image with this border.
    #[must_use]
    pub fn with_border(self, border: Border) -> Self {
        Self { border, ..self }
    }

    /// Elements from a row to the next.
    pub fn row_stride(&self) -> usize {
        // Saturating, here and below: a size beyond all buffers is refused by every buffer.
        (self
            .border
            .left
            .saturating_add(self.width)
            .saturating_add(self.border.right))
        .saturating_mul(self.channels)
    }

    /// Elements of the buffer, border included.
    pub fn len(&self) -> usize {
        (self
            .border
            .top
            .saturating_add(self.height)
            .saturating_add(self.border.bottom))
        .saturating_mul(self.row_stride())
    }

    /// Whether the buffer has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Index of channel 0 of the pixel at row `y`, column `x` of the image.
    pub fn at(&self, y: usize, x: usize) -> usize {
        (self.border.top + y) * self.row_stride() + (self.border.left + x) * self.channels
    }

    /// Whether the image lies contiguously in its buffer: rows follow each other without a border between them.
    pub fn is_contiguous(&self) -> bool {
        self.border.left == 0 && self.border.right == 0
    }

    /// The index ranges of the image's rows, without the border.
    pub fn rows(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (first, stride, len) = (self.at(0, 0), self.row_stride(), self.width * self.channels);
        (0..self.height).map(move |y| first + y * stride..first + y * stride + len)
    }

    /// The row ranges, or one range for the whole image where it is contiguous.
    pub(super) fn runs(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let merged = if self.is_contiguous() {
            Self {
                height: 1,
                width: self.height * self.width,
                ..*self
            }
        } else {
            *self
        };
        let first = self.at(0, 0);
        let (height, stride, len) = (merged.height, merged.row_stride(), merged.width * merged.channels);
        (0..height).map(move |y| first + y * stride..first + y * stride + len)
    }

    fn same_image(&self, other: &Self) -> bool {
        (self.height, self.width, self.channels) == (other.height, other.width, other.channels)
    }
}

/// An image to read.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T> {
    plane: &'a Plane,
    data: &'a [T],
}

impl<'a, T: Copy> View<'a, T> {
    /// The image of geometry `plane` in `data`, which must be as long as [`Plane::len`] says, or longer.
    pub fn new(plane: &'a Plane, data: &'a [T]) -> Self {
        assert!(
            data.len() >= plane.len(),
            "a buffer of {} elements is too short for {plane:?}",
            data.len()
        );
        Self { plane, data }
    }

    /// Where its pixels are.
    pub fn plane(&self) -> &'a Plane {
        self.plane
    }

    /// The buffer, border included.
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// Copies the image, without its border, into the dense slice `to`.
    pub fn copy_to(&self, to: &mut [T]) {
        assert_eq!(
            to.len(),
            self.plane.height * self.plane.width * self.plane.channels,
            "length of the dense image"
        );
        let mut rest = to;
        for row in self.plane.runs() {
            let (head, tail) = rest.split_at_mut(row.len());
            head.copy_from_slice(&self.data[row]);
            rest = tail;
        }
    }
}

/// An image to write. Kernels leave the border alone.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    plane: &'a Plane,
    data: &'a mut [T],
}

impl<'a, T: Copy> ViewMut<'a, T> {
    /// The image of geometry `plane` in `data`, which must be as long as [`Plane::len`] says, or longer.
    pub fn new(plane: &'a Plane, data: &'a mut [T]) -> Self {
        assert!(
            data.len() >= plane.len(),
            "a buffer of {} elements is too short for {plane:?}",
            data.len()
        );
        Self { plane, data }
    }

    /// Where its pixels are.
    pub fn plane(&self) -> &'a Plane {
        self.plane
    }

    /// The buffer, border included.
    pub fn data(&mut self) -> &mut [T] {
        self.data
    }

    /// Copies the dense image `from` inside the border.
    pub fn copy_from(&mut self, from: &[T]) {
        assert_eq!(
            from.len(),
            self.plane.height * self.plane.width * self.plane.channels,
            "length of the dense image"
        );
        let mut rest = from;
        for row in self.plane.runs() {
            let (head, tail) = rest.split_at(row.len());
            self.data[row].copy_from_slice(head);
            rest = tail;
        }
    }

    /// Fills the border, and the inside too, with `value`.
    pub fn fill(&mut self, value: T) {
        self.data[..self.plane.len()].fill(value);
    }
}

/// Panics unless all planes show the same image, whatever their borders.
pub(super) fn assert_same_image(a: &Plane, b: &Plane) {
    assert!(a.same_image(b), "{a:?} and {b:?} differ in height, width or channels");
}

/// How a kernel slides over its input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) pad: [usize; 2],
}

impl Window {
    pub(super) fn of_conv(shape: &Conv2dShape) -> Self {
        Self {
            kernel: [shape.k_h, shape.k_w],
            stride: [shape.stride_h, shape.stride_w],
            dilation: [shape.dilation_h, shape.dilation_w],
            pad: [shape.pad_top, shape.pad_left],
        }
    }

    pub(super) fn of_depthwise(shape: &DepthwiseConv2dShape) -> Self {
        Self {
            kernel: [shape.k_h, shape.k_w],
            stride: [shape.stride_h, shape.stride_w],
            dilation: [shape.dilation_h, shape.dilation_w],
            pad: [shape.pad_top, shape.pad_left],
        }
    }

    fn border(&self, in_h: usize, in_w: usize, out_h: usize, out_w: usize) -> Border {
        let beyond = |axis: usize, input: usize, output: usize| {
            let last = output.saturating_sub(1).saturating_mul(self.stride[axis]);
            let taps = self.kernel[axis]
                .saturating_sub(1)
                .saturating_mul(self.dilation[axis])
                .saturating_add(1);
            last.saturating_add(taps)
                .saturating_sub(self.pad[axis].saturating_add(input))
        };
        Border {
            top: self.pad[0],
            bottom: beyond(0, in_h, out_h),
            left: self.pad[1],
            right: beyond(1, in_w, out_w),
        }
    }

    /// Index of the first tap of output pixel (0, 0). Panics unless every tap of every output pixel lies in the input's buffer.
    pub(super) fn origin(&self, input: &Plane, output: &Plane) -> usize {
        let needed = self.border(input.height, input.width, output.height, output.width);
        assert!(
            input.border.covers(needed),
            "{:?} is too narrow for a window that needs {needed:?}",
            input.border
        );
        (input.border.top - self.pad[0]) * input.row_stride() + (input.border.left - self.pad[1]) * input.channels
    }
}

#[cfg(test)]
mod tests {
    use super::{Border, Plane, View, ViewMut};
    use crate::shape::Conv2dShape;

    #[test]
    fn same_padding_at_stride_two_needs_pixels_after_the_image_only() {
        let shape = Conv2dShape {
            batch: 1,
            in_h: 6,
            in_w: 7,
            in_c: 1,
            out_h: 3,
            out_w: 4,
            out_c: 1,
            k_h: 3,
            k_w: 3,
            stride_h: 2,
            stride_w: 2,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 1,
            groups: 1,
        };
        assert_eq!(
            Border::of_conv(&shape),
            Border {
                top: 0,
                bottom: 1,
                left: 1,
                right: 1
            }
        );
    }

    #[test]
    fn an_image_survives_the_way_into_its_border_and_out() {
        let plane = Plane::dense(2, 3, 2).with_border(Border {
            top: 1,
            bottom: 0,
            left: 2,
            right: 1,
        });
        let image: Vec<u8> = (1..=12).collect();
        let mut buffer = vec![0; plane.len()];
        ViewMut::new(&plane, &mut buffer).copy_from(&image);
        assert_eq!(buffer[plane.at(1, 2)], 11);
        assert_eq!(
            buffer.iter().map(|&x| usize::from(x == 0)).sum::<usize>(),
            plane.len() - 12
        );
        let mut back = vec![0; 12];
        View::new(&plane, &buffer).copy_to(&mut back);
        assert_eq!(back, image);
    }

    #[test]
    #[should_panic(expected = "too short")]
    fn a_short_buffer_is_refused() {
        View::new(&Plane::dense(2, 2, 2), &[0_u8; 7]);
    }
}
