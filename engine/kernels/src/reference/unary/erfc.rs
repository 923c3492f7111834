//! The error function and its complement, which the standard library lacks.

const SERIES_TERMS: u32 = 60;

/// `2/√π · ∫ e^(−t²) dt` from 0 to `x`, to a relative error below 1e-13.
pub(super) fn erf(x: f64) -> f64 {
    if x.abs() < 2.0 { series(x) } else { 1.0 - erfc(x) }
}

/// `erf(x) = 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!`, whose terms are all of one sign, for numbers up to 2.
fn series(x: f64) -> f64 {
    let (mut term, mut sum) = (x, 0.0);
    for n in 1..=SERIES_TERMS {
        sum += term;
        term *= 2.0 * x * x / f64::from(2 * n + 1);
    }
    2.0 * (-x * x).exp() / std::f64::consts::PI.sqrt() * sum
}

/// `2/√π · ∫ e^(−t²) dt` from `x` to infinity, to a relative error below 1e-13 where the result is a normal number.
///
/// Below 2 the series of `erf` is taken from 1; above, that would cancel, and the continued fraction of Laplace converges
/// quickly. Source: Abramowitz and Stegun 7.1.6 and 7.1.14.
pub(super) fn erfc(x: f64) -> f64 {
    const FRACTION_TERMS: u32 = 80;
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.0 {
        return 1.0 - series(x);
    }
    let gauss = (-x * x).exp() / std::f64::consts::PI.sqrt();
    let mut denominator = x;
    for n in (1..=FRACTION_TERMS).rev() {
        denominator = x + f64::from(n) / 2.0 / denominator;
    }
    gauss / denominator
}

#[cfg(test)]
mod tests {
    use super::{erf, erfc};

    #[test]
    #[expect(
        clippy::unreadable_literal,
        reason = "tabulated values, NIST Digital Library of Mathematical Functions 7.23"
    )]
    fn tabulated_values() {
        let cases = [
            (0.0, 1.0),
            (0.5, 0.4795001221869535),
            (1.0, 0.15729920705028513),
            (1.999, 0.004698443348629488),
            (2.0, 0.004677734981047266),
            (3.0, 2.209049699858544e-5),
            (6.0, 2.1519736712498913e-17),
            (-1.0, 1.8427007929497148),
        ];
        for (x, expected) in cases {
            assert!((erfc(x) / expected - 1.0_f64).abs() < 1e-12, "erfc({x}) = {}", erfc(x));
        }
    }

    #[test]
    fn the_error_function_keeps_its_digits_near_zero_and_its_sign() {
        let slope = 2.0 / std::f64::consts::PI.sqrt();
        assert!((erf(1e-20) / (1e-20 * slope) - 1.0).abs() < 1e-15);
        assert_eq!((erf(9.0), erf(-9.0)), (1.0, -1.0));
        assert!((erf(-1.5) + 1.0 - erfc(1.5)).abs() < 1e-15);
    }

    #[test]
    fn far_out_it_vanishes_or_is_two() {
        assert_eq!(erfc(40.0), 0.0);
        assert_eq!(erfc(-40.0), 2.0);
        assert_eq!(erfc(f64::INFINITY), 0.0);
        assert!(erfc(f64::NAN).is_nan());
    }
}
