//! What every op is: a parameter struct, a revision and a pure function from inputs to an output.

use std::collections::BTreeMap;
use std::sync::Arc;

use data::Entry;
use ir::Op as Operator;
use models::timing::Instruments;
use recipe::{ArtifactKind, OpSpec};
use report::Document;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::StepError;
use crate::contract::{Arithmetic, Artifact, Decoded, Drawn, Facts, IntermediateResults, Outlook};

/// An op of the recipe language. The parameter struct is its only declaration.
pub trait Op {
    /// Parameters; fields of type `Port`, `Ports` and `SourceRef` are its inputs.
    type Params: Serialize + DeserializeOwned + JsonSchema;
    /// The key in the recipe.
    const NAME: &'static str;
    /// Raised whenever the same inputs and parameters would give another output; part of every key.
    const REVISION: u32;
    /// One sentence for the reference page.
    const SUMMARY: &'static str;
    /// What it makes.
    const PRODUCES: ArtifactKind;
    /// Of an op that makes what a parameter says: the parameter, and what is made for each of the keys under it.
    const MAKES: Option<(&'static str, &'static [(&'static str, ArtifactKind)])> = None;
    /// A step to paste into a recipe.
    const EXAMPLE: &'static str;
    /// The numbers in what it finds, as gates and searches ask for them; `*` stands for any text.
    const FIGURES: &'static [&'static str] = figures(Self::PRODUCES);
    /// Whether the op writes facts about the recipe itself (its digest, its parameters): they enter its key.
    const READS_RECIPE: bool = false;
    /// Whether the op trains: its result depends to the last bit on float kernels, and so its key on whether they fuse multiplication and addition.
    const LEARNS: bool = false;

    /// Ports whose models must compute with floats.
    const TAKES_FLOATS: &'static [&'static str] = &[];
    /// Ports whose models are given the samples at other ports: both, for each.
    const FEEDS: &'static [(&'static str, &'static str)] = &[];
    /// Whether the model at the port `model` is folded before anything else happens to it.
    const FOLDS: bool = false;

    /// How long the op takes, beside an `export`: a rough figure, by which the instances of a plan are spread evenly over machines. A result
    /// never depends on it.
    const EFFORT: u32 = if Self::LEARNS { 300 } else { 1 };

    /// Whether the result depends on the machine: never shared between hosts, run with the machine to itself.
    fn measures_machine(params: &Self::Params) -> bool {
        let _ = params;
        false
    }

    /// What the schema cannot say about the parameters; `ports` names the ports that are filled.
    ///
    /// # Errors
    /// What is wrong and what would be right, in words.
    fn check(params: &Self::Params, ports: &[&str]) -> Result<(), String> {
        let _ = (params, ports);
        Ok(())
    }

    /// The parameters that do nothing beside the others, by their paths (`prune.power`), with what they are for. Where one is written and does
    /// nothing in any instance of the step, the recipe is refused: nothing is ignored in silence. Seeds do no harm. `ports` names the ports and
    /// sources that are filled.
    fn idle(params: &Self::Params, ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        let _ = (params, ports);
        Vec::new()
    }

    /// What is known of the result before anything runs, from what is known of the inputs. A model passes on what is known of the
    /// one that it is made from.
    ///
    /// # Errors
    /// Why nothing can come of such inputs, in words that begin with the parameter or port.
    fn foresee(params: &Self::Params, inputs: &Outlook) -> Result<Facts, String> {
        let _ = params;
        demand_floats::<Self>(inputs)?;
        Ok(match Self::PRODUCES {
            // What has learned is stored in single precision.
            ArtifactKind::Model if Self::LEARNS => Facts {
                arithmetic: Some(Arithmetic::Float),
                ..passed::<Self>(inputs)
            },
            ArtifactKind::Model => passed::<Self>(inputs),
            _ => Facts::default(),
        })
    }

    /// Runs the op.
    fn run(params: &Self::Params, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError>;
}

/// Refuses models that do not compute with floats at the ports of [`Op::TAKES_FLOATS`].
///
/// # Errors
/// See [`Outlook::demand`].
pub fn demand_floats<O: Op + ?Sized>(inputs: &Outlook) -> Result<(), String> {
    O::TAKES_FLOATS.iter().try_for_each(|port| {
        inputs.demand(port, (O::NAME, "a float model"), |found| {
            matches!(found, Arithmetic::Float | Arithmetic::HalfWeights)
        })
    })
}

/// What is known of a model with the layers of the one at the port `model`.
pub fn passed<O: Op + ?Sized>(inputs: &Outlook) -> Facts {
    let facts = inputs.facts("model");
    Facts {
        folded: facts.folded || O::FOLDS,
        network: inputs.network("model", O::FOLDS),
        ..facts
    }
}

/// The samples that a result was made with: those of all models and ranges before it, and those that the op was given.
fn learned<O: Op>(inputs: &Outlook) -> Vec<Arc<Drawn>> {
    let mut all: Vec<Arc<Drawn>> = Vec::new();
    let mut add = |drawn: &Arc<Drawn>| {
        if !all.contains(drawn) {
            all.push(drawn.clone());
        }
    };
    for port in ["model", "ranges"] {
        inputs.facts(port).learned.iter().for_each(&mut add);
    }
    if O::FEEDS.contains(&("model", "data")) && matches!(O::PRODUCES, ArtifactKind::Model | ArtifactKind::Ranges) {
        inputs.facts("data").drawn.iter().for_each(&mut add);
    }
    all
}

/// What a step is given, by port.
#[derive(Default)]
pub struct Inputs {
    /// Artifacts by port; a gathering port has any number, each with its label.
    pub ports: BTreeMap<String, Vec<Labelled>>,
    /// Ingested source files by parameter name, as paths into the cache.
    pub sources: BTreeMap<String, SourceFiles>,
}

/// An artifact with the place that it came from.
#[derive(Clone)]
pub struct Labelled {
    /// The step that made it.
    pub step: String,
    /// The model that it is about, as reports name it: `int8-0.8`.
    pub variant: String,
    /// Where that instance stands: axis values and chosen steps, in order.
    pub coordinates: Vec<(String, String)>,
    /// What was made.
    pub artifact: Arc<Artifact>,
}

/// The content of a source.
#[derive(Debug, Clone)]
pub struct SourceFiles {
    /// Name in the recipe.
    pub name: String,
    /// The ingested copies of its files, in the order of the recipe. A folder is one archive, without a name of its own.
    pub files: Vec<Entry>,
}

impl Inputs {
    /// The artifact at a port that every recipe fills.
    pub fn one(&self, port: &'static str) -> Result<&Artifact, StepError> {
        self.optional(port).ok_or(StepError::Port(port))
    }

    /// The artifact at a port that may be empty.
    pub fn optional(&self, port: &str) -> Option<&Artifact> {
        Some(self.ports.get(port)?.first()?.artifact.as_ref())
    }

    /// All artifacts at a gathering port.
    pub fn all(&self, port: &str) -> &[Labelled] {
        self.ports.get(port).map_or(&[], Vec::as_slice)
    }

    /// The files of a source.
    pub fn source(&self, parameter: &'static str) -> Result<&SourceFiles, StepError> {
        self.sources.get(parameter).ok_or(StepError::Port(parameter))
    }
}

/// What surrounds a running step. It can be told things; nothing can be learned from it but whether to stop, and what the step would compute itself.
pub struct Context<'a> {
    /// The key of the step: what determines its result, and so what the result may tell. `None` for an op that runs by itself.
    pub key: Option<[u8; 32]>,
    /// Takes one line of news.
    pub log: &'a (dyn Fn(&str) + Sync),
    /// Takes progress: done, of how many.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    /// Whether the user has asked to stop.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Facts about the recipe, for reports.
    pub recipe: &'a report::RecipeFacts,
    /// Time, for ops that measure it.
    pub clock: &'a (dyn measure::Clock + Sync),
    /// Memory of this process, for ops that measure it.
    pub memory: &'a (dyn measure::MemoryGauge + Sync),
    /// The machine, for ops that measure it.
    pub machine: &'a measure::Machine,
    /// Intermediate results of this and other steps.
    pub intermediates: &'a dyn IntermediateResults,
    /// Whether programs that the recipe names may be run.
    pub programs: bool,
    /// Takes blobs of the output that would be too much to hold until the step ends.
    pub shelf: &'a dyn data::Shelf,
}

impl Context<'_> {
    /// One line of news.
    pub fn log(&self, line: &str) {
        (self.log)(line);
    }

