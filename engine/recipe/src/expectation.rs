//! Gates: what a recipe expects of the metrics it produces.
//!
//! ```yaml
//! expect:
//!   - { metric: quality.accuracy, at: { model: int8, fraction: 0.8 }, drop-from: { model: base }, le: 0.01 }
//! ```
//!
//! The gate holds for every instance of the step that stands `at` these coordinates. With `drop-from` the judged value is
//! the metric at those other coordinates minus the metric here. With `confidence` it is the far end of the interval of that drop:
//!
//! ```yaml
//!   - { metric: quality.accuracy, at: { model: int8 }, drop-from: { model: base }, le: 0.01, confidence: 0.95 }
//! ```

mod gate;

use serde_json::Value;

use crate::{
    Coordinates, Span,
    bindings::Bindings,
    check::Checker,
    diagnostic::{Complaints, Place},
    fields::{self, Fields},
    metric::{self, Steps},
    yaml::{Node, Yaml},
};

pub use gate::{Findings, Gate, Outcome, Verdict};

/// How a value is compared with its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `le`: at most.
    AtMost,
    /// `ge`: at least.
    AtLeast,
    /// `lt`: less than.
    Below,
    /// `gt`: more than.
    Above,
    /// `eq`: exactly.
    Exactly,
}

/// An entry of `expect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The metric as written: `quality.accuracy`.
    pub metric: String,
    /// The step whose metric it is: `quality`.
    pub step: String,
    /// The metric's path in what the step makes: `accuracy`, or `per-class.dog.f1`.
    pub path: String,
    /// The coordinates that instances must have; others are free.
    pub at: Coordinates,
    /// The coordinates of the instance to compare with.
    pub drop_from: Option<Coordinates>,
    /// The confidence of the drop's interval, whose far end keeps the bounds in place of the drop itself: 0.95.
    pub confidence: Option<f64>,
    /// The bounds, at least one.
    pub bounds: Vec<(Relation, f64)>,
    /// The entry in the recipe's text.
    pub span: Span,
}

/// The keys of an expectation.
pub(crate) const KEYS: [&str; 9] = ["metric", "at", "drop-from", "le", "ge", "lt", "gt", "eq", "confidence"];

impl Relation {
    /// All relations.
    pub const ALL: [Self; 5] = [Self::AtMost, Self::AtLeast, Self::Below, Self::Above, Self::Exactly];

    /// The key in the recipe.
    pub const fn key(self) -> &'static str {
        match self {
            Self::AtMost => "le",
            Self::AtLeast => "ge",
            Self::Below => "lt",
            Self::Above => "gt",
            Self::Exactly => "eq",
        }
    }

    /// In a sentence: "at most", "below".
    pub const fn words(self) -> &'static str {
        match self {
            Self::AtMost => "at most",
            Self::AtLeast => "at least",
            Self::Below => "below",
            Self::Above => "above",
            Self::Exactly => "exactly",
        }
    }

    /// Whether `value` keeps the bound.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::AtMost => value <= bound,
            Self::AtLeast => value >= bound,
            Self::Below => value < bound,
            Self::Above => value > bound,
            Self::Exactly => value == bound,
        }
    }
}

/// Figures that are shares of a whole.
const SHARES: [&str; 10] = [
    "accuracy",
    "top5",
    "precision",
    "sensitivity",
    "specificity",
    "f1",
    "g-mean",
    "top1-agreement",
    "top5-agreement",
    "equal",
];

/// The number whose drop has an interval.
const PAIRED: &str = "accuracy";

