//! Operators that slide a window over rows and columns.

use ir::TensorId;
use ir::ops::{self, Activation, Conv2d, DepthwiseConv2d, TransposeConv2d};

use super::{Importer, Use};
use crate::FormatError;
use crate::tflite::schema::{Conv2DOptions, DepthwiseConv2DOptions, Pool2DOptions, TransposeConvOptions};
use crate::tflite::window::{Transposed, Window};

impl Importer {
    pub(super) fn window(
        &self,
        u: &Use<'_>,
        kernel: [usize; 2],
        stride: [i32; 2],
        dilation: [i32; 2],
    ) -> Result<Window, FormatError> {
        Ok(Window {
            input: self.rows_columns(u, u.input(0)?)?,
            kernel,
            stride: u.positive("stride", stride)?,
            dilation: u.positive("dilation", dilation)?,
        })
    }

    pub(super) fn conv2d(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let o: Conv2DOptions = u.options()?;
        let kernel = self.rows_columns(u, u.input(1)?)?;
        let dilation = [o.dilation_h_factor, o.dilation_w_factor];
        let window = self.window(u, kernel, [o.stride_h, o.stride_w], dilation)?;
        let last = |input: usize| Ok::<_, FormatError>(self.ty(u.input(input)?).shape.0.last().copied().unwrap_or(0));
        let (channels, per_group) = (last(0)?, last(1)?);
        let op = Conv2d {
            stride: window.stride,
            dilation: window.dilation,
            padding: window.padding(o.padding).ok_or_else(|| u.unknown_padding(o.padding))?,
            // What does not divide is refused by inference.
            groups: channels.checked_div(per_group).unwrap_or(1).max(1),
            activation: u.activation(o.fused_activation_function)?,
        };
        self.plain(u, op)
    }

    pub(super) fn depthwise_conv2d(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let o: DepthwiseConv2DOptions = u.options()?;
        let kernel = self.rows_columns(u, u.input(1)?)?;
        let dilation = [o.dilation_h_factor, o.dilation_w_factor];
        let window = self.window(u, kernel, [o.stride_h, o.stride_w], dilation)?;
        let op = DepthwiseConv2d {
            stride: window.stride,
            dilation: window.dilation,
            padding: window.padding(o.padding).ok_or_else(|| u.unknown_padding(o.padding))?,
            activation: u.activation(o.fused_activation_function)?,
        };
        self.plain(u, op)
    }

    pub(super) fn transpose_conv2d(&mut self, u: &Use<'_>) -> Result<(), FormatError> {
        let o: TransposeConvOptions = u.options()?;
        let (weights, input) = (u.input(1)?, u.input(2)?);
        let output = match self.constant_integers(u.input(0)?).as_deref() {
            Some(&[_, rows, columns, _]) => u.positive("output shape", [rows as i32, columns as i32])?,
            _ => self.rows_columns(u, u.outputs[0])?,
        };
        let window = Transposed {
            input: self.rows_columns(u, input)?,
            output,
            kernel: self.rows_columns(u, weights)?,
            stride: u.positive("stride", [o.stride_h, o.stride_w])?,
        };
        let (padding, output_padding) = window.padding(o.padding).ok_or_else(|| u.unknown_padding(o.padding))?;
        let activation = u.activation(o.fused_activation_function)?;
        let op = TransposeConv2d {
            stride: window.stride,
            padding,
            output_padding,
            activation,
        };
        let bias = u.inputs.get(3).copied().flatten();
        let inputs: Vec<TensorId> = [input, weights].into_iter().chain(bias).collect();
        self.push(u, op.into(), &inputs, &u.outputs)
    }

    pub(super) fn pool(&self, u: &Use<'_>) -> Result<([usize; 2], [usize; 2], ops::Padding, Activation), FormatError> {
        let o: Pool2DOptions = u.options()?;
        let kernel = u.positive("filter", [o.filter_height, o.filter_width])?;
        let window = self.window(u, kernel, [o.stride_h, o.stride_w], [1, 1])?;
        let padding = window.padding(o.padding).ok_or_else(|| u.unknown_padding(o.padding))?;
        Ok((
            kernel,
            window.stride,
            padding,
            u.activation(o.fused_activation_function)?,
        ))
    }
}
