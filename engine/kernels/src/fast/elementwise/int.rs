//! Functions of two integers.
#![expect(
    unsafe_code,
    reason = "vectors are loaded and stored through pointers into slices of checked length"
)]

use super::Meeting;
use crate::fast::isa::{IntIsa, Isa};
use crate::fast::plane::{View, ViewMut};
use crate::fast::requantize::{BIAS, mode};
use crate::fast::simd::{ByteRange, FACTOR_ARRAYS, GENERAL, IntTask, Ints, Mode, RECTIFIED, SMALL, Task, pack_factors};
use crate::quantized::{ClampInt, QuantizedMultiplier};
use crate::reference::{AddParams, MulParams};

/// A function of two tensors of bytes, `q + 128` of an `i8`.
#[derive(Debug, Clone)]
pub struct ByteZip(Zip);

/// A function of two tensors of 16-bit integers.
#[derive(Debug, Clone)]
pub struct ShortZip(Zip);

#[derive(Debug, Clone)]
struct Zip {
    isa: IntIsa,
    meeting: Meeting,
    function: Function,
}

#[derive(Debug, Clone)]
enum Function {
    Arithmetic(Arithmetic),
    Minimum,
    Maximum,
    /// The results for all pairs, those of one `b` together.
    Table(Vec<u8>),
}

/// Sums and products in different units.
#[derive(Debug, Clone, Copy)]
struct Arithmetic {
    kind: u8,
    left_shift: u32,
    /// Of `a`, of `b` and of the result.
    factors: [QuantizedMultiplier; 3],
    zeros: [i32; 2],
    range: ByteRange,
}

const SUM: u8 = 0;
const DIFFERENCE: u8 = 1;
const PRODUCT: u8 = 2;
/// A sum of bytes whose operands are brought to the common unit by 32-bit products: see [`Operand`].
const SHORT_SUM: u8 = 3;

impl Arithmetic {
    fn sum(kind: u8, params: &AddParams) -> Self {
        Self {
            kind,
            left_shift: params.left_shift,
            factors: [params.a_multiplier, params.b_multiplier, params.output_multiplier],
            zeros: [params.a_zero_point, params.b_zero_point],
            range: range(params.output_zero_point, params.clamp),
        }
    }

    fn product(params: &MulParams) -> Self {
        Self {
            kind: PRODUCT,
            left_shift: 0,
            factors: [QuantizedMultiplier::ZERO, QuantizedMultiplier::ZERO, params.multiplier],
            zeros: [params.a_zero_point, params.b_zero_point],
            range: range(params.output_zero_point, params.clamp),
        }
    }

    /// The same of bytes `q + 128`.
    fn of_bytes(mut self) -> Self {
        self.zeros = self.zeros.map(|zero| zero + BIAS);
        self.range.zero += BIAS;
        self.range.low += BIAS;
        self.range.high += BIAS;
        let bytes = |zero| (0..=255).contains(&zero);
        if self.kind == SUM
            && self.left_shift == SHORT_SHIFT
            && self.zeros.into_iter().all(bytes)
            && self.factors[..2].iter().all(|factor| factor.shift <= 0)
        {
            self.kind = SHORT_SUM;
        }
        self
    }
}

fn range(zero: i32, clamp: ClampInt) -> ByteRange {
    ByteRange {
        zero,
        low: clamp.min,
        high: clamp.max,
    }
}

impl ByteZip {
    fn new(isa: Isa, meeting: &Meeting, function: Function) -> Self {
        Self(Zip {
            isa: IntIsa::new(isa),
            meeting: *meeting,
            function,
        })
    }

    /// The sum `a + b`, as [`add_i8`](crate::reference::add_i8) defines it, on `isa`, which must be available.
    pub fn sum(isa: Isa, meeting: &Meeting, params: &AddParams) -> Self {
        Self::new(
            isa,
            meeting,
            Function::Arithmetic(Arithmetic::sum(SUM, params).of_bytes()),
        )
    }

    /// The difference `a − b`, as [`sub_i8`](crate::reference::sub_i8) defines it.
    pub fn difference(isa: Isa, meeting: &Meeting, params: &AddParams) -> Self {
        Self::new(
            isa,
            meeting,
            Function::Arithmetic(Arithmetic::sum(DIFFERENCE, params).of_bytes()),
        )
    }

    /// The product `a · b`, as [`mul_i8`](crate::reference::mul_i8) defines it.
    pub fn product(isa: Isa, meeting: &Meeting, params: &MulParams) -> Self {
        Self::new(
            isa,
            meeting,
            Function::Arithmetic(Arithmetic::product(params).of_bytes()),
        )
    }