impl Expectation {
    /// Reads an entry of `expect`.
    pub(crate) fn of(complaints: &mut Complaints, bindings: &Bindings, steps: &Steps<'_>, node: &Node) -> Option<Self> {
        let fields = Fields::of(complaints, "expect", node, &KEYS)?;
        let metric = fields
            .get("metric")
            .and_then(|node| metric::read(complaints, "expect.metric", steps, node));
        if !fields.means("metric") {
            complaints.push(
                complaints
                    .at(node.place.clone(), "expect: `metric` is missing")
                    .help("`metric` is a step and a number that it finds: `quality.accuracy`"),
            );
        }
        let at = fields
            .get("at")
            .map(|node| coordinates(complaints, bindings, "expect.at", node));
        let drop_from = fields
            .get("drop-from")
            .map(|node| coordinates(complaints, bindings, "expect.drop-from", node));
        let mut bounds = Vec::new();
        for relation in Relation::ALL {
            if let Some(node) = fields.get(relation.key()) {
                bounds.push((
                    relation,
                    number(complaints, bindings, &format!("expect.{}", relation.key()), node),
                ));
            }
        }
        if let Some((_, path)) = &metric
            && SHARES.contains(&path.as_str())
        {
            for relation in Relation::ALL {
                // A drop may be negative: a gain.
                let least = if drop_from.is_some() { -1.0 } else { 0.0 };
                let beyond = bounds
                    .iter()
                    .any(|(r, bound)| *r == relation && bound.is_some_and(|b| !(least..=1.0).contains(&b)));
                if let Some(node) = fields.get(relation.key()).filter(|_| beyond) {
                    let problem = format!("expect.{}: {path} is a share between 0 and 1", relation.key());
                    complaints.push(complaints.at(node.place.clone(), problem).help("write 0.9 for 90 %"));
                }
            }
        }
        let confidence = fields.get("confidence").map(|node| {
            let found = number(complaints, bindings, "expect.confidence", node)?;
            let known = metric.as_ref().map(|(_, path)| path.as_str());
            let exact = bounds.iter().any(|(relation, _)| *relation == Relation::Exactly);
            let (problem, help) = if !(found > 0.0 && found < 1.0) {
                (format!("{found} is not between 0 and 1"), "write 0.95 for 95 %")
            } else if drop_from.is_none() {
                let help = "add `drop-from`; `accuracy-low` is the lower end of an accuracy's own interval";
                ("there is no drop to be sure of".to_owned(), help)
            } else if exact {
                let help = "write `le` or `ge`, which the far end of the interval keeps";
                ("an interval is not exactly a number".to_owned(), help)
            } else if known.is_some_and(|path| path != PAIRED) {
                let help = "which samples were decided rightly is known of `accuracy` alone";
                ("this number has no interval of its drop".to_owned(), help)
            } else {
                return Some(found);
            };
            let problem = format!("expect.confidence: {problem}");
            complaints.push(complaints.at(node.place.clone(), problem).help(help));
            None
        });
        let of = |relations: [Relation; 2]| {
            let bounds = bounds.iter().filter(move |(relation, _)| relations.contains(relation));
            bounds.filter_map(|(_, bound)| *bound)
        };
        let least = of([Relation::AtLeast, Relation::Above]).reduce(f64::max);
        let most = of([Relation::AtMost, Relation::Below]).reduce(f64::min);
        if let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            let problem = format!("expect: no number is at least {least} and at most {most}");
            let help = "turn the bounds around, or keep one";
            complaints.push(complaints.at(node.place.clone(), problem).help(help));
        }
        if bounds.is_empty() {
            complaints.push(
                complaints
                    .at(node.place.clone(), "expect: a bound is missing")
                    .help("add `le`, `ge`, `lt`, `gt` or `eq` with a number"),
            );
        }
        let span = match &node.place {
            Place::Recipe(span) => *span,
            Place::Option(_) => Span::default(),
        };
        let (step, path) = metric?;
        Some(Self {
            metric: format!("{step}.{path}"),
            step,
            path,
            at: at.unwrap_or_else(|| Some(Coordinates::new()))?,
            drop_from: match drop_from {
                Some(coordinates) => Some(coordinates?),
                None => None,
            },
            confidence: match confidence {
                Some(confidence) => Some(confidence?),
                None => None,
            },
            bounds: bounds
                .into_iter()
                .map(|(relation, bound)| Some((relation, bound?)))
                .collect::<Option<_>>()?,
            span,
        })
    }
}

fn coordinates(complaints: &mut Complaints, bindings: &Bindings, path: &str, node: &Node) -> Option<Coordinates> {
    let Yaml::Map(entries) = &node.value else {
        fields::mismatch(
            complaints,
            path,
            node,
            "a mapping of coordinates, such as `{ model: int8, fraction: 0.8 }`",
        );
        return None;
    };
    let mut coordinates = Coordinates::new();
    for (key, node) in entries {
        let value = param(complaints, bindings, node)?;
        if matches!(value, Value::Null | Value::Object(_)) {
            fields::mismatch(
                complaints,
                &format!("{path}.{}", key.name),
                node,
                "the value of a coordinate",
            );
            return None;
        }
        coordinates.insert(key.name.clone(), value);
    }
    Some(coordinates)
}

fn number(complaints: &mut Complaints, bindings: &Bindings, path: &str, node: &Node) -> Option<f64> {
    let number = param(complaints, bindings, node)?.as_f64();
    if number.is_none() {
        fields::mismatch(complaints, path, node, "a number");
    }
    number
}

/// The value of a node, which may be a param but no axis.
fn param(complaints: &mut Complaints, bindings: &Bindings, node: &Node) -> Option<Value> {
    let Some(name) = node.reference() else {
        return Some(node.plain());
    };
    let complaint = match bindings.param(name) {
        Some(param) => return Some(param.plain()),
        None if bindings.is_axis(name) => complaints
            .at(
                node.place.clone(),
                format!("expect: `${name}` is an axis, which has several values"),
            )
            .help("write one of its values, or leave the coordinate out to expect it of all"),
        None => Checker { bindings, complaints }.unknown_reference(name, &node.place),
    };
    complaints.push(complaint);
    None
}
