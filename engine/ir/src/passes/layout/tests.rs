//! Small graphs in, small graphs out, as text: `x: f32[1,2]` is an input, `c: f32[2] constant` a constant of 0, 1, 2, …, and
//! `y = relu: {} <- x` a node; the last line names the outputs.

use super::{Interface, channels_last, channels_last_with};
use crate::{Constant, Graph, Op, TensorId, TensorType};

fn read(text: &str) -> Graph {
    let mut graph = Graph::new("g");
    let ids = |graph: &Graph, names: &str| -> Vec<TensorId> {
        names.split_whitespace().map(|name| graph.find(name).unwrap()).collect()
    };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(outputs) = line.strip_prefix("return ") {
            let outputs = ids(&graph, outputs);
            graph.set_outputs(&outputs);
        } else if let Some((name, rest)) = line.split_once(" = ") {
            let (op, inputs) = rest.split_once(" <- ").unwrap();
            let op: Op = serde_yaml::from_str(op).unwrap();
            let inputs = ids(&graph, inputs);
            graph.add_many(name, op, &inputs).unwrap();
        } else {
            let (name, ty) = line.split_once(": ").unwrap();
            let parse = |ty: &str| ty.parse::<TensorType>().unwrap();
            match ty.strip_suffix(" constant") {
                Some(ty) => {
                    let values = (0..parse(ty).shape.elements()).map(|i| i as f32).collect();
                    graph.constant(name, Constant::f32(parse(ty).shape, values).unwrap());
                }
                None => {
                    graph.input(name, parse(ty));
                }
            }
        }
    }
    graph.verify().unwrap();
    graph
}