    /// Progress: done, of how many.
    pub fn progress(&self, done: u64, total: u64) {
        (self.progress)(done, total);
    }

    /// Does some work and says how long it took. The time goes to the log alone, never into a result.
    pub fn timed<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        let start = self.clock.now();
        let done = work();
        self.log(&format!(
            "{what}: {:.2} s",
            self.clock.now().saturating_sub(start).as_secs_f64()
        ));
        done
    }

    /// What measures time and memory.
    pub fn instruments(&self) -> Instruments<'_> {
        Instruments {
            clock: self.clock,
            memory: self.memory,
            cancelled: self.cancelled,
        }
    }

    /// An error once the user has asked to stop.
    pub fn check_cancelled(&self) -> Result<(), StepError> {
        if (self.cancelled)() {
            Err(StepError::Cancelled)
        } else {
            Ok(())
        }
    }
}

/// What a step made.
pub struct Output {
    /// Its kind.
    pub kind: ArtifactKind,
    /// Named blobs, beside those that were put on the shelf.
    pub blobs: Vec<(String, Vec<u8>)>,
    /// The value that the blobs hold, to spare the next step the decoding.
    pub decoded: Option<Decoded>,
    /// What was found, for reports and expectations; stored as a blob too.
    pub document: Option<Document>,
}