    /// The smaller of each pair.
    pub fn minimum(isa: Isa, meeting: &Meeting) -> Self {
        Self::new(isa, meeting, Function::Minimum)
    }

    /// The larger of each pair.
    pub fn maximum(isa: Isa, meeting: &Meeting) -> Self {
        Self::new(isa, meeting, Function::Maximum)
    }

    /// Any function, as a table of its 65,536 results.
    pub fn table(isa: Isa, meeting: &Meeting, function: impl Fn(i8, i8) -> i8) -> Self {
        let integer = |byte: u8| (byte ^ 0x80) as i8;
        let row = |b: u8| (0..=u8::MAX).map(move |a| (a, b));
        let results = (0..=u8::MAX)
            .flat_map(row)
            .map(|(a, b)| function(integer(a), integer(b)) as u8 ^ 0x80);
        let table = Function::Table(results.collect());
        Self::new(isa, meeting, table)
    }

    /// Computes all elements.
    pub fn run(&self, a: View<'_, u8>, b: View<'_, u8>, to: ViewMut<'_, u8>) {
        self.0.run(a, b, to);
    }
}

impl ShortZip {
    fn new(isa: Isa, meeting: &Meeting, function: Function) -> Self {
        Self(Zip {
            isa: IntIsa::new(isa),
            meeting: *meeting,
            function,
        })
    }

    /// The sum `a + b`, as [`add_i16`](crate::reference::add_i16) defines it, on `isa`, which must be available.
    pub fn sum(isa: Isa, meeting: &Meeting, params: &AddParams) -> Self {
        Self::new(isa, meeting, Function::Arithmetic(Arithmetic::sum(SUM, params)))
    }

    /// The difference `a − b`, as [`sub_i16`](crate::reference::sub_i16) defines it.
    pub fn difference(isa: Isa, meeting: &Meeting, params: &AddParams) -> Self {
        Self::new(isa, meeting, Function::Arithmetic(Arithmetic::sum(DIFFERENCE, params)))
    }

    /// The product `a · b`, as [`mul_i16`](crate::reference::mul_i16) defines it. Zero points are 0.
    pub fn product(isa: Isa, meeting: &Meeting, params: &MulParams) -> Self {
        Self::new(isa, meeting, Function::Arithmetic(Arithmetic::product(params)))
    }

    /// The smaller of each pair.
    pub fn minimum(isa: Isa, meeting: &Meeting) -> Self {
        Self::new(isa, meeting, Function::Minimum)
    }

    /// The larger of each pair.
    pub fn maximum(isa: Isa, meeting: &Meeting) -> Self {
        Self::new(isa, meeting, Function::Maximum)
    }

    /// Computes all elements.
    pub fn run(&self, a: View<'_, i16>, b: View<'_, i16>, to: ViewMut<'_, i16>) {
        self.0.run(a, b, to);
    }
}

/// An element type of integer tensors, as vectors of `i32`.
trait Stored: Copy + Ord {
    /// # Safety
    /// `n` elements at `from` are readable, `1 <= n <= INT_LANES`.
    unsafe fn load<S: Ints>(simd: S, from: *const Self, n: usize) -> S::V;

    /// # Safety
    /// `n` elements at `to` are writable, `1 <= n <= INT_LANES`.
    unsafe fn store<S: Ints>(simd: S, to: *mut Self, n: usize, x: S::V, range: &ByteRange);

    fn wide(self) -> i32;

    /// The result for a pair by a table; types of which there are too many values have none.
    fn look_up(table: &[u8], a: Self, b: Self) -> Self;
}

impl Stored for u8 {
    #[inline(always)]
    unsafe fn load<S: Ints>(simd: S, from: *const Self, n: usize) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { simd.load_bytes(from, n) }
    }

    #[inline(always)]
    unsafe fn store<S: Ints>(simd: S, to: *mut Self, n: usize, x: S::V, range: &ByteRange) {
        // SAFETY: the caller's promise.
        unsafe { simd.store_bytes(to, n, x, range) }
    }

    #[inline(always)]
    fn wide(self) -> i32 {
        self.into()
    }

    #[inline(always)]
    fn look_up(table: &[u8], a: Self, b: Self) -> Self {
        table[usize::from(b) * 256 + usize::from(a)]
    }
}

