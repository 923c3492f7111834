//! Arguments of the verbs on single models, and the words that they choose among.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The model: .h5, .keras, .onnx, .tflite, the folder of a SavedModel, an architecture (.yaml), or weights alone (.pth, .pt, .safetensors)
    #[arg(value_hint = ValueHint::FilePath)]
    pub model: PathBuf,
    /// Weights for an architecture: .pth, .pt or .safetensors; they are zeros without
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// As an architecture file; `convert` to .safetensors writes the weights for it
    #[arg(long, conflicts_with = "json")]
    pub architecture: bool,
    /// What a small device's runtime needs to run it: arena, operators, what it lacks
    #[arg(long, value_name = "RUNTIME", conflicts_with = "architecture")]
    pub target: Option<TargetArg>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Draw the graph too, as SVG
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub svg: Option<PathBuf>,
    /// Draw the graph too, as a page for a browser
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

/// `--target`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TargetArg {
    /// TensorFlow Lite Micro
    Tflm,
}

/// `--quantize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemeArg {
    /// Weights in half precision
    Float16,
    /// Weights in 8-bit integers, activations quantized on the fly
    DynamicInt8,
    /// Weights and activations in 8-bit integers; needs --calibrate
    Int8,
    /// Weights in 8-bit integers, activations in 16-bit ones; needs --calibrate
    #[value(name = "int16x8")]
    Int16x8,
}

/// `--per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PerArg {
    /// A scale for each output channel
    Channel,
    /// A scale for each tensor
    Tensor,
}

/// `--input` and `--output` of an integer model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EdgeArg {
    /// 32-bit floats
    Float,
    /// Signed bytes
    Int8,
    /// Unsigned bytes
    Uint8,
    /// Signed 16-bit integers, with --quantize int16x8
    Int16,
}

/// `--layout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    /// Channels first: [N, C, H, W]
    Chw,
}

/// `--profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// Symmetric activations and float biases, as TensorRT takes them
    Tensorrt,
}

/// The size of an input that a model leaves open.
#[derive(Debug, Args)]
pub struct ShapeArgs {
    /// Dimensions of one sample, for models that leave some open, in the file's order: 3,224,224 for .onnx, 224,224,3 for others
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    pub input_shape: Option<Vec<usize>>,
}

impl ShapeArgs {
    /// As parameters of `import`.
    pub fn params(&self) -> serde_json::Value {
        match &self.input_shape {
            Some(shape) => serde_json::json!({ "input-shape": shape }),
            None => serde_json::json!({}),
        }
    }
}

/// How a model is read.
#[derive(Debug, Args)]
pub struct ReadingArgs {
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// The entry of a checkpoint that holds the weights, where it holds several
    #[arg(long, value_name = "NAME", requires = "weights")]
    pub key: Option<String>,
    /// Keep weights that are infinite or not a number instead of refusing them
    #[arg(long)]
    pub allow_non_finite: bool,
}

impl ReadingArgs {
    /// As parameters of `import`.
    pub fn params(&self) -> serde_json::Value {
        let mut params = self.shape.params();
        params["allow-non-finite"] = self.allow_non_finite.into();
        if let Some(key) = &self.key {
            params["key"] = key.as_str().into();
        }
        params
    }
}

#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The model to read: .h5, .keras, .onnx, .tflite, the folder of a SavedModel, or an architecture (.yaml, Keras' .json) with --weights
    #[arg(value_name = "IN", value_hint = ValueHint::FilePath)]
    pub from: PathBuf,
    /// The file to write: .tflite, .onnx, .c (with .h beside it), .safetensors, or a folder for a SavedModel
    #[arg(value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub to: PathBuf,
    /// Weights for an architecture: .pth, .pt or .safetensors; or .h5, for a configuration of Keras
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Store and compute in fewer bits
    #[arg(long, value_name = "SCHEME")]
    pub quantize: Option<SchemeArg>,
    /// Samples to calibrate with, in the scale that the model takes: an .npy for each of its inputs in order, or one .npz with an array for each by name
    #[arg(long, value_name = "NPY", value_hint = ValueHint::FilePath, required_if_eq("quantize", "int8"))]
    pub calibrate: Vec<PathBuf>,
    /// Order of the axes of images in --calibrate, where it is another than the model's
    #[arg(long, value_name = "ORDER", requires = "calibrate")]
    pub layout: Option<LayoutArg>,
    /// For whom an .onnx file is written
    #[arg(long, value_name = "RUNTIME")]
    pub profile: Option<ProfileArg>,
    /// Write the weights of an .onnx file into a file beside it
    #[arg(long)]
    pub external_data: bool,
    /// Store pruned weights of a .tflite file without their zeros, where that is smaller
    #[arg(long)]
    pub sparse: bool,
    /// Write operators that the format's runtimes do not have all the same, for runtimes that have been taught them
    #[arg(long)]
    pub keep_unknown: bool,
    /// Weights in 4-bit integers instead of 8-bit ones, two a byte
    #[arg(long, requires = "quantize")]
    pub int4: bool,
    /// A scale for so many 4-bit weights along the input channels; for .onnx files
    #[arg(long, value_name = "N", requires = "int4", conflicts_with = "per")]
    pub block: Option<usize>,
    /// How many weight scales a layer has
    #[arg(long, value_name = "WHAT", requires = "quantize")]
    pub per: Option<PerArg>,
    /// Layers of an int8 model that may stay float: names with * and ?, or op: and an operator; others without integer arithmetic fail
    #[arg(long, value_name = "LAYER", requires = "quantize")]
    pub allow_float: Vec<String>,
    /// Element type of the inputs of an int8 model
    #[arg(long, value_name = "TYPE", requires = "quantize")]
    pub input: Option<EdgeArg>,
    /// Element type of the outputs of an int8 model
    #[arg(long, value_name = "TYPE", requires = "quantize")]
    pub output: Option<EdgeArg>,
}

