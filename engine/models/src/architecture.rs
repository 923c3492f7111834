//! Networks from an architecture file and the weights of a state dict: what `import` and the verbs on single models share.

use ::architecture::{Architecture, ArchitectureError, Built, File, Options, Rename, renamed};
use data::Entry;
use formats::torch::{self, Dtype, StateDict, StateTensor};
use indexmap::IndexMap;
use ir::{Constant, ElementType, Graph, TensorType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ModelError;

/// A rule for the names of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RenameRule {
    /// A regular expression; every match in a name is replaced.
    pub from: String,
    /// By this, where `$1` is what the first group matched.
    pub to: String,
}

/// Finds what is wrong with a rule by itself.
///
/// # Errors
/// `from` is no regular expression.
pub fn check_rule(rule: &RenameRule) -> Result<(), String> {
    Rename::new(&rule.from, &rule.to).map(drop).map_err(|e| e.to_string())
}

/// How the names of a weights file become those of the architecture.
#[derive(Debug, Clone, Default)]
pub struct Naming<'a> {
    /// The entry of a checkpoint that holds the state dict; the usual names are tried without.
    pub key: Option<&'a str>,
    /// Only names that start so count, without it.
    pub prefix: &'a str,
    /// Applied in turn.
    pub rename: &'a [RenameRule],
}

/// Reads an architecture file, with those of further modules after it.
pub fn parse(files: &[Entry]) -> Result<Architecture, ModelError> {
    let mut read = files.iter().map(|file| {
        let bytes = std::fs::read(&file.path).map_err(|e| ModelError::File {
            path: file.place.clone(),
            problem: e.to_string(),
        })?;
        Ok(File {
            name: file.place.clone(),
            bytes,
        })
    });
    let first = read
        .next()
        .ok_or_else(|| ModelError::Refused("port `architecture` is empty".into()))??;
    let modules = read.collect::<Result<Vec<_>, ModelError>>()?;
    Architecture::parse(&first, &modules).map_err(|wrong| ArchitectureError::Invalid(wrong).into())
}

/// Builds the network; without weights its values are zeros.
pub fn build(
    architecture: &Architecture,
    params: &IndexMap<String, Value>,
    input: Option<Vec<usize>>,
    weights: Option<&IndexMap<String, Constant>>,
    allow_non_finite: bool,
) -> Result<Built, ModelError> {
    let options = Options {
        params: params.clone(),
        input,
        weights,
        allow_non_finite,
    };
    Ok(architecture.build(&options)?)
}

/// The weights of a `.pth`, `.pt` or `.safetensors` file under the architecture's names, floats as 32-bit ones; and what there is
/// to say of the file: what else it names, which was not called, and what else it holds, which was not taken.
pub fn weights(
    bytes: &[u8],
    label: &str,
    naming: &Naming<'_>,
) -> Result<(IndexMap<String, Constant>, Vec<String>), ModelError> {
    let in_file = |problem: String| ModelError::File {
        path: label.to_owned(),
        problem,
    };
    let StateDict {
        tensors,
        inert,
        taken,
        others,
    } = torch::read(bytes, naming.key).map_err(|e| in_file(e.to_string()))?;
    let mut news: Vec<String> = inert
        .iter()
        .map(|name| format!("the file names {name}, which was not called"))
        .collect();
    if let (Some(taken), Some(other)) = (taken, others.first()) {
        news.push(format!(
            "warning: {label}: the checkpoint holds the weights several times: `{taken}` was taken, not `{}`; `key: {other}` takes that one (`--key {other}`)",
            others.join("`, `")
        ));
    }
    let constant = |(name, tensor): (String, StateTensor)| {
        let constant = match integer(tensor.dtype) {
            Some(element) => Constant::from_le_bytes(&TensorType::new(element, tensor.shape.clone()), tensor.bytes()),
            None => Constant::f32(tensor.shape.clone(), tensor.to_f32()),
        };
        constant
            .map(|constant| (name.clone(), constant))
            .ok_or_else(|| in_file(format!("cannot encode the result: `{name}` is not whole")))
    };
    let all = tensors
        .into_iter()
        .map(constant)
        .collect::<Result<IndexMap<_, _>, _>>()?;
    let rules = naming.rename.iter().map(|rule| Rename::new(&rule.from, &rule.to));
    let rules = rules
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| ModelError::Refused(e.to_string()))?;
    let all = renamed(all, naming.prefix, &rules).map_err(|e| ModelError::Refused(e.to_string()))?;
    Ok((all, news))
}

/// A model as a `.safetensors` file: its constants under their names, in PyTorch's layout.
///
/// # Errors
/// A quantized model: integers without their scales mean nothing.
pub fn safetensors(model: &Graph) -> Result<Vec<u8>, ModelError> {
    if let Some(tensor) = model.tensors().iter().find(|t| t.data.is_some() && t.is_quantized()) {
        let problem = format!(
            "`{}` is quantized, which safetensors cannot say; export the float model, or a .tflite",
            tensor.name
        );
        return Err(ModelError::Refused(problem));
    }
    let mut dict = StateDict::default();
    for (name, constant) in ::architecture::state_dict(model) {
        let dtype = dtype(constant.element());
        let tensor = StateTensor::new(dtype, constant.dims().to_vec(), constant.to_le_bytes());
        let whole = || ModelError::Lost(format!("cannot encode the result: `{name}` is not whole"));
        let tensor = tensor.ok_or_else(whole)?;
        dict.tensors.insert(name, tensor);
    }
    Ok(torch::safetensors::write(&dict)?)
}

/// The element type of whole numbers; floats of all widths become 32-bit ones.
const fn integer(dtype: Dtype) -> Option<ElementType> {
    match dtype {
        Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16 => None,
        Dtype::I64 => Some(ElementType::I64),
        Dtype::I32 => Some(ElementType::I32),
        Dtype::I16 => Some(ElementType::I16),
        Dtype::I8 => Some(ElementType::I8),
        Dtype::U8 => Some(ElementType::U8),
        Dtype::Bool => Some(ElementType::Bool),
    }
}

const fn dtype(element: ElementType) -> Dtype {
    match element {
        ElementType::F32 => Dtype::F32,
        ElementType::F16 => Dtype::F16,
        ElementType::I8 => Dtype::I8,
        ElementType::U8 => Dtype::U8,
        ElementType::I16 => Dtype::I16,
        ElementType::I32 => Dtype::I32,
        ElementType::I64 => Dtype::I64,
        ElementType::Bool => Dtype::Bool,
    }
}
