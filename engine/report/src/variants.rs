//! Entries gathered by variant: one row of every table. Owns names, families and file names.

use std::collections::BTreeSet;

use measure::{Agreement, Benchmark, Figure, Metrics, Quality, Sizes};

use crate::ReportError;
use crate::input::{CalibrationSummary, Document, Entry, ModelSummary, ReportInput};
use crate::sensitivity::Sensitivity;

/// All that is known about one variant.
#[derive(Debug, Clone)]
pub(crate) struct Variant<'a> {
    /// The variant's name; with the step's name behind it where two steps made the same kind of document about it.
    pub(crate) name: String,
    /// The name as files spell it: ASCII letters, digits, `.`, `_`, `-`; unique even where case does not count.
    pub(crate) slug: String,
    /// Where it lies on axes and choices.
    pub(crate) coordinates: Vec<(&'a str, &'a str)>,
    pub(crate) metrics: Option<&'a Metrics>,
    pub(crate) quality: Option<&'a Quality>,
    pub(crate) benchmark: Option<&'a Benchmark>,
    pub(crate) sizes: Option<&'a Sizes>,
    pub(crate) agreement: Option<&'a Agreement>,
    pub(crate) model: Option<&'a ModelSummary>,
    pub(crate) calibration: Option<&'a CalibrationSummary>,
    pub(crate) sensitivity: Option<&'a Sensitivity>,
}

impl<'a> Variant<'a> {
    fn new(name: String) -> Self {
        Self {
            name,
            slug: String::new(),
            coordinates: Vec::new(),
            metrics: None,
            quality: None,
            benchmark: None,
            sizes: None,
            agreement: None,
            model: None,
            calibration: None,
            sensitivity: None,
        }
    }

    /// The value of a coordinate.
    pub(crate) fn coordinate(&self, name: &str) -> Option<&'a str> {
        self.coordinates
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, value)| value)
    }

    /// The named numbers of all its documents.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let documents = [
            self.metrics.map(Metrics::figures),
            self.quality.map(Quality::figures),
            self.benchmark.map(Benchmark::figures),
            self.sizes.map(Sizes::figures),
            self.agreement.map(Agreement::figures),
            self.model.map(ModelSummary::figures),
            self.calibration.map(CalibrationSummary::figures),
            self.sensitivity.map(Sensitivity::figures),
        ];
        documents.into_iter().flatten().flatten().collect()
    }

    /// Whether there is a document of this kind already.
    fn has(&self, document: &Document) -> bool {
        match document {
            Document::Metrics(_) => self.metrics.is_some(),
            Document::Quality(_) => self.quality.is_some(),
            Document::Benchmark(_) => self.benchmark.is_some(),
            Document::Sizes(_) => self.sizes.is_some(),
            Document::Agreement(_) => self.agreement.is_some(),
            Document::Model(_) => self.model.is_some(),
            Document::Calibration(_) => self.calibration.is_some(),
            Document::Sensitivity(_) => self.sensitivity.is_some(),
        }
    }

    fn add(&mut self, entry: &'a Entry) {
        match &entry.document {
            Document::Metrics(metrics) => self.metrics = Some(metrics),
            Document::Quality(quality) => self.quality = Some(quality),
            Document::Benchmark(benchmark) => self.benchmark = Some(benchmark),
            Document::Sizes(sizes) => self.sizes = Some(sizes),
            Document::Agreement(agreement) => self.agreement = Some(agreement),
            Document::Model(model) => self.model = Some(model),
            Document::Calibration(calibration) => self.calibration = Some(calibration),
            Document::Sensitivity(sensitivity) => self.sensitivity = Some(sensitivity),
        }
        for (name, value) in &entry.coordinates {
            if self.coordinate(name).is_none() {
                self.coordinates.push((name, value));
            }
        }
    }
}

/// The variants of a report, in order of first appearance.
#[derive(Debug, Clone)]
pub(crate) struct Variants<'a> {
    pub(crate) all: Vec<Variant<'a>>,
    baseline: Option<usize>,
}

