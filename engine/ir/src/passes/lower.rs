//! Operators that TFLite does not have, expressed by those that it has.

use crate::ops::{Activation, Add, Function, LayerNorm, Mean, Minimum, Mul, Sub};
use crate::{Constant, ElementType, Graph, InferError, NodeId, Op, Patch, Quantization, Scale, Tensor, TensorType};

/// Whether a node computes with 32-bit floats. What it becomes would have no scales otherwise.
fn floats(graph: &Graph, id: NodeId) -> bool {
    graph.tensor(graph.node(id).output()).ty.element == ElementType::F32
}

/// A function of a number that TFLite does not have becomes others.
///
/// - `swish`: `x · sigmoid(x)`
/// - `hard_sigmoid`: a product, a sum with a fused clamp at 0, and a minimum with 1
/// - `softplus`: `max(x, 0) + ln(1 + e^(−|x|))`, which overflows nowhere
/// - `mish`: `x · tanh(softplus(x))`
pub fn function(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let Op::Function(function) = node.op else {
        return Ok(None);
    };
    if !floats(graph, id) {
        return Ok(None);
    }
    let (name, x) = (|part: &str| format!("{}/{part}", node.name), node.inputs[0]);
    let number = |value: f32| Constant::f32([1], vec![value]).expect("one value");
    let mut patch = Patch::new(graph);
    let last = match function {
        Function::Swish => {
            let gate = patch.node(name("sigmoid"), Function::Sigmoid, &[x])?;
            patch.node(node.name.clone(), Mul::default(), &[x, gate])?
        }
        Function::HardSigmoid { alpha, beta } => {
            let alpha = patch.constant(name("alpha"), number(alpha));
            let (beta, one) = (
                patch.constant(name("beta"), number(beta)),
                patch.constant(name("one"), number(1.0)),
            );
            let scaled = patch.node(name("mul"), Mul::default(), &[x, alpha])?;
            let activation = Activation::Relu;
            let shifted = patch.node(name("add"), Add { activation }, &[scaled, beta])?;
            patch.node(node.name.clone(), Minimum::default(), &[shifted, one])?
        }
        Function::Softplus => {
            let one = patch.constant(name("one"), number(1.0));
            let magnitude = patch.node(name("abs"), Function::Abs, &[x])?;
            let negative = patch.node(name("neg"), Function::Neg, &[magnitude])?;
            let power = patch.node(name("exp"), Function::Exp, &[negative])?;
            let sum = patch.node(name("sum"), Add::default(), &[power, one])?;
            let logarithm = patch.node(name("log"), Function::Log, &[sum])?;
            let positive = patch.node(name("relu"), Function::Relu, &[x])?;
            patch.node(node.name.clone(), Add::default(), &[positive, logarithm])?
        }
        Function::Mish => {
            let plus = patch.node(name("softplus"), Function::Softplus, &[x])?;
            let gate = patch.node(name("tanh"), Function::Tanh, &[plus])?;
            patch.node(node.name.clone(), Mul::default(), &[x, gate])?
        }
        Function::Relu
        | Function::Relu6
        | Function::ReluN1To1
        | Function::LeakyRelu { .. }
        | Function::Elu { .. }
        | Function::HardSwish
        | Function::Sigmoid
        | Function::Tanh
        | Function::Gelu { .. }
        | Function::Exp
        | Function::Log
        | Function::Sqrt
        | Function::Rsqrt
        | Function::Neg
        | Function::Abs
        | Function::Sin
        | Function::Cos
        | Function::Floor
        | Function::Ceil
        | Function::Round
        | Function::Sign
        | Function::Erf => return Ok(None),
    };
    patch.replace(node.output(), last);
    patch.remove(id);
    Ok(Some(patch))
}

