//! A real factor as an integer and a shift, and the ways of multiplying by it.

use super::fixed_point::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul};

/// How the product of an integer and a real factor becomes an integer again.
///
/// | LiteRT `BUILTIN_REF` | rounding |
/// |---|---|
/// | convolutions, mean, element-wise arithmetic, rectifiers, requantization | [`Double`](Self::Double) |
/// | fully connected | [`Float`](Self::Float) |
/// | convolutions and transposed convolutions of 16-bit activations | [`Reduced`](Self::Reduced) |
///
/// [`Single`](Self::Single) is what builds with `TFLITE_SINGLE_ROUNDING` do, and the arithmetic of several
/// accelerators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Two roundings: [`QuantizedMultiplier::apply_double`].
    Double,
    /// One rounding at the end: [`QuantizedMultiplier::apply_single`].
    Single,
    /// A 64-bit sum times 16 bits of the multiplier, rounded once: [`QuantizedMultiplier::apply_reduced`].
    Reduced,
    /// A product in 64-bit floating point, rounded half away from zero. No multiplier is quantized, so it is the most
    /// exact.
    Float,
}

/// A non-negative real factor as `multiplier · 2^(shift − 31)`.
///
/// `multiplier` is 0 or, as made here, in `2^30 ..= 2^31 − 1`, so that 31 bits of the factor are kept whatever its
/// size; `shift` is in `−31 ..= 31`, positive to the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantizedMultiplier {
    /// The significand, as a fraction of 2^31.
    pub multiplier: i32,
    /// The exponent.
    pub shift: i32,
}

impl QuantizedMultiplier {
    /// The factor 0.
    pub const ZERO: Self = Self {
        multiplier: 0,
        shift: 0,
    };

    const LARGEST: Self = Self {
        multiplier: i32::MAX,
        shift: 31,
    };

    /// The nearest representable factor. Source: `QuantizeMultiplier` (`kernels/internal/quantization_util.cc`).
    ///
    /// `real` is taken apart into a fraction in `0.5..1` and an exponent; the fraction is rounded to 31 bits.
    ///
    /// - The fraction may round up to 1, which as `2^31` does not fit an `i32`: it is halved and the exponent grows.
    /// - Below `2^−32` all bits of any 32-bit integer would be shifted out, and shifting by more than 31 is undefined:
    ///   the factor is 0.
    /// - From `2^31` on (the source leaves this to its callers) it saturates. Negative numbers and not-a-number, which
    ///   no valid quantization yields, give 0.
    pub fn from_real(real: f64) -> Self {
        if real.is_nan() || real <= 0.0 {
            return Self::ZERO;
        }
        if real.is_infinite() {
            return Self::LARGEST;
        }
        let (fraction, mut shift) = frexp(real);
        let mut fixed = (fraction * f64::from(1u32 << 31)).round() as i64;
        if fixed == 1 << 31 {
            fixed /= 2;
            shift += 1;
        }
        match shift {
            ..-31 => Self::ZERO,
            -31..=31 => Self {
                multiplier: fixed as i32,
                shift,
            },
            32.. => Self::LARGEST,
        }
    }

    /// `x` times the factor, rounded twice. Source: `MultiplyByQuantizedMultiplier` (`kernels/internal/common.cc`),
    /// the variant that LiteRT is built with.
    ///
    /// 1. A factor of 1 and above shifts `x` left first, because the multiplication that follows can only make it
    ///    smaller. The shift may lose high bits: wrapping is what the runtime does, and an `x` so large saturates in
    ///    no sound model.
    /// 2. `x · multiplier / 2^31`, rounded: the high half of the doubled product. Here the low bits die for the first
    ///    time.
    /// 3. A factor below 1/2 shifts right with rounding. Here a value that was rounded up to a tie in step 2 is
    ///    rounded up again: about two outputs in a hundred differ from the exactly rounded product. Done with a plain
    ///    shift, all results would sink by half a step on average.
    pub fn apply_double(self, x: i32) -> i32 {
        let (left, right) = (self.shift.max(0) as u32, (-self.shift).max(0) as u32);
        rounding_divide_by_pot(
            saturating_rounding_doubling_high_mul(x.wrapping_shl(left), self.multiplier),
            right,
        )
    }

    /// `x` times the factor, rounded once, ties towards positive infinity. Source: the same function under
    /// `TFLITE_SINGLE_ROUNDING`.
    ///
    /// The whole product is kept in 64 bits and shifted once; half of the divisor, added before, turns the shift
    /// (which floors) into rounding. At least one bit must be shifted out for that, so factors end at `2^30`.
    pub fn apply_single(self, x: i32) -> i32 {
        let total_shift = (31 - self.shift).max(1);
        let round = 1_i64 << (total_shift - 1);
        let result = (i64::from(x) * i64::from(self.multiplier) + round) >> total_shift;
        result.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
    }

