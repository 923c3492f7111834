//! Operators that move values: attributes become tensors of shapes, bounds and paddings.

use ir::ops::{Coordinates, Interpolation, Pad, PadMode, Resize, Slice};
use ir::{Constant, ElementType, Node, Quantization, TensorType};

use super::ops::{int, place};
use super::{Call, Emitter};
use crate::FormatError;
use crate::tflite::builtin::Builtin;
use crate::tflite::schema::{
    MirrorPadOptions, PadOptions, PadV2Options, REFLECT, ReshapeOptions, ResizeBilinearOptions,
    ResizeNearestNeighborOptions, SYMMETRIC, SliceOptions, StridedSliceOptions,
};
use crate::tflite::unsupported;

impl Emitter<'_> {
    /// The dimension that counts samples is −1, so that the file takes any number of them.
    pub(super) fn reshape(&mut self, node: &Node, shape: &[usize]) {
        let mut target: Vec<i32> = shape.iter().copied().map(int).collect();
        if let Some(open) = self.tensors[node.output().index()].open {
            target[open] = -1;
        }
        let target = self.integers(&[target.len()], &target);
        self.with(node, Builtin::RESHAPE, ReshapeOptions::default(), &[target]);
    }

    /// `SLICE`, or with steps `STRIDED_SLICE`. Whole dimensions are said to be whole, whatever their extent.
    pub(super) fn slice(&mut self, node: &Node, op: &Slice) {
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

    pub(super) fn pad(&mut self, node: &Node, pad: &Pad) -> Result<(), FormatError> {
        self.pad_into(node, pad, node.output().index() as i32)
    }

    pub(super) fn pad_into(&mut self, node: &Node, pad: &Pad, output: i32) -> Result<(), FormatError> {
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
    pub(super) fn pad_value(&mut self, node: &Node, value: f32) -> Result<i32, FormatError> {
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

    pub(super) fn resize(&mut self, node: &Node, op: &Resize) {
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
}
