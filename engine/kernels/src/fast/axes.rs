//! Boxes of places: nested loops over several buffers at once, with as few loops as there can be.

/// One loop: how many steps, and how far a step is in each buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis<const BUFFERS: usize> {
    pub(super) count: usize,
    pub(super) steps: [isize; BUFFERS],
}

impl<const BUFFERS: usize> Axis<BUFFERS> {
    /// The loop of one step, which is none.
    pub(super) const ONE: Self = Self {
        count: 1,
        steps: [0; BUFFERS],
    };

    /// This axis and the one within it as one, where a step of this is as far as all steps of that.
    fn with(self, inner: Self) -> Option<Self> {
        let count = inner.count as isize;
        let follow = self
            .steps
            .iter()
            .zip(inner.steps)
            .all(|(&outer, inner)| outer == inner * count);
        follow.then_some(Self {
            count: self.count * inner.count,
            ..inner
        })
    }
}

/// Merges axes, outermost first, that follow each other in all buffers; returns how many there are left, at the front.
pub(super) fn merge<const BUFFERS: usize>(axes: &mut [Axis<BUFFERS>]) -> usize {
    let mut len = 0_usize;
    for i in 0..axes.len() {
        let axis = axes[i];
        if axis.count == 1 {
            continue;
        }
        let joined = len.checked_sub(1).and_then(|last| axes[last].with(axis));
        if let Some(both) = joined {
            axes[len - 1] = both;
        } else {
            axes[len] = axis;
            len += 1;
        }
    }
    len
}

/// Row-major distances.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    (0..dims.len()).map(|axis| dims[axis + 1..].iter().product()).collect()
}

/// Most axes of a box.
pub(super) const MOST: usize = 8;

/// The places of a box in order, as indices into each buffer. An iterator, and no function that is handed a closure: what is done
/// at a place must be compiled for the instruction set (see `simd`), and a closure that is not inlined would not be.
pub(super) struct Places<'a, const BUFFERS: usize> {
    /// Outermost first, at most [`MOST`].
    axes: &'a [Axis<BUFFERS>],
    done: [usize; MOST],
    at: [isize; BUFFERS],
    left: usize,
}

impl<'a, const BUFFERS: usize> Places<'a, BUFFERS> {
    #[inline(always)]
    pub(super) fn new(axes: &'a [Axis<BUFFERS>], first: [isize; BUFFERS]) -> Self {
        assert!(axes.len() <= MOST, "a box of {} axes", axes.len());
        Self {
            axes,
            done: [0; MOST],
            at: first,
            left: axes.iter().map(|axis| axis.count).product(),
        }
    }
}

impl<const BUFFERS: usize> Iterator for Places<'_, BUFFERS> {
    type Item = [isize; BUFFERS];

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let place = self.at;
        for (axis, done) in self.axes.iter().zip(&mut self.done[..self.axes.len()]).rev() {
            *done += 1;
            for (at, step) in self.at.iter_mut().zip(axis.steps) {
                *at += step;
            }
            if *done < axis.count {
                break;
            }
            *done = 0;
            for (at, step) in self.at.iter_mut().zip(axis.steps) {
                *at -= step * axis.count as isize;
            }
        }
        Some(place)
    }
}