    /// A 64-bit `x` times the factor with its multiplier rounded to 15 bits, ties towards positive infinity.
    /// Source: `MultiplyByQuantizedMultiplier` for `int64_t` (`kernels/internal/common.cc`).
    ///
    /// Sums of 16-bit activations need up to 48 bits; 15 more for the multiplier fill an `i64`. A result beyond `i32`
    /// loses its high bits, as in the source.
    pub fn apply_reduced(self, x: i64) -> i32 {
        const LARGEST: i32 = 0x7FFF;
        let reduced = if self.multiplier < LARGEST << 16 {
            (self.multiplier + (1 << 15)) >> 16
        } else {
            LARGEST
        };
        let total_shift = (15 - self.shift).max(1);
        let round = 1_i64 << (total_shift - 1);
        (x.wrapping_mul(i64::from(reduced)).wrapping_add(round) >> total_shift) as i32
    }
}

/// `x = fraction · 2^exponent` with a fraction in `0.5..1`, for a finite positive `x`, as C's `frexp`.
fn frexp(x: f64) -> (f64, i32) {
    const FRACTION_BITS: u64 = 52;
    const HALF_EXPONENT: u64 = 1022;
    // Subnormal numbers have no leading one to find the exponent by; 2^64 makes them normal.
    let (normal, offset) = if x < f64::MIN_POSITIVE {
        (x * 2.0_f64.powi(64), 64)
    } else {
        (x, 0)
    };
    let bits = normal.to_bits();
    let exponent = (bits >> FRACTION_BITS) as i32 - HALF_EXPONENT as i32 - offset;
    let fraction = f64::from_bits(bits & ((1 << FRACTION_BITS) - 1) | HALF_EXPONENT << FRACTION_BITS);
    (fraction, exponent)
}

#[cfg(test)]
mod tests {
    use super::QuantizedMultiplier;

    fn parts(real: f64) -> (i32, i32) {
        let QuantizedMultiplier { multiplier, shift } = QuantizedMultiplier::from_real(real);
        (multiplier, shift)
    }

    #[test]
    fn powers_of_two_are_exact() {
        assert_eq!(parts(1.0), (1 << 30, 1));
        assert_eq!(parts(0.5), (1 << 30, 0));
        assert_eq!(parts(0.25), (1 << 30, -1));
        assert_eq!(parts(8.0), (1 << 30, 4));
    }

    #[test]
    fn a_fraction_that_rounds_up_to_one_moves_the_exponent() {
        assert_eq!(parts(1.0 - 1e-12), (1 << 30, 1));
    }

    #[test]
    fn what_would_be_shifted_out_is_zero() {
        assert_eq!(parts(2.0_f64.powi(-32)), (1 << 30, -31));
        assert_eq!(parts(2.0_f64.powi(-33)), (0, 0));
        assert_eq!(parts(f64::from_bits(1)), (0, 0));
        assert_eq!(parts(0.0), (0, 0));
    }

    #[test]
    fn what_no_quantization_yields_does_no_harm() {
        assert_eq!(parts(f64::NAN), (0, 0));
        assert_eq!(parts(-1.0), (0, 0));
        assert_eq!(parts(f64::INFINITY), (i32::MAX, 31));
        assert_eq!(parts(1e300), (i32::MAX, 31));
    }

    #[test]
    fn the_two_roundings_disagree_where_the_first_makes_a_tie() {
        // A product just below n + 1/2 is rounded to a multiple of 1/8 first, which may be n + 1/2 itself.
        let multiplier = QuantizedMultiplier::from_real(0.499 / 4.0);
        let disagreements: Vec<i32> = (0..200)
            .filter(|&x| multiplier.apply_double(x) != multiplier.apply_single(x))
            .collect();
        assert!(!disagreements.is_empty());
        for x in disagreements {
            assert_eq!(multiplier.apply_double(x), multiplier.apply_single(x) + 1);
        }
    }

    #[test]
    fn ties_of_negative_numbers_go_up_when_rounded_once() {
        let half = QuantizedMultiplier::from_real(0.5);
        assert_eq!(half.apply_single(-1), 0);
        assert_eq!(half.apply_double(-1), 0);
        assert_eq!(half.apply_single(1), 1);
        assert_eq!(half.apply_double(1), 1);
        let quarter = QuantizedMultiplier::from_real(0.25);
        assert_eq!(quarter.apply_single(-2), 0);
        assert_eq!(quarter.apply_double(-2), -1);
    }

    #[test]
    fn a_wide_sum_meets_a_multiplier_of_fifteen_bits() {
        let third = QuantizedMultiplier::from_real(1.0 / 3.0);
        assert_eq!(third.apply_reduced(30_000), 10_000);
        // 1/3 as 21845/65536 is a little less.
        assert_eq!(third.apply_reduced(3 << 30), (1 << 30) - (1 << 14));
        let nearly_one = QuantizedMultiplier::from_real(1.0 - 1e-6);
        assert_eq!(nearly_one.apply_reduced(1 << 20), (1 << 20) - (1 << 5));
        assert_eq!(QuantizedMultiplier::from_real(0.5).apply_reduced(-1), 0);
    }

    #[test]
    fn extremes_stay_in_range() {
        for real in [1e-10, 0.3, 0.999_999_999_9, 1.0, 3.0, 1e9, 1e12] {
            let multiplier = QuantizedMultiplier::from_real(real);
            for x in [i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX] {
                multiplier.apply_double(x);
                multiplier.apply_single(x);
                multiplier.apply_reduced(i64::from(x) << 16);
            }
        }
    }
}