/// `x / c` becomes `x · (1/c)`, which integer arithmetic has.
pub fn div_by_constant(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let Op::Div(div) = &node.op else { return Ok(None) };
    let Some(divisor) = graph.constant_data(node.inputs[1]) else {
        return Ok(None);
    };
    let Some(values) = divisor.as_f32().filter(|v| v.iter().all(|&x| x != 0.0)) else {
        return Ok(None);
    };
    let inverse = Constant::f32(divisor.dims(), values.iter().map(|&v| 1.0 / v).collect()).expect("as many as before");
    let mut patch = Patch::new(graph);
    let factor = patch.constant(format!("{}/reciprocal", node.name), inverse);
    let product = patch.node(
        node.name.clone(),
        Mul {
            activation: div.activation,
        },
        &[node.inputs[0], factor],
    )?;
    patch.replace(node.output(), product);
    patch.remove(id);
    Ok(Some(patch))
}

/// A convolution without bias gets one of zeros: LiteRT refuses a `CONV_2D` that has none, and its optimized kernels for
/// `DEPTHWISE_CONV_2D` read one that is not there.
///
/// Source: `Prepare` in TensorFlow Lite's `kernels/conv.cc`, which asks for `has_bias`; `DepthwiseConvInitAccBuffer`.
pub fn conv_bias(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let &[input, weights] = node.inputs.as_slice() else {
        return Ok(None);
    };
    let layer = (&node.op, graph.tensor(weights).ty.shape.dims());
    let ((Op::Conv2d(_), &[channels, ..]) | (Op::DepthwiseConv2d(_), &[.., channels])) = layer else {
        return Ok(None);
    };
    let Some((zeros, quantization)) = zero_bias(graph.tensor(input), graph.tensor(weights), channels) else {
        return Ok(None);
    };
    let mut patch = Patch::new(graph);
    let bias = patch.tensor(Tensor {
        name: format!("{}/bias", node.name),
        ty: zeros.ty(),
        quantization,
        data: Some(zeros),
    });
    let made = graph.tensor(node.output()).quantization.clone();
    let biased = patch.quantized_node(node.name.clone(), node.op.clone(), &[input, weights, bias], made)?;
    patch.replace(node.output(), biased);
    patch.remove(id);
    Ok(Some(patch))
}

/// Zeros in the type of a layer's accumulator: floats, or integers in steps of `input · weights`.
fn zero_bias(input: &Tensor, weights: &Tensor, channels: usize) -> Option<(Constant, Option<Quantization>)> {
    let zeros = match input.ty.element {
        ElementType::F32 => return Some((Constant::f32([channels], vec![0.0; channels])?, None)),
        ElementType::I8 | ElementType::U8 => Constant::i32([channels], vec![0; channels])?,
        ElementType::I16 => {
            Constant::from_le_bytes(&TensorType::new(ElementType::I64, [channels]), &vec![0; 8 * channels])?
        }
        _ => return None,
    };
    let step = input.quantization.as_ref()?.whole()?.scale.get();
    let weights = weights.quantization.as_ref()?;
    let scales: Option<Vec<Scale>> = weights.scales.iter().map(|s| Scale::new(s.get() * step)).collect();
    let scales = scales?;
    let quantization = match weights.axis {
        Some(_) => Quantization::per_axis(scales, 0),
        None => Quantization::per_tensor(*scales.first()?, 0),
    };
    Some((zeros, Some(quantization)))
}

/// The real values of a stored constant that LiteRT's `DEQUANTIZE` does not take, such as a bias of 32-bit integers, become a
/// constant themselves.
#[expect(clippy::unnecessary_wraps, reason = "the signature of every rule")]
pub fn dequantized_constant(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let (Op::Dequantize(_), Some(stored)) = (&node.op, graph.constant_data(node.inputs[0])) else {
        return Ok(None);
    };
    let Some(quantization) = &graph.tensor(node.inputs[0]).quantization else {
        return Ok(None);
    };
    let integers: Vec<i32> = match stored {
        Constant::I32(values) => values.iter().copied().collect(),
        Constant::I16(values) if quantization.axis.is_some() => values.iter().map(|&v| v.into()).collect(),
        _ => return Ok(None),
    };
    let real = |(i, &q): (usize, &i32)| Some(quantization.of_element(stored.dims(), i)?.dequantize(q));
    let Some(values) = integers.iter().enumerate().map(real).collect::<Option<Vec<f32>>>() else {
        return Ok(None);
    };
    let mut patch = Patch::new(graph);
    let data = Constant::f32(stored.dims(), values).expect("as many as before");
    let constant = patch.constant(node.name.clone(), data);
    patch.replace(node.output(), constant);
    patch.remove(id);
    Ok(Some(patch))
}