impl Output {
    /// An output that is one document and nothing else.
    pub fn document(kind: ArtifactKind, document: Document) -> Self {
        Output {
            kind,
            blobs: Vec::new(),
            decoded: None,
            document: Some(document),
        }
    }
}

type Complete = fn(&Value, &[&str]) -> Result<Value, String>;
type MeasuresMachine = fn(Value) -> bool;
type Foresee = fn(&str, &Value, &Outlook) -> Result<Facts, String>;
type Idle = fn(&Value, &[&str]) -> Vec<(&'static str, &'static str)>;
type Run = fn(Value, &Inputs, &Context<'_>) -> Result<Output, StepError>;

/// An op with its types erased.
pub struct Registered {
    /// What recipes and editors need.
    pub spec: OpSpec,
    /// See [`Op::REVISION`].
    pub revision: u32,
    /// See [`Op::READS_RECIPE`].
    pub reads_recipe: bool,
    /// See [`Op::EFFORT`].
    pub effort: u32,
    learns: bool,
    complete: Complete,
    measures_machine: MeasuresMachine,
    foresee: Foresee,
    idle: Idle,
    run: Run,
}

impl Registered {
    /// The op `O` with its types erased.
    pub fn of<O: Op>() -> Self {
        let spec = OpSpec::of::<O::Params>(O::NAME, O::SUMMARY, O::PRODUCES)
            .with_example(O::EXAMPLE)
            .with_figures(O::FIGURES);
        let spec = match O::MAKES {
            Some((parameter, kinds)) => spec.with_kinds(parameter, kinds),
            None => spec,
        };
        Registered {
            spec,
            revision: O::REVISION,
            reads_recipe: O::READS_RECIPE,
            effort: O::EFFORT,
            learns: O::LEARNS,
            complete: |params, ports| {
                let params: O::Params = serde_json::from_value(params.clone()).map_err(|e| e.to_string())?;
                O::check(&params, ports)?;
                serde_json::to_value(&params).map_err(|e| e.to_string())
            },
            measures_machine: |params| serde_json::from_value(params).is_ok_and(|params| O::measures_machine(&params)),
            foresee: |step, params, inputs| {
                let params: O::Params = serde_json::from_value(params.clone()).map_err(|e| e.to_string())?;
                let mut facts = O::foresee(&params, inputs)?;
                for (model, data) in O::FEEDS {
                    inputs.demand_fit(model, data)?;
                }
                facts.learned = learned::<O>(inputs);
                if let Some(drawn) = facts.drawn.as_mut().and_then(Arc::get_mut) {
                    step.clone_into(&mut drawn.step);
                }
                Ok(facts)
            },
            idle: |params, ports| {
                let complete = serde_json::from_value::<O::Params>(params.clone());
                let idle = complete.map_or_else(|_| Vec::new(), |complete| O::idle(&complete, ports));
                let written = |path: &str| path.split('.').try_fold(params, |at, key| at.get(key)).is_some();
                idle.into_iter()
                    .filter(|(path, _)| ports.contains(path) || written(path))
                    .collect()
            },
            run: |params, inputs, context| {
                let params = serde_json::from_value(params).map_err(|e| StepError::Encode(e.to_string()))?;
                O::run(&params, inputs, context)
            },
        }
    }

    /// The parameters with their defaults, without ports: the part of a key called parameters.
    pub fn complete(&self, params: &Value, ports: &[&str]) -> Result<Value, String> {
        if let Some((key, pattern, name)) = unknown_operator(params) {
            let near = recipe::suggest::nearest(name, Operator::NAMES.iter().copied());
            let advice = near.map_or_else(
                || format!("there are {}", Operator::NAMES.join(", ")),
                |near| format!("did you mean `op:{near}`?"),
            );
            return Err(format!("{key}: `{pattern}` names no operator; {advice}"));
        }
        let mut complete = (self.complete)(params, ports)?;
        self.spec.strip(&mut complete);
        Ok(complete)
    }

    /// See [`Op::LEARNS`].
    pub fn learns(&self) -> bool {
        self.learns
    }

    /// See [`Op::measures_machine`]; `params` are complete.
    pub fn measures_machine(&self, params: &Value) -> bool {
        (self.measures_machine)(params.clone())
    }

    /// See [`Op::foresee`]; `step` is the name of the step.
    ///
    /// # Errors
    /// Why nothing can come of such inputs.
    pub fn foresee(&self, step: &str, params: &Value, inputs: &Outlook) -> Result<Facts, String> {
        (self.foresee)(step, params, inputs)
    }

    /// See [`Op::idle`]: those that are written in `params`.
    pub fn idle(&self, params: &Value, ports: &[&str]) -> Vec<(&'static str, &'static str)> {
        (self.idle)(params, ports)
    }

    /// What of the processor enters the key, by name: that it does not fuse multiplication and addition, for ops that train. Nothing elsewhere: all
    /// instruction sets that fuse give the same bits.
    pub fn processor(&self) -> Option<(&'static str, &'static str)> {
        let apart = !kernels::fast::Isa::detect().fuses();
        (self.learns && apart).then_some(("MULTIPLY_ADD", "apart"))
    }

    /// Runs the op.
    pub fn run(&self, params: Value, inputs: &Inputs, context: &Context<'_>) -> Result<Output, StepError> {
        (self.run)(params, inputs, context)
    }
}

/// A pattern over layers that no operator can match, with the parameter that it stands under.
fn unknown_operator(params: &Value) -> Option<(&str, &str, &str)> {
    fn below(params: &Value) -> Option<(&str, &str)> {
        match params {
            Value::String(pattern) => {
                let name = pattern.strip_prefix("op:")?;
                let known = Operator::NAMES
                    .iter()
                    .any(|operator| methods::patterns::glob(name, operator));
                (!known).then_some((pattern.as_str(), name))
            }
            Value::Array(items) => items.iter().find_map(below),
            Value::Object(fields) => fields.values().find_map(below),
            _ => None,
        }
    }
    let mut fields = params.as_object()?.iter();
    fields.find_map(|(key, value)| below(value).map(|(pattern, name)| (key.as_str(), pattern, name)))
}

/// The numbers in what a step finds about what it makes.
const fn figures(kind: ArtifactKind) -> &'static [&'static str] {
    match kind {
        ArtifactKind::Model => report::ModelSummary::FIGURES,
        ArtifactKind::Ranges => report::CalibrationSummary::FIGURES,
        ArtifactKind::Metrics => &METRICS,
        ArtifactKind::Benchmark => measure::Benchmark::FIGURES,
        ArtifactKind::Sizes | ArtifactKind::File => measure::Sizes::FIGURES,
        ArtifactKind::Agreement => measure::Agreement::FIGURES,
        ArtifactKind::Sensitivity => report::Sensitivity::FIGURES,
        ArtifactKind::Dataset | ArtifactKind::Report => &[],
    }
}

/// The numbers of classification and of the other tasks.
const METRICS: [&str; measure::Metrics::FIGURES.len() + measure::Quality::FIGURES.len()] = {
    let (of_decisions, others) = (measure::Metrics::FIGURES, measure::Quality::FIGURES);
    let mut names = [""; measure::Metrics::FIGURES.len() + measure::Quality::FIGURES.len()];
    let mut at = 0;
    while at < names.len() {
        let behind = at >= of_decisions.len();
        names[at] = if behind {
            others[at - of_decisions.len()]
        } else {
            of_decisions[at]
        };
        at += 1;
    }
    names
};
