//! TensorFlow Lite Micro: what a `.tflite` file asks of a microcontroller that runs it.
//!
//! An account of a file says how large its arena is, which operators the resolver has to add, and which the runtime lacks; C sources
//! say the same to a compiler, with the scales, shapes and labels that an application needs, and inputs with their exact outputs to
//! test with. The integers of those outputs are those of the reference kernels, which this program computes bit for bit.

mod arena;
mod operators;
mod sources;

use formats::tflite::{Outline, OutlineOperator, OutlineTensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ModelError;

pub use arena::{Arena, Buffer};
pub use operators::{Lack, Used};
pub use sources::{Vector, VectorValues, sources};

/// Runtimes of small devices that a file can be written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// TensorFlow Lite Micro with its reference kernels.
    Tflm,
}

/// What a file asks of the runtime.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Account {
    /// The activations, as the runtime's planner lays them out.
    pub arena: Arena,
    /// The operators, each once.
    pub operators: Vec<Used>,
    /// The operators that the runtime would refuse; a file with any does not run.
    pub lacking: Vec<Lack>,
    /// What the application fills.
    pub inputs: Vec<Border>,
    /// What it reads.
    pub outputs: Vec<Border>,
}

/// A tensor at the border of the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Border {
    /// Its name in the file.
    pub name: String,
    /// Its element type: `i8`.
    pub element: String,
    /// Its shape; the first side counts samples.
    pub shape: Vec<usize>,
    /// A stored integer q means `scale · (q − zero point)`; `None` for real numbers.
    pub scale: Option<f32>,
    /// The zero point.
    pub zero_point: Option<i64>,
}

impl Border {
    fn of(tensor: &OutlineTensor) -> Self {
        let quantized = tensor.scales.len() == 1 && tensor.element.is_none_or(|element| !element.is_float());
        Self {
            name: tensor.name.clone(),
            element: tensor.type_name.clone(),
            shape: tensor.shape.clone(),
            scale: tensor.scales.first().copied().filter(|_| quantized),
            zero_point: tensor.zero_points.first().copied().filter(|_| quantized),
        }
    }
}

/// The account of a `.tflite` file.
///
/// # Errors
/// A file that cannot be read, or that has several subgraphs.
pub fn account(tflite: &[u8]) -> Result<Account, ModelError> {
    let outline: Outline = formats::tflite::outline(tflite)?;
    let (operators, lacking) = operators::survey(&outline);
    let border = |list: &[usize]| list.iter().map(|&i| Border::of(&outline.tensors[i])).collect();
    Ok(Account {
        arena: arena::plan(&outline),
        operators,
        lacking,
        inputs: border(&outline.inputs),
        outputs: border(&outline.outputs),
    })
}

/// The tensor at a place among an operator's inputs.
fn input<'o>(operator: &OutlineOperator, outline: &'o Outline, place: usize) -> Option<&'o OutlineTensor> {
    operator
        .inputs
        .get(place)
        .copied()
        .flatten()
        .map(|index| &outline.tensors[index])
}

impl Account {
    /// Refuses what the runtime would refuse.
    ///
    /// # Errors
    /// The first operator that is lacking, with its layer, why, and what helps; and how many more there are.
    pub fn demand_runnable(&self) -> Result<(), ModelError> {
        let Some(Lack { name, output, why, fix }) = self.lacking.first() else {
            return Ok(());
        };
        let more = match self.lacking.len() - 1 {
            0 => String::new(),
            more => format!("; {more} more operators are refused, `pipeline inspect --target tflm` names them"),
        };
        Err(ModelError::Refused(format!(
            "target: TensorFlow Lite Micro would not run {name} that makes `{output}`: {why}; {fix}{more}"
        )))
    }

    /// The C++ that adds the operators to a resolver.
    pub fn resolver(&self) -> String {
        let count = self.operators.len();
        let adds: Vec<String> = self
            .operators
            .iter()
            .map(|used| format!("    TF_LITE_ENSURE_STATUS(resolver.{}());\n", used.method))
            .collect();
        format!(
            "inline TfLiteStatus AddOperators(tflite::MicroMutableOpResolver<{count}>& resolver) {{\n{}    return kTfLiteOk;\n}}\n",
            adds.concat()
        )
    }
}

#[cfg(test)]
mod tests {
    use ir::{Constant, ElementType, Graph, Op, TensorType, ops};

    use super::*;
    use crate::write::tflite;

    /// Two dense layers of floats.
    fn dense() -> Graph {
        let mut graph = Graph::new("dense");
        let x = graph.input("x", TensorType::new(ElementType::F32, [1, 40]));
        let w = graph.constant("w", Constant::f32([30, 40], vec![0.5; 1200]).unwrap());
        let v = graph.constant("v", Constant::f32([3, 30], vec![0.5; 90]).unwrap());
        let layer = || Op::FullyConnected(ops::FullyConnected::default());
        let h = graph.add("h", layer(), &[x, w]).unwrap();
        let y = graph.add("y", layer(), &[h, v]).unwrap();
        graph.set_outputs(&[y]);
        graph
    }

    #[test]
    fn activations_that_live_together_lie_side_by_side() {
        let account = account(&tflite(&dense(), false).unwrap()).unwrap();
        // 160 bytes of the input beside 120 of the hidden layer, rounded up to 128; the output fits where the input was.
        assert_eq!(account.arena.bytes, 160 + 128);
        assert!(account.lacking.is_empty());
        insta::assert_snapshot!(account.resolver(), @"
        inline TfLiteStatus AddOperators(tflite::MicroMutableOpResolver<1>& resolver) {
            TF_LITE_ENSURE_STATUS(resolver.AddFullyConnected());
            return kTfLiteOk;
        }
        ");
    }

    #[test]
    fn weights_in_integers_below_floats_are_refused() {
        use methods::quantize::{Plan, Scheme, Settings, quantize};
        let settings = Settings {
            min_elements: 1,
            ..Settings::of(Scheme::DynamicInt8)
        };
        let (graph, _) = quantize(&dense(), None, &settings, &Plan::default()).unwrap();
        let account = account(&tflite(&graph, false).unwrap()).unwrap();
        assert_eq!(account.lacking.len(), 2);
        insta::assert_snapshot!(account.demand_runnable().unwrap_err(), @"target: TensorFlow Lite Micro would not run FULLY_CONNECTED that makes `h`: its activations are f32 and its weights i8: hybrid models are not supported on TensorFlow Lite Micro; quantize with scheme: int8, or leave the model in floats; 1 more operators are refused, `pipeline inspect --target tflm` names them");
    }
}
