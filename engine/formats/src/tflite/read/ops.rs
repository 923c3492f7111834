//! One operator → one node, or two where TFLite says in one what the graph says in two.

use ir::ops::{
    self, Activation, Add, AveragePool2d, Concat, Coordinates, Custom, Dequantize, Div, FullyConnected, Function,
    Gather, Interpolation, MatMul, MaxPool2d, Maximum, Mean, Minimum, Mul, PRelu, Pow, Quantize, ReduceMax, ReduceMin,
    ReduceSum, Reshape, Resize, Softmax, Sub,
};
use ir::{Constant, ElementType, Op, TensorId};

use super::{Importer, Use};
use crate::FormatError;
use crate::functions::{self, Tflite};
use crate::tflite::builtin::Builtin;
use crate::tflite::flatbuffer::Writer;
use crate::tflite::schema::{
    AddOptions, BatchMatMulOptions, Carried, ConcatenationOptions, DivOptions, FromOptions, FullyConnectedOptions,
    GatherOptions, GeluOptions, LeakyReluOptions, MulOptions, Options, ReducerOptions, ResizeBilinearOptions,
    ResizeNearestNeighborOptions, SoftmaxOptions, SubOptions,
};
use crate::tflite::window::activation_of;
use crate::tflite::{BUILTIN, CUSTOM, FROM_ONNX, IDENTIFIER};

