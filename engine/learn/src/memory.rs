//! Which gradients may share memory: those that are never alive together.

/// Buffers for gradients, each as long as the longest that it holds.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    lens: Vec<usize>,
    free: Vec<usize>,
}

impl Slots {
    /// A free buffer for `len` elements: the smallest that is large enough, else the largest, which grows.
    pub(crate) fn take(&mut self, len: usize) -> usize {
        let enough = |slot: &usize| self.lens[*slot] >= len;
        let fitting = self.free.iter().copied().filter(enough).min_by_key(|&s| self.lens[s]);
        let found = fitting.or_else(|| self.free.iter().copied().max_by_key(|&s| self.lens[s]));
        let slot = found.unwrap_or_else(|| {
            self.lens.push(0);
            self.lens.len() - 1
        });
        self.free.retain(|&s| s != slot);
        self.lens[slot] = self.lens[slot].max(len);
        slot
    }

    /// Gives a buffer back.
    pub(crate) fn give(&mut self, slot: usize) {
        self.free.push(slot);
    }

    /// Elements of each buffer.
    pub(crate) fn lens(&self) -> impl Iterator<Item = usize> {
        self.lens.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn the_smallest_free_buffer_that_is_large_enough_is_taken() {
        let mut slots = Slots::default();
        let [a, b] = [slots.take(10), slots.take(4)];
        slots.give(a);
        slots.give(b);
        assert_eq!((slots.take(3), slots.take(12)), (b, a));
        assert_eq!(slots.lens().collect::<Vec<_>>(), [12, 4]);
    }
}
