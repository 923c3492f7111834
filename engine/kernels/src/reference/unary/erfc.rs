//! The complementary error function, which the standard library lacks.

/// `2/√π · ∫ e^(−t²) dt` from `x` to infinity, to a relative error below 1e-13 where the result is a normal number.
///
/// Below 2 the series `erf(x) = 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!`, whose terms are all of one sign, is taken
/// from 1; above, that would cancel, and the continued fraction of Laplace converges quickly. Source: Abramowitz and
/// Stegun 7.1.6 and 7.1.14.
pub(super) fn erfc(x: f64) -> f64 {
    const SERIES_TERMS: u32 = 60;
    const FRACTION_TERMS: u32 = 80;
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let gauss = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum) = (x, 0.0);
        for n in 1..=SERIES_TERMS {
            sum += term;
            term *= 2.0 * x * x / f64::from(2 * n + 1);
        }
        return 1.0 - 2.0 * gauss * sum;
    }
    let mut denominator = x;
    for n in (1..=FRACTION_TERMS).rev() {
        denominator = x + f64::from(n) / 2.0 / denominator;
    }
    gauss / denominator
}

#[cfg(test)]
mod tests {
    use super::erfc;

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
    fn far_out_it_vanishes_or_is_two() {
        assert_eq!(erfc(40.0), 0.0);
        assert_eq!(erfc(-40.0), 2.0);
        assert_eq!(erfc(f64::INFINITY), 0.0);
        assert!(erfc(f64::NAN).is_nan());
    }
}
