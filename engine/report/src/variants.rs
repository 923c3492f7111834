//! Entries gathered by variant: one row of every table. Owns names, families, file names and which variants are shown.

use std::collections::{BTreeMap, BTreeSet};

use measure::{Agreement, Benchmark, Figure, Metrics, Quality, Sizes};

use crate::ReportError;
use crate::input::{CalibrationSummary, Document, Entry, ModelSummary, ReportInput};
use crate::sensitivity::Sensitivity;
use crate::settings::{self, Setting};

/// All that is known about one variant.
#[derive(Debug, Clone)]
pub(crate) struct Variant<'a> {
    /// The variant's name; with the step's name behind it where two steps made the same kind of document about it.
    pub(crate) name: String,
    /// The name as people read it: `int8 k=4 n=20` for `int8-4-20`.
    pub(crate) title: String,
    /// What the title says before its axes: `int8`.
    pub(crate) base: String,
    /// The axes of the title with their values.
    pub(crate) place: Vec<(&'a str, &'a str)>,
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
            title: name.clone(),
            base: name.clone(),
            place: Vec::new(),
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

    /// Takes the values of axes out of the name, where they stand behind the step's name or in it: `int8-4-20` is `int8` at `k=4` and
    /// `n=20`.
    fn find_place(&mut self, axes: &[String]) {
        let is_axis = |name: &str| axes.iter().any(|axis| name.rsplit('.').next() == Some(axis.as_str()));
        let (own, apart) = match self.name.split_once(" (") {
            Some((own, step)) => (own, format!(" ({step}")),
            None => (self.name.as_str(), String::new()),
        };
        let mut base = own.to_owned();
        for &(axis, value) in self.coordinates.iter().rev().filter(|(name, _)| is_axis(name)) {
            let word = format!("-{value}");
            let whole = |at: usize| base[at + word.len()..].chars().next().is_none_or(|next| next == '-');
            let found = base
                .rmatch_indices(&word)
                .map(|(at, _)| at)
                .find(|&at| at > 0 && whole(at));
            if let Some(at) = found {
                base.replace_range(at..at + word.len(), "");
                self.place.push((axis, value));
            }
        }
        self.place.reverse();
        self.base = base + &apart;
        self.title = self.title_without(None);
    }

    /// The title without one of the axes.
    pub(crate) fn title_without(&self, left_out: Option<&str>) -> String {
        let axes = self.place.iter().filter(|(axis, _)| Some(*axis) != left_out);
        axes.fold(self.base.clone(), |title, (axis, value)| {
            format!("{title} {axis}={value}")
        })
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
    /// Variants that differ in nothing but a repeat, together.
    pub(crate) settings: Vec<Setting>,
    /// The axis whose values are repeats.
    pub(crate) repeat: Option<&'a str>,
    /// Whether there are too many to show each.
    pub(crate) sweep: bool,
    /// The variants that tables and pages show, in order.
    shown: Vec<usize>,
}

/// Beyond this many variants a report shows those that one may choose, and the rest in files.
const EACH: usize = 40;

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
        for variant in &mut all {
            variant.find_place(&input.recipe.axes);
        }
        keep_apart(&mut all);
        name_files(&mut all);
        let baseline = match &input.baseline {
            None => None,
            Some(name) => Some(all.iter().position(|variant| variant.name == *name).ok_or_else(|| {
                ReportError::UnknownBaseline {
                    baseline: name.clone(),
                    known: first_names(all.iter().map(|variant| variant.name.as_str())),
                }
            })?),
        };
        let repeat = input.repeat.as_deref();
        let settings = settings::gather(&all, repeat);
        let sweep = all.len() > EACH;
        let mut variants = Self {
            shown: (0..all.len()).collect(),
            all,
            baseline,
            settings,
            repeat,
            sweep,
        };
        if sweep {
            variants.shown = settings::worth_showing(&variants);
        }
        Ok(variants)
    }

    /// The variants that tables and pages show: all, or of a sweep the baseline, the frontier and the best.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Variant<'a>> {
        self.shown.iter().filter_map(|&index| self.all.get(index))
    }

    /// The place of the baseline among all.
    pub(crate) fn baseline_index(&self) -> Option<usize> {
        self.baseline
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
            .filter(|v| v.name == name || v.title == name || v.coordinate("model") == Some(name))
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

/// Gives variants whose titles are alike their names back.
fn keep_apart(variants: &mut [Variant<'_>]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for variant in variants.iter() {
        *seen.entry(variant.title.clone()).or_default() += 1;
    }
    for variant in variants.iter_mut().filter(|variant| seen[&variant.title] > 1) {
        variant.title.clone_from(&variant.name);
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

/// The first few of some names, and how many more there are.
pub(crate) fn first_names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const MOST: usize = 8;
    let names: Vec<&str> = names.collect();
    let listed = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => listed,
        more => format!("{listed}, {more} more"),
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
    fn titles_name_the_axes() {
        let axes = ["k", "n", "s", "seed"].map(str::to_owned);
        let title = |name: &str, coordinates: &[(&'static str, &'static str)]| {
            let mut variant = Variant::new(name.to_owned());
            variant.coordinates = coordinates.to_vec();
            variant.find_place(&axes);
            (variant.title.clone(), variant.title_without(Some("seed")))
        };
        let plain = |text: &str| (text.to_owned(), text.to_owned());
        assert_eq!(title("base", &[("model", "base")]), plain("base"));
        assert_eq!(
            title(
                "int8-4-1-20",
                &[("model", "int8"), ("k", "4"), ("seed", "1"), ("n", "20")]
            ),
            ("int8 k=4 seed=1 n=20".to_owned(), "int8 k=4 n=20".to_owned())
        );
        // A value in the step's name, a choice that is no axis, and a value that two axes share.
        assert_eq!(
            title("pruned-0.5-int8", &[("model", "pruned-s-int8"), ("s", "0.5")]),
            plain("pruned-int8 s=0.5")
        );
        assert_eq!(
            title(
                "small-pruned-4",
                &[("model", "small"), ("small.model", "pruned"), ("small.k", "4")]
            ),
            plain("small-pruned small.k=4")
        );
        assert_eq!(title("int8-4-4", &[("k", "4"), ("n", "4")]), plain("int8 k=4 n=4"));
        // What the model's name does not hold is no part of the title.
        assert_eq!(title("base", &[("k", "4")]), plain("base"));
    }

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
