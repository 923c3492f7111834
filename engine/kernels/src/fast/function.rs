//! Functions of one `f32` without branches, tables or calls: loops over them become vectors.
//!
//! Every operation is rounded on its own, in a fixed order, and multiplication and addition are never fused: results are the same
//! bits on every [`Isa`](super::Isa) and machine. Polynomials are minimax fits of this program's own; what a function is off by, in units
//! of the last place (ulp) of the exact result, is stated at each and held by the tests, which compare with `f64`.

/// 1.5 · 2^23: added to a number below 2^22, the sum's last bits are that number, rounded to an integer.
const ROUND: f32 = 12_582_912.0;

/// `ln 2` as a sum of two numbers, the first of so few bits that its products with exponents are exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// `x` as `n · ln 2 + r` with an integer `n`, as a float and as bits, and `|r|` at most half of `ln 2`. `|x|` is below 2^20.
#[inline(always)]
fn reduced(x: f32) -> (i32, f32) {
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2[0]) - n * LN_2[1];
    (rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32, r)
}

/// `e^r − 1` for `|r|` up to half of `ln 2`.
#[inline(always)]
fn small_exp_m1(r: f32) -> f32 {
    let p = 0.001_395_170_2;
    let p = p * r + 0.008_369_592;
    let p = p * r + 0.041_666_187;
    let p = p * r + 0.166_665_14;
    let p = p * r + 0.5;
    p * (r * r) + r
}

/// `2^n` for `n` in −126 ..= 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `e^x`, within 1.5 ulp where that is a normal number.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let inside = if x < -104.0 { -104.0 } else { x };
    let inside = if inside > 89.0 { 89.0 } else { inside };
    let (n, r) = reduced(inside);
    // Twice half of it: the whole power may be no normal number.
    let half = n >> 1;
    (small_exp_m1(r) + 1.0) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `e^x` for numbers up to 0, within 1.5 ulp; 0 where that is no normal number.
#[inline(always)]
pub(super) fn exp_of_negative(x: f32) -> f32 {
    let inside = if x < -87.0 { -87.0 } else { x };
    let (n, r) = reduced(inside);
    let y = (small_exp_m1(r) + 1.0) * power_of_two(n);
    if x < -87.0 { 0.0 } else { y }
}

/// `e^x − 1` for numbers up to 0, within 2 ulp.
#[inline(always)]
pub(super) fn exp_m1_of_negative(x: f32) -> f32 {
    let inside = if x < -87.0 { -87.0 } else { x };
    let (n, r) = reduced(inside);
    let scale = power_of_two(n);
    scale * small_exp_m1(r) + (scale - 1.0)
}

/// `1 / (1 + e^−x)`, within 3 ulp; 0 below −87.
#[inline(always)]
pub(super) fn logistic(x: f32) -> f32 {
    let e = exp_of_negative(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// The hyperbolic tangent, within 3 ulp.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let square = x * x;
    let p = -0.005_721_63;
    let p = p * square + 0.020_655_219;
    let p = p * square - 0.053_745_143;
    let p = p * square + 0.133_315_15;
    let p = p * square - 0.333_332_84;
    let near = p * square * x + x;
    let e = exp_of_negative(-2.0 * x.abs());
    let far = (1.0 - e) / (1.0 + e);
    (if x.abs() < 0.625 { near } else { far }).copysign(x)
}

/// `2/√π · ∫ e^(−t²) dt` from `z` to infinity for numbers from 0 on: within 3e-7, and within 8e-6 of the result as far as 9.
///
/// `t · e^(−z² + p(t))` with `t = 1 / (1 + z/2)`: the form of Press et al., Numerical Recipes, 6.2.
#[inline(always)]
pub(super) fn erfc_of_positive(z: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.5 * z);
    let p = 0.152_454_27;
    let p = p * t - 0.721_218_7;
    let p = p * t + 1.250_135_1;
    let p = p * t - 0.817_910_1;
    let p = p * t + 0.017_671_775;
    let p = p * t - 0.049_044_99;
    let p = p * t + 0.051_002_25;
    let p = p * t + 0.383_386_97;
    let p = p * t + 0.998_987_73;
    let p = p * t - 1.265_464_2;
    t * exp_of_negative(p - z * z)
}

