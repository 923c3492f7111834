//! Expectations applied to instances: which they bind, and whether they were met.

use serde_json::Value;

use super::{Expectation, Relation};
use crate::{
    Coordinates, Instance, InstanceId, Recipe,
    diagnostic::{Complaints, Diagnostic},
    instance::word,
    suggest,
};

/// What is known of instances: where gates find their numbers.
pub trait Findings {
    /// The number at a path of what an instance found.
    fn number(&self, id: &InstanceId, path: &str) -> Option<f64>;

    /// The ends of the interval of how far a number of `here` lies below that of `there`, where both were judged on the same samples.
    fn drop_interval(&self, here: &InstanceId, there: &InstanceId, path: &str, confidence: f64) -> Option<[f64; 2]> {
        let _ = (here, there, path, confidence);
        None
    }
}

impl<F: Fn(&InstanceId, &str) -> Option<f64>> Findings for F {
    fn number(&self, id: &InstanceId, path: &str) -> Option<f64> {
        self(id, path)
    }
}

/// An expectation of one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate<'r> {
    /// What is expected.
    pub expectation: &'r Expectation,
    /// Of which instance.
    pub instance: InstanceId,
    /// The instance that it is compared with, for `drop-from`.
    pub baseline: Option<InstanceId>,
}

/// Whether a gate was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The value keeps all bounds.
    Met,
    /// The value breaks a bound.
    Missed,
    /// A value is not known: the step failed or did not run, or has no such metric.
    Unknown,
}

/// A gate with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict<'r> {
    /// The gate.
    pub gate: Gate<'r>,
    /// Whether it was met.
    pub outcome: Outcome,
    /// The judged value: the metric, its drop from the baseline, or the end of the drop's interval that keeps the first bound.
    pub value: Option<f64>,
    /// One sentence for people.
    pub words: String,
}

impl Recipe {
    /// Which instances the expectations bind.
    ///
    /// An expectation that binds nothing is an error, except where `--only` leaves its step out.
    pub fn gates(&self, instances: &[Instance]) -> Result<Vec<Gate<'_>>, Vec<Diagnostic>> {
        self.bound(&self.expect, instances)
    }

    /// Which instances the gates under `search: { where }` bind.
    pub fn limits(&self, instances: &[Instance]) -> Result<Vec<Gate<'_>>, Vec<Diagnostic>> {
        let limits = self.search.as_ref().map_or(&[][..], |search| &search.limits);
        self.bound(limits, instances)
    }

    fn bound<'r>(
        &self,
        expectations: &'r [Expectation],
        instances: &[Instance],
    ) -> Result<Vec<Gate<'r>>, Vec<Diagnostic>> {
        let mut complaints = Complaints::new(&self.source);
        let mut gates = Vec::new();
        for expectation in expectations {
            let of_step: Vec<_> = instances
                .iter()
                .filter(|instance| instance.step == expectation.step)
                .collect();
            if of_step.is_empty() && (!self.only.is_empty() || self.points.is_some()) {
                continue;
            }
            let matching = of_step.iter().filter(|instance| stands_at(instance, &expectation.at));
            let bound: Vec<_> = matching.collect();
            if bound.is_empty() {
                if self.only.is_empty() && self.points.is_none() {
                    complaints.push(nothing_there(&complaints, expectation, "at", &expectation.at, &of_step));
                }
                continue;
            }
            for instance in bound {
                match baseline(&complaints, expectation, instance, &of_step) {
                    Ok(baseline) => gates.push(Gate {
                        expectation,
                        instance: instance.id.clone(),
                        baseline,
                    }),
                    Err(_) if self.points.is_some() => {}
                    Err(complaint) => {
                        complaints.push(*complaint);
                        break;
                    }
                }
            }
        }
        if complaints.is_empty() {
            Ok(gates)
        } else {
            Err(complaints.in_order())
        }
    }

    /// Judges all gates by what instances found.
    pub fn verdicts(
        &self,
        instances: &[Instance],
        findings: impl Findings,
    ) -> Result<Vec<Verdict<'_>>, Vec<Diagnostic>> {
        Ok(self
            .gates(instances)?
            .into_iter()
            .map(|gate| gate.judge(&findings))
            .collect())
    }
}