impl Stored for i16 {
    #[inline(always)]
    unsafe fn load<S: Ints>(simd: S, from: *const Self, n: usize) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { simd.load_shorts(from, n) }
    }

    #[inline(always)]
    unsafe fn store<S: Ints>(simd: S, to: *mut Self, n: usize, x: S::V, range: &ByteRange) {
        // SAFETY: the caller's promise.
        unsafe { simd.store_shorts(to, n, x, range) }
    }

    #[inline(always)]
    fn wide(self) -> i32 {
        self.into()
    }

    fn look_up(_: &[u8], _: Self, _: Self) -> Self {
        unreachable!("only bytes have tables")
    }
}

impl Zip {
    fn run<T: Stored>(&self, a: View<'_, T>, b: View<'_, T>, to: ViewMut<'_, T>) {
        self.isa.run(Task2 { zip: self, a, b, to });
    }
}

/// A call.
struct Task2<'a, T> {
    zip: &'a Zip,
    a: View<'a, T>,
    b: View<'a, T>,
    to: ViewMut<'a, T>,
}

impl<T: Stored> IntTask for Task2<'_, T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Ints>(self, simd: S) {
        match &self.zip.function {
            Function::Minimum => self.each(Ord::min),
            Function::Maximum => self.each(Ord::max),
            Function::Table(table) => self.each(|a, b| T::look_up(table, a, b)),
            &Function::Arithmetic(arithmetic) => {
                match (arithmetic.kind, mode(&arithmetic.factors[2..], &arithmetic.range)) {
                    (PRODUCT, GENERAL) => simd.call(InMode::<T, PRODUCT, GENERAL>(self, arithmetic)),
                    (PRODUCT, SMALL) => simd.call(InMode::<T, PRODUCT, SMALL>(self, arithmetic)),
                    (PRODUCT, _) => simd.call(InMode::<T, PRODUCT, RECTIFIED>(self, arithmetic)),
                    (SUM, GENERAL) => simd.call(InMode::<T, SUM, GENERAL>(self, arithmetic)),
                    (SUM, SMALL) => simd.call(InMode::<T, SUM, SMALL>(self, arithmetic)),
                    (SUM, _) => simd.call(InMode::<T, SUM, RECTIFIED>(self, arithmetic)),
                    (SHORT_SUM, GENERAL) => simd.call(InMode::<T, SHORT_SUM, GENERAL>(self, arithmetic)),
                    (SHORT_SUM, SMALL) => simd.call(InMode::<T, SHORT_SUM, SMALL>(self, arithmetic)),
                    (SHORT_SUM, _) => simd.call(InMode::<T, SHORT_SUM, RECTIFIED>(self, arithmetic)),
                    _ => simd.call(InMode::<T, DIFFERENCE, GENERAL>(self, arithmetic)),
                }
            }
        }
    }
}

impl<T: Stored> Task2<'_, T> {
    #[inline(always)]
    fn each(self, function: impl Fn(T, T) -> T) {
        let Self { zip, a, b, mut to } = self;
        let walk = zip.meeting.walk(a.plane(), b.plane(), to.plane());
        for run in walk.runs() {
            let [a_len, b_len] = run.lens();
            let (a, b) = (&a.data()[run.a..][..a_len], &b.data()[run.b..][..b_len]);
            let to = &mut to.data()[run.to..][..run.len];
            match run.repeats {
                [false, false] => {
                    for ((slot, &a), &b) in to.iter_mut().zip(a).zip(b) {
                        *slot = function(a, b);
                    }
                }
                [false, true] => {
                    let b = b[0];
                    for (slot, &a) in to.iter_mut().zip(a) {
                        *slot = function(a, b);
                    }
                }
                [true, false] => {
                    let a = a[0];
                    for (slot, &b) in to.iter_mut().zip(b) {
                        *slot = function(a, b);
                    }
                }
                [true, true] => to.fill(function(a[0], b[0])),
            }
        }
    }
}

/// [`Arithmetic`] of one kind and one mode of requantization of its result.
struct InMode<'a, T, const KIND: u8, const MODE: Mode>(Task2<'a, T>, Arithmetic);

