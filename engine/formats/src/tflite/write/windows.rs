//! Operators that slide a window over rows and columns.

use ir::Node;
use ir::ops::{Activation, AveragePool2d, Conv2d, DepthwiseConv2d, MaxPool2d, Pad, PadMode, Padding, TransposeConv2d};

use super::ops::{inputs, int, outputs, place};
use super::{Call, Emitter, FileTensor};
use crate::FormatError;
use crate::tflite::builtin::Builtin;
use crate::tflite::schema::{
    Conv2DOptions, DepthwiseConv2DOptions, Options, Pool2DOptions, SliceOptions, TransposeConvOptions, VALID,
};
use crate::tflite::unsupported;
use crate::tflite::window::{Transposed, Window, activation_code};

impl Emitter<'_> {
    pub(super) fn conv2d(&mut self, node: &Node, op: &Conv2d) -> Result<(), FormatError> {
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

    pub(super) fn depthwise_conv2d(&mut self, node: &Node, op: &DepthwiseConv2d) -> Result<(), FormatError> {
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

    pub(super) fn window(&self, node: &Node, kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Window {
        Window {
            input: self.rows_columns(node, 0),
            kernel,
            stride,
            dilation,
        }
    }

    /// The padding scheme of a convolution and what it reads: a padded copy of its input where no scheme fits.
    pub(super) fn padded(&mut self, node: &Node, window: &Window, padding: Padding) -> Result<(i8, i32), FormatError> {
        if let Some(scheme) = window.scheme(padding) {
            return Ok((scheme, node.inputs[0].index() as i32));
        }
        let padded = self.pad_spatial(node, padding, PadMode::Zero)?;
        Ok((VALID, padded))
    }

    /// A padded copy of a node's first input.
    pub(super) fn pad_spatial(&mut self, node: &Node, padding: Padding, mode: PadMode) -> Result<i32, FormatError> {
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
            packed: false,
            open: self.tensors[node.inputs[0].index()].open,
            sparsity: None,
            variable: false,
        });
        self.pad_into(node, &pad, output)?;
        Ok(output)
    }

    pub(super) fn max_pool2d(&mut self, node: &Node, op: &MaxPool2d) -> Result<(), FormatError> {
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

    pub(super) fn average_pool2d(&mut self, node: &Node, op: &AveragePool2d) -> Result<(), FormatError> {
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
    pub(super) fn transpose_conv2d(&mut self, node: &Node, op: &TransposeConv2d) -> Result<(), FormatError> {
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
                packed: false,
                open: self.tensors[node.output().index()].open,
                sparsity: None,
                variable: false,
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