impl<'r> Gate<'r> {
    /// Judges the gate by what instances found.
    pub fn judge(self, findings: &impl Findings) -> Verdict<'r> {
        let path = &self.expectation.path;
        let number = |id| findings.number(id, path).filter(|value| !value.is_nan());
        let unknown = |id: &InstanceId| format!("`{path}` of {id} is not known");
        let here = number(&self.instance);
        let there = self.baseline.as_ref().map(|id| (id, number(id)));
        let (range, words) = match (here, there) {
            (None, _) => (None, unknown(&self.instance)),
            (Some(_), Some((id, None))) => (None, unknown(id)),
            (Some(here), None) => (Some([here; 2]), format!("{path} of {} is {here}", self.instance)),
            (Some(here), Some((id, Some(there)))) => {
                let drop = difference(there, here);
                let words = format!(
                    "{path} of {} is {here}, a drop of {drop} from {there} of {id}",
                    self.instance
                );
                match self.expectation.confidence {
                    None => (Some([drop; 2]), words),
                    Some(confidence) => self.sure(findings, id, confidence, words),
                }
            }
        };
        let bounds = &self.expectation.bounds;
        let expected: Vec<_> = bounds
            .iter()
            .map(|(relation, bound)| format!("{} {bound}", relation.words()))
            .collect();
        // Of an interval the far end has to keep a bound: what is still possible, at worst.
        let worst = |relation: Relation, [low, high]: [f64; 2]| match relation {
            Relation::AtMost | Relation::Below | Relation::Exactly => high,
            Relation::AtLeast | Relation::Above => low,
        };
        let outcome = match range {
            None => Outcome::Unknown,
            Some(range) if bounds.iter().all(|(r, bound)| r.holds(worst(*r, range), *bound)) => Outcome::Met,
            Some(_) => Outcome::Missed,
        };
        let value = range
            .zip(bounds.first())
            .map(|(range, (relation, _))| worst(*relation, range));
        let words = format!("{words}; expected {}", expected.join(" and "));
        Verdict {
            gate: self,
            outcome,
            value,
            words,
        }
    }

    /// The interval of the drop from `baseline`, and the words about it.
    fn sure(
        &self,
        findings: &impl Findings,
        baseline: &InstanceId,
        confidence: f64,
        words: String,
    ) -> (Option<[f64; 2]>, String) {
        let found = findings.drop_interval(&self.instance, baseline, &self.expectation.path, confidence);
        let percent = (confidence * 1e4).round() / 100.0;
        let words = match found {
            Some([low, high]) => format!("{words}, with {percent} % confidence between {low:.5} and {high:.5}"),
            None => {
                format!("{words}, but the two were not judged on the same samples, so that the drop has no interval")
            }
        };
        (found, words)
    }
}

/// `a - b` to twelve digits of the larger one, so that 0.75 - 0.74 is 0.01 and keeps a bound of 0.01.
fn difference(a: f64, b: f64) -> f64 {
    let larger = a.abs().max(b.abs());
    if larger == 0.0 || !larger.is_finite() {
        return a - b;
    }
    let unit = 10_f64.powi(12 - larger.log10().floor() as i32);
    let rounded = ((a - b) * unit).round() / unit;
    if rounded.is_finite() { rounded } else { a - b }
}

fn stands_at(instance: &Instance, at: &Coordinates) -> bool {
    at.iter()
        .all(|(name, value)| instance.coordinates.get(name).is_some_and(|own| same(own, value)))
}

