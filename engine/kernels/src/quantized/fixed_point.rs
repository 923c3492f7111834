//! Fixed-point numbers in `i32`: products, shifts, exponential and reciprocal, each with the rounding of gemmlowp.
//!
//! `Qm.n` is an integer that means `raw / 2^n`, with `m + n = 31`. A product of `Qa` and `Qb` in [the high
//! multiplication](saturating_rounding_doubling_high_mul) is a `Q(a+b)`. Source: gemmlowp, `fixedpoint/fixedpoint.h`.

/// `a · b / 2^31`, rounded to nearest, ties towards positive infinity, with the one overflow saturated.
///
/// "Doubling": the full product of two signed 32-bit numbers has two sign bits, so its high half alone would waste a
/// bit; `2·a·b` uses it. Only `i32::MIN · i32::MIN` then overflows, `(−1)·(−1)` having no `Q0.31`: it becomes the
/// largest number. The nudge of half a unit turns the division, which truncates towards zero, into rounding; for
/// negative products it is one smaller than half, so that negative ties go up, too. With an arithmetic
/// shift instead of the division negative results would sink by one.
pub fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    ((product + nudge) / (1 << 31)) as i32
}

/// `x / 2^exponent` for an exponent of `0 ..= 31`, rounded half away from zero.
///
/// The shift floors, so one is added where what was cut off is more than half. For negative `x` half itself must not
/// be rounded up (−2.5 becomes −3): their threshold is one higher. Without that, ties of negative numbers go up, and
/// a sum that is symmetric around zero gets a bias.
pub fn rounding_divide_by_pot(x: i32, exponent: u32) -> i32 {
    let mask = ((1_i64 << exponent) - 1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> exponent) + i32::from(remainder > threshold)
}