impl Importer {
    /// Adds what an operator does.
    pub(super) fn import(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        if self.choice(u)? {
            return Ok(());
        }
        match u.builtin {
            Builtin::CONV_2D => self.conv2d(u),
            Builtin::DEPTHWISE_CONV_2D => self.depthwise_conv2d(u),
            Builtin::TRANSPOSE_CONV => self.transpose_conv2d(u),
            Builtin::FULLY_CONNECTED => self.fully_connected(u),
            Builtin::MAX_POOL_2D => {
                let (kernel, stride, padding, activation) = self.pool(u)?;
                self.plain(
                    u,
                    MaxPool2d {
                        kernel,
                        stride,
                        padding,
                        activation,
                    },
                )
            }
            Builtin::AVERAGE_POOL_2D => {
                let (kernel, stride, padding, activation) = self.pool(u)?;
                self.plain(
                    u,
                    AveragePool2d {
                        kernel,
                        stride,
                        padding,
                        activation,
                    },
                )
            }
            Builtin::LEAKY_RELU => {
                let alpha = u.options::<LeakyReluOptions>()?.alpha;
                self.plain(u, Function::LeakyRelu { alpha })
            }
            Builtin::PRELU => self.plain(u, PRelu {}),
            Builtin::ELU => self.plain(u, Function::Elu { alpha: 1.0 }),
            Builtin::GELU => {
                let approximate = u.options::<GeluOptions>()?.approximate;
                self.plain(u, Function::Gelu { approximate })
            }
            Builtin::SOFTMAX => {
                let beta = u.options::<SoftmaxOptions>()?.beta;
                self.plain(u, Softmax { beta })
            }
            Builtin::ADD => {
                let options: AddOptions = u.options()?;
                self.check_power_of_two(u, options.pot_scale_int16)?;
                let activation = u.activation(options.fused_activation_function)?;
                self.plain(u, Add { activation })
            }
            Builtin::SUB => {
                let options: SubOptions = u.options()?;
                self.check_power_of_two(u, options.pot_scale_int16)?;
                let activation = u.activation(options.fused_activation_function)?;
                self.plain(u, Sub { activation })
            }
            Builtin::MUL => {
                let activation = u.activation(u.options::<MulOptions>()?.fused_activation_function)?;
                self.plain(u, Mul { activation })
            }
            Builtin::DIV => {
                let activation = u.activation(u.options::<DivOptions>()?.fused_activation_function)?;
                self.plain(u, Div { activation })
            }
            Builtin::MINIMUM => self.plain(u, Minimum {}),
            Builtin::MAXIMUM => self.plain(u, Maximum {}),
            Builtin::CONCATENATION => {
                let options: ConcatenationOptions = u.options()?;
                if options.fused_activation_function != 0 {
                    return Err(u.unsupported("has an activation of its own", "make the activation a layer"));
                }
                let axis = self.axis(u, options.axis, u.input(0)?)?;
                self.plain(u, Concat { axis })
            }
            Builtin::QUANTIZE => {
                let to = self.ty(u.outputs[0]).element;
                self.plain(u, Quantize { to })
            }
            Builtin::DEQUANTIZE => self.plain(u, Dequantize {}),
            Builtin::DENSIFY => self.densify(u),
            Builtin::UNIDIRECTIONAL_SEQUENCE_LSTM => self.lstm(u),
            Builtin::UNIDIRECTIONAL_SEQUENCE_RNN => self.rnn(u),
            Builtin::CAST => self.cast(u),
            Builtin::MEAN => {
                let (axes, keep_dims) = self.reduced(u)?;
                self.on_first(u, Mean { axes, keep_dims })
            }
            Builtin::SUM => {
                let (axes, keep_dims) = self.reduced(u)?;
                self.on_first(u, ReduceSum { axes, keep_dims })
            }
            Builtin::REDUCE_MAX => {
                let (axes, keep_dims) = self.reduced(u)?;
                self.on_first(u, ReduceMax { axes, keep_dims })
            }
            Builtin::REDUCE_MIN => {
                let (axes, keep_dims) = self.reduced(u)?;
                self.on_first(u, ReduceMin { axes, keep_dims })
            }
            Builtin::POW => self.plain(u, Pow {}),
            Builtin::BATCH_MATMUL => {
                let BatchMatMulOptions {
                    adj_x: adjoint_a,
                    adj_y: adjoint_b,
                    asymmetric_quantize_inputs: _,
                } = u.options()?;
                self.plain(u, MatMul { adjoint_a, adjoint_b })
            }
            Builtin::GATHER => self.gather(u),
            Builtin::TRANSPOSE => {
                let perm = self.extents(u, 1, "permutation")?;
                self.on_first(u, ops::Transpose { perm })
            }
            Builtin::RESHAPE => self.reshape(u),
            Builtin::SQUEEZE | Builtin::EXPAND_DIMS => {
                let shape = self.declared(u)?;
                self.on_first(u, Reshape { shape })
            }
            Builtin::SPLIT => self.split(u),
            Builtin::SLICE => self.slice(u),
            Builtin::STRIDED_SLICE => self.strided_slice(u),
            Builtin::PAD | Builtin::PADV2 | Builtin::MIRROR_PAD => self.pad(u),
            Builtin::RESIZE_BILINEAR | Builtin::RESIZE_NEAREST_NEIGHBOR => self.resize(u),
            other if other.name() == "SQUARED_DIFFERENCE" => self.squared_difference(u),
            other if other.name() == "FILL" => self.fill(u),
            Builtin::ARG_MAX => self.arg_max(u),
            _ if self.in_parts(u)? => Ok(()),
            _ => match functions::find(|f| matches!(f.tflite, Tflite::Operator(name) if name == u.builtin.name())) {
                Some(function) => self.plain(u, function),
                None => self.carry(u),
            },
        }
    }

    /// A node whose inputs are those of the operator.
    pub(super) fn plain(&mut self, u: &Use<'_>, op: impl Into<Op>) -> Result<(), FormatError> {
        let inputs = u.present()?;
        self.push(u, op.into(), &inputs, &u.outputs)
    }

    /// A node that reads the first input only; the others have become attributes.
    pub(super) fn on_first(&mut self, u: &Use<'_>, op: impl Into<Op>) -> Result<(), FormatError> {
        let input = u.input(0)?;
        self.push(u, op.into(), &[input], &u.outputs)
    }

    /// Rows and columns of a tensor of four dimensions.
    pub(super) fn rows_columns(&self, u: &Use<'_>, id: TensorId) -> Result<[usize; 2], FormatError> {
        let ty = self.ty(id);
        let dims = ty
            .shape
            .nhwc()
            .ok_or_else(|| u.malformed(format!("reads {ty}, expected four dimensions")))?;
        Ok([dims[1], dims[2]])
    }

