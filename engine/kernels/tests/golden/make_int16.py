"""Goldens of operators on 16-bit activations with 8-bit weights ("16x8"); one file, the operator is a param."""

import numpy as np
from make_linear import ACTIVATIONS, same, scales, valid
from one_op import Golden, Model, Quant, tfl

SEED = 6
UNIT = 1 / 32768


def i16(golden, shape):
    """Random int16 with about one value in eight at an end of the range."""
    data = golden.rng.integers(-32768, 32768, shape).astype(np.int16)
    ends = golden.rng.choice(np.array([-32768, 32767], np.int16), shape)
    return np.where(golden.rng.random(shape) < 0.125, ends, data)


def options_of(kind, **fields):
    options = getattr(tfl, f"{kind}T")()
    for key, value in fields.items():
        setattr(options, key, value)
    return getattr(tfl.BuiltinOptions, kind), options


def spatial(golden, op, name, c, oc, kernel, stride, padding, act, scale_in, scale_out):
    n, h, w, k, multiplier = 1, 5, 6, kernel, oc // c
    (out_h, top), (out_w, left) = padding(h, k, stride, 1), padding(w, k, stride, 1)
    if op == "transpose_conv2d":
        out_h, out_w, top, left = (h - 1) * stride + k, (w - 1) * stride + k, 0, 0
    params = {
        "op": op, "batch": n, "in_h": h, "in_w": w, "in_c": c, "out_h": out_h, "out_w": out_w, "out_c": oc, "k_h": k,
        "k_w": k, "stride_h": stride, "stride_w": stride, "dilation_h": 1, "dilation_w": 1, "pad_top": top,
        "pad_left": left, "groups": 1, "multiplier": multiplier, "activation": act,
    }
    depthwise = op == "depthwise_conv2d"
    weights = golden.weights((1, k, k, oc) if depthwise else (oc, k, k, c))
    w_quant = Quant(scales(golden.rng, oc), 0, 3 if depthwise else 0)
    bias = golden.rng.integers(-(1 << 33), 1 << 33, oc) >> golden.rng.integers(0, 20, oc)
    data, qin, qout = i16(golden, (n, h, w, c)), Quant(scale_in), Quant(scale_out)
    fields = {"strideH": stride, "strideW": stride, "fusedActivationFunction": ACTIVATIONS[act]}
    fields["padding"] = tfl.Padding.SAME if padding is same and op != "transpose_conv2d" else tfl.Padding.VALID
    if depthwise:
        model = Model(tfl.BuiltinOperator.DEPTHWISE_CONV_2D,
                      *options_of("DepthwiseConv2DOptions", depthMultiplier=multiplier, **fields))
    elif op == "conv2d":
        model = Model(tfl.BuiltinOperator.CONV_2D, *options_of("Conv2DOptions", **fields))
    else:
        model = Model(tfl.BuiltinOperator.TRANSPOSE_CONV, *options_of("TransposeConvOptions", **fields))
        model.const(np.array([n, out_h, out_w, oc], np.int32), None, "shape")
        model.const(weights, w_quant, "weights")
    model.input(data, qin)
    if op != "transpose_conv2d":
        model.const(weights, w_quant, "weights")
    model.const(bias, Quant(w_quant.scales * np.float32(scale_in)), "bias")
    model.output((n, out_h, out_w, oc), np.int16, qout)
    golden.case(f"{op}_{name}", params, input=(data, qin), weights=(weights, w_quant), bias=bias,
                output=(model.run()[0], qout))


def fully_connected(golden, name, inputs, outputs, act, per_channel, scale_in, scale_out):
    rows = 2
    params = {"op": "fully_connected", "rows": rows, "in_features": inputs, "out_features": outputs, "activation": act}
    options = options_of("FullyConnectedOptions", fusedActivationFunction=ACTIVATIONS[act])
    model = Model(tfl.BuiltinOperator.FULLY_CONNECTED, *options)
    weights, w_quant = golden.weights((outputs, inputs)), Quant(scales(golden.rng, outputs if per_channel else 1))
    data, qin, qout = i16(golden, (rows, inputs)), Quant(scale_in), Quant(scale_out)
    bias = golden.rng.integers(-(1 << 30), 1 << 30, outputs)
    model.input(data, qin)
    model.const(weights, w_quant, "weights")
    model.const(bias, Quant(w_quant.scales * np.float32(scale_in)), "bias")
    model.output((rows, outputs), np.int16, qout)
    golden.case(f"fully_connected_{name}", params, input=(data, qin), weights=(weights, w_quant), bias=bias,
                output=(model.run()[0], qout))


