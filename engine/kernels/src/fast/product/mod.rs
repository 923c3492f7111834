//! Matrix products between an image and packed weights: the core of convolutions and fully connected layers.
//!
//! A row of the left matrix is everything that one output pixel sees, but it is never gathered (no im2col): [`Walk`] says in which
//! contiguous runs it lies, and a list of start indices says where each pixel's begin. The right matrix is packed into
//! [`Panel`]s of 1, 2 or 4 vectors of output channels. The inner loop holds a tile of `rows × vectors` sums in
//! registers, reads every packed weight once per tile and every activation once per panel.

mod float;
mod int;

pub(super) use float::{FloatProduct, Residual};
pub(super) use int::{Order, Output, PackedInts};

use super::plane::{Plane, Window};
use std::ops::Range;

/// Most pixels whose start indices are held at a time.
const BLOCK: usize = 384;

/// Bytes of activations that a block of pixels should span, to stay in the second-level cache while the panels pass.
const BLOCK_BYTES: usize = 192 << 10;

/// The contiguous runs that make up one row of the left matrix: `lines` times `runs` times `run_len` values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    lines: usize,
    line_step: usize,
    runs: usize,
    run_step: usize,
    run_len: usize,
}

impl Walk {
    /// The taps of `window` over `input`, of which a group sees `group_channels` channels. A line of the kernel is one run
    /// unless dilation or groups leave gaps in it.
    pub(super) fn new(window: &Window, input: &Plane, group_channels: usize) -> Self {
        let line_step = window.dilation[0] * input.row_stride();
        let [lines, taps] = window.kernel;
        if group_channels == input.channels && (window.dilation[1] == 1 || taps == 1) {
            Self {
                lines,
                line_step,
                runs: 1,
                run_step: 0,
                run_len: taps * group_channels,
            }
        } else {
            Self {
                lines,
                line_step,
                runs: taps,
                run_step: window.dilation[1] * input.channels,
                run_len: group_channels,
            }
        }
    }

    /// One run: the row of a plain matrix.
    pub(super) fn row(len: usize) -> Self {
        Self {
            lines: 1,
            line_step: 0,
            runs: 1,
            run_step: 0,
            run_len: len,
        }
    }

    /// Elements from the first tap of the first group to behind the last tap of a group whose channels begin at `input`.
    pub(super) fn reach(&self, input: usize) -> usize {
        (self.lines - 1) * self.line_step + (self.runs - 1) * self.run_step + self.run_len + input
    }

    /// Number and length of the runs.
    pub(super) fn segments(&self) -> [usize; 2] {
        [self.lines * self.runs, self.run_len]
    }

    /// Where the runs begin, in order.
    pub(super) fn offsets(self) -> impl Iterator<Item = usize> {
        (0..self.lines).flat_map(move |line| (0..self.runs).map(move |run| line * self.line_step + run * self.run_step))
    }

    /// Values of a run.
    pub(super) fn run_len(&self) -> usize {
        self.run_len
    }

    /// Values of a row.
    pub(super) fn len(&self) -> usize {
        self.lines * self.runs * self.run_len
    }

    /// Pixels of a block, given the bytes of a value. Windows that overlap share what they see: a pixel adds its share of a row of
    /// pixels to what the block spans, or all that it sees where that is less.
    fn block(&self, pixels: &Pixels, value_bytes: usize) -> usize {
        let share = match pixels.height {
            0 | 1 => self.lines * pixels.step,
            _ => pixels.row_step / pixels.width.max(1),
        };
        (BLOCK_BYTES / (value_bytes * share.min(self.len())).max(1)).clamp(24, BLOCK) / 12 * 12
    }
}

/// Where the pixels of an output lie in some image: one start index per pixel, `height` rows of `width` pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pixels {
    pub(super) origin: usize,
    pub(super) row_step: usize,
    pub(super) step: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Pixels {
    /// The pixels of `plane` themselves.
    pub(super) fn of(plane: &Plane) -> Self {
        Self {
            origin: plane.at(0, 0),
            row_step: plane.row_stride(),
            step: plane.channels,
            width: plane.width,
            height: plane.height,
        }
    }

    /// The rows of a plain matrix.
    pub(super) fn rows(count: usize, len: usize) -> Self {
        Self {
            origin: 0,
            row_step: 0,
            step: len,
            width: count,
            height: 1,
        }
    }

    /// The first taps of `window` in `input` for the pixels of `output`.
    pub(super) fn under(window: &Window, input: &Plane, output: &Plane) -> Self {
        Self {
            origin: window.origin(input, output),
            row_step: window.stride[0] * input.row_stride(),
            step: window.stride[1] * input.channels,
            width: output.width,
            height: output.height,
        }
    }

    /// Some of the rows.
    pub(super) fn rows_of(self, rows: Range<usize>) -> Self {
        assert!(
            rows.start <= rows.end && rows.end <= self.height,
            "{rows:?} of {self:?}"
        );
        Self {
            origin: self.origin + rows.start * self.row_step,
            height: rows.len(),
            ..self
        }
    }

    pub(super) fn count(&self) -> usize {
        self.width * self.height
    }

    /// Panics unless `reach` elements from each start lie in a slice of `len`, and indices into it fit the lists of starts.
    pub(super) fn assert_within(&self, reach: usize, len: usize) {
        assert!(u32::try_from(len).is_ok(), "images of {len} elements are not supported");
        if self.count() != 0 {
            let last = self.origin + (self.height - 1) * self.row_step + (self.width - 1) * self.step;
            assert!(
                last + reach <= len,
                "{self:?} reaches beyond the {len} elements of the buffer"
            );
        }
    }

    /// Start indices of the pixels from `first` on, as many as `starts` has.
    #[inline(always)]
    fn fill(&self, first: usize, starts: &mut [u32]) {
        let (mut y, mut x) = (first / self.width, first % self.width);
        let mut rest = starts;
        while !rest.is_empty() {
            let in_row = (self.width - x).min(rest.len());
            let (row, tail) = rest.split_at_mut(in_row);
            let start = (self.origin + y * self.row_step + x * self.step) as u32;
            for (i, slot) in row.iter_mut().enumerate() {
                *slot = start + i as u32 * self.step as u32;
            }
            (y, x, rest) = (y + 1, 0, tail);
        }
    }
}

