"""Goldens of the float operators."""

import make_linear
import make_spatial
import numpy as np
from one_op import Golden, Model, tfl

SEED = 5
ACTIVATIONS = make_linear.ACTIVATIONS


def conv(name, depthwise):
    golden = Golden(name, SEED)
    for row in make_linear.CONV:
        case, n, h, w, c, oc, kh, kw, sh, sw, dh, dw, groups, pad, act, *_ = row
        if case in ("no_bias", "ties", "tiny_factors", "factors_above_one") or (depthwise and groups > 1):
            continue
        multiplier = 1
        if depthwise:
            sw, multiplier = sh, 2 if case == "same_3x3" else 1
            oc = c * multiplier
        (oh, top), (ow, left) = pad(h, kh, sh, dh), pad(w, kw, sw, dw)
        options = tfl.DepthwiseConv2DOptionsT() if depthwise else tfl.Conv2DOptionsT()
        options.padding = tfl.Padding.SAME if pad is make_linear.same else tfl.Padding.VALID
        options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor = sh, sw, dh, dw
        options.fusedActivationFunction = ACTIVATIONS[act]
        if depthwise:
            options.depthMultiplier = multiplier
            model = Model(tfl.BuiltinOperator.DEPTHWISE_CONV_2D, tfl.BuiltinOptions.DepthwiseConv2DOptions, options)
        else:
            model = Model(tfl.BuiltinOperator.CONV_2D, tfl.BuiltinOptions.Conv2DOptions, options)
        data = golden.f32((n, h, w, c))
        weights = golden.f32((1, kh, kw, oc) if depthwise else (oc, kh, kw, c // groups))
        bias = golden.f32(oc)
        model.input(data)
        model.const(weights, None, "weights")
        model.const(bias, None, "bias")
        model.output((n, oh, ow, oc), np.float32)
        params = {
            "batch": n, "in_h": h, "in_w": w, "in_c": c, "out_h": oh, "out_w": ow, "out_c": oc, "k_h": kh, "k_w": kw,
            "stride_h": sh, "stride_w": sw, "dilation_h": dh, "dilation_w": dw, "pad_top": top, "pad_left": left,
            "groups": groups, "multiplier": multiplier, "activation": act,
        }
        golden.case(case, params, input=data, weights=weights, bias=bias, output=model.run()[0])
    golden.write()


def fully_connected():
    golden = Golden("fully_connected_f32", SEED)
    for name, rows, inputs, outputs, act, _, _, _, with_bias in make_linear.FULLY:
        if name.startswith("ties"):
            continue
        options = tfl.FullyConnectedOptionsT()
        options.fusedActivationFunction = ACTIVATIONS[act]
        model = Model(tfl.BuiltinOperator.FULLY_CONNECTED, tfl.BuiltinOptions.FullyConnectedOptions, options)
        data, weights = golden.f32((rows, inputs)), golden.f32((outputs, inputs))
        bias = golden.f32(outputs) if with_bias else None
        model.input(data)
        model.const(weights, None, "weights")
        model.const(bias, None, "bias")
        model.output((rows, outputs), np.float32)
        params = {"rows": rows, "in_features": inputs, "out_features": outputs, "activation": act}
        golden.case(name, params, input=data, weights=weights, bias=bias, output=model.run()[0])
    golden.write()


def binary():
    golden = Golden("binary_f32", SEED)
    for op, act in [("ADD", "none"), ("ADD", "relu6"), ("SUB", "relu"), ("MUL", "relu_n1_to_1"), ("DIV", "none"),
                    ("MINIMUM", "none"), ("MAXIMUM", "none")]:
        kind = "MaximumMinimumOptions" if op.endswith("MUM") else f"{op.capitalize()}Options"
        options = getattr(tfl, kind + "T")()
        if op not in ("MINIMUM", "MAXIMUM"):
            options.fusedActivationFunction = ACTIVATIONS[act]
        model = Model(getattr(tfl.BuiltinOperator, op), getattr(tfl.BuiltinOptions, kind), options)
        a, b = golden.f32((2, 4, 5), 3.0), golden.f32((4, 1), 3.0)
        model.input(a, None, "a")
        model.input(b, None, "b")
        model.output((2, 4, 5), np.float32)
        golden.case(f"{op.lower()}_{act}", {"op": op.lower(), "activation": act}, a=a, b=b, output=model.run()[0])
    golden.write()


def unary():
    golden = Golden("unary_f32", SEED)
    sample = np.concatenate([golden.f32(100, 4.0), np.linspace(-20, 20, 41, dtype=np.float32),
                             np.array([0.0, -0.0, 1e-4, -1e-4, 30.0, -30.0, 88.0, -88.0], np.float32)])
    for name in ("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "LOGISTIC", "TANH", "ELU", "GELU", "GELU_TANH",
                 "HARD_SWISH"):
        options, kind = None, 0
        if name == "LEAKY_RELU":
            options, kind = tfl.LeakyReluOptionsT(), tfl.BuiltinOptions.LeakyReluOptions
            options.alpha = 0.2
        if name.startswith("GELU"):
            options, kind = tfl.GeluOptionsT(), tfl.BuiltinOptions.GeluOptions
            options.approximate = name == "GELU_TANH"
        model = Model(getattr(tfl.BuiltinOperator, name.removesuffix("_TANH")), kind, options)
        model.input(sample)
        model.output(sample.shape, np.float32)
        golden.case(name.lower(), None, input=sample, output=model.run()[0])
    model = Model(tfl.BuiltinOperator.PRELU)
    data, alpha = golden.f32((1, 3, 3, 4)), golden.f32((1, 1, 4))
    model.input(data)
    model.const(alpha, None, "alpha")
    model.output(data.shape, np.float32)
    golden.case("prelu", None, input=data, alpha=alpha, output=model.run()[0])
    golden.write()


def softmax():
    golden = Golden("softmax_f32", SEED)
    for name, shape, scale, beta in [("ten", (4, 10), 3.0, 1.0), ("beta", (3, 7), 2.0, 0.5),
                                     ("steep", (3, 5), 100.0, 1.0)]:
        options = tfl.SoftmaxOptionsT()
        options.beta = beta
        model = Model(tfl.BuiltinOperator.SOFTMAX, tfl.BuiltinOptions.SoftmaxOptions, options)
        data = golden.f32(shape, scale)
        model.input(data)
        model.output(shape, np.float32)
        params = {"depth": shape[-1], "beta": f"{np.float32(beta).view(np.uint32):08x}"}
        golden.case(name, params, input=data, output=model.run()[0])
    golden.write()


if __name__ == "__main__":
    conv("conv2d_f32", False)
    conv("depthwise_conv2d_f32", True)
    golden = Golden("transpose_conv2d_f32", SEED)
    make_linear.transpose_conv(golden, np.float32)
    golden.write()
    fully_connected()
    binary()
    unary()
    softmax()
    make_spatial.pool("average_pool2d_f32", tfl.BuiltinOperator.AVERAGE_POOL_2D, np.float32)
    make_spatial.pool("max_pool2d_f32", tfl.BuiltinOperator.MAX_POOL_2D, np.float32)
    make_spatial.mean("mean_f32", np.float32)
    make_spatial.resize("resize_bilinear_f32", True, np.float32)