/// Numbers are compared by value: `1` is `1.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// The one instance to compare with: at the coordinates of `drop-from`, and otherwise where `instance` stands.
fn baseline(
    complaints: &Complaints,
    expectation: &Expectation,
    instance: &Instance,
    of_step: &[&Instance],
) -> Result<Option<InstanceId>, Box<Diagnostic>> {
    let Some(drop_from) = &expectation.drop_from else {
        return Ok(None);
    };
    let there: Vec<_> = of_step.iter().filter(|other| stands_at(other, drop_from)).collect();
    if there.is_empty() {
        let complaint = nothing_there(complaints, expectation, "drop-from", drop_from, of_step);
        return Err(Box::new(complaint));
    }
    let agrees = |other: &&&&Instance| {
        other.coordinates.iter().all(|(name, value)| {
            drop_from.contains_key(name) || instance.coordinates.get(name).is_none_or(|own| same(own, value))
        })
    };
    let found: Vec<_> = there.iter().filter(agrees).collect();
    let complaint = match &found[..] {
        [only] => return Ok(Some(only.id.clone())),
        [] => complaints
            .at(
                expectation.span,
                format!("expect: nothing at `drop-from` stands where {} stands", instance.id),
            )
            .help("name the coordinates that differ in `drop-from`"),
        several => {
            let names: Vec<_> = several.iter().take(3).map(|other| other.id.to_string()).collect();
            complaints
                .at(
                    expectation.span,
                    format!("expect: `drop-from` fits {} instances, not one", several.len()),
                )
                .label(format!("for {}", instance.id))
                .help(format!("add coordinates to tell them apart: {}", names.join(", ")))
        }
    };
    Err(Box::new(complaint))
}

/// The complaint that no instance stands at these coordinates, with the nearest mistake that explains it.
fn nothing_there(
    complaints: &Complaints,
    expectation: &Expectation,
    key: &str,
    at: &Coordinates,
    of_step: &[&Instance],
) -> Diagnostic {
    let step = &expectation.step;
    if of_step.is_empty() {
        return complaints
            .at(expectation.span, format!("expect: `{step}` has no instances"))
            .help("a `when` removed them all");
    }
    for (name, value) in at {
        let names = of_step.iter().flat_map(|instance| instance.coordinates.keys());
        if !names.clone().any(|known| known == name) {
            let mut names: Vec<_> = names.map(String::as_str).collect();
            names.sort_unstable();
            names.dedup();
            let help = if names.is_empty() {
                Some(format!("`{step}` has one instance and no coordinates"))
            } else {
                suggest::help(name, &format!("coordinates of `{step}`"), names)
            };
            return complaints
                .at(
                    expectation.span,
                    format!("expect.{key}: `{step}` has no coordinate `{name}`"),
                )
                .maybe_help(help);
        }
        let mut values: Vec<_> = of_step
            .iter()
            .filter_map(|instance| instance.coordinates.get(name))
            .map(word)
            .collect();
        values.dedup();
        if !of_step
            .iter()
            .any(|instance| instance.coordinates.get(name).is_some_and(|own| same(own, value)))
        {
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            // Numbers that look alike are not near each other.
            let near = value
                .as_str()
                .and_then(|value| suggest::nearest(value, values.iter().copied()));
            let help = match near {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None => suggest::one_of(&values).map(|list| format!("values of `{name}`: {list}")),
            };
            return complaints
                .at(
                    expectation.span,
                    format!("expect.{key}: `{step}` has nothing at {name}={}", word(value)),
                )
                .maybe_help(help);
        }
    }
    let near: Vec<_> = of_step.iter().take(3).map(|instance| instance.id.to_string()).collect();
    complaints
        .at(
            expectation.span,
            format!("expect.{key}: no instance of `{step}` stands at all of these coordinates"),
        )
        .help(format!("such as {}", near.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_do_not_break_a_bound_by_rounding() {
        assert_eq!(difference(0.75, 0.74), 0.01);
        assert_eq!(difference(0.3, 0.1), 0.2);
        assert_eq!(difference(60_000.0, 59_999.0), 1.0);
        assert_eq!(difference(1e-9, 9e-10), 1e-10);
        assert_eq!(difference(0.0, 0.0), 0.0);
        assert!(difference(1e300, -1e300).is_finite());
        assert!(difference(f64::MAX, f64::MIN).is_infinite());
        assert!(difference(5e-324, 0.0) >= 0.0);
        assert_eq!(difference(f64::INFINITY, 1.0), f64::INFINITY);
    }
}