/// Up to four vectors of output channels whose packed weights lie together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    /// First output channel.
    pub(super) channel: usize,
    /// Output channels: all lanes but for the last panel of a group.
    pub(super) channels: usize,
    /// 1, 2 or 4.
    pub(super) vectors: usize,
    /// First input channel of its group.
    pub(super) input: usize,
    /// Index of its first lane in the arrays that have an element per lane.
    pub(super) slot: usize,
    /// Index of its first packed weight.
    pub(super) weights: usize,
}

/// Vectors of the next tile where `rest` columns are left: 1, 2 or 4, and at most `most`.
#[inline(always)]
pub(super) fn vectors(rest: usize, lanes: usize, most: usize) -> usize {
    match rest.div_ceil(lanes) {
        1 => 1,
        2 | 3 => 2,
        _ => most,
    }
}

/// Panels for `groups` groups of `out` output channels and `input` input channels each, of at most `most` vectors of `lanes` lanes, and
/// how many lanes and packed weights they have.
fn panels(
    [groups, out, input]: [usize; 3],
    [most, lanes]: [usize; 2],
    weights_per_vector: usize,
) -> (Vec<Panel>, usize, usize) {
    let (mut all, mut slot, mut weights) = (Vec::new(), 0, 0);
    for group in 0..groups {
        let mut done = 0;
        while done < out {
            let vectors = vectors(out - done, lanes, most);
            let channels = (out - done).min(vectors * lanes);
            all.push(Panel {
                channel: group * out + done,
                channels,
                vectors,
                input: group * input,
                slot,
                weights,
            });
            done += channels;
            slot += vectors * lanes;
            weights += vectors * weights_per_vector;
        }
    }
    (all, slot, weights)
}

/// `count` rows in tiles of at most `most`, as even as they can be.
#[inline(always)]
pub(super) fn tiles(count: usize, most: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let parts = count.div_ceil(most);
    let (len, longer) = (count / parts.max(1), count % parts.max(1));
    let mut start = 0;
    (0..parts).map(move |part| {
        let end = start + len + usize::from(part < longer);
        std::mem::replace(&mut start, end)..end
    })
}

/// Panics unless everything that `panels` read from `from` and write to `to` lies in slices of these lengths.
fn assert_bounds(panels: &[Panel], walk: &Walk, from: (Pixels, usize), to: (Pixels, usize)) {
    assert_eq!(from.0.count(), to.0.count(), "pixels to read and to write");
    let input = panels.iter().map(|panel| panel.input).max().unwrap_or(0);
    let channels = panels
        .iter()
        .map(|panel| panel.channel + panel.channels)
        .max()
        .unwrap_or(0);
    from.0.assert_within(walk.reach(input), from.1);
    to.0.assert_within(channels, to.1);
}

/// Evaluates `$body` with the constant `$ROWS` equal to `$rows`, which is at most `$most` and at most 12. No code is made for
/// numbers above `$most`.
macro_rules! with_rows {
    (@ [$($literal:literal)+], $rows:expr, $most:expr, $ROWS:ident => $body:expr) => {
        match $rows {
            $($literal if const { $literal <= $most } => { const $ROWS: usize = $literal; $body })+
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
    ($rows:expr, $most:expr, $ROWS:ident => $body:expr) => {
        with_rows!(@ [1 2 3 4 5 6 7 8 9 10 11 12], $rows, $most, $ROWS => $body)
    };
}
pub(super) use with_rows;

#[cfg(test)]
mod tests {
    use super::{panels, tiles};

    #[test]
    fn tiles_are_even_and_cover_everything() {
        let sizes: Vec<usize> = tiles(49, 12).map(|tile| tile.len()).collect();
        assert_eq!(sizes, [10, 10, 10, 10, 9]);
        assert_eq!(tiles(0, 12).count(), 0);
    }

    #[test]
    fn panels_cover_the_channels_of_each_group() {
        let (panels, slots, weights) = panels([2, 40, 3], [4, 16], 100);
        let channels: Vec<(usize, usize, usize)> = panels.iter().map(|p| (p.channel, p.channels, p.input)).collect();
        assert_eq!(channels, [(0, 32, 0), (32, 8, 0), (40, 32, 3), (72, 8, 3)]);
        assert_eq!((slots, weights), (96, 600));
        let (narrow, ..) = super::panels([1, 40, 3], [2, 8], 100);
        assert_eq!(narrow.iter().map(|p| p.channels).collect::<Vec<_>>(), [16, 16, 8]);
    }
}
