//! Any function of one integer, as a table.

use super::stretches;
use crate::fast::plane::{View, ViewMut};

/// A function from byte to byte: activations, and requantization.
#[derive(Clone)]
pub struct ByteMap([u8; 256]);

impl ByteMap {
    /// The table of a function of `i8`, which are held as `q + 128`.
    pub fn new(function: impl Fn(i8) -> i8) -> Self {
        Self::of_bytes(|byte| function((byte ^ 0x80) as i8) as u8 ^ 0x80)
    }

    /// The table of a function of the bytes themselves.
    pub fn of_bytes(function: impl Fn(u8) -> u8) -> Self {
        Self(std::array::from_fn(|byte| function(byte as u8)))
    }

    /// Looks up all elements.
    pub fn run(&self, x: View<'_, u8>, mut to: ViewMut<'_, u8>) {
        for (from, at, len) in stretches(x.plane(), to.plane()) {
            for (slot, &x) in to.data()[at..][..len].iter_mut().zip(&x.data()[from..][..len]) {
                *slot = self.0[usize::from(x)];
            }
        }
    }
}

impl std::fmt::Debug for ByteMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ByteMap").finish_non_exhaustive()
    }
}

/// An integer of few enough bits to have a table.
pub trait Stored: Copy + 'static {
    /// Different ones.
    const COUNT: usize;

    /// A number of its own, below [`Stored::COUNT`].
    fn code(self) -> usize;

    /// The integer of this code.
    fn of_code(code: usize) -> Self;
}

impl Stored for u8 {
    const COUNT: usize = 1 << 8;

    fn code(self) -> usize {
        self.into()
    }

    fn of_code(code: usize) -> Self {
        code as u8
    }
}

impl Stored for i16 {
    const COUNT: usize = 1 << 16;

    fn code(self) -> usize {
        usize::from(self as u16)
    }

    fn of_code(code: usize) -> Self {
        code as u16 as i16
    }
}

/// A function of bytes or 16-bit integers to any others.
#[derive(Debug, Clone)]
pub struct Lookup<I, O> {
    results: Vec<O>,
    input: std::marker::PhantomData<I>,
}

impl<I: Stored, O: Copy> Lookup<I, O> {
    /// The table of `function`.
    pub fn new(function: impl Fn(I) -> O) -> Self {
        Self {
            results: (0..I::COUNT).map(|code| function(I::of_code(code))).collect(),
            input: std::marker::PhantomData,
        }
    }

    /// Looks up all elements.
    pub fn run(&self, x: View<'_, I>, mut to: ViewMut<'_, O>) {
        for (from, at, len) in stretches(x.plane(), to.plane()) {
            for (slot, &x) in to.data()[at..][..len].iter_mut().zip(&x.data()[from..][..len]) {
                *slot = self.results[x.code()];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lookup, Stored};
    use crate::fast::{Plane, View, ViewMut};

    #[test]
    fn every_integer_has_its_own_entry() {
        let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let plane = Plane::dense(1, 256, 256);
        let mut found = vec![0_i16; all.len()];
        Lookup::new(|x: i16| x.wrapping_add(3)).run(View::new(&plane, &all), ViewMut::new(&plane, &mut found));
        assert!(all.iter().zip(&found).all(|(x, y)| *y == x.wrapping_add(3)));
        assert_eq!(u8::of_code(200_u8.code()), 200);
    }
}
