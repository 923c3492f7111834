//! Operators that slide a window over rows and columns, or over columns alone.

use ir::ops::{
    Activation, AveragePool2d, Concat, Conv2d, DepthwiseConv2d, MaxPool2d, Mean, Pad, PadMode, Padding, ReduceMax,
    Reshape, Split, TransposeConv2d,
};
use ir::{Constant, Op, TensorId};

use super::Node;
use super::values::Importer;
use crate::FormatError;
use crate::onnx::layout::Layout;

type Done = Result<(), FormatError>;

/// What the attributes of a window say.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
}

/// Rows and columns of an input: a sequence is one row.
fn extent(importer: &Importer<'_>, node: &Node<'_>) -> Result<[usize; 2], FormatError> {
    match importer.ty(node, 0)?.shape.dims() {
        &[_, _, columns] => Ok([1, columns]),
        &[_, _, rows, columns] => Ok([rows, columns]),
        dims => {
            let problem = format!("its input has the shape {dims:?}");
            Err(node.unsupported(problem, "sequences [N,C,L] and images [N,C,H,W] are read"))
        }
    }
}

fn window(node: &Node<'_>, input: [usize; 2], kernel: [usize; 2]) -> Result<Window, FormatError> {
    let stride = node.pair("strides", 1)?.unwrap_or([1, 1]);
    let dilation = node.pair("dilations", 1)?.unwrap_or([1, 1]);
    if stride.contains(&0) || dilation.contains(&0) || kernel.contains(&0) {
        return Err(node.malformed("kernel, strides and dilations must be at least 1"));
    }
    let same = Padding::same(input, kernel, stride, dilation);
    let padding = match node.text("auto_pad", "NOTSET")? {
        "NOTSET" | "" => explicit(node)?,
        "VALID" => Padding::NONE,
        "SAME_UPPER" => same,
        "SAME_LOWER" => Padding {
            top: same.bottom,
            bottom: same.top,
            left: same.right,
            right: same.left,
        },
        other => return Err(node.malformed(format!("auto_pad is `{other}`, which is no scheme"))),
    };
    Ok(Window {
        kernel,
        stride,
        dilation,
        padding,
    })
}

/// `pads`: all beginnings, then all ends.
fn explicit(node: &Node<'_>) -> Result<Padding, FormatError> {
    let Some(pads) = node.ints("pads") else {
        return Ok(Padding::NONE);
    };
    let wrong = || {
        node.unsupported(
            format!("pads are {pads:?}"),
            "two or four numbers of at least 0 are read",
        )
    };
    let pads: Vec<usize> = pads
        .iter()
        .map(|&p| usize::try_from(p).ok())
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    match *pads.as_slice() {
        [left, right] => Ok(Padding {
            top: 0,
            bottom: 0,
            left,
            right,
        }),
        [top, left, bottom, right] => Ok(Padding {
            top,
            bottom,
            left,
            right,
        }),
        _ => Err(wrong()),
    }
}

/// The input as `[N,H,W,C]`; a sequence gets one row.
pub(super) fn image<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<TensorId, FormatError> {
    let x = importer.last(node, 0)?;
    match *importer.graph.tensor(x).ty.shape.dims() {
        [n, columns, channels] => importer.inner(
            node,
            "row",
            Reshape {
                shape: vec![n, 1, columns, channels],
            },
            &[x],
        ),
        _ => Ok(x),
    }
}

/// The last operator of a node; the row of a sequence is dropped again.
pub(super) fn finish<'f>(importer: &mut Importer<'f>, node: &Node<'f>, op: impl Into<Op>, inputs: &[TensorId]) -> Done {
    if importer.ty(node, 0)?.shape.rank() == 4 {
        return importer.put(node, op, inputs, Layout::ChannelsLast).map(drop);
    }
    let y = importer.inner(node, "image", op, inputs)?;
    let [n, rows, columns, channels] = importer.graph.tensor(y).ty.shape.nhwc().unwrap_or_default();
    importer
        .put(
            node,
            Reshape {
                shape: vec![n, rows * columns, channels],
            },
            &[y],
            Layout::ChannelsLast,
        )
        .map(drop)
}

/// The stated shape of weights, `[O,I,kh,kw]`; those of a sequence get one row.
fn weight_dims(importer: &Importer<'_>, node: &Node<'_>) -> Result<[usize; 4], FormatError> {
    match *importer.ty(node, 1)?.shape.dims() {
        [o, i, columns] => Ok([o, i, 1, columns]),
        [o, i, rows, columns] => Ok([o, i, rows, columns]),
        ref dims => Err(node.unsupported(
            format!("weights have the shape {dims:?}"),
            "one or two spatial dimensions are read",
        )),
    }
}

fn bias<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Result<Option<TensorId>, FormatError> {
    node.input(2).map(|_| importer.stated(node, 2)).transpose()
}