impl<'a> Variants<'a> {
    /// Gathers the entries; an error when there are none or the baseline is not among them.
    pub(crate) fn of(input: &'a ReportInput) -> Result<Self, ReportError> {
        let mut all: Vec<Variant<'a>> = Vec::new();
        for entry in &input.entries {
            let apart = format!("{} ({})", entry.variant, entry.step);
            let free = |variant: &&mut Variant<'_>| {
                (variant.name == entry.variant || variant.name == apart) && !variant.has(&entry.document)
            };
            if let Some(variant) = all.iter_mut().find(free) {
                variant.add(entry);
                continue;
            }
            let taken = all.iter().any(|variant| variant.name == entry.variant);
            let mut variant = Variant::new(if taken { apart } else { entry.variant.clone() });
            variant.add(entry);
            all.push(variant);
        }
        if all.is_empty() {
            return Err(ReportError::Empty);
        }
        name_files(&mut all);
        let baseline = match &input.baseline {
            None => None,
            Some(name) => Some(all.iter().position(|variant| variant.name == *name).ok_or_else(|| {
                let known: Vec<&str> = all.iter().map(|variant| variant.name.as_str()).collect();
                ReportError::UnknownBaseline {
                    baseline: name.clone(),
                    known: known.join(", "),
                }
            })?),
        };
        Ok(Self { all, baseline })
    }

    /// What the others are compared with.
    pub(crate) fn baseline(&self) -> Option<&Variant<'a>> {
        self.baseline.and_then(|index| self.all.get(index))
    }

    /// Whether a variant is what the others are compared with.
    pub(crate) fn is_baseline(&self, variant: &Variant<'_>) -> bool {
        self.baseline().is_some_and(|baseline| baseline.name == variant.name)
    }

    /// The variants that a name of a question means: `*` all of them; else those of that name or with that `model`; if
    /// there are none, those whose name begins with it and a dash.
    pub(crate) fn family(&self, name: &str) -> Vec<&Variant<'a>> {
        if name == "*" {
            return self.all.iter().collect();
        }
        let exact: Vec<_> = self
            .all
            .iter()
            .filter(|v| v.name == name || v.coordinate("model") == Some(name))
            .collect();
        if !exact.is_empty() {
            return exact;
        }
        let begins = |variant: &&Variant<'_>| {
            variant
                .name
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('-'))
        };
        self.all.iter().filter(begins).collect()
    }
}

/// Gives every variant a file name that no other has.
fn name_files(variants: &mut [Variant<'_>]) {
    let mut taken = BTreeSet::new();
    for variant in variants {
        let slug = slug(&variant.name);
        let mut candidates = std::iter::once(slug.clone()).chain((2..).map(|n| format!("{slug}-{n}")));
        // The iterator is endless and `taken` is not.
        variant.slug = candidates
            .find(|name| taken.insert(name.to_ascii_lowercase()))
            .unwrap_or(slug);
    }
}

/// What file names have of a variant's name: file systems give them 255 bytes, and words follow.
const LONGEST: usize = 150;

/// A name in the characters that are safe in files and links.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        match character {
            safe if safe.is_ascii_alphanumeric() || "._-".contains(safe) => slug.push(safe),
            _ if slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(LONGEST);
    let slug = slug.trim_matches(['-', '.']).to_owned();
    if slug.is_empty() { "variant".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_safe_and_unique() {
        assert_eq!(
            ["int8-0.8", "../../etc/passwd", "a b|c", "…"].map(slug),
            ["int8-0.8", "etc-passwd", "a-b-c", "variant"]
        );
        assert_eq!(slug(&"n".repeat(300)), "n".repeat(150));
        let mut variants: Vec<Variant<'_>> = ["a b", "A-b", "a/b"].map(|name| Variant::new(name.to_owned())).into();
        name_files(&mut variants);
        let slugs: Vec<&str> = variants.iter().map(|variant| variant.slug.as_str()).collect();
        assert_eq!(slugs, ["a-b", "A-b-2", "a-b-3"]);
    }
}
