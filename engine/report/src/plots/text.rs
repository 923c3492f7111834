//! The embedded font, and how wide a text is in it.

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider};

/// DejaVu Sans; its licence lies beside it.
pub(super) static FONT: &[u8] = include_bytes!("../../fonts/DejaVuSans.ttf");

/// The width of a character that the font lacks, in ems; about that of its replacement box.
const MISSING_EMS: f64 = 0.6;

static FACE: LazyLock<FontRef<'static>> = LazyLock::new(|| FontRef::new(FONT).expect("the embedded font is a font"));

/// Width of a line of text in pixels, without kerning.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let map = FACE.charmap();
    let metrics = GlyphMetrics::new(&FACE, Size::unscaled(), LocationRef::default());
    let units_per_em = f64::from(FACE.metrics(Size::unscaled(), LocationRef::default()).units_per_em);
    let ems: f64 = text
        .chars()
        .map(|character| {
            let advance = map.map(character).and_then(|glyph| metrics.advance_width(glyph));
            advance.map_or(MISSING_EMS, |advance| f64::from(advance) / units_per_em)
        })
        .sum();
    ems * size
}

/// The widest of some texts; 0 for none.
pub(super) fn widest<'a>(texts: impl IntoIterator<Item = &'a str>, size: f64) -> f64 {
    texts.into_iter().map(|text| width(text, size)).fold(0.0, f64::max)
}

/// The text, shortened with `…` in its middle if it is wider than `limit` pixels: names differ at both ends.
pub(super) fn fit(text: &str, limit: f64, size: f64) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    (1..characters.len())
        .rev()
        .map(|kept| {
            let (head, tail) = (kept.div_ceil(2), kept / 2);
            let end = &characters[characters.len() - tail..];
            characters[..head].iter().chain(&['…']).chain(end).collect::<String>()
        })
        .find(|short| width(short, size) <= limit)
        .unwrap_or_else(|| "…".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_wide_as_its_glyphs() {
        // Advance widths of the font's hmtx table, in 2048ths of an em: digits 1303, 'i' 569, 'W' 2025.
        assert_eq!(width("00", 2048.0), 2606.0);
        assert_eq!(width("iW", 2048.0), 2594.0);
        assert_eq!(width("", 12.0), 0.0);
    }

    #[test]
    fn long_names_keep_both_ends() {
        let name = "a_very_long_class_name_of_a_dataset_17";
        let short = fit(name, 100.0, 12.0);
        assert!(width(&short, 12.0) <= 100.0);
        assert!(
            short.starts_with("a_very") && short.ends_with("17") && short.contains('…'),
            "{short}"
        );
        assert_eq!(fit("cat", 100.0, 12.0), "cat");
        assert_eq!(fit("cat", 1.0, 12.0), "…");
    }
}