fn groups(node: &Node<'_>) -> Result<usize, FormatError> {
    let given = node.int("group", 1);
    let groups = usize::try_from(given).ok().filter(|&g| g > 0);
    groups.ok_or_else(|| node.malformed(format!("group is {given}, expected at least 1")))
}

/// `Conv`: weights `[O,I/group,kh,kw]`. As many groups as input channels are a depthwise convolution.
pub(super) fn conv<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (input, dims) = (extent(importer, node)?, weight_dims(importer, node)?);
    let Window {
        kernel: _,
        stride,
        dilation,
        padding,
    } = window(node, input, [dims[2], dims[3]])?;
    node.ignore(&["kernel_shape"]);
    let groups = groups(node)?;
    let channels = importer.ty(node, 0)?.shape.dims()[1];
    let x = image(importer, node)?;
    let depthwise = groups == channels && groups > 1 && dims[1] == 1;
    let weights = importer.weights(node, 1, &dims, if depthwise { &[1, 2, 3, 0] } else { &[0, 2, 3, 1] })?;
    let mut inputs = vec![x, weights];
    inputs.extend(bias(importer, node)?);
    if depthwise {
        let op = DepthwiseConv2d {
            stride,
            dilation,
            padding,
            activation: Activation::None,
        };
        return finish(importer, node, op, &inputs);
    }
    let op = Conv2d {
        stride,
        dilation,
        padding,
        groups,
        activation: Activation::None,
    };
    finish(importer, node, op, &inputs)
}

/// `ConvTranspose`: weights `[I,O/group,kh,kw]`. Groups become layers of their own, side by side.
pub(super) fn conv_transpose<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let (input, dims) = (extent(importer, node)?, weight_dims(importer, node)?);
    let [inputs_of_all, _, k_h, k_w] = dims;
    node.ignore(&["kernel_shape"]);
    let stride = node.pair("strides", 1)?.unwrap_or([1, 1]);
    if node.pair("dilations", 1)?.unwrap_or([1, 1]) != [1, 1] {
        return Err(node.unsupported("is dilated", "use a transposed convolution without dilation"));
    }
    let mut output_padding = node.pair("output_padding", 0)?.unwrap_or([0, 0]);
    let scheme = node.text("auto_pad", "NOTSET")?;
    let shape = match node.ints("output_shape") {
        // Older models state batch and channels too.
        Some(shape) => {
            let sizes: Option<Vec<usize>> = shape.iter().map(|&d| usize::try_from(d).ok()).collect();
            match sizes.as_deref() {
                Some(&[columns]) => Some([1, columns]),
                Some(&[.., rows, columns]) if shape.len() != 3 => Some([rows, columns]),
                _ => return Err(node.malformed(format!("output_shape is {shape:?}"))),
            }
        }
        None if scheme.starts_with("SAME") => Some([input[0] * stride[0], input[1] * stride[1]]),
        None => None,
    };
    let kernel = [k_h, k_w];
    let padding = if let Some(shape) = shape {
        // The total is what remains to be cut; what is missing is added at the end.
        let mut sides = [[0; 2]; 2];
        for i in 0..2 {
            let full = input[i]
                .saturating_sub(1)
                .saturating_mul(stride[i])
                .saturating_add(kernel[i])
                .saturating_add(output_padding[i]);
            let total = full.saturating_sub(shape[i]);
            output_padding[i] += shape[i].saturating_sub(full);
            let (less, more) = (total / 2, total - total / 2);
            sides[i] = if scheme == "SAME_UPPER" {
                [less, more]
            } else {
                [more, less]
            };
        }
        let [[top, bottom], [left, right]] = sides;
        Padding {
            top,
            bottom,
            left,
            right,
        }
    } else if scheme == "VALID" {
        Padding::NONE
    } else {
        explicit(node)?
    };
    let op = TransposeConv2d {
        stride,
        padding,
        output_padding,
        activation: Activation::None,
    };
    let groups = groups(node)?;
    let x = image(importer, node)?;
    if groups == 1 {
        let weights = importer.weights(node, 1, &dims, &[1, 2, 3, 0])?;
        let mut inputs = vec![x, weights];
        inputs.extend(bias(importer, node)?);
        return finish(importer, node, op, &inputs);
    }
    if inputs_of_all % groups != 0 {
        return Err(node.malformed(format!("{inputs_of_all} channels in {groups} groups")));
    }
    let Some(all) = importer
        .known_input(node, 1)
        .and_then(Constant::as_f32)
        .map(<[f32]>::to_vec)
    else {
        return Err(node.unsupported(
            "its weights are not stored as floats",
            "use one group, or float weights",
        ));
    };
    let bias: Option<Vec<f32>> = importer
        .known_input(node, 2)
        .and_then(Constant::as_f32)
        .map(<[f32]>::to_vec);
    if node.input(2).is_some() && bias.is_none() {
        return Err(node.unsupported("its bias is not stored as floats", "use one group, or a float bias"));
    }
    let parts = importer.split(node, "groups", Split { axis: 3, parts: groups }, x)?;
    let (size, outputs) = (all.len() / groups, dims[1]);
    let mut made = Vec::new();
    for (g, &part) in parts.iter().enumerate() {
        let weights = Constant::f32(
            [inputs_of_all / groups, outputs, k_h, k_w],
            all[g * size..(g + 1) * size].to_vec(),
        );
        let weights = weights
            .and_then(|w| w.permuted(&[1, 2, 3, 0]))
            .ok_or_else(|| node.malformed("its weights do not fit"))?;
        let mut inputs = vec![part, importer.made_up(node, &format!("weights{g}"), weights)];
        if let Some(bias) = &bias {
            let own = bias
                .get(g * outputs..(g + 1) * outputs)
                .and_then(|b| Constant::f32([outputs], b.to_vec()));
            let own = own.ok_or_else(|| node.malformed("its bias does not fit"))?;
            inputs.push(importer.made_up(node, &format!("bias{g}"), own));
        }
        made.push(importer.inner(node, &format!("group{g}"), op.clone(), &inputs)?);
    }
    finish(importer, node, Concat { axis: 3 }, &made)
}

