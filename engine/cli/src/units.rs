//! Sizes, times and digests for people: `2 GiB`, `1.5 s`.

/// Suffixes of sizes with their factors; the longer ones first, so that `GiB` is not read as `B`.
const UNITS: [(&str, u64); 13] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
    ("B", 1),
];

/// Reads `4096`, `512MiB`, `2 GB` or, as other tools have it, `2G` (binary).
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let unit = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    let bytes = number
        .trim_end()
        .parse::<f64>()
        .ok()
        .map(|number| (number * factor as f64).round());
    match bytes {
        Some(bytes) if bytes >= 0.0 && bytes < u64::MAX as f64 => Ok(bytes as u64),
        _ => Err("expected a size such as 4096, 512MiB, 2GB or 2G".into()),
    }
}

/// `1.5 MiB`, with three digits.
pub fn bytes(count: u64) -> String {
    let (mut value, mut unit) = (count as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    match unit {
        "B" => format!("{count} B"),
        _ if value < 10.0 => format!("{value:.2} {unit}"),
        _ if value < 100.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// `0.4 ms`, `0.08 s`, `4.2 s`, `3 min 20 s`.
pub fn seconds(seconds: f64) -> String {
    if seconds < 0.01 {
        format!("{:.1} ms", 1000.0 * seconds)
    } else if seconds < 1.0 {
        format!("{seconds:.2} s")
    } else if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else {
        let whole = seconds.round() as u64;
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

/// `1 step`, `2 steps`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Two lowercase digits a byte.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("2 GiB"), Ok(2 << 30));
        assert_eq!(parse_bytes("2G"), Ok(2 << 30));
        assert_eq!(parse_bytes("1.5kB"), Ok(1500));
        for wrong in ["", "GiB", "-1", "1e30", "nan", "2 gigs"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_written_with_three_digits() {
        assert_eq!(
            [0, 1023, 1024, 98_464, 1 << 40].map(bytes),
            ["0 B", "1023 B", "1.00 KiB", "96.2 KiB", "1.00 TiB"]
        );
    }

    #[test]
    fn times_grow_coarser() {
        assert_eq!(
            [0.0004, 0.084, 4.21, 200.4].map(seconds),
            ["0.4 ms", "0.08 s", "4.2 s", "3 min 20 s"]
        );
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
