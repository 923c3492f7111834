//! Questions about variants that no report can hold, found before anything runs.

use std::collections::BTreeMap;

use super::trend::CALIBRATION_SAMPLES;
use super::{BestUnder, Question};
use crate::variants::first_names;

/// A finding that a report is going to show.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// See [`Entry::variant`](crate::Entry::variant).
    pub variant: &'a str,
    /// See [`Entry::coordinates`](crate::Entry::coordinates).
    pub coordinates: &'a [(String, String)],
    /// What it tells.
    pub tells: Tells,
}

/// What a finding tells of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// How well it decides.
    Quality,
    /// The size of its file.
    Size,
    /// Its sizes, packed and not: what a `compress` step finds.
    Packing,
    /// How long it takes.
    Time,
    /// Something else.
    Other,
}

/// Checks that a baseline, the axis of repeats and the names in questions are among the variants that are going to be there.
///
/// # Errors
/// The parameter, the name, and names that would do.
pub fn check_questions(
    baseline: Option<&str>,
    repeat: Option<&str>,
    questions: &[Question],
    expected: &[Expected<'_>],
) -> Result<(), String> {
    let mut variants: BTreeMap<&str, Vec<&(String, String)>> = BTreeMap::new();
    for finding in expected {
        variants.entry(finding.variant).or_default().extend(finding.coordinates);
    }
    let known = Known { variants };
    if let Some(name) = baseline.filter(|name| !known.is_variant(name)) {
        return Err(format!(
            "baseline: no compared variant is named `{name}`; there are {}",
            known.listed()
        ));
    }
    if let Some(axis) = repeat.filter(|axis| !known.has_axis("*", axis)) {
        return Err(format!(
            "repeat: no compared variant has an axis `{axis}`; {}",
            match known.axes().as_slice() {
                [] => "there are no axes".to_owned(),
                axes => format!("there are {}", axes.join(", ")),
            }
        ));
    }
    for question in questions {
        match question {
            Question::Against { variant, against } => {
                known.family("against: variant", variant)?;
                known.family("against", against)?;
            }
            Question::Best { of, against } => {
                known.family("best: of", of)?;
                known.family("best: against", against)?;
            }
            Question::Trend { of, over } => {
                known.family("trend: of", of)?;
                if over != CALIBRATION_SAMPLES && !known.has_axis(of, over) {
                    return Err(format!(
                        "questions: trend: `{of}` has no axis `{over}`, so there is nothing to follow"
                    ));
                }
            }
            Question::BestUnder(BestUnder {
                of,
                bytes,
                zip_bytes,
                ms,
                points,
            }) => {
                known.family("best-under: of", of)?;
                if bytes.is_none() && zip_bytes.is_none() && ms.is_none() && points.is_none() {
                    return Err(
                        "questions: best-under: a limit is missing: add `bytes`, `zip-bytes`, `ms` or `points`".into(),
                    );
                }
                if points.is_some() && baseline.is_none() {
                    return Err(
                        "questions: best-under: `points` are counted from a baseline: name one as `baseline`".into(),
                    );
                }
                let told = |wanted: &[Tells]| expected.iter().any(|finding| wanted.contains(&finding.tells));
                let sizes = [Tells::Size, Tells::Packing];
                for (asked, wanted, step) in [
                    (true, &[Tells::Quality][..], "how good a variant is: name an evaluate"),
                    (bytes.is_some(), &sizes, "sizes: name an export or compress"),
                    (zip_bytes.is_some(), &sizes, "sizes: name an export or compress"),
                    (ms.is_some(), &[Tells::Time], "times: name a benchmark"),
                ] {
                    if asked && !told(wanted) {
                        return Err(format!("questions: best-under: needs {step} step under `compare`"));
                    }
                }
            }
            Question::Epochs { of, against } => {
                known.family("epochs: of", of)?;
                known.family("epochs: against", against)?;
            }
            Question::Deflation if !expected.iter().any(|finding| finding.tells == Tells::Packing) => {
                return Err("questions: deflation needs what a compress step finds: name one under `compare`".into());
            }
            Question::Deflation | Question::Sizes | Question::Dominance => {}
        }
    }
    Ok(())
}

struct Known<'a> {
    variants: BTreeMap<&'a str, Vec<&'a (String, String)>>,
}

