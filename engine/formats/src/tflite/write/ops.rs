//! One node → one operator, or two where TFLite says in two what the graph says in one.

use ir::ops::{
    self, Activation, AveragePool2d, Conv2d, Coordinates, Custom, DepthwiseConv2d, Interpolation, MaxPool2d, Pad,
    PadMode, Padding, Resize, Slice, TransposeConv2d,
};
use ir::{Constant, ElementType, Node, Op, Quantization, TensorType};

use super::{Call, Code, Emitter, FileTensor};
use crate::FormatError;
use crate::tflite::builtin::Builtin;
use crate::tflite::flatbuffer::Reader;
use crate::tflite::schema::{
    AddOptions, Carried, ConcatenationOptions, Conv2DOptions, DepthwiseConv2DOptions, DequantizeOptions, DivOptions,
    FullyConnectedOptions, GeluOptions, HardSwishOptions, LeakyReluOptions, MaximumMinimumOptions, MirrorPadOptions,
    MulOptions, Operator, Options, PadOptions, PadV2Options, Pool2DOptions, QuantizeOptions, REFLECT, ReducerOptions,
    ReshapeOptions, ResizeBilinearOptions, ResizeNearestNeighborOptions, SYMMETRIC, SliceOptions, SoftmaxOptions,
    SplitOptions, StridedSliceOptions, SubOptions, TransposeConvOptions, TransposeOptions, VALID,
};
use crate::tflite::window::{Transposed, Window, activation_code};
use crate::tflite::{BUILTIN, CUSTOM, malformed, unsupported};