/// `--runtime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerifyRuntimeArg {
    /// Our own
    Own,
    /// An independent engine, on the model written to ONNX; float models
    Tract,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The model
    #[arg(value_hint = ValueHint::FilePath)]
    pub model: PathBuf,
    /// What it should agree with
    #[arg(value_hint = ValueHint::FilePath)]
    pub reference: PathBuf,
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// Samples, in the scale that the models take: an .npy for each input in order, or one .npz with all by name [default: 16 samples of noise in 0..1]
    #[arg(long, value_name = "NPY", value_hint = ValueHint::FilePath)]
    pub input: Vec<PathBuf>,
    /// Order of the axes of images in --input, where it is another than the model's
    #[arg(long, value_name = "ORDER", requires = "input")]
    pub layout: Option<LayoutArg>,
    /// Compare the layers too, paired by name or by kind and order, and find the first that departs
    #[arg(long)]
    pub per_layer: bool,
    /// A layer departs below this signal-to-noise ratio [default: 60 between float models, 10 otherwise]
    #[arg(long, value_name = "DB", requires = "per_layer")]
    pub departs_below: Option<f64>,
    /// What runs the model; the reference runs in our own runtime
    #[arg(long, value_enum, default_value_t = VerifyRuntimeArg::Own)]
    pub runtime: VerifyRuntimeArg,
    /// End with code 1 where an output differs by more
    #[arg(long, value_name = "ERROR")]
    pub max_abs_error: Option<f64>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `--kernels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KernelsArg {
    /// The fastest for this machine
    Fast,
    /// Plain loops
    Reference,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The model: .h5, .keras, .onnx, .tflite or the folder of a SavedModel
    #[arg(value_hint = ValueHint::FilePath)]
    pub model: PathBuf,
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// Runs that are counted
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Runs after the first that are not counted
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub warmup: u32,
    /// Which kernels run it
    #[arg(long, value_enum, default_value_t = KernelsArg::Fast)]
    pub kernels: KernelsArg,
    /// Where the time goes: each operator, its share and its kernel
    #[arg(long)]
    pub ops: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct InferArgs {
    /// The model: .h5, .keras, .onnx, .tflite, the folder of a SavedModel, or an architecture (.yaml, Keras' .json) with --weights
    #[arg(value_hint = ValueHint::FilePath)]
    pub model: PathBuf,
    /// Weights for an architecture: .pth, .pt or .safetensors; or .h5, for a configuration of Keras
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// One .npy for each input of the model, in order, or one .npz with all by name; samples along the first axis, or where the model counts them
    #[arg(long, value_name = "NPY", required = true, value_hint = ValueHint::FilePath)]
    pub input: Vec<PathBuf>,
    /// Order of the axes of images in --input, where it is another than the model's
    #[arg(long, value_name = "ORDER")]
    pub layout: Option<LayoutArg>,
    /// Where results go; one file for each output of the model, in order
    #[arg(long, value_name = "NPY", required = true, value_hint = ValueHint::FilePath)]
    pub output: Vec<PathBuf>,
    /// Quantize floats where the model takes integers
    #[arg(long)]
    pub quantize: bool,
    /// Write the real numbers that integer outputs mean
    #[arg(long)]
    pub dequantize: bool,
    /// Which kernels run it
    #[arg(long, value_enum, default_value_t = KernelsArg::Fast)]
    pub kernels: KernelsArg,
}