    /// `(a − b)²`; of integers, which the runtime rescales on the way, it is carried through.
    fn squared_difference(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        if self.ty(u.outputs[0]).element != ElementType::F32 {
            return self.carry(u);
        }
        let difference = self.insert(u, "difference", Sub::default().into(), &u.present()?)?;
        self.push(u, Mul::default().into(), &[difference, difference], &u.outputs)
    }

    /// Without `keep_num_dims` the activations are taken as a matrix, whatever their dimensions.
    pub(super) fn fully_connected(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let o: FullyConnectedOptions = u.options()?;
        if o.weights_format != 0 {
            return Err(u.unsupported(
                "its weights are shuffled",
                "convert the model again with a current converter",
            ));
        }
        let mut inputs = u.present()?;
        let (&[input, weights], _) = inputs
            .split_first_chunk()
            .ok_or_else(|| u.malformed("has no weights"))?;
        let hybrid = self.ty(input).element == ElementType::F32 && self.ty(weights).element == ElementType::I8;
        if hybrid && !o.asymmetric_quantize_inputs {
            let fix = "convert the float model again; converters since TensorFlow 2.3 quantize asymmetrically";
            return Err(u.unsupported("quantizes its activations symmetrically while it runs", fix));
        }
        if !o.keep_num_dims && self.ty(input).shape.rank() != 2 {
            let features = self.ty(weights).shape.0.last().copied().unwrap_or(0);
            let rows = self.ty(input).shape.elements().checked_div(features).unwrap_or(0);
            inputs[0] = self.insert(
                u,
                "flatten",
                Reshape {
                    shape: vec![rows, features],
                }
                .into(),
                &[input],
            )?;
        }
        let activation = u.activation(o.fused_activation_function)?;
        self.push(u, FullyConnected { activation }.into(), &inputs, &u.outputs)
    }

    /// A few equal floats of a shape that is known are a constant, such as the scales of one that TensorFlow normalizes rows with.
    fn fill(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        /// Bounds what a small file can make.
        const MOST: usize = 1 << 12;
        let dims = self.constant_at(u, 0).unwrap_or_default();
        let dims: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let shape = dims.filter(|dims| !dims.is_empty() && dims.iter().all(|&d| (1..=MOST).contains(&d)));
        let elements = |dims: &[usize]| dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let shape = shape.filter(|dims| elements(dims).is_some_and(|n| n <= MOST));
        let value = self.graph.constant_data(u.input(1)?).and_then(Constant::as_f32);
        let data = match (shape, value) {
            (Some(dims), Some(&[value])) => Constant::f32(dims.clone(), vec![value; dims.iter().product()]),
            _ => None,
        };
        let output = u.outputs[0];
        let given = self.graph.inputs().contains(&output) || self.graph.tensor(output).data.is_some();
        let Some(data) = data.filter(|_| !given && self.ty(output).element == ElementType::F32) else {
            return self.carry(u);
        };
        let tensor = self.graph.tensor_mut(output);
        tensor.ty.shape = data.dims().into();
        tensor.data = Some(data);
        Ok(())
    }

    /// Sparse constants are dense when they have been read, so that the output is a constant as well.
    fn densify(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let (input, output) = (u.input(0)?, u.outputs[0]);
        let [from, to] = [input, output].map(|id| self.ty(id));
        if from != to {
            return Err(u.malformed(format!("makes {to} of {from}")));
        }
        let data = self.graph.constant_data(input).cloned();
        let data = data.ok_or_else(|| u.malformed("reads what is no constant"))?;
        if self.graph.inputs().contains(&output) || self.graph.tensor(output).data.is_some() {
            return Err(u.malformed("makes what is there already"));
        }
        self.graph.tensor_mut(output).data = Some(data);
        Ok(())
    }

    /// The dimensions that a reduction takes away, and whether it keeps them with extent 1.
    fn reduced(&mut self, u: &Use<'_>) -> Result<(Vec<usize>, bool), FormatError> {
        let keep_dims = u.options::<ReducerOptions>()?.keep_dims;
        let input = u.input(0)?;
        let given = self.integers(u, 1, "axes")?;
        let axes = given.iter().map(|&axis| self.axis(u, axis, input));
        let mut axes = axes.collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        axes.dedup();
        Ok((axes, keep_dims))
    }