/// The error function, within 3e-7 and, near 0, within 3 ulp.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let square = x * x;
    let p = -6.549_596e-4;
    let p = p * square + 0.005_087_44;
    let p = p * square - 0.026_822_109;
    let p = p * square + 0.112_831_43;
    let p = p * square - 0.376_126_05;
    let p = p * square + std::f32::consts::FRAC_2_SQRT_PI;
    let far = (1.0 - erfc_of_positive(x.abs())).copysign(x);
    if x.abs() < 0.8 { p * x } else { far }
}

/// `x · Φ(x)` with the normal distribution function, within `3e-7 · |x|`.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    let tail = erfc_of_positive(x.abs() * std::f32::consts::FRAC_1_SQRT_2);
    0.5 * x * (if x < 0.0 { tail } else { 2.0 - tail })
}

/// `x · Φ(x)` with `Φ` approximated by a hyperbolic tangent: [`Unary::GeluTanh`](crate::reference::Unary), within `3e-7 · |x|`.
#[inline(always)]
pub(super) fn gelu_tanh(x: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * (x + 0.044_715 * x * x * x)))
}

/// The natural logarithm, within 2 ulp; not-a-number below 0.
#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    /// The bits of `√½`: mantissas are taken from there to `√2`.
    const LEAST: i32 = 0x3f35_04f3;
    let tiny = x < f32::MIN_POSITIVE;
    let bits = (if tiny { x * 33_554_432.0 } else { x }).to_bits() as i32;
    let above = bits.wrapping_sub(LEAST);
    let n = (above >> 23) as f32 - if tiny { 25.0 } else { 0.0 };
    let f = f32::from_bits((above & 0x007f_ffff).wrapping_add(LEAST) as u32) - 1.0;
    let p = 0.069_179_84;
    let p = p * f - 0.117_796_67;
    let p = p * f + 0.118_660_35;
    let p = p * f - 0.123_857_98;
    let p = p * f + 0.142_199_19;
    let p = p * f - 0.166_691_97;
    let p = p * f + 0.200_021_52;
    let p = p * f - 0.249_999_87;
    let p = p * f + 0.333_333_1;
    let square = f * f;
    let low = p * (square * f) - 0.5 * square + n * LN_2[1];
    let y = n * LN_2[0] + (f + low);
    let y = if x == f32::INFINITY { x } else { y };
    let y = if x < 0.0 { f32::NAN } else { y };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x.is_nan() { x } else { y }
}

/// `ln(1 + e^x)`, within 3e-7.
#[inline(always)]
pub(super) fn softplus(x: f32) -> f32 {
    let above = if x > 0.0 { x } else { 0.0 };
    above + ln(1.0 + exp_of_negative(-x.abs()))
}