impl Emitter<'_> {
    /// Writes one node.
    pub(super) fn node(&mut self, node: &Node) -> Result<(), FormatError> {
        match &node.op {
            Op::Conv2d(op) => self.conv2d(node, op)?,
            Op::DepthwiseConv2d(op) => self.depthwise_conv2d(node, op)?,
            Op::TransposeConv2d(op) => self.transpose_conv2d(node, op)?,
            Op::FullyConnected(op) => self.fully_connected(node, op.activation),
            Op::MaxPool2d(op) => self.max_pool2d(node, op)?,
            Op::AveragePool2d(op) => self.average_pool2d(node, op)?,
            Op::Relu(_) => self.plain(node, Builtin::RELU, Options::None),
            Op::Relu6(_) => self.plain(node, Builtin::RELU6, Options::None),
            Op::ReluN1To1(_) => self.plain(node, Builtin::RELU_N1_TO_1, Options::None),
            Op::LeakyRelu(op) => self.plain(node, Builtin::LEAKY_RELU, LeakyReluOptions { alpha: op.alpha }),
            Op::PRelu(_) => self.plain(node, Builtin::PRELU, Options::None),
            Op::Elu(op) if op.alpha == 1.0 => self.plain(node, Builtin::ELU, Options::None),
            Op::Elu(op) => {
                return Err(unsupported(
                    place(node),
                    format!("TFLite has elu with alpha 1 only, not {}", op.alpha),
                    "train with alpha 1, or replace it by another activation",
                ));
            }
            Op::HardSwish(_) => self.plain(node, Builtin::HARD_SWISH, HardSwishOptions {}),
            Op::Sigmoid(_) => self.plain(node, Builtin::LOGISTIC, Options::None),
            Op::Tanh(_) => self.plain(node, Builtin::TANH, Options::None),
            Op::Gelu(op) => self.plain(
                node,
                Builtin::GELU,
                GeluOptions {
                    approximate: op.approximate,
                },
            ),
            Op::Softmax(op) => self.plain(node, Builtin::SOFTMAX, SoftmaxOptions { beta: op.beta }),
            Op::Add(op) => {
                let options = AddOptions {
                    fused_activation_function: activation_code(op.activation),
                    pot_scale_int16: !self.is_i16(node),
                };
                self.plain(node, Builtin::ADD, options);
            }
            Op::Sub(op) => {
                let options = SubOptions {
                    fused_activation_function: activation_code(op.activation),
                    pot_scale_int16: !self.is_i16(node),
                };
                self.plain(node, Builtin::SUB, options);
            }
            Op::Mul(op) => {
                let options = MulOptions {
                    fused_activation_function: activation_code(op.activation),
                };
                self.plain(node, Builtin::MUL, options);
            }
            Op::Div(op) => {
                let options = DivOptions {
                    fused_activation_function: activation_code(op.activation),
                };
                self.plain(node, Builtin::DIV, options);
            }
            Op::Minimum(_) => self.plain(node, Builtin::MINIMUM, MaximumMinimumOptions {}),
            Op::Maximum(_) => self.plain(node, Builtin::MAXIMUM, MaximumMinimumOptions {}),
            Op::Concat(op) => {
                let options = ConcatenationOptions {
                    axis: int(op.axis),
                    fused_activation_function: 0,
                };
                self.plain(node, Builtin::CONCATENATION, options);
            }
            Op::Quantize(_) => self.plain(node, Builtin::QUANTIZE, QuantizeOptions {}),
            Op::Dequantize(_) => self.plain(node, Builtin::DEQUANTIZE, DequantizeOptions {}),
            Op::Mean(op) => {
                let axes = self.vector(&op.axes);
                self.with(
                    node,
                    Builtin::MEAN,
                    ReducerOptions {
                        keep_dims: op.keep_dims,
                    },
                    &[axes],
                );
            }
            Op::Transpose(op) => {
                let perm = self.vector(&op.perm);
                self.with(node, Builtin::TRANSPOSE, TransposeOptions {}, &[perm]);
            }
            Op::Reshape(op) => self.reshape(node, &op.shape),
            Op::Split(op) => {
                let axis = self.integers(&[], &[int(op.axis)]);
                let inputs = vec![axis, node.inputs[0].index() as i32];
                let options = SplitOptions {
                    num_splits: int(op.parts),
                }
                .into();
                self.call(Call {
                    builtin: Builtin::SPLIT,
                    options,
                    inputs,
                    outputs: outputs(node),
                });
            }
            Op::Slice(op) => self.slice(node, op),
            Op::Pad(op) => self.pad(node, op)?,
            Op::Resize(op) => self.resize(node, op),
            Op::Custom(op) => self.custom(node, op)?,
            Op::BatchNorm(_) | Op::Swish(_) | Op::HardSigmoid(_) | Op::Dropout(_) | Op::Identity(_) => {
                return Err(unsupported(
                    place(node),
                    format!("TFLite has no operator {}", node.op.name()),
                    "fold and lower the graph first, which replaces it",
                ));
            }
        }
        Ok(())
    }

    /// An operator whose inputs and outputs are those of the node.
    fn plain(&mut self, node: &Node, builtin: Builtin, options: impl Into<Options>) {
        self.with(node, builtin, options, &[]);
    }

    /// An operator that has more inputs than the node.
    fn with(&mut self, node: &Node, builtin: Builtin, options: impl Into<Options>, more: &[i32]) {
        let mut inputs = inputs(node);
        inputs.extend(more);
        self.call(Call {
            builtin,
            options: options.into(),
            inputs,
            outputs: outputs(node),
        });
    }

    fn is_i16(&self, node: &Node) -> bool {
        self.ty(node, 0).element == ElementType::I16
    }

    fn ty(&self, node: &Node, input: usize) -> &TensorType {
        &self.graph.tensor(node.inputs[input]).ty
    }

    /// Rows and columns of an input or of weights.
    fn rows_columns(&self, node: &Node, input: usize) -> [usize; 2] {
        let dims = self.ty(node, input).shape.dims();
        [dims[1], dims[2]]
    }

    fn conv2d(&mut self, node: &Node, op: &Conv2d) -> Result<(), FormatError> {
        let window = self.window(node, self.rows_columns(node, 1), op.stride, op.dilation);
        let (padding, input) = self.padded(node, &window, op.padding)?;
        let [stride_h, stride_w] = op.stride.map(int);
        let [dilation_h_factor, dilation_w_factor] = op.dilation.map(int);
        let options = Conv2DOptions {
            padding,
            stride_w,
            stride_h,
            fused_activation_function: activation_code(op.activation),
            dilation_w_factor,
            dilation_h_factor,
            ..Conv2DOptions::default()
        };
        self.on(node, input, Builtin::CONV_2D, options.into());
        Ok(())
    }

    fn depthwise_conv2d(&mut self, node: &Node, op: &DepthwiseConv2d) -> Result<(), FormatError> {
        let window = self.window(node, self.rows_columns(node, 1), op.stride, op.dilation);
        let (padding, input) = self.padded(node, &window, op.padding)?;
        let channels = |input: usize| self.ty(node, input).shape.dims()[3];
        let [stride_h, stride_w] = op.stride.map(int);
        let [dilation_h_factor, dilation_w_factor] = op.dilation.map(int);
        let options = DepthwiseConv2DOptions {
            padding,
            stride_w,
            stride_h,
            depth_multiplier: int(channels(1) / channels(0)),
            fused_activation_function: activation_code(op.activation),
            dilation_w_factor,
            dilation_h_factor,
        };
        self.on(node, input, Builtin::DEPTHWISE_CONV_2D, options.into());
        Ok(())
    }

    fn window(&self, node: &Node, kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Window {
        Window {
            input: self.rows_columns(node, 0),
            kernel,
            stride,
            dilation,
        }
    }

    /// An operator on `input` instead of the node's first one.
    fn on(&mut self, node: &Node, input: i32, builtin: Builtin, options: Options) {
        let mut inputs = inputs(node);
        inputs[0] = input;
        self.call(Call {
            builtin,
            options,
            inputs,
            outputs: outputs(node),
        });
    }

    /// The padding scheme of a convolution and what it reads: a padded copy of its input where no scheme fits.
    fn padded(&mut self, node: &Node, window: &Window, padding: Padding) -> Result<(i8, i32), FormatError> {
        if let Some(scheme) = window.scheme(padding) {
            return Ok((scheme, node.inputs[0].index() as i32));
        }
        let padded = self.pad_spatial(node, padding, PadMode::Zero)?;
        Ok((VALID, padded))
    }

    /// A padded copy of a node's first input.
    fn pad_spatial(&mut self, node: &Node, padding: Padding, mode: PadMode) -> Result<i32, FormatError> {
        let pad = Pad {
            before: vec![0, padding.top, padding.left, 0],
            after: vec![0, padding.bottom, padding.right, 0],
            mode,
        };
        let source = self.graph.tensor(node.inputs[0]);
        let [rows, columns] = padding.totals();
        let mut ty = source.ty.clone();
        ty.shape.0[1] = ty.shape.0[1].saturating_add(rows);
        ty.shape.0[2] = ty.shape.0[2].saturating_add(columns);
        let output = self.tensor(FileTensor {
            name: format!("{}/pad", node.name),
            ty,
            quantization: source.quantization.clone(),
            buffer: 0,
            batched: self.tensors[node.inputs[0].index()].batched,
        });
        self.pad_into(node, &pad, output)?;
        Ok(output)
    }

    fn pad(&mut self, node: &Node, pad: &Pad) -> Result<(), FormatError> {
        self.pad_into(node, pad, node.output().index() as i32)
    }

    fn pad_into(&mut self, node: &Node, pad: &Pad, output: i32) -> Result<(), FormatError> {
        let pairs: Vec<i32> = pad
            .before
            .iter()
            .zip(&pad.after)
            .flat_map(|(&b, &a)| [int(b), int(a)])
            .collect();
        let paddings = self.integers(&[pad.before.len(), 2], &pairs);
        let mut inputs = vec![node.inputs[0].index() as i32, paddings];
        let (builtin, options) = match pad.mode {
            PadMode::Zero => (Builtin::PAD, PadOptions {}.into()),
            PadMode::Value(value) => {
                inputs.push(self.pad_value(node, value)?);
                (Builtin::PADV2, PadV2Options {}.into())
            }
            PadMode::Reflect => (Builtin::MIRROR_PAD, MirrorPadOptions { mode: REFLECT }.into()),
            PadMode::Symmetric => (Builtin::MIRROR_PAD, MirrorPadOptions { mode: SYMMETRIC }.into()),
        };
        self.call(Call {
            builtin,
            options,
            inputs,
            outputs: vec![output],
        });
        Ok(())
    }

    /// The constant that a tensor is padded with, of its type and quantization.
    fn pad_value(&mut self, node: &Node, value: f32) -> Result<i32, FormatError> {
        let source = self.graph.tensor(node.inputs[0]);
        let element = source.ty.element;
        let stored = source
            .quantization
            .as_ref()
            .and_then(Quantization::whole)
            .map(|q| q.quantize(value, element));
        let bytes: Vec<u8> = match (element, stored) {
            (ElementType::F32, _) => value.to_le_bytes().into(),
            (ElementType::I8 | ElementType::U8, Some(q)) => vec![q as u8],
            (ElementType::I16, Some(q)) => (q as i16).to_le_bytes().into(),
            _ => {
                let problem = format!("{} cannot be padded with {value}", source.ty);
                return Err(unsupported(
                    place(node),
                    problem,
                    "pad with zeros, or give the tensor one scale",
                ));
            }
        };
        let data = Constant::from_le_bytes(&TensorType::new(element, [1]), &bytes).expect("one element");
        Ok(self.constant(format!("{}/value", node.name), &data, source.quantization.clone()))
    }

    fn max_pool2d(&mut self, node: &Node, op: &MaxPool2d) -> Result<(), FormatError> {
        let window = self.window(node, op.kernel, op.stride, [1, 1]);
        let (padding, input) = match window.scheme(op.padding) {
            Some(scheme) => (scheme, node.inputs[0].index() as i32),
            // The least number never is the greatest of a window.
            None => (VALID, self.pad_spatial(node, op.padding, PadMode::Value(f32::MIN))?),
        };
        let options = pool(padding, op.kernel, op.stride, op.activation);
        self.on(node, input, Builtin::MAX_POOL_2D, options);
        Ok(())
    }

    fn average_pool2d(&mut self, node: &Node, op: &AveragePool2d) -> Result<(), FormatError> {
        let window = self.window(node, op.kernel, op.stride, [1, 1]);
        let Some(padding) = window.scheme(op.padding) else {
            return Err(unsupported(
                place(node),
                format!(
                    "an average pool with {:?} is neither SAME nor VALID, and TFLite has no other",
                    op.padding
                ),
                "use SAME or VALID padding",
            ));
        };
        self.plain(
            node,
            Builtin::AVERAGE_POOL_2D,
            pool(padding, op.kernel, op.stride, op.activation),
        );
        Ok(())
    }

    /// Inputs in TFLite: output shape, weights, activations, bias.
    fn transpose_conv2d(&mut self, node: &Node, op: &TransposeConv2d) -> Result<(), FormatError> {
        let output = self.graph.tensor(node.output());
        let dims = output.ty.shape.dims().to_vec();
        let mut window = Transposed {
            input: self.rows_columns(node, 0),
            output: [dims[1], dims[2]],
            kernel: self.rows_columns(node, 1),
            stride: op.stride,
        };
        let before = [op.padding.top, op.padding.left];
        let mut made = node.output().index() as i32;
        let scheme = window.scheme(before);
        if scheme.is_none() {
            // Everything is computed, and cropped afterwards.
            window.output = window.whole(before);
            let mut ty = output.ty.clone();
            (ty.shape.0[1], ty.shape.0[2]) = (window.output[0], window.output[1]);
            made = self.tensor(FileTensor {
                name: format!("{}/whole", node.name),
                ty,
                quantization: output.quantization.clone(),
                buffer: 0,
                batched: self.tensors[node.output().index()].batched,
            });
        }
        let Some(padding) = scheme.or_else(|| window.scheme([0, 0])) else {
            let problem = format!(
                "output padding {:?} reaches beyond the last pixel's stride",
                op.output_padding
            );
            return Err(unsupported(
                place(node),
                problem,
                "use an output padding smaller than the stride",
            ));
        };
        let shape = self.vector(&[dims[0], window.output[0], window.output[1], dims[3]]);
        let given = inputs(node);
        let mut inputs = vec![shape, given[1], given[0]];
        inputs.extend(given.get(2));
        let [stride_h, stride_w] = op.stride.map(int);
        let options = TransposeConvOptions {
            padding,
            stride_w,
            stride_h,
            fused_activation_function: activation_code(op.activation),
            ..TransposeConvOptions::default()
        };
        self.call(Call {
            builtin: Builtin::TRANSPOSE_CONV,
            options: options.into(),
            inputs,
            outputs: vec![made],
        });
        if scheme.is_none() {
            let begin = [0, before[0], before[1], 0].map(int);
            let size = [-1, int(dims[1]), int(dims[2]), -1];
            let inputs = vec![made, self.integers(&[4], &begin), self.integers(&[4], &size)];
            self.call(Call {
                builtin: Builtin::SLICE,
                options: SliceOptions {}.into(),
                inputs,
                outputs: outputs(node),
            });
        }
        Ok(())
    }

    fn fully_connected(&mut self, node: &Node, activation: Activation) {
        let options = FullyConnectedOptions {
            fused_activation_function: activation_code(activation),
            keep_num_dims: self.ty(node, 0).shape.rank() != 2,
            // Activations of dynamic-range layers get a zero point of their own, which loses less.
            asymmetric_quantize_inputs: self.ty(node, 0).element.is_float() && !self.ty(node, 1).element.is_float(),
            ..FullyConnectedOptions::default()
        };
        // A bias that is left out is said so: older runtimes count inputs.
        let more: &[i32] = if node.inputs.len() == 2 { &[-1] } else { &[] };
        self.with(node, Builtin::FULLY_CONNECTED, options, more);
    }

    /// The first dimension is −1 where it counts samples, so that the file takes any number of them.
    fn reshape(&mut self, node: &Node, shape: &[usize]) {
        let mut target: Vec<i32> = shape.iter().copied().map(int).collect();
        let batched = self.tensors[node.output().index()].batched;
        if batched && target.first() == Some(&1) && !target.contains(&0) {
            target[0] = -1;
        }
        let target = self.integers(&[target.len()], &target);
        self.with(node, Builtin::RESHAPE, ReshapeOptions::default(), &[target]);
    }

    /// `SLICE`, or with steps `STRIDED_SLICE`. Whole dimensions are said to be whole, whatever their extent.
    fn slice(&mut self, node: &Node, op: &Slice) {
        let dims = self.ty(node, 0).shape.dims().to_vec();
        let whole: Vec<bool> = (0..dims.len())
            .map(|i| op.begin[i] == 0 && op.end[i] == dims[i])
            .collect();
        let begin = self.vector(&op.begin);
        if op.stride.iter().all(|&s| s == 1) {
            let size = |i: usize| if whole[i] { -1 } else { int(op.end[i] - op.begin[i]) };
            let size: Vec<i32> = (0..dims.len()).map(size).collect();
            let size = self.integers(&[size.len()], &size);
            self.with(node, Builtin::SLICE, SliceOptions {}, &[begin, size]);
            return;
        }
        let (end, stride) = (self.vector(&op.end), self.vector(&op.stride));
        let mask = whole
            .iter()
            .enumerate()
            .fold(0, |mask, (i, &w)| mask | i32::from(w) << i);
        let options = StridedSliceOptions {
            begin_mask: mask,
            end_mask: mask,
            ..StridedSliceOptions::default()
        };
        self.with(node, Builtin::STRIDED_SLICE, options, &[begin, end, stride]);
    }

    fn resize(&mut self, node: &Node, op: &Resize) {
        let size = self.vector(&op.size);
        let (align_corners, half_pixel_centers) = (
            op.coordinates == Coordinates::AlignCorners,
            op.coordinates == Coordinates::HalfPixel,
        );
        match op.interpolation {
            Interpolation::Nearest => {
                let options = ResizeNearestNeighborOptions {
                    align_corners,
                    half_pixel_centers,
                };
                self.with(node, Builtin::RESIZE_NEAREST_NEIGHBOR, options, &[size]);
            }
            Interpolation::Bilinear => {
                let options = ResizeBilinearOptions {
                    align_corners,
                    half_pixel_centers,
                    ..ResizeBilinearOptions::default()
                };
                self.with(node, Builtin::RESIZE_BILINEAR, options, &[size]);
            }
        }
    }

    fn custom(&mut self, node: &Node, op: &Custom) -> Result<(), FormatError> {
        let ops::Custom {
            domain,
            name,
            attributes,
            outputs: _,
        } = op;
        let (code, options, custom_options) = match domain.as_str() {
            CUSTOM => {
                let code = Code {
                    builtin: Builtin::CUSTOM,
                    custom: Some(name.clone()),
                    version: 1,
                };
                (
                    code,
                    Options::None,
                    (!attributes.is_empty()).then(|| attributes.clone()),
                )
            }
            BUILTIN => {
                let builtin = Builtin::named(name)
                    .ok_or_else(|| malformed(place(node), format!("no builtin operator is named {name}")))?;
                let Carried { version, options } = Reader::root(attributes)
                    .map_err(|flaw| malformed(place(node), format!("its attributes are damaged: {flaw}")))?;
                (
                    Code {
                        builtin,
                        custom: None,
                        version,
                    },
                    options,
                    None,
                )
            }
            _ => {
                let problem = format!("operator {name} of {domain} has no place in a TFLite file");
                return Err(unsupported(
                    place(node),
                    problem,
                    "export to the format that it comes from",
                ));
            }
        };
        let (inputs, outputs) = (inputs(node), outputs(node));
        self.operator(
            code,
            Operator {
                inputs,
                outputs,
                options,
                custom_options,
                ..Operator::default()
            },
        );
        Ok(())
    }
}

fn pool(padding: i8, kernel: [usize; 2], stride: [usize; 2], activation: Activation) -> Options {
    let [filter_height, filter_width] = kernel.map(int);
    let [stride_h, stride_w] = stride.map(int);
    let fused_activation_function = activation_code(activation);
    Pool2DOptions {
        padding,
        stride_w,
        stride_h,
        filter_width,
        filter_height,
        fused_activation_function,
    }
    .into()
}

/// An attribute as the format holds it. Extents fit; a stride beyond all extents does what the greatest one does.
pub(super) fn int(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn place(node: &Node) -> String {
    format!("node `{}`", node.name)
}

fn inputs(node: &Node) -> Vec<i32> {
    node.inputs.iter().map(|i| i.index() as i32).collect()
}

fn outputs(node: &Node) -> Vec<i32> {
    node.outputs.iter().map(|o| o.index() as i32).collect()
}