impl<'a> Known<'a> {
    fn is_variant(&self, name: &str) -> bool {
        // Two findings of a kind about one variant stand apart, as `variant (step)`.
        let plain = name.split_once(" (").map_or(name, |(variant, _)| variant);
        self.variants.contains_key(plain)
    }

    fn members(&self, name: &str) -> impl Iterator<Item = &Vec<&'a (String, String)>> {
        let members = self.variants.iter().filter(move |(variant, coordinates)| {
            let chosen = coordinates.iter().any(|(axis, value)| axis == "model" && value == name);
            let begins = variant.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
            name == "*" || **variant == name || chosen || begins
        });
        members.map(|(_, coordinates)| coordinates)
    }

    fn family(&self, place: &str, name: &str) -> Result<(), String> {
        if self.is_variant(name) || self.members(name).next().is_some() {
            return Ok(());
        }
        Err(format!(
            "questions: {place}: no compared variant is named `{name}`, and none begins so; there are {}",
            self.listed()
        ))
    }

    fn has_axis(&self, name: &str, axis: &str) -> bool {
        self.members(name)
            .any(|coordinates| coordinates.iter().any(|(known, _)| known == axis))
    }

    /// The names of all coordinates.
    fn axes(&self) -> Vec<&str> {
        let mut axes: Vec<&str> = self
            .variants
            .values()
            .flatten()
            .map(|(axis, _)| axis.as_str())
            .collect();
        axes.sort_unstable();
        axes.dedup();
        axes
    }

    /// The first few names.
    fn listed(&self) -> String {
        first_names(self.variants.keys().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_report_can_hold_are_found() {
        let at = |value: &str| vec![("s".to_owned(), value.to_owned())];
        let (half, most) = (at("0.5"), at("0.9"));
        let finding = |variant, coordinates| Expected {
            variant,
            coordinates,
            tells: Tells::Quality,
        };
        let expected = [
            finding("base", &[]),
            finding("pruned-0.5", &half),
            finding("pruned-0.9", &most),
        ];
        let check =
            |baseline, question: &Question| check_questions(baseline, None, std::slice::from_ref(question), &expected);
        let trend = |of: &str| Question::Trend {
            of: of.into(),
            over: "s".into(),
        };
        assert_eq!(check(Some("base"), &trend("pruned")), Ok(()));
        assert_eq!(check(Some("base"), &trend("*")), Ok(()));
        insta::assert_snapshot!(check(Some("int8"), &trend("*")).unwrap_err(), @"baseline: no compared variant is named `int8`; there are base, pruned-0.5, pruned-0.9");
        insta::assert_snapshot!(check(None, &trend("base")).unwrap_err(), @"questions: trend: `base` has no axis `s`, so there is nothing to follow");
        insta::assert_snapshot!(check(None, &trend("clustered")).unwrap_err(), @"questions: trend: of: no compared variant is named `clustered`, and none begins so; there are base, pruned-0.5, pruned-0.9");
        let under = |points| BestUnder {
            of: "*".into(),
            bytes: None,
            zip_bytes: None,
            ms: None,
            points,
        };
        insta::assert_snapshot!(check(None, &Question::BestUnder(under(None))).unwrap_err(), @"questions: best-under: a limit is missing: add `bytes`, `zip-bytes`, `ms` or `points`");
        insta::assert_snapshot!(check(None, &Question::BestUnder(under(Some(1.0)))).unwrap_err(), @"questions: best-under: `points` are counted from a baseline: name one as `baseline`");
        assert_eq!(check_questions(None, Some("s"), &[], &expected), Ok(()));
        insta::assert_snapshot!(check_questions(None, Some("seed"), &[], &expected).unwrap_err(), @"repeat: no compared variant has an axis `seed`; there are s");
        insta::assert_snapshot!(check(None, &Question::Deflation).unwrap_err(), @"questions: deflation needs what a compress step finds: name one under `compare`");
    }
}