BINARY = [
    ("plain", (64,), (64,), 0.001, 0.0007, 0.0013, "none"),
    ("row", (1, 3, 3, 4), (4,), 0.0002, 0.004, 0.004, "relu"),
    ("relu6", (48,), (1,), 0.0003, 0.0002, 0.0003, "relu6"),
    ("powers_of_two", (64,), (64,), 2.0**-10, 2.0**-12, 2.0**-9, "none"),
]


def binary(golden, op):
    for name, shape_a, shape_b, sa, sb, so, act in BINARY:
        kind = {"add": "AddOptions", "sub": "SubOptions", "mul": "MulOptions"}[op]
        fields = {} if op == "mul" else {"potScaleInt16": False}
        options = options_of(kind, fusedActivationFunction=ACTIVATIONS[act], **fields)
        model = Model(getattr(tfl.BuiltinOperator, op.upper()), *options)
        so = so * 30 if op == "mul" and name != "relu6" else so
        a, b, quants = i16(golden, shape_a), i16(golden, shape_b), [Quant(s) for s in (sa, sb, so)]
        model.input(a, quants[0], "a")
        model.input(b, quants[1], "b")
        model.output(np.broadcast_shapes(shape_a, shape_b), np.int16, quants[2])
        golden.case(f"{op}_{name}", {"op": op, "activation": act}, a=(a, quants[0]), b=(b, quants[1]),
                    output=(model.run()[0], quants[2]))


def unary(golden, op, name, builtin, scale_in, scale_out, params=None, options=(), shape=(300,)):
    data, qin, qout = i16(golden, shape), Quant(scale_in), Quant(scale_out)
    data.flat[:60] = np.arange(-30, 30) * 37
    model = Model(getattr(tfl.BuiltinOperator, builtin), *options)
    model.input(data, qin)
    model.output(shape, np.int16, qout)
    golden.case(f"{op}_{name}", {"op": op} | (params or {}), input=(data, qin), output=(model.run()[0], qout))


def bits(value):
    return f"{np.float32(value).view(np.uint32):08x}"


if __name__ == "__main__":
    golden = Golden("int16", SEED)
    for op, c, oc in [("conv2d", 3, 5), ("depthwise_conv2d", 2, 4), ("transpose_conv2d", 3, 2)]:
        spatial(golden, op, "same", c, oc, 3, 1, same, "none", 0.0003, 0.004)
        if op != "transpose_conv2d":
            spatial(golden, op, "strided", c, oc, 3, 2, same, "relu", 0.0003, 0.001)
            spatial(golden, op, "valid", c, oc, 2, 1, valid, "relu6", 0.0003, 0.0002)
    fully_connected(golden, "one_scale", 300, 4, "none", False, 0.0004, 0.01)
    fully_connected(golden, "per_channel", 17, 5, "relu", True, 0.0004, 0.002)
    for op in ["add", "sub", "mul"]:
        binary(golden, op)
    for name, scale in [("eighth", 8 / 32767), ("fine", 1e-5), ("coarse", 0.01), ("octave", 1 / 4096), ("two", 1 / 2048)]:
        unary(golden, "logistic", name, "LOGISTIC", scale, UNIT)
        unary(golden, "tanh", name, "TANH", scale, UNIT)
    for act, builtin in [("relu", "RELU"), ("relu6", "RELU6")]:
        unary(golden, "relu", act, builtin, 0.0005, 0.0003, {"activation": act})
    for alpha in [0.1, 1.7]:
        unary(golden, "leaky_relu", str(alpha), "LEAKY_RELU", 0.0005, 0.0007, {"alpha": bits(alpha)},
              options_of("LeakyReluOptions", alpha=alpha))
    for name, scale, beta, shape in [("ten", 0.0003, 1.0, (4, 30)), ("steep", 0.02, 2.5, (3, 40)), ("flat", 1e-7, 1.0, (2, 60)),
                                     ("one", 0.001, 1.0, (60, 1)), ("many", 0.0001, 1.0, (1, 700))]:
        unary(golden, "softmax", name, "SOFTMAX", scale, UNIT, {"depth": shape[-1], "beta": bits(beta)},
              options_of("SoftmaxOptions", beta=beta), shape)
    golden.write()
