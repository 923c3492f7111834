//! What does deflate do with zeros and repeated values?

use measure::contents::{self, Contents};

use crate::markdown::{Markdown, Table, code};
use crate::numbers;
use crate::summary;
use crate::variants::{Variant, Variants};

use super::Answer;

pub(super) fn answer(variants: &Variants<'_>) -> Answer {
    let heading = Markdown::trusted("What does deflate do with zeros and repeated values?");
    let known: Vec<(&Variant<'_>, &measure::Sizes)> = variants
        .all
        .iter()
        .filter_map(|v| Some((v, v.sizes.filter(|s| !s.weights.is_empty())?)))
        .collect();
    if known.is_empty() {
        return Answer::missing(
            heading,
            "no variant was packed by a `compress` step; add one and name it under `compare`",
        );
    }
    let mut table = Table::of_numbers(&[
        "Variant",
        "Zero weights",
        "Most values in a layer",
        "Entropy, bits a weight",
        "Entropy, bytes",
        "As palettes",
        "As sparse tensors",
        "Bytes",
        "Zip bytes",
        "Deflated by",
    ]);
    for (variant, sizes) in &known {
        let elements: u64 = sizes.weights.iter().map(|w| w.elements).sum();
        let bytes = contents::entropy_bytes(&sizes.weights);
        let cell = |text: String| Markdown::trusted(text);
        table.push(vec![
            summary::name(variants, variant),
            cell(
                contents::zeros_percent(&sizes.weights)
                    .map_or(String::new(), |p| numbers::with_unit(format!("{p:.1}"), "%")),
            ),
            cell(numbers::count(
                sizes.weights.iter().map(|w| w.distinct).max().unwrap_or(0),
            )),
            cell(format!("{:.2}", 8.0 * bytes / elements.max(1) as f64)),
            cell(numbers::count(bytes.round() as u64)),
            cell(numbers::count(sizes.weights.iter().map(Contents::palette_bytes).sum())),
            cell(sparse(&sizes.weights)),
            cell(numbers::count(sizes.bytes())),
            cell(numbers::count(sizes.zip_bytes())),
            cell(numbers::with_unit(format!("{:.1}", sizes.deflation_percent()), "%")),
        ]);
    }
    let sentences: Vec<String> = [extremes(&known), gain(variants, &known), bound(&known)]
        .into_iter()
        .flatten()
        .collect();
    Answer::new(heading, sentences.join(" ")).with_table(table)
}

/// Bytes of all weights as sparse tensors; nothing where a record does not say.
fn sparse(weights: &[Contents]) -> String {
    let bytes: Option<u64> = weights.iter().map(|w| w.sparse_bytes).sum();
    bytes.map_or(String::new(), numbers::count)
}

/// Which file deflates best, which least.
fn extremes(known: &[(&Variant<'_>, &measure::Sizes)]) -> Option<String> {
    let by = |a: &&(&Variant<'_>, &measure::Sizes), b: &&(&Variant<'_>, &measure::Sizes)| {
        a.1.deflation_percent().total_cmp(&b.1.deflation_percent())
    };
    let (least, most) = (known.iter().min_by(by)?, known.iter().max_by(by)?);
    let described = |(variant, sizes): &(&Variant<'_>, &measure::Sizes)| {
        format!(
            "{} (by {:.1} %, {:.1} % zeros, at most {} values in a layer)",
            code(&variant.title),
            sizes.deflation_percent(),
            contents::zeros_percent(&sizes.weights).unwrap_or(0.0),
            numbers::count(sizes.weights.iter().map(|w| w.distinct).max().unwrap_or(0)),
        )
    };
    (known.len() > 1).then(|| format!("{} deflates most, {} least.", described(most), described(least)))
}

/// How many times smaller than the baseline, raw and packed.
fn gain(variants: &Variants<'_>, known: &[(&Variant<'_>, &measure::Sizes)]) -> Option<String> {
    let baseline = variants.baseline()?.sizes?;
    let (variant, sizes) = known.iter().min_by_key(|(_, s)| s.zip_bytes())?;
    let (raw, packed) = (baseline.bytes() as f64, baseline.zip_bytes() as f64);
    Some(format!(
        "Packed, {} is {} smaller than the baseline's file and {} smaller than that file packed.",
        code(&variant.title),
        numbers::times(raw, sizes.zip_bytes() as f64),
        numbers::times(packed, sizes.zip_bytes() as f64),
    ))
}

/// How near the packed files come to the entropy of their weights.
fn bound(known: &[(&Variant<'_>, &measure::Sizes)]) -> Option<String> {
    let ratio = |sizes: &measure::Sizes| sizes.zip_bytes() as f64 / contents::entropy_bytes(&sizes.weights);
    let ratios = known.iter().map(|(_, s)| ratio(s)).filter(|r| r.is_finite());
    let (low, high) = ratios.fold((f64::INFINITY, 0.0f64), |(l, h), r| (l.min(r), h.max(r)));
    (high > 0.0).then(|| {
        format!("The packed files are {low:.2} to {high:.2} times as large as the entropy of their weights alone.")
    })
}