/// `x · 2^exponent`, saturating. Source: `SaturatingRoundingMultiplyByPOT` for positive exponents.
pub fn saturating_shift_left(x: i32, exponent: u32) -> i32 {
    (i64::from(x) << exponent).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// `e^x` as `Q0.31` for an `x` in `−1/4 .. 0` as `Q0.31`: the Taylor polynomial of degree 4 around −1/8.
///
/// Source: `exp_on_interval_between_negative_one_quarter_and_0_excl`.
fn exp_on_quarter(x: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let mul = saturating_rounding_doubling_high_mul;
    let x = x + (1 << 28);
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4 = mul(x2, x2);
    let x4_over_4 = rounding_divide_by_pot(x4, 2);
    let higher = rounding_divide_by_pot(mul(x4_over_4 + x3, THIRD) + x2, 1);
    EXP_MINUS_EIGHTH + mul(EXP_MINUS_EIGHTH, x + higher)
}

/// `e^x` as `Q0.31` for `x ≤ 0` with `integer_bits` (at most 5) integer bits. Source: `exp_on_negative_values`.
///
/// `x` is split into a part in `−1/4 .. 0`, which a polynomial does, and a multiple of −1/4, whose bits select factors
/// `e^(−1/4)`, `e^(−1/2)`, `e^(−1)`, … from a table. `e^0 = 1` has no `Q0.31` and becomes the largest number below.
pub(crate) fn exp_on_negative_values(x: i32, integer_bits: u32) -> i32 {
    /// `e^(−2^i)` for `i` from −2.
    const FACTORS: [i32; 7] = [
        1_672_461_947,
        1_302_514_674,
        790_015_084,
        290_630_308,
        39_332_535,
        720_401,
        242,
    ];
    if x == 0 {
        return i32::MAX;
    }
    let quarter_bit = 31 - integer_bits - 2;
    let quarter = 1_i32 << quarter_bit;
    let modulo = (x & (quarter - 1)) - quarter;
    let remainder = modulo.wrapping_sub(x);
    let mut result = exp_on_quarter(saturating_shift_left(modulo, integer_bits));
    for (bit, factor) in (quarter_bit..31).zip(FACTORS) {
        if remainder >> bit & 1 != 0 {
            result = saturating_rounding_doubling_high_mul(result, factor);
        }
    }
    result
}

/// `1 / (1 + x)` as `Q0.31` for an `x` in `0..1` as `Q0.31`. Source: `one_over_one_plus_x_for_x_in_0_1`.
///
/// Newton–Raphson division of one half by `d = (1 + x) / 2`, which lies in `1/2 .. 1`, from the best linear estimate
/// `48/17 − 32/17·d`: three steps give all 31 bits. The estimates run up to 2 and need `Q2.29`.
fn one_over_one_plus_x(x: i32) -> i32 {
    const FORTY_EIGHT_17THS: i32 = 1_515_870_810;
    const MINUS_THIRTY_TWO_17THS: i32 = -1_010_580_540;
    const ONE: i32 = 1 << 29;
    let mul = saturating_rounding_doubling_high_mul;
    let half_denominator = ((i64::from(x) + i64::from(i32::MAX) + 1) / 2) as i32;
    let mut estimate = FORTY_EIGHT_17THS + mul(half_denominator, MINUS_THIRTY_TWO_17THS);
    for _ in 0..3 {
        let error = ONE - mul(half_denominator, estimate);
        estimate += saturating_shift_left(mul(estimate, error), 2);
    }
    saturating_shift_left(estimate, 1)
}

/// The reciprocal of a positive fixed-point `x` with `integer_bits` integer bits, as `(m, e)`: `1/x = m / 2^31 / 2^e`
/// with `m` in `2^30 ..`. Source: `GetReciprocal` (`kernels/internal/common.h`).
///
/// `x` is shifted up to `1..2`, less its leading one it is the argument of `1 / (1 + x)`; how far is what `e` records.
pub(crate) fn reciprocal(x: i32, integer_bits: i32) -> (i32, i32) {
    let headroom = x.leading_zeros();
    let without_leading_one = ((x as u32).wrapping_shl(headroom)).wrapping_sub(1 << 31) as i32;
    (one_over_one_plus_x(without_leading_one), integer_bits - headroom as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q31(x: i32) -> f64 {
        f64::from(x) / 2.0_f64.powi(31)
    }

    #[test]
    fn the_high_product_rounds_and_saturates() {
        assert_eq!(saturating_rounding_doubling_high_mul(i32::MIN, i32::MIN), i32::MAX);
        assert_eq!(saturating_rounding_doubling_high_mul(3, 1 << 30), 2);
        assert_eq!(saturating_rounding_doubling_high_mul(-3, 1 << 30), -1);
        assert_eq!(saturating_rounding_doubling_high_mul(-4, 1 << 30), -2);
    }

    #[test]
    fn division_rounds_ties_away_from_zero() {
        assert_eq!(rounding_divide_by_pot(5, 1), 3);
        assert_eq!(rounding_divide_by_pot(-5, 1), -3);
        assert_eq!(rounding_divide_by_pot(-4, 3), -1);
        assert_eq!(rounding_divide_by_pot(-3, 3), 0);
        assert_eq!(rounding_divide_by_pot(i32::MAX, 0), i32::MAX);
        assert_eq!(rounding_divide_by_pot(i32::MIN, 31), -1);
    }

    #[test]
    fn the_exponential_is_right_to_28_bits() {
        for step in 1..1000 {
            let raw = -step * (1 << 16) - step * step;
            let expected = (f64::from(raw) / f64::from(1 << 26)).exp();
            assert!((q31(exp_on_negative_values(raw, 5)) - expected).abs() < 2e-6, "{raw}");
        }
        assert_eq!(exp_on_negative_values(0, 5), i32::MAX);
    }

    #[test]
    fn the_reciprocal_is_right_to_28_bits() {
        for x in [1 << 19, (1 << 19) + 1, 3 << 19, (10 << 19) + 77, i32::MAX] {
            let (m, e) = reciprocal(x, 12);
            let expected = f64::from(1 << 19) / f64::from(x);
            assert!((q31(m) / 2.0_f64.powi(e) / expected - 1.0).abs() < 1e-8, "{x}");
        }
    }
}
