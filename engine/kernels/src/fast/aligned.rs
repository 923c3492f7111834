//! Buffers that start at a cache line, so that no vector of a packed weight matrix crosses two.
#![expect(unsafe_code, reason = "shows its lines as a slice of numbers")]

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// Bytes of a cache line and of the widest vector.
const LINE: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Numbers that any bytes are a valid value of.
pub trait Element: Copy + private::Sealed {}

impl Element for f32 {}
impl Element for i32 {}
impl Element for i64 {}
impl Element for u8 {}
impl Element for i8 {}
impl Element for i16 {}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for i32 {}
    impl Sealed for i64 {}
    impl Sealed for u8 {}
    impl Sealed for i8 {}
    impl Sealed for i16 {}
}

/// A slice of fixed length on the heap, aligned to 64 bytes. Kernels take any slice; this one they read fastest.
#[derive(Clone)]
pub struct Aligned<T> {
    lines: Vec<Line>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Aligned<T> {
    /// `len` elements, all `value`.
    pub fn filled(len: usize, value: T) -> Self {
        let lines = vec![Line([0; LINE]); (len * size_of::<T>()).div_ceil(LINE)];
        let mut buffer = Self {
            lines,
            len,
            element: PhantomData,
        };
        buffer.fill(value);
        buffer
    }
}

impl<T: Element> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `lines` holds at least `len` elements of `T` (see `filled`), initialized, aligned to 64 bytes, and all bytes
        // are valid values of an `Element`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Element> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the lines are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl<T: Element + std::fmt::Debug> std::fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Aligned;

    #[test]
    fn buffers_start_at_a_cache_line_and_hold_what_was_asked() {
        let mut floats = Aligned::filled(33, 1.5_f32);
        floats[32] = 2.0;
        assert_eq!(floats.as_ptr() as usize % 64, 0);
        assert_eq!((floats.len(), floats[0], floats[32]), (33, 1.5, 2.0));
        assert!(Aligned::filled(0, 0_u8).is_empty());
    }
}