impl<S: Ints, T: Stored, const KIND: u8, const MODE: Mode> Task<S> for InMode<'_, T, KIND, MODE> {
    type Out = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Self(
            Task2 { zip, a, b, mut to },
            Arithmetic {
                kind: _,
                left_shift,
                factors,
                zeros,
                range,
            },
        ) = self;
        let operand = |i: usize| Operand::<S>::new(simd, zeros[i], left_shift, factors[i]);
        let (of_a, of_b, by_result) = (operand(0), operand(1), splat(simd, factors[2]));
        let walk = zip.meeting.walk(a.plane(), b.plane(), to.plane());
        for run in walk.runs() {
            let [a_len, b_len] = run.lens();
            let (a, b) = (&a.data()[run.a..][..a_len], &b.data()[run.b..][..b_len]);
            let to = &mut to.data()[run.to..][..run.len];
            // An operand that repeats is brought to the common unit once.
            let one_a = of_a.common::<KIND>(simd, simd.splat_int(a[0].wide()));
            let one_b = of_b.common::<KIND>(simd, simd.splat_int(b[0].wide()));
            for i in (0..run.len).step_by(S::INT_LANES) {
                let n = (run.len - i).min(S::INT_LANES);
                // SAFETY: `to`, and an operand that does not repeat, have `len` elements, and `i + n <= len`.
                unsafe {
                    let a = if run.repeats[0] {
                        one_a
                    } else {
                        of_a.common::<KIND>(simd, T::load(simd, a.as_ptr().add(i), n))
                    };
                    let b = if run.repeats[1] {
                        one_b
                    } else {
                        of_b.common::<KIND>(simd, T::load(simd, b.as_ptr().add(i), n))
                    };
                    let joined = match KIND {
                        PRODUCT => simd.mul_int(a, b),
                        DIFFERENCE => simd.sub_int(a, b),
                        _ => simd.add_int(a, b),
                    };
                    let result = simd.rescale::<MODE>(joined, &by_result);
                    T::store(simd, to.as_mut_ptr().add(i), n, result, &range);
                }
            }
        }
    }
}

/// What brings an operand of a sum to the common unit.
///
/// With `x = q − zero` the definition is `⌊(x · 2^20 · m + 2^30) / 2^31⌋`, a product of 60 bits, and a rounding shift. It is also
/// `⌊(x · m + 2^10) / 2^11⌋`, and with `m = 2^11 · high + low`, since multiples of the divisor leave the floor unharmed,
/// `x · high + ⌊(x · low + 2^10) / 2^11⌋`: two products of at most 29 bits.
struct Operand<S: Ints> {
    zero: S::V,
    shift: S::V,
    by: S::Rescale,
    high: S::V,
    low: S::V,
    half: S::V,
    eleven: S::V,
    /// The rounding shift to the right, less 1; none where it is 0.
    right: Option<S::V>,
}

/// The shift to the left that [`Operand`] knows a shorter way for.
const SHORT_SHIFT: u32 = 20;

impl<S: Ints> Operand<S> {
    #[inline(always)]
    fn new(simd: S, zero: i32, left_shift: u32, factor: QuantizedMultiplier) -> Self {
        Self {
            zero: simd.splat_int(zero),
            shift: simd.splat_int(1 << left_shift),
            by: splat(simd, factor),
            high: simd.splat_int(factor.multiplier >> 11),
            low: simd.splat_int(factor.multiplier & 0x7ff),
            half: simd.splat_int(1 << 10),
            eleven: simd.splat_int(11),
            right: (factor.shift < 0).then(|| simd.splat_int((-factor.shift).min(31) - 1)),
        }
    }

    /// The operand without its zero point, for a sum in the common unit.
    #[inline(always)]
    fn common<const KIND: u8>(&self, simd: S, x: S::V) -> S::V {
        let x = simd.sub_int(x, self.zero);
        match KIND {
            PRODUCT => x,
            SHORT_SUM => {
                let low = simd.add_int(simd.mul_int(x, self.low), self.half);
                let high = simd.add_int(simd.mul_int(x, self.high), simd.shift_right(low, self.eleven));
                let Some(right) = self.right else { return high };
                // Round half away from zero: (high + 2^(r−1) − [high < 0]) >> r, without the overflow of that sum.
                let sign = simd.shift_right(high, simd.splat_int(31));
                let halved = simd.shift_right(simd.add_int(high, sign), right);
                simd.shift_right(simd.add_int(halved, simd.splat_int(1)), simd.splat_int(1))
            }
            _ => simd.rescale::<GENERAL>(simd.mul_int(x, self.shift), &self.by),
        }
    }
}

/// The same factor in all lanes.
#[inline(always)]
pub(in crate::fast) fn splat<S: Ints>(simd: S, factor: QuantizedMultiplier) -> S::Rescale {
    // A factor of 0 may be shifted by anything, and some modes shift right at least once.
    let shift = if factor.multiplier == 0 { -1 } else { factor.shift };
    let factor = QuantizedMultiplier { shift, ..factor };
    let mut packed = [0; FACTOR_ARRAYS * 16];
    let packed = &mut packed[..FACTOR_ARRAYS * S::INT_LANES];
    pack_factors(packed, &[factor; 16][..S::INT_LANES]);
    // SAFETY: so many are packed.
    unsafe { simd.load_rescale(packed.as_ptr()) }
}
