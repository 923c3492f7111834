//! Reductions, and operators that move values.

use ir::ops::{
    Activation, ArgMax, Concat, Coordinates, Gather, Interpolation, Pad, PadMode, Reshape, Resize, Slice, Split,
    Transpose,
};
use ir::{Constant, ElementType, Node};

use super::attributes;
use super::values::{Emitter, Lies};
use crate::FormatError;
use crate::onnx::layout;
use crate::onnx::pixels::{self, Axis};

type Done = Result<(), FormatError>;

impl Emitter<'_> {
    pub fn arg_max(&mut self, node: &Node, op: &ArgMax) -> Done {
        let (id, rank) = (node.inputs[0], self.rank(node.inputs[0]));
        let mut lies = self.lies(id);
        let left = layout::to_first(rank).into_iter().filter(|&d| d != op.axis);
        if lies == Lies::First && !left.is_sorted() {
            lies = Lies::Plain;
        }
        let x = self.real(node, id, lies)?;
        let axis = attributes::int("axis", lies.axis(rank, op.axis) as i64);
        let attributes = vec![axis, attributes::int("keepdims", 0)];
        if op.to == ElementType::I64 {
            return self.put(node, "ArgMax", &[&x], attributes, Lies::Plain, Activation::None);
        }
        let places = self.inner(&format!("{}/places", node.name), "ArgMax", &[&x], attributes);
        let to = attributes::int("to", i64::from(crate::onnx::tensor::code(op.to)));
        self.put(node, "Cast", &[&places], vec![to], Lies::Plain, Activation::None)
    }

    pub fn reduce(&mut self, node: &Node, op: &str, axes: &[usize], keep_dims: bool) -> Done {
        let (id, rank) = (node.inputs[0], self.rank(node.inputs[0]));
        let mut lies = self.lies(id);
        // Without the reduced dimensions, the others must come in the order of the graph.
        if lies == Lies::First && !keep_dims {
            let left: Vec<usize> = layout::to_first(rank)
                .into_iter()
                .filter(|d| !axes.contains(d))
                .collect();
            if !left.is_sorted() {
                lies = Lies::Plain;
            }
        }
        let x = self.real(node, id, lies)?;
        let made = if keep_dims { lies } else { Lies::Plain };
        let mut axes: Vec<usize> = axes.iter().map(|&a| lies.axis(rank, a)).collect();
        axes.sort_unstable();
        if op == "ReduceMean" && keep_dims && lies == Lies::First && axes == [2, 3] {
            return self.put(node, "GlobalAveragePool", &[&x], Vec::new(), made, Activation::None);
        }
        let keep = attributes::int("keepdims", i64::from(keep_dims));
        // The axes of sums are an input since opset 13, those of the others since 18.
        if op == "ReduceSum" || self.opset >= 18 {
            let axes = self.numbers(&format!("{}/axes", node.name), &axes);
            return self.put(node, op, &[&x, &axes], vec![keep], made, Activation::None);
        }
        self.put(
            node,
            op,
            &[&x],
            vec![attributes::ints("axes", &axes), keep],
            made,
            Activation::None,
        )
    }

    pub fn concat(&mut self, node: &Node, op: &Concat) -> Done {
        let first = node.inputs.iter().any(|&id| self.is_first(id));
        let lies = if first { Lies::First } else { Lies::Plain };
        let mut inputs = Vec::new();
        for &id in &node.inputs {
            inputs.push(self.real(node, id, lies)?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let axis = lies.axis(self.rank(node.inputs[0]), op.axis);
        self.put(
            node,
            "Concat",
            &inputs,
            vec![attributes::int("axis", axis as i64)],
            lies,
            Activation::None,
        )
    }

    pub fn split(&mut self, node: &Node, op: &Split) -> Done {
        let lies = self.lies(node.inputs[0]);
        let x = self.real(node, node.inputs[0], lies)?;
        let axis = lies.axis(self.rank(node.inputs[0]), op.axis);
        let mut attribute = vec![attributes::int("axis", axis as i64)];
        if self.opset >= 18 {
            // Demanded from there on.
            attribute.push(attributes::int("num_outputs", node.outputs.len() as i64));
        }
        self.put_many(node, "Split", &[&x], attribute, lies)
    }

    pub fn slice(&mut self, node: &Node, op: &Slice) -> Done {
        let lies = self.lies(node.inputs[0]);
        let x = self.real(node, node.inputs[0], lies)?;
        let dims = self.dims(node.inputs[0]);
        // Dimensions that stay whole are not named: the leading one may have any extent.
        let cut: Vec<usize> = (0..dims.len())
            .filter(|&d| op.begin[d] != 0 || op.end[d] != dims[d] || op.stride[d] != 1)
            .collect();
        if cut.is_empty() {
            return self.put(node, "Identity", &[&x], Vec::new(), lies, Activation::None);
        }
        let list = |values: &[usize]| cut.iter().map(|&d| values[d]).collect::<Vec<usize>>();
        let axes: Vec<usize> = cut.iter().map(|&d| lies.axis(dims.len(), d)).collect();
        let mut input = |what: &str, values: &[usize]| self.numbers(&format!("{}/{what}", node.name), values);
        let (starts, ends) = (input("starts", &list(&op.begin)), input("ends", &list(&op.end)));
        let (axes, steps) = (input("axes", &axes), input("steps", &list(&op.stride)));
        self.put(
            node,
            "Slice",
            &[&x, &starts, &ends, &axes, &steps],
            Vec::new(),
            lies,
            Activation::None,
        )
    }

    pub fn gather(&mut self, node: &Node, op: &Gather) -> Done {
        // A vector of indices keeps the rank, and with it the layout.
        let keeps = self.rank(node.inputs[1]) == 1 && self.constant(node.inputs[1]).is_some();
        let lies = if keeps { self.lies(node.inputs[0]) } else { Lies::Plain };
        let x = self.real(node, node.inputs[0], lies)?;
        let indices = self.real(node, node.inputs[1], Lies::Plain)?;
        let axis = lies.axis(self.rank(node.inputs[0]), op.axis);
        self.put(
            node,
            "Gather",
            &[&x, &indices],
            vec![attributes::int("axis", axis as i64)],
            lies,
            Activation::None,
        )
    }

    /// `Pad`; the mirror image with the edge, which ONNX does not have, is gathered.
    pub fn pad(&mut self, node: &Node, op: &Pad) -> Done {
        let lies = self.lies(node.inputs[0]);
        let x = self.real(node, node.inputs[0], lies)?;
        if op.mode == PadMode::Symmetric {
            return self.mirrored(node, op, x, lies);
        }
        let widths = [lies.ordered(&op.before), lies.ordered(&op.after)].concat();
        let pads = self.numbers(&format!("{}/pads", node.name), &widths);
        let mode = |mode: &str| vec![attributes::text("mode", mode)];
        match op.mode {
            PadMode::Reflect => self.put(node, "Pad", &[&x, &pads], mode("reflect"), lies, Activation::None),
            PadMode::Value(value) => {
                let value = self.scalar(&format!("{}/value", node.name), value);
                self.put(
                    node,
                    "Pad",
                    &[&x, &pads, &value],
                    mode("constant"),
                    lies,
                    Activation::None,
                )
            }
            PadMode::Zero | PadMode::Symmetric => {
                self.put(node, "Pad", &[&x, &pads], mode("constant"), lies, Activation::None)
            }
        }
    }

    fn mirrored(&mut self, node: &Node, op: &Pad, mut x: String, lies: Lies) -> Done {
        let dims = self.dims(node.inputs[0]);
        for (d, &extent) in dims.iter().enumerate().filter(|&(d, _)| op.before[d] + op.after[d] > 0) {
            let before = (0..op.before[d]).rev();
            let after = (0..op.after[d]).map(|i| extent - 1 - i);
            let indices: Vec<usize> = before.chain(0..extent).chain(after).collect();
            let indices = self.numbers(&format!("{}/indices{d}", node.name), &indices);
            let axis = vec![attributes::int("axis", lies.axis(dims.len(), d) as i64)];
            x = self.inner(&format!("{}/mirrored{d}", node.name), "Gather", &[&x, &indices], axis);
        }
        self.put(node, "Identity", &[&x], Vec::new(), lies, Activation::None)
    }

    /// `Reshape`; the dimension that counts samples is what remains.
    pub fn reshape(&mut self, node: &Node, op: &Reshape) -> Done {
        let input = node.inputs[0];
        // Where all but one dimension are 1, the order of elements is the same in both layouts.
        let line = self.dims(input).iter().filter(|&&d| d != 1).count() <= 1;
        let lies = if line { self.lies(input) } else { Lies::Plain };
        let x = self.real(node, input, lies)?;
        // The reader may want channels first; a line can be either.
        let made = if op.shape.len() == 4 && op.shape.iter().filter(|&&d| d != 1).count() <= 1 {
            Lies::First
        } else {
            Lies::Plain
        };
        let mut shape: Vec<i64> = made.ordered(&op.shape).iter().map(|&d| d as i64).collect();
        if let Some(open) = self.open(node.output(), made) {
            shape[open] = -1;
        }
        let shape = self.integers(&format!("{}/shape", node.name), &shape);
        self.put(node, "Reshape", &[&x, &shape], Vec::new(), made, Activation::None)
    }

    pub fn transpose(&mut self, node: &Node, op: &Transpose) -> Done {
        let (input, rank) = (node.inputs[0], op.perm.len());
        let lies = self.lies(input);
        let x = self.real(node, input, lies)?;
        let perm: Vec<usize> = op.perm.iter().map(|&p| lies.axis(rank, p)).collect();
        self.put(
            node,
            "Transpose",
            &[&x],
            vec![attributes::ints("perm", &perm)],
            Lies::Plain,
            Activation::None,
        )
    }

    /// `Resize` by scales, which leave the leading dimension alone.
    pub fn resize(&mut self, node: &Node, op: &Resize) -> Done {
        let x = self.real(node, node.inputs[0], Lies::First)?;
        let dims = self.dims(node.inputs[0]);
        let scale = |i: usize| {
            let (from, to) = (dims[i + 1], op.size[i]);
            let scale = to as f32 / from as f32;
            // The output is the floor of the product, which must not fall short by a rounding.
            if ((from as f32 * scale).floor() as usize) < to || ((from as f64 * f64::from(scale)).floor() as usize) < to
            {
                scale.next_up()
            } else {
                scale
            }
        };
        let axes = [0, 1].map(|i| Axis {
            input: dims[i + 1],
            output: op.size[i],
            scale: scale(i),
        });
        let (mode, nearest) = match (op.interpolation, op.coordinates) {
            (Interpolation::Bilinear, _) => ("linear", "floor"),
            (Interpolation::Nearest, Coordinates::Asymmetric) => ("nearest", "floor"),
            (Interpolation::Nearest, _) => ("nearest", "round_prefer_ceil"),
        };
        let coordinates = pixels::name(op.coordinates);
        if op.interpolation == Interpolation::Nearest {
            let maps = axes.map(|axis| pixels::nearest_of(op.coordinates, axis.input, axis.output));
            let same =
                |(axis, map): (&Axis, &Vec<usize>)| pixels::nearest(coordinates, nearest, *axis).as_ref() == Some(map);
            if !axes.iter().zip(&maps).all(same) {
                return self.picked(node, &x, maps);
            }
        }
        let scales = Constant::f32([4], vec![1.0, 1.0, axes[0].scale, axes[1].scale]).expect("four values");
        let scales = self.store(&format!("{}/scales", node.name), &scales);
        let attribute = vec![
            attributes::text("coordinate_transformation_mode", coordinates),
            attributes::text("mode", mode),
            attributes::text("nearest_mode", nearest),
        ];
        self.put(
            node,
            "Resize",
            &[&x, "", &scales],
            attribute,
            Lies::First,
            Activation::None,
        )
    }

    /// Rows and columns picked one by one, where dividing by a scale is rounded to other pixels than multiplying by its inverse.
    fn picked(&mut self, node: &Node, x: &str, [rows, columns]: [Vec<usize>; 2]) -> Done {
        let rows = self.numbers(&format!("{}/rows", node.name), &rows);
        let columns = self.numbers(&format!("{}/columns", node.name), &columns);
        let axis = |axis: i64| vec![attributes::int("axis", axis)];
        let picked = self.inner(&format!("{}/picked", node.name), "Gather", &[x, &rows], axis(2));
        self.put(
            node,
            "Gather",
            &[&picked, &columns],
            axis(3),
            Lies::First,
            Activation::None,
        )
    }
}