/// Kernel, stride and padding of a pool; `ceil_mode` becomes padding at the end that takes no part in the result.
fn pool(importer: &Importer<'_>, node: &Node<'_>) -> Result<Window, FormatError> {
    let input = extent(importer, node)?;
    let kernel = node
        .pair("kernel_shape", 1)?
        .ok_or_else(|| node.malformed("has no kernel_shape"))?;
    let mut window = window(node, input, kernel)?;
    if window.dilation != [1, 1] {
        return Err(node.unsupported("is dilated", "use a pool without dilation"));
    }
    if node.flag("ceil_mode") {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = window.padding;
        let extra = |i: usize, before: usize, after: usize| {
            let padded = input[i].saturating_add(before).saturating_add(after);
            let room = padded.saturating_sub(kernel[i]);
            let mut steps = room.div_ceil(window.stride[i]);
            // A window that would begin behind the input is left out.
            if steps.saturating_mul(window.stride[i]) >= input[i].saturating_add(before) {
                steps = steps.saturating_sub(1);
            }
            steps
                .saturating_mul(window.stride[i])
                .saturating_add(kernel[i])
                .saturating_sub(padded)
        };
        window.padding.bottom += extra(0, top, bottom);
        window.padding.right += extra(1, left, right);
    }
    Ok(window)
}

pub(super) fn max_pool<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    if node.output(1).is_some() {
        return Err(node.unsupported("gives the indices of the greatest values", "use the values alone"));
    }
    node.ignore(&["storage_order"]);
    let Window {
        kernel,
        stride,
        dilation: _,
        padding,
    } = pool(importer, node)?;
    let x = image(importer, node)?;
    finish(
        importer,
        node,
        MaxPool2d {
            kernel,
            stride,
            padding,
            activation: Activation::None,
        },
        &[x],
    )
}

/// `AveragePool`; padding that is counted is a `Pad` before it.
pub(super) fn average_pool<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let mut window = pool(importer, node)?;
    let mut x = image(importer, node)?;
    if node.flag("count_include_pad") {
        let counted = match node.text("auto_pad", "NOTSET")? {
            "NOTSET" | "" => explicit(node)?,
            _ => window.padding,
        };
        if counted != Padding::NONE {
            let pad = Pad {
                before: vec![0, counted.top, counted.left, 0],
                after: vec![0, counted.bottom, counted.right, 0],
                mode: PadMode::Zero,
            };
            x = importer.inner(node, "pad", pad, &[x])?;
        }
        window.padding = Padding {
            top: window.padding.top - counted.top,
            bottom: window.padding.bottom - counted.bottom,
            left: window.padding.left - counted.left,
            right: window.padding.right - counted.right,
        };
    }
    let Window {
        kernel,
        stride,
        dilation: _,
        padding,
    } = window;
    finish(
        importer,
        node,
        AveragePool2d {
            kernel,
            stride,
            padding,
            activation: Activation::None,
        },
        &[x],
    )
}

/// The dimensions behind batch and channels of a channels-last tensor.
fn spatial(importer: &Importer<'_>, x: TensorId) -> Vec<usize> {
    (1..importer.graph.tensor(x).ty.shape.rank() - 1).collect()
}

pub(super) fn global_average_pool<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let x = importer.last(node, 0)?;
    let axes = spatial(importer, x);
    importer
        .put(node, Mean { axes, keep_dims: true }, &[x], Layout::ChannelsLast)
        .map(drop)
}

pub(super) fn global_max_pool<'f>(importer: &mut Importer<'f>, node: &Node<'f>) -> Done {
    let x = importer.last(node, 0)?;
    let axes = spatial(importer, x);
    importer
        .put(node, ReduceMax { axes, keep_dims: true }, &[x], Layout::ChannelsLast)
        .map(drop)
}
