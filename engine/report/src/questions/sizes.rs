//! How many parameters and bytes has each variant, and how much smaller than the baseline is it?

use crate::markdown::{Markdown, Table, code};
use crate::numbers;
use crate::summary;
use crate::variants::{Variant, Variants};

use super::Answer;

pub(super) fn answer(variants: &Variants<'_>) -> Answer {
    let heading = Markdown::trusted("How many parameters and bytes has each variant, and what was saved?");
    let mut table = Table::of_numbers(&[
        "Variant",
        "Parameters",
        "Multiply–accumulates",
        "Bytes",
        "Saved",
        "Zip bytes",
        "Saved",
        "Deflated by",
    ]);
    let baseline = variants.baseline();
    for variant in variants.shown().filter(|v| v.sizes.is_some() || v.model.is_some()) {
        let reference = baseline
            .filter(|_| !variants.is_baseline(variant))
            .and_then(|b| b.sizes);
        let saved = |old: Option<u64>, new: Option<u64>| {
            old.zip(new)
                .map(|(old, new)| numbers::change(old as f64, new as f64))
                .unwrap_or_default()
        };
        let count = |value: Option<u64>| Markdown::trusted(value.map(numbers::count).unwrap_or_default());
        let (bytes, zip) = (
            variant.sizes.map(measure::Sizes::bytes),
            variant.sizes.map(measure::Sizes::zip_bytes),
        );
        table.push(vec![
            summary::name(variants, variant),
            count(variant.model.map(|m| m.parameters)),
            count(variant.model.and_then(|m| m.macs)),
            count(bytes),
            Markdown::trusted(saved(reference.map(measure::Sizes::bytes), bytes)),
            count(zip),
            Markdown::trusted(saved(reference.map(measure::Sizes::zip_bytes), zip)),
            Markdown::trusted(
                variant
                    .sizes
                    .map(|s| numbers::with_unit(format!("{:.1}", s.deflation_percent()), "%"))
                    .unwrap_or_default(),
            ),
        ]);
    }
    if table.is_empty() {
        return Answer::missing(
            heading,
            "no variant was weighed and none described; `compare` needs an export, or a model",
        );
    }
    let sentences: Vec<String> = [parameters(variants), smallest(variants), compressor(variants)]
        .into_iter()
        .flatten()
        .collect();
    Answer::new(heading, sentences.join(" ")).with_table(table.without_empty_columns())
}

fn parameters(variants: &Variants<'_>) -> Option<String> {
    let counts: Vec<(&Variant<'_>, u64)> = variants
        .all
        .iter()
        .filter_map(|v| Some((v, v.model?.parameters)))
        .collect();
    let first = counts.first()?;
    if counts.len() > 1 && counts.iter().all(|(_, parameters)| *parameters == first.1) {
        let whose = if counts.len() == variants.all.len() {
            "Every variant has"
        } else {
            "The variants have"
        };
        return Some(format!("{whose} {} parameters.", numbers::count(first.1)));
    }
    let of_baseline = counts.iter().find(|(variant, _)| variants.is_baseline(variant));
    let (variant, parameters) = of_baseline.unwrap_or(first);
    Some(format!(
        "{} has {} parameters.",
        code(&variant.title),
        numbers::count(*parameters)
    ))
}

fn smallest(variants: &Variants<'_>) -> Option<String> {
    let sizes = || variants.all.iter().filter_map(|v| Some((v, v.sizes?)));
    let (variant, size) = sizes().min_by_key(|(_, sizes)| sizes.bytes())?;
    let mut sentence = format!(
        "The smallest file is that of {}: {} bytes",
        code(&variant.title),
        numbers::count(size.bytes())
    );
    if let Some(old) = variants
        .baseline()
        .filter(|_| !variants.is_baseline(variant))
        .and_then(|b| b.sizes)
    {
        let (old, new) = (old.bytes() as f64, size.bytes() as f64);
        sentence = format!(
            "{sentence}, {} smaller than the baseline ({})",
            numbers::times(old, new),
            numbers::change(old, new)
        );
    }
    let (packed, zip) = sizes().min_by_key(|(_, sizes)| sizes.zip_bytes())?;
    let whose = if packed.name == variant.name {
        "it too".to_owned()
    } else {
        code(&packed.title).to_string()
    };
    Some(format!(
        "{sentence}. Packed in a zip archive the smallest is {whose}: {} bytes.",
        numbers::count(zip.zip_bytes())
    ))
}

fn compressor(variants: &Variants<'_>) -> Option<String> {
    let compressor = variants
        .all
        .iter()
        .find_map(|v| v.sizes.map(|sizes| &sizes.compressor))?;
    Some(format!("Packed with {}.", Markdown::text(&compressor.to_string())))
}
