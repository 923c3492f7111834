//! Any function of one integer, as a table.
#![expect(
    unsafe_code,
    reason = "a table of bytes is looked up in registers, through pointers into slices"
)]

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

    /// Looks up all elements, in place.
    pub(in crate::fast) fn apply(&self, bytes: &mut [u8]) {
        // SAFETY: the elements are read before they are written, and nothing else has them.
        unsafe { self.look_up(bytes.as_ptr(), bytes.as_mut_ptr(), bytes.len()) }
    }

    /// Looks up `len` elements.
    ///
    /// # Safety
    /// So many are readable at `from` and writable at `to`: the same, or others.
    unsafe fn look_up(&self, from: *const u8, to: *mut u8, len: usize) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512vbmi") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor has the features; the caller's promise.
            return unsafe { look_up_in_registers(&self.0, from, to, len) };
        }
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the feature; the caller's promise.
            return unsafe { look_up_in_sixteenths(&self.0, from, to, len) };
        }
        // SAFETY: the caller's promise.
        unsafe { look_up_each(&self.0, from, to, len) }
    }

    /// Looks up all elements.
    pub fn run(&self, x: View<'_, u8>, mut to: ViewMut<'_, u8>) {
        for (from, at, len) in stretches(x.plane(), to.plane()) {
            let (from, to) = (&x.data()[from..][..len], &mut to.data()[at..][..len]);
            // SAFETY: both have `len` elements.
            unsafe { self.look_up(from.as_ptr(), to.as_mut_ptr(), len) }
        }
    }
}

/// 64 bytes at a time: the table is four vectors, of which an instruction looks up two; the highest bit chooses between the pairs.
///
/// # Safety
/// The processor has AVX-512 F, BW and VBMI; `len` bytes at `from` are readable and at `to` writable: the same, or others.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn look_up_in_registers(table: &[u8; 256], from: *const u8, to: *mut u8, len: usize) {
    use std::arch::x86_64::{
        _mm512_loadu_epi8, _mm512_mask_mov_epi8, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_movepi8_mask,
        _mm512_permutex2var_epi8, _mm512_storeu_epi8,
    };
    // SAFETY: the table has 256 bytes; lanes beyond `len` are masked, and a masked lane is not accessed.
    unsafe {
        let quarter = |i: usize| _mm512_loadu_epi8(table.as_ptr().add(64 * i).cast());
        let quarters = [quarter(0), quarter(1), quarter(2), quarter(3)];
        for at in (0..len).step_by(64) {
            let lanes = u64::MAX >> (64 - (len - at).min(64));
            let x = _mm512_maskz_loadu_epi8(lanes, from.add(at).cast());
            let low = _mm512_permutex2var_epi8(quarters[0], x, quarters[1]);
            let high = _mm512_permutex2var_epi8(quarters[2], x, quarters[3]);
            let y = _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(x), high);
            if lanes == u64::MAX {
                _mm512_storeu_epi8(to.add(at).cast(), y);
            } else {
                _mm512_mask_storeu_epi8(to.add(at).cast(), lanes, y);
            }
        }
    }
}

/// 64 bytes at a time: an instruction looks up bytes of which the upper half is 0 in 16 entries of the table, and leaves 0 where the highest bit is set.
/// `x − 16·i`, plus 112 without overflow, is such a byte exactly if `x` is among entries `16·i ..= 16·i + 15`.
///
/// # Safety
/// The processor has AVX2; `len` bytes at `from` are readable and at `to` writable: the same, or others.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn look_up_in_sixteenths(table: &[u8; 256], from: *const u8, to: *mut u8, len: usize) {
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm256_adds_epu8, _mm256_broadcastsi128_si256, _mm256_loadu_si256, _mm256_or_si256,
        _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_storeu_si256, _mm256_sub_epi8,
    };
    const STEP: usize = 64;
    let whole = len / STEP * STEP;
    // SAFETY: the table has 256 bytes; whole steps lie below `len`.
    unsafe {
        for at in (0..whole).step_by(STEP) {
            let mut x = [
                _mm256_loadu_si256(from.add(at).cast()),
                _mm256_loadu_si256(from.add(at + 32).cast()),
            ];
            let mut y = [_mm256_setzero_si256(); 2];
            for sixteenth in table.as_chunks::<16>().0 {
                let entries = _mm256_broadcastsi128_si256(_mm_loadu_si128(sixteenth.as_ptr().cast()));
                for (x, y) in x.iter_mut().zip(&mut y) {
                    let found = _mm256_shuffle_epi8(entries, _mm256_adds_epu8(*x, _mm256_set1_epi8(112)));
                    *y = _mm256_or_si256(*y, found);
                    *x = _mm256_sub_epi8(*x, _mm256_set1_epi8(16));
                }
            }
            _mm256_storeu_si256(to.add(at).cast(), y[0]);
            _mm256_storeu_si256(to.add(at + 32).cast(), y[1]);
        }
        look_up_each(table, from.add(whole), to.add(whole), len - whole);
    }
}

/// A byte at a time.
///
/// # Safety
/// `len` bytes at `from` are readable and at `to` writable: the same, or others.
unsafe fn look_up_each(table: &[u8; 256], from: *const u8, to: *mut u8, len: usize) {
    for i in 0..len {
        // SAFETY: the caller's promise.
        unsafe { to.add(i).write(table[usize::from(from.add(i).read())]) }
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
    use super::{ByteMap, Lookup, Stored};
    use crate::fast::{Plane, View, ViewMut};

    #[test]
    fn every_byte_has_its_own_entry_wherever_it_lies() {
        let map = ByteMap::of_bytes(|byte| byte.wrapping_mul(167).wrapping_add(13));
        let bytes: Vec<u8> = (0..1009_u32).map(|i| (i * 97 % 256) as u8).collect();
        for len in [1, 63, 64, 65, 256, 1009] {
            let plane = Plane::dense(1, 1, len);
            let mut found = vec![0; len];
            map.run(View::new(&plane, &bytes[..len]), ViewMut::new(&plane, &mut found));
            let right = |(x, y): (&u8, &u8)| *y == x.wrapping_mul(167).wrapping_add(13);
            assert!(bytes.iter().zip(&found).all(right), "{len} bytes");
        }
    }

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