    /// Numbers in another type; truth values, which are not computed with, are carried through.
    fn cast(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let (from, to) = (self.ty(u.input(0)?).element, self.ty(u.outputs[0]).element);
        let computed = |e| !matches!(e, ElementType::F16 | ElementType::Bool);
        if computed(from) && computed(to) {
            return self.plain(u, ops::Cast { to });
        }
        self.carry(u)
    }

    /// Indices of other types than the IR's are carried through, and so are batches of indices.
    fn gather(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let options: GatherOptions = u.options()?;
        let wide = matches!(self.ty(u.input(1)?).element, ElementType::I32 | ElementType::I64);
        if options.batch_dims != 0 || !wide {
            return self.carry(u);
        }
        let axis = self.axis(u, options.axis, u.input(0)?)?;
        self.plain(u, Gather { axis })
    }

    pub(super) fn resize(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let (interpolation, align_corners, half_pixel) = if u.builtin == Builtin::RESIZE_BILINEAR {
            let o: ResizeBilinearOptions = u.options()?;
            (Interpolation::Bilinear, o.align_corners, o.half_pixel_centers)
        } else {
            let o: ResizeNearestNeighborOptions = u.options()?;
            (Interpolation::Nearest, o.align_corners, o.half_pixel_centers)
        };
        let coordinates = match (align_corners, half_pixel) {
            (false, false) => Coordinates::Asymmetric,
            (true, false) => Coordinates::AlignCorners,
            (false, true) => Coordinates::HalfPixel,
            (true, true) => return Err(u.malformed("aligns corners and pixel centres at once")),
        };
        let size = self.extents(u, 1, "size")?;
        let size = <[usize; 2]>::try_from(size).map_err(|s| u.malformed(format!("resizes {} dimensions", s.len())))?;
        self.on_first(
            u,
            Resize {
                size,
                interpolation,
                coordinates,
            },
        )
    }

    /// An operator that the IR does not have, with what it says of itself.
    pub(super) fn carry(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let (domain, name, attributes) = if u.builtin == Builtin::CUSTOM {
            if u.operator.large_custom_options {
                return Err(u.unsupported("has attributes outside of the flatbuffer", "use a smaller model"));
            }
            let name = u.code.custom_code.clone().unwrap_or_default();
            let options = u.operator.custom_options.clone().unwrap_or_default();
            match name.strip_prefix(FROM_ONNX).and_then(|rest| rest.split_once(':')) {
                Some((domain, name)) => (domain.to_owned(), name.to_owned(), options),
                None => (CUSTOM.to_owned(), name, options),
            }
        } else {
            let known = Builtin::named(u.builtin.name()).is_some();
            if !known || u.operator.options_2 != 0 || matches!(u.operator.options, Options::Foreign(_)) {
                let problem = format!(
                    "operator {} (code {}) cannot be carried through",
                    u.builtin.name(),
                    u.builtin.0
                );
                return Err(u.unsupported(problem, "remove it from the model"));
            }
            let carried = Carried {
                version: u.code.version,
                options: u.operator.options.clone(),
            };
            (
                BUILTIN.to_owned(),
                u.builtin.name().to_owned(),
                Writer::root(&carried, IDENTIFIER),
            )
        };
        if let Some(open) = u.outputs.iter().find_map(|o| self.open.get(o)) {
            return Err(u.open(open));
        }
        let outputs = u.outputs.iter().map(|&o| self.ty(o).to_string()).collect();
        self.plain(
            u,
            Custom {
                domain,
                name,
                attributes,
                outputs,
            },
        )
    }

    /// A dimension of `of`, counted from the end when negative.
    pub(super) fn axis(&self, u: &Use<'_>, axis: i32, of: TensorId) -> Result<usize, FormatError> {
        let rank = self.ty(of).shape.rank();
        let from_start = if axis < 0 {
            i64::from(axis) + rank as i64
        } else {
            i64::from(axis)
        };
        let axis = usize::try_from(from_start).ok().filter(|&a| a < rank);
        axis.ok_or_else(|| u.malformed(format!("names dimension {from_start} of {}", self.ty(of))))
    }

