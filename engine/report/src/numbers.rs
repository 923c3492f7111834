//! How numbers are written: the same everywhere, with their unit, no more digits than mean something. Between a number and its unit
//! stands a no-break space.

use measure::{Interval, Unit};

/// What keeps a number and its unit on one line.
const SPACE: char = '\u{a0}';

/// A number with its unit.
pub(crate) fn with_unit(number: impl std::fmt::Display, unit: &str) -> String {
    format!("{number}{SPACE}{unit}")
}

/// A share 0..1 in percent, two decimals: `75.61 %`.
pub(crate) fn percent(share: f64) -> String {
    with_unit(format!("{:.2}", share * 100.0), "%")
}

/// An interval of a share in percent: `74.76–76.44`.
pub(crate) fn interval(interval: Interval) -> String {
    format!("{:.2}–{:.2}", interval.low * 100.0, interval.high * 100.0)
}

/// A difference of shares in percentage points, with its sign: `+0.13`, `−1.20`, `0.00`.
pub(crate) fn signed_points(difference: f64) -> String {
    signed(&format!("{:.2}", difference * 100.0))
}

/// The same with its unit: `+0.13 points`.
pub(crate) fn points(difference: f64) -> String {
    with_unit(signed_points(difference), "points")
}

/// An interval of a difference of shares: `−0.31 to +0.05 points`.
pub(crate) fn points_interval(interval: Interval) -> String {
    format!("{} to {}", signed_points(interval.low), points(interval.high))
}

/// A probability: `0.031`, `< 0.0001`.
pub(crate) fn probability(p: f64) -> String {
    if p < 1e-4 {
        format!("<{SPACE}0.0001")
    } else {
        significant(p, 2)
    }
}

/// A relative change in percent: `−69.3 %`; empty where there is nothing to relate to.
pub(crate) fn change(old: f64, new: f64) -> String {
    if old == 0.0 {
        String::new()
    } else {
        with_unit(signed(&format!("{:.1}", (new / old - 1.0) * 100.0)), "%")
    }
}

/// How many times smaller: `3.26×`; empty for nothing.
pub(crate) fn times(old: f64, new: f64) -> String {
    if new <= 0.0 {
        String::new()
    } else {
        format!("{:.2}×", old / new)
    }
}

/// A whole number with separators: `321,192`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes of memory, in MiB with one decimal: `42.3 MiB`.
pub(crate) fn mebibytes(bytes: u64) -> String {
    with_unit(format!("{:.1}", bytes as f64 / f64::from(1 << 20)), "MiB")
}

/// A time, three significant digits: `12.3 ms`, `1240 ms`, and below a tenth of a millisecond in microseconds: `3.12 µs`.
pub(crate) fn milliseconds(ms: f64) -> String {
    if ms != 0.0 && ms.abs() < 0.1 {
        return with_unit(significant(ms * 1e3, 3), "µs");
    }
    with_unit(significant(ms, 3), "ms")
}

/// A mean and a standard deviation in the unit of the mean: `0.427 ± 0.068 ms`.
pub(crate) fn mean_and_deviation_ms(mean: f64, std: f64) -> String {
    let (scale, unit) = if mean < 0.1 { (1e3, "µs") } else { (1.0, "ms") };
    let pair = format!("{} ± {}", significant(scale * mean, 3), significant(scale * std, 2));
    with_unit(pair, unit)
}

/// A number with so many significant digits, in plain notation from 1e-4 on, in powers of ten below.
pub(crate) fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if magnitude < -4 {
        return format!("{value:.*e}", (digits - 1).max(0) as usize);
    }
    format!("{value:.*}", (digits - 1 - magnitude).max(0) as usize)
}

/// A figure in its unit.
pub(crate) fn figure(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio => percent(value),
        Unit::Percent => with_unit(format!("{value:.1}"), "%").replace('-', "−"),
        Unit::Bytes | Unit::Count => count(value.max(0.0) as u64),
        Unit::Milliseconds => milliseconds(value),
        Unit::Decibel => with_unit(format!("{value:.1}"), "dB"),
        Unit::Plain => significant(value, 4),
    }
}

/// The difference of two figures in their unit, with its sign; for sizes and times the relative change.
pub(crate) fn figure_change(old: f64, new: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio => points(new - old),
        Unit::Percent => with_unit(signed(&format!("{:.1}", new - old)), "points"),
        Unit::Bytes | Unit::Milliseconds => change(old, new),
        Unit::Count => {
            let text = count((new - old).abs() as u64);
            signed(&if new < old { format!("-{text}") } else { text })
        }
        Unit::Decibel => with_unit(signed(&format!("{:.1}", new - old)), "dB"),
        Unit::Plain => signed(&significant(new - old, 3)),
    }
}

/// A plus or a typographic minus, and no sign on zero.
fn signed(text: &str) -> String {
    let digits = text.trim_start_matches('-');
    let zero = digits.chars().all(|c| !c.is_ascii_digit() || c == '0');
    match (zero, text.starts_with('-')) {
        (true, _) => digits.to_owned(),
        (false, true) => format!("−{digits}"),
        (false, false) => format!("+{digits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_sign_and_unit() {
        assert_eq!(percent(0.756_1), "75.61\u{a0}%");
        assert_eq!(
            [0.001_3, -0.012, -0.000_01].map(signed_points),
            ["+0.13", "−1.20", "0.00"]
        );
        assert_eq!(points(-0.002), "−0.20\u{a0}points");
        assert_eq!([0.031_4, 3e-7, 1.0].map(probability), ["0.031", "<\u{a0}0.0001", "1.0"]);
        assert_eq!(change(321_192.0, 98_464.0), "−69.3\u{a0}%");
        assert_eq!(times(321_192.0, 98_464.0), "3.26×");
        assert_eq!([7, 1_000, 12_345_678].map(count), ["7", "1,000", "12,345,678"]);
        assert_eq!(
            [0.003_12, 0.226_4, 12.34, 1_240.4].map(milliseconds),
            ["3.12\u{a0}µs", "0.226\u{a0}ms", "12.3\u{a0}ms", "1240\u{a0}ms"]
        );
        assert_eq!(
            [0.0, 1.5e-7, 0.000_123_4].map(|v| significant(v, 3)),
            ["0", "1.50e-7", "0.000123"]
        );
        assert_eq!(mebibytes(44_354_764), "42.3\u{a0}MiB");
    }

    #[test]
    fn nothing_divides_by_zero() {
        assert_eq!(change(0.0, 5.0), "");
        assert_eq!(times(5.0, 0.0), "");
        assert_eq!(significant(f64::INFINITY, 3), "inf");
    }
}