/// `x · tanh(ln(1 + e^x))`, within 4 ulp of it; 0 below −87.
///
/// The hyperbolic tangent of a logarithm is a quotient: `tanh(ln y) = (y² − 1) / (y² + 1)`.
#[inline(always)]
pub(super) fn mish(x: f32) -> f32 {
    // From 20 on the quotient is 1.
    let e = exp(if x > 20.0 { 20.0 } else { x });
    let e = if x < -87.0 { 0.0 } else { e };
    let n = e * (e + 2.0);
    x * (n / (n + 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every so many floats of both signs, and the ends.
    fn floats() -> impl Iterator<Item = f32> {
        (0..=u32::MAX)
            .step_by(9973)
            .map(f32::from_bits)
            .chain([0.0, -0.0, 1.0, -1.0, f32::MIN_POSITIVE, f32::MAX, f32::MIN])
            .filter(|x| x.is_finite())
    }

    /// The largest difference of a function and the exact one, in units of the last place of the exact result.
    fn ulps(function: fn(f32) -> f32, exact: impl Fn(f64) -> f64, inputs: impl Iterator<Item = f32>) -> f64 {
        let error = |x: f32| {
            let expected = exact(x.into());
            let unit = f64::from((expected as f32).abs().max(f32::MIN_POSITIVE).next_up())
                - f64::from((expected as f32).abs().max(f32::MIN_POSITIVE));
            let error = (f64::from(function(x)) - expected).abs() / unit;
            assert!(!error.is_nan(), "{x} becomes {}", function(x));
            error
        };
        inputs.map(error).fold(0.0, f64::max)
    }

    fn below(limit: f32) -> impl Iterator<Item = f32> {
        floats().filter(move |x| x.abs() < limit)
    }

    #[test]
    fn exponentials_are_within_their_bounds() {
        let normal = || below(88.7).filter(|&x| x > -87.0);
        let found = ulps(exp, f64::exp, normal());
        assert!(found <= 1.5, "{found}");
        let found = ulps(exp_m1_of_negative, f64::exp_m1, floats().filter(|&x| x <= 0.0));
        assert!(found <= 2.0, "{found}");
        let found = ulps(logistic, |x| 1.0 / (1.0 + (-x).exp()), floats().filter(|&x| x > -87.0));
        assert!(found <= 3.0, "{found}");
        let found = ulps(tanh, f64::tanh, floats());
        assert!(found <= 3.0, "{found}");
        let found = ulps(ln, f64::ln, floats().filter(|&x| x > 0.0));
        assert!(found <= 2.0, "{found}");
    }

    #[test]
    fn softplus_and_mish_are_within_their_bounds() {
        let softplus_f64 = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        for x in below(100.0) {
            let error = f64::from(softplus(x)) - softplus_f64(x.into());
            assert!(error.abs() <= 3e-7_f64.max(f64::from(x.abs()) * 2e-7), "softplus({x})");
        }
        let found = ulps(mish, |x| x * softplus_f64(x).tanh(), below(80.0));
        assert!(found <= 4.0, "{found}");
        assert_eq!((softplus(f32::NEG_INFINITY), mish(-1e30), mish(1e30)), (0.0, 0.0, 1e30));
        assert!(softplus(f32::NAN).is_nan() && mish(f32::NAN).is_nan());
    }

    #[test]
    fn the_ends_are_those_of_the_functions() {
        assert_eq!(
            (exp(f32::INFINITY), exp(f32::NEG_INFINITY), exp(0.0)),
            (f32::INFINITY, 0.0, 1.0)
        );
        assert_eq!((exp(89.0), exp(-104.0)), (f32::INFINITY, 0.0));
        assert_eq!((logistic(-1e30), logistic(1e30), logistic(0.0)), (0.0, 1.0, 0.5));
        assert_eq!((tanh(-1e30), tanh(1e30)), (-1.0, 1.0));
        assert_eq!(tanh(-0.0).to_bits(), (-0.0_f32).to_bits());
        assert_eq!((erf(-1e30), erf(1e30), erf(0.0)), (-1.0, 1.0, 0.0));
        assert_eq!((gelu(-1e30), gelu(1e30)), (0.0, 1e30));
        assert_eq!(
            (ln(0.0), ln(1.0), ln(f32::INFINITY)),
            (f32::NEG_INFINITY, 0.0, f32::INFINITY)
        );
        for function in [exp, logistic, tanh, erf, gelu, gelu_tanh, ln, exp_m1_of_negative] {
            assert!(function(f32::NAN).is_nan());
        }
        assert!(ln(-1.0).is_nan());
    }

    #[test]
    fn the_error_function_and_gelu_are_within_their_bounds() {
        use crate::reference::Unary;
        for x in below(12.0) {
            let exact = Unary::Erf.apply(x);
            assert!(
                (erf(x) - exact).abs() <= 3e-7_f32.min(exact.abs() * 4e-7 + f32::MIN_POSITIVE),
                "erf({x})"
            );
            let exact = Unary::Gelu.apply(x);
            assert!(
                (gelu(x) - exact).abs() <= 3e-7 * x.abs() + f32::MIN_POSITIVE,
                "gelu({x}) = {} not {exact}",
                gelu(x)
            );
            let exact = Unary::GeluTanh.apply(x);
            assert!(
                (gelu_tanh(x) - exact).abs() <= 3e-7 * x.abs() + f32::MIN_POSITIVE,
                "gelu_tanh({x})"
            );
        }
    }
}