fn write(graph: &Graph) -> String {
    let names = |ids: &[TensorId]| {
        ids.iter()
            .map(|&id| graph.tensor(id).name.clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines = Vec::new();
    for &id in graph.inputs() {
        lines.push(format!("{}: {}", graph.tensor(id).name, graph.tensor(id).ty));
    }
    for tensor in graph.tensors() {
        let values = match &tensor.data {
            Some(Constant::F32(a)) => a.iter().take(6).map(ToString::to_string).collect::<Vec<_>>(),
            Some(Constant::I32(a)) => a.iter().take(6).map(ToString::to_string).collect(),
            _ => continue,
        };
        lines.push(format!("{}: {} = {}", tensor.name, tensor.ty, values.join(" ")));
    }
    for node in graph.nodes() {
        let op = serde_yaml::to_string(&node.op).unwrap();
        let op = op.split_whitespace().collect::<Vec<_>>().join(" ");
        let output = &graph.tensor(node.output());
        lines.push(format!(
            "{} = {op} <- {} : {}",
            names(&node.outputs),
            names(&node.inputs),
            output.ty
        ));
    }
    lines.push(format!("return {}", names(graph.outputs())));
    lines.join("\n")
}

fn after(text: &str) -> String {
    let mut graph = read(text);
    channels_last(&mut graph).unwrap();
    let once = write(&graph);
    let ops = |graph: &Graph| graph.nodes().iter().map(|n| n.op.clone()).collect::<Vec<_>>();
    let before = ops(&graph);
    channels_last(&mut graph).unwrap();
    assert_eq!(ops(&graph), before, "a second time changes nothing");
    once
}

#[test]
fn inverse_transposes_cancel_and_elementwise_operators_let_them_through() {
    insta::assert_snapshot!(after("
        x: f32[1,2,3,4]
        mean: f32[2,1,1] constant
        w: f32[2,1,1,2] constant
        centred = sub: {} <- x mean
        last = transpose: { perm: [0, 2, 3, 1] } <- centred
        conv = conv2d: { stride: [1, 1], padding: { top: 0, bottom: 0, left: 0, right: 0 } } <- last w
        first = transpose: { perm: [0, 3, 1, 2] } <- conv
        y = relu: {} <- first
        return y
    "), @r"
    x: f32[1,3,4,2]
    mean: f32[2] = 0 1
    w: f32[2,1,1,2] = 0 1 2 3
    last = sub: {} <- x mean : f32[1,3,4,2]
    first = conv2d: stride: - 1 - 1 dilation: - 1 - 1 padding: top: 0 bottom: 0 left: 0 right: 0 groups: 1 <- last w : f32[1,3,4,2]
    y = relu: {} <- first : f32[1,3,4,2]
    return y
    ");
}

#[test]
fn without_a_turned_interface_one_transpose_stands_at_each_border() {
    let mut graph = read("
        x: f32[1,2,3,4]
        last = transpose: { perm: [0, 2, 3, 1] } <- x
        pooled = max_pool2d: { kernel: [2, 2], stride: [1, 1], padding: { top: 0, bottom: 0, left: 0, right: 0 } } <- last
        first = transpose: { perm: [0, 3, 1, 2] } <- pooled
        y = relu: {} <- first
        return y
    ");
    channels_last_with(&mut graph, Interface::AsStated).unwrap();
    insta::assert_snapshot!(write(&graph), @r"
    x: f32[1,2,3,4]
    last = transpose: perm: - 0 - 2 - 3 - 1 <- x : f32[1,3,4,2]
    first = max_pool2d: kernel: - 2 - 2 stride: - 1 - 1 padding: top: 0 bottom: 0 left: 0 right: 0 <- last : f32[1,2,3,2]
    y/stored = relu: {} <- first : f32[1,2,3,2]
    y = transpose: perm: - 0 - 3 - 1 - 2 <- y/stored : f32[1,2,2,3]
    return y
    ");
}

#[test]
fn moving_operators_and_reductions_get_other_axes() {
    insta::assert_snapshot!(after("
        x: f32[1,3,4,5]
        nhwc = transpose: { perm: [0, 2, 3, 1] } <- x
        resized = resize: { size: [2, 6], interpolation: nearest, coordinates: asymmetric } <- nhwc
        nchw = transpose: { perm: [0, 3, 1, 2] } <- resized
        padded = pad: { before: [0, 1, 2, 0], after: [0, 0, 0, 3] } <- nchw
        cut = slice: { begin: [0, 0, 1, 2], end: [1, 4, 4, 9], stride: [1, 1, 1, 3] } <- padded
        both = concat: { axis: 1 } <- cut cut
        halves = split: { axis: 1, parts: 2 } <- both
        greatest = reduce_max: { axes: [3], keep_dims: false } <- halves
        y = mean: { axes: [2], keep_dims: false } <- greatest
        return y
    "), @r"
    x: f32[1,4,5,3]
    nchw = resize: size: - 2 - 6 interpolation: nearest coordinates: asymmetric <- x : f32[1,2,6,3]
    padded = pad: before: - 0 - 2 - 0 - 1 after: - 0 - 0 - 3 - 0 mode: zero <- nchw : f32[1,4,9,4]
    cut = slice: begin: - 0 - 1 - 2 - 0 end: - 1 - 4 - 9 - 4 stride: - 1 - 1 - 3 - 1 <- padded : f32[1,3,3,4]
    both = concat: axis: 3 <- cut cut : f32[1,3,3,8]
    halves halves:1 = split: axis: 3 parts: 2 <- both : f32[1,3,3,4]
    greatest = reduce_max: axes: - 2 keep_dims: false <- halves : f32[1,3,4]
    y = mean: axes: - 1 keep_dims: false <- greatest : f32[1,4]
    return y
    ");
}

#[test]
fn a_flattened_image_permutes_the_columns_of_the_layer_behind_it() {
    insta::assert_snapshot!(after("
        x: f32[1,2,1,3]
        w: f32[1,6] constant
        nhwc = transpose: { perm: [0, 2, 3, 1] } <- x
        image = average_pool2d: { kernel: [1, 1], stride: [1, 1], padding: { top: 0, bottom: 0, left: 0, right: 0 } } <- nhwc
        nchw = transpose: { perm: [0, 3, 1, 2] } <- image
        flat = reshape: { shape: [1, 6] } <- nchw
        clamped = relu: {} <- flat
        y = fully_connected: {} <- clamped w
        return y
    "), @r"
    x: f32[1,1,3,2]
    w: f32[1,6] = 0 3 1 4 2 5
    nchw = average_pool2d: kernel: - 1 - 1 stride: - 1 - 1 padding: top: 0 bottom: 0 left: 0 right: 0 <- x : f32[1,1,3,2]
    flat = reshape: shape: - 1 - 6 <- nchw : f32[1,6]
    clamped = relu: {} <- flat : f32[1,6]
    y = fully_connected: {} <- clamped w : f32[1,1]
    return y
    ");
}

#[test]
fn a_flattened_image_that_is_returned_is_transposed() {
    insta::assert_snapshot!(after("
        x: f32[1,2,2,3]
        nhwc = transpose: { perm: [0, 2, 3, 1] } <- x
        image = average_pool2d: { kernel: [1, 1], stride: [1, 1], padding: { top: 0, bottom: 0, left: 0, right: 0 } } <- nhwc
        nchw = transpose: { perm: [0, 3, 1, 2] } <- image
        y = reshape: { shape: [1, 12] } <- nchw
        return y
    "), @r"
    x: f32[1,2,3,2]
    nchw = average_pool2d: kernel: - 1 - 1 stride: - 1 - 1 padding: top: 0 bottom: 0 left: 0 right: 0 <- x : f32[1,2,3,2]
    y/transposed = transpose: perm: - 0 - 3 - 1 - 2 <- nchw : f32[1,2,2,3]
    y = reshape: shape: - 1 - 12 <- y/transposed : f32[1,12]
    return y
    ");
}

#[test]
fn a_channel_shuffle_becomes_a_gather_or_permuted_weights() {
    let shuffled = "
        x: f32[1,4,2,2]
        w: f32[1,1,1,4] constant
        nhwc = transpose: { perm: [0, 2, 3, 1] } <- x
        image = average_pool2d: { kernel: [1, 1], stride: [1, 1], padding: { top: 0, bottom: 0, left: 0, right: 0 } } <- nhwc
        nchw = transpose: { perm: [0, 3, 1, 2] } <- image
        split = reshape: { shape: [1, 2, 2, 2, 2] } <- nchw
        swapped = transpose: { perm: [0, 2, 1, 3, 4] } <- split
        shuffled = reshape: { shape: [1, 4, 2, 2] } <- swapped
    ";
    insta::assert_snapshot!(after(&format!("{shuffled}
        y = relu: {{}} <- shuffled
        return y
    ")), @r"
    x: f32[1,2,2,4]
    y/indices: i32[4] = 0 2 1 3
    nchw = average_pool2d: kernel: - 1 - 1 stride: - 1 - 1 padding: top: 0 bottom: 0 left: 0 right: 0 <- x : f32[1,2,2,4]
    y/stored = relu: {} <- nchw : f32[1,2,2,4]
    y = gather: axis: 3 <- y/stored y/indices : f32[1,2,2,4]
    return y
    ");
    insta::assert_snapshot!(after(&format!("{shuffled}
        last = transpose: {{ perm: [0, 2, 3, 1] }} <- shuffled
        y = conv2d: {{ stride: [1, 1], padding: {{ top: 0, bottom: 0, left: 0, right: 0 }} }} <- last w
        return y
    ")), @r"
    x: f32[1,2,2,4]
    w: f32[1,1,1,4] = 0 2 1 3
    nchw = average_pool2d: kernel: - 1 - 1 stride: - 1 - 1 padding: top: 0 bottom: 0 left: 0 right: 0 <- x : f32[1,2,2,4]
    y = conv2d: stride: - 1 - 1 dilation: - 1 - 1 padding: top: 0 bottom: 0 left: 0 right: 0 groups: 1 <- nchw w : f32[1,2,2,1]
    return y
    ");
}

#[test]
fn a_gate_of_a_squeezed_vector_is_reshaped_to_channels_last() {
    insta::assert_snapshot!(after("
        x: f32[1,2,3,4]
        w: f32[2,2] constant
        nhwc = transpose: { perm: [0, 2, 3, 1] } <- x
        image = average_pool2d: { kernel: [1, 1], stride: [1, 1], padding: { top: 0, bottom: 0, left: 0, right: 0 } } <- nhwc
        nchw = transpose: { perm: [0, 3, 1, 2] } <- image
        squeezed = mean: { axes: [2, 3], keep_dims: false } <- nchw
        excited = fully_connected: {} <- squeezed w
        gate = reshape: { shape: [1, 2, 1, 1] } <- excited
        gated = mul: {} <- nchw gate
        y = transpose: { perm: [0, 2, 3, 1] } <- gated
        return y
    "), @r"
    x: f32[1,3,4,2]
    w: f32[2,2] = 0 1 2 3
    nchw = average_pool2d: kernel: - 1 - 1 stride: - 1 - 1 padding: top: 0 bottom: 0 left: 0 right: 0 <- x : f32[1,3,4,2]
    squeezed = mean: axes: - 1 - 2 keep_dims: false <- nchw : f32[1,2]
    excited = fully_connected: {} <- squeezed w : f32[1,2]
    gate/reshaped = reshape: shape: - 1 - 1 - 1 - 2 <- excited : f32[1,1,1,2]
    y = mul: {} <- nchw gate/reshaped : f32[1,3,4,2]
    return y
    ");
}

#[test]
fn a_transpose_of_extents_of_one_is_a_reshape_and_constants_are_folded() {
    insta::assert_snapshot!(after("
        x: f32[1,6]
        c: f32[1,2,3,1] constant
        column = reshape: { shape: [1, 1, 6, 1] } <- x
        row = transpose: { perm: [0, 2, 3, 1] } <- column
        pooled = max_pool2d: { kernel: [2, 1], stride: [2, 1], padding: { top: 0, bottom: 0, left: 0, right: 0 } } <- row
        turned = transpose: { perm: [0, 2, 1, 3] } <- c
        y = mul: {} <- pooled turned
        return y
    "), @r"
    x: f32[1,6]
    c: f32[1,3,2,1] = 0 3 1 4 2 5
    row = reshape: shape: - 1 - 6 - 1 - 1 <- x : f32[1,6,1,1]
    pooled = max_pool2d: kernel: - 2 - 1 stride: - 2 - 1 padding: top: 0 bottom: 0 left: 0 right: 0 <- row : f32[1,3,1,1]
    y = mul: {} <- pooled c : f32[1,3,2,1]
    return y
    ");
}

#[test]
fn a_swapped_operand_is_a_flag_of_the_product_and_what_must_move_moves_once() {
    insta::assert_snapshot!(after("
        x: f32[1,5,6]
        heads = reshape: { shape: [1, 5, 2, 3] } <- x
        q = transpose: { perm: [0, 2, 1, 3] } <- heads
        k = transpose: { perm: [0, 2, 3, 1] } <- heads
        scores = mat_mul: {} <- q k
        weights = softmax: { beta: 1.0 } <- scores
        mixed = mat_mul: {} <- weights q
        back = transpose: { perm: [0, 2, 1, 3] } <- mixed
        y = reshape: { shape: [1, 5, 6] } <- back
        return y
    "), @r"
    x: f32[1,5,6]
    heads = reshape: shape: - 1 - 5 - 2 - 3 <- x : f32[1,5,2,3]
    q = transpose: perm: - 0 - 2 - 1 - 3 <- heads : f32[1,2,5,3]
    scores = mat_mul: adjoint_b: true <- q q : f32[1,2,5,5]
    weights = softmax: beta: 1.0 <- scores : f32[1,2,5,5]
    mixed = mat_mul: {} <- weights q : f32[1,2,5,3]
    back = transpose: perm: - 0 - 2 - 1 - 3 <- mixed : f32[1,5,2,3]
    y = reshape: shape: - 1 - 5 - 6 <- back : f32[1,5,6]
    return y
    ");
}

#[test]
fn a_stated_graph_stays_as_it_is() {
    let text = "
        x: f32[1,4,4,3]
        w: f32[4,1,1,3] constant
        conv = conv2d: { stride: [1, 1], padding: { top: 0, bottom: 0, left: 0, right: 0 } } <- x w
        flat = reshape: { shape: [1, 64] } <- conv
        y = relu: {} <- flat
        return y conv
    ";
    let mut graph = read(text);
    channels_last(&mut graph).unwrap();
    assert_eq!(graph, read(text));
}

#[test]
fn a_transpose_whose_readers_want_it_is_made_once() {
    insta::assert_snapshot!(after("
        x: f32[1,3,4]
        t = transpose: { perm: [0, 2, 1] } <- x
        a = softmax: { beta: 1.0 } <- t
        r = relu: {} <- t
        b = softmax: { beta: 1.0 } <- r
        y = add: {} <- a b
        return y
    "), @r"
    x: f32[1,3,4]
    t = transpose: perm: - 0 - 2 - 1 <- x : f32[1,4,3]
    a = softmax: beta: 1.0 <- t : f32[1,4,3]
    r = relu: {} <- t : f32[1,4,3]
    b = softmax: beta: 1.0 <- r : f32[1,4,3]
    y = add: {} <- a b : f32[1,4,3]
    return y
    ");
}