    /// The values of an integer constant, or of what the file computes of shapes; `None` for everything else.
    pub(super) fn constant_integers(&self, id: TensorId) -> Option<Vec<i64>> {
        if let Some(computed) = self.computed.get(&id) {
            return Some(computed.clone());
        }
        match self.graph.constant_data(id)? {
            Constant::I32(a) => Some(a.iter().map(|&v| i64::from(v)).collect()),
            Constant::I64(a) => Some(a.iter().copied().collect()),
            _ => None,
        }
    }

    pub(super) fn constant_at(&self, u: &Use<'_>, input: usize) -> Option<Vec<i64>> {
        self.constant_integers(u.inputs.get(input).copied().flatten()?)
    }

    /// The 32-bit integers of an input that must be constant.
    pub(super) fn integers(&self, u: &Use<'_>, input: usize, what: &str) -> Result<Vec<i32>, FormatError> {
        let values = self.constant_integers(u.input(input)?);
        let problem = || format!("its {what} are computed while it runs");
        let values = values.ok_or_else(|| u.unsupported(problem(), "make them constant"))?;
        let narrow = |v: i64| i32::try_from(v).map_err(|_| u.malformed(format!("its {what} hold {v}")));
        values.into_iter().map(narrow).collect()
    }

    /// Like [`Importer::integers`], for numbers that are not negative.
    pub(super) fn extents(&self, u: &Use<'_>, input: usize, what: &str) -> Result<Vec<usize>, FormatError> {
        let values = self.integers(u, input, what)?;
        let wide = |v: i32| usize::try_from(v).map_err(|_| u.malformed(format!("its {what} hold {v}")));
        values.into_iter().map(wide).collect()
    }

    /// 16-bit sums whose scales are powers of two take another path in the runtime.
    pub(super) fn check_power_of_two(&self, u: &Use<'_>, flag: bool) -> Result<(), FormatError> {
        if flag && self.ty(u.input(0)?).element == ElementType::I16 {
            let fix = "convert the model again with a current converter";
            return Err(u.unsupported("adds 16-bit integers with scales that are powers of two", fix));
        }
        Ok(())
    }
}

impl Use<'_> {
    /// An input that must be there.
    pub(super) fn input(&self, i: usize) -> Result<TensorId, FormatError> {
        let input = self.inputs.get(i).copied().flatten();
        input.ok_or_else(|| self.malformed(format!("has no input {i}")))
    }

    /// All inputs; those that are left out may only stand at the end.
    pub(super) fn present(&self) -> Result<Vec<TensorId>, FormatError> {
        let len = self.inputs.iter().rposition(Option::is_some).map_or(0, |i| i + 1);
        let all: Option<Vec<TensorId>> = self.inputs[..len].iter().copied().collect();
        all.ok_or_else(|| self.unsupported("leaves out an input in the middle", "remove the operator"))
    }

    pub(super) fn options<T: FromOptions>(&self) -> Result<T, FormatError> {
        T::from_options(&self.operator.options).ok_or_else(|| {
            let (found, expected) = (self.operator.options.kind(), T::KIND);
            self.malformed(format!("has options of kind {found}, expected {expected}"))
        })
    }

    pub(super) fn activation(&self, code: i8) -> Result<Activation, FormatError> {
        let problem = || format!("has the fused activation function {code}, which is not a clamp");
        activation_of(code).ok_or_else(|| self.unsupported(problem(), "make the activation a layer of its own"))
    }

    pub(super) fn positive(&self, what: &str, values: [i32; 2]) -> Result<[usize; 2], FormatError> {
        let wrong = || self.malformed(format!("has a {what} of {values:?}, expected at least 1"));
        let [a, b] = values.map(|v| usize::try_from(v).ok().filter(|&v| v > 0));
        a.zip(b).map(|(a, b)| [a, b]).ok_or_else(wrong)
    }

    pub(super) fn open(&self, dimensions: &[usize]) -> FormatError {
        let problem = format!("dimensions {dimensions:?} of its output are computed while it runs");
        self.unsupported(problem, "export the model with fixed sizes")
    }

    pub(super) fn unknown_padding(&self, scheme: i8) -> FormatError {
        self.malformed(format!("has the unknown padding {scheme}"))
    }
}