/// `layer_norm(x)` becomes `c · rsqrt(mean(c·c) + epsilon) · scale + bias` with `c = x − mean(x)`.
pub fn layer_norm(graph: &Graph, id: NodeId) -> Result<Option<Patch<'_>>, InferError> {
    let node = graph.node(id);
    let Op::LayerNorm(LayerNorm { axis, epsilon }) = node.op else {
        return Ok(None);
    };
    if !floats(graph, id) {
        return Ok(None);
    }
    let (input, scale, bias) = (node.inputs[0], node.inputs[1], node.inputs.get(2).copied());
    let mean = Mean {
        axes: (axis..graph.tensor(input).ty.shape.rank()).collect(),
        keep_dims: true,
    };
    let name = |part: &str| format!("{}/{part}", node.name);
    let mut patch = Patch::new(graph);
    let epsilon = patch.constant(name("epsilon"), Constant::f32([1], vec![epsilon]).expect("one value"));
    let average = patch.node(name("mean"), mean.clone(), &[input])?;
    let centred = patch.node(name("centred"), Sub::default(), &[input, average])?;
    let squares = patch.node(name("squares"), Mul::default(), &[centred, centred])?;
    let variance = patch.node(name("variance"), mean, &[squares])?;
    let guarded = patch.node(name("guarded"), Add::default(), &[variance, epsilon])?;
    let inverse = patch.node(name("rsqrt"), Function::Rsqrt, &[guarded])?;
    let normalized = patch.node(name("normalized"), Mul::default(), &[centred, inverse])?;
    let last = match bias {
        None => patch.node(node.name.clone(), Mul::default(), &[normalized, scale])?,
        Some(bias) => {
            let scaled = patch.node(name("scaled"), Mul::default(), &[normalized, scale])?;
            patch.node(node.name.clone(), Add::default(), &[scaled, bias])?
        }
    };
    patch.replace(node.output(), last);
    patch.remove(id);
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use crate::ops::{Conv2d, DepthwiseConv2d, Dequantize, Div, Function};
    use crate::{Constant, ElementType, Graph, Quantization, Scale, TensorType};

    #[test]
    fn lowered_operators_keep_the_name_of_their_output() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 4]));
        let s = g.add("s", Function::Swish, &[x]).unwrap();
        let h = g
            .add("h", Function::HardSigmoid { alpha: 0.2, beta: 0.5 }, &[s])
            .unwrap();
        let c = g.constant("c", Constant::f32([1], vec![4.0]).unwrap());
        let d = g.add("d", Div::default(), &[h, c]).unwrap();
        g.set_outputs(&[d]);
        super::super::lower(&mut g).unwrap();
        let ops: Vec<_> = g.nodes().iter().map(|n| n.op.name()).collect();
        assert_eq!(ops, ["sigmoid", "mul", "mul", "add", "minimum", "mul"]);
        assert!(["s", "h", "d"].iter().all(|n| g.find(n).is_some()));
    }

    #[test]
    fn a_layer_norm_becomes_means_and_products() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 3, 4]));
        let scale = g.constant("scale", Constant::f32([4], vec![1.0; 4]).unwrap());
        let bias = g.constant("bias", Constant::f32([4], vec![0.5; 4]).unwrap());
        let norm = super::LayerNorm { axis: 2, epsilon: 1e-5 };
        let y = g.add("norm", norm, &[x, scale, bias]).unwrap();
        g.set_outputs(&[y]);
        super::super::lower(&mut g).unwrap();
        let ops: Vec<_> = g.nodes().iter().map(|n| n.op.name()).collect();
        assert_eq!(ops, ["mean", "sub", "mul", "mean", "add", "rsqrt", "mul", "mul", "add"]);
        assert_eq!(g.tensor(g.outputs()[0]).name, "norm");
    }

    /// Integers on stored weights without a bias.
    fn integer_convolution() -> Graph {
        let mut g = Graph::new("g");
        let scale = |s: f32| Quantization::per_tensor(Scale::new(s).unwrap(), 0);
        let x = g.input("x", TensorType::new(ElementType::I8, [1, 2, 2, 1]));
        g.tensor_mut(x).quantization = Some(scale(0.5));
        let w = g.constant("w", Constant::i8([2, 1, 1, 1], vec![1, 2]).unwrap());
        let scales = [0.25, 0.125].map(|s| Scale::new(s).unwrap());
        g.tensor_mut(w).quantization = Some(Quantization::per_axis(scales.to_vec(), 0));
        let y = g.add("conv", Conv2d::default(), &[x, w]).unwrap();
        g.tensor_mut(y).quantization = Some(scale(0.5));
        g.set_outputs(&[y]);
        g
    }

    #[test]
    fn the_bias_of_an_integer_convolution_is_in_steps_of_its_products() {
        let mut g = integer_convolution();
        super::super::lower(&mut g).unwrap();
        let bias = g.tensor(g.nodes()[0].inputs[2]);
        assert_eq!(bias.data.as_ref().and_then(Constant::as_i32), Some(&[0, 0][..]));
        let steps: Vec<f32> = bias
            .quantization
            .iter()
            .flat_map(|q| &q.scales)
            .map(|s| s.get())
            .collect();
        assert_eq!(steps, [0.125, 0.0625]);
        assert!(g.tensor(g.outputs()[0]).is_quantized());
    }

    #[test]
    fn stored_integers_of_32_bits_become_the_floats_that_they_mean() {
        let mut g = Graph::new("g");
        let stored = g.constant("stored", Constant::i32([2], vec![3, -4]).unwrap());
        let scales = [0.5, 0.25].map(|s| Scale::new(s).unwrap());
        g.tensor_mut(stored).quantization = Some(Quantization::per_axis(scales.to_vec(), 0));
        let x = g.input("x", TensorType::f32([1, 2]));
        let bias = g.add("bias", Dequantize {}, &[stored]).unwrap();
        let y = g.add("y", crate::ops::Add::default(), &[x, bias]).unwrap();
        g.set_outputs(&[y]);
        super::super::lower(&mut g).unwrap();
        assert_eq!(g.nodes().len(), 1);
        let bias = g.tensor(g.nodes()[0].inputs[1]);
        assert_eq!(
            (bias.name.as_str(), bias.data.as_ref().and_then(Constant::as_f32)),
            ("bias", Some(&[1.5, -1.0][..]))
        );
    }

    #[test]
    fn a_convolution_without_bias_gets_zeros() {
        let mut g = Graph::new("g");
        let x = g.input("x", TensorType::f32([1, 2, 2, 1]));
        let w = g.constant("w", Constant::f32([2, 1, 1, 1], vec![1.0, 2.0]).unwrap());
        let y = g.add("conv", Conv2d::default(), &[x, w]).unwrap();
        let w = g.constant("deep/w", Constant::f32([1, 1, 1, 2], vec![1.0, 2.0]).unwrap());
        let y = g.add("deep", DepthwiseConv2d::default(), &[y, w]).unwrap();
        g.set_outputs(&[y]);
        super::super::lower(&mut g).unwrap();
        for node in g.nodes() {
            let [_, _, bias] = node.inputs[..] else {
                panic!("no bias")
            };
            assert_eq!(g.constant_data(bias).and_then(Constant::as_f32), Some(&[0.0, 0.0][..]));
        }
        assert_eq!([&g.nodes()[0].name, &g.nodes()[1].name], ["conv", "deep"]);
    }
}
