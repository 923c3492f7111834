"""Goldens of the operators that are sums of products: convolutions and fully connected, integer and dynamic range."""

import numpy as np
from one_op import Golden, Model, Quant, tfl

SEED = 2
ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}


def same(size, kernel, stride, dilation):
    out = -(-size // stride)
    return out, max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2


def valid(size, kernel, stride, dilation):
    return (size - (kernel - 1) * dilation - 1) // stride + 1, 0


def scales(rng, channels, low=0.002, high=0.05):
    """Weight scales over more than a decade, so that shifts differ between channels."""
    return np.exp(rng.uniform(np.log(low), np.log(high), channels)).astype(np.float32)


# name, batch, in_h, in_w, in_c, out_c, k_h, k_w, stride_h, stride_w, dilation_h, dilation_w, groups, padding,
# activation, input (scale, zero), output (scale, zero), per channel
CONV = [
    ("pointwise", 1, 5, 4, 6, 5, 1, 1, 1, 1, 1, 1, 1, valid, "none", (0.02, -1), (0.05, 3), True),
    ("same_3x3", 2, 6, 5, 3, 4, 3, 3, 1, 1, 1, 1, 1, same, "relu", (0.03, -128), (0.06, -128), True),
    ("same_3x3_stride_2", 1, 8, 8, 3, 8, 3, 3, 2, 2, 1, 1, 1, same, "relu6", (0.03, 127), (0.02, -100), True),
    ("valid_stride_2_1", 1, 7, 9, 2, 3, 3, 2, 2, 1, 1, 1, 1, valid, "none", (0.03, 5), (0.02, 127), True),
    ("dilated", 1, 9, 9, 2, 4, 3, 3, 1, 1, 2, 3, 1, same, "relu_n1_to_1", (0.02, -7), (0.01, 9), True),
    ("groups", 1, 5, 5, 8, 6, 3, 3, 1, 1, 1, 1, 2, same, "none", (0.02, -128), (0.05, -20), True),
    ("one_scale", 1, 4, 4, 5, 4, 3, 3, 1, 1, 1, 1, 1, same, "none", (0.02, 127), (0.04, -128), False),
    ("factors_above_one", 1, 5, 5, 2, 7, 2, 2, 1, 1, 1, 1, 1, valid, "none", (0.9, 0), (0.02, 0), True),
    ("tiny_factors", 1, 4, 4, 4, 4, 3, 3, 1, 1, 1, 1, 1, same, "none", (1e-6, 10), (0.5, 1), True),
    ("no_bias", 1, 4, 4, 4, 4, 3, 3, 1, 1, 1, 1, 1, same, "none", (0.03, 10), (0.05, 1), True),
    ("ties", 1, 16, 16, 1, 4, 1, 1, 1, 1, 1, 1, 1, valid, "none", (1.0, 0), (1.0, 0), True),
    ("large_kernel", 1, 3, 3, 2, 3, 5, 5, 1, 1, 1, 1, 1, same, "none", (0.03, -10), (0.05, 1), True),
]


def conv(golden, depthwise=False, hybrid=False):
    rng = golden.rng
    for row in CONV:
        name, n, h, w, c, oc, kh, kw, sh, sw, dh, dw, groups, pad, act, qin, qout, per_channel = row
        if (depthwise or hybrid) and groups > 1:
            continue
        if not depthwise and name == "no_bias":
            continue  # LiteRT refuses a convolution without bias
        if depthwise and hybrid and (not per_channel or name == "ties"):
            continue  # and this one without a scale per channel
        out_h, top = pad(h, kh, sh, dh)
        out_w, left = pad(w, kw, sw, dw)
        multiplier = 1
        if depthwise:
            if sh != sw:
                sw = sh
                out_w, left = pad(w, kw, sw, dw)
            multiplier = 3 if name in ("same_3x3", "valid_stride_2_1") else 1
            oc = c * multiplier
        params = {
            "batch": n, "in_h": h, "in_w": w, "in_c": c, "out_h": out_h, "out_w": out_w, "out_c": oc, "k_h": kh,
            "k_w": kw, "stride_h": sh, "stride_w": sw, "dilation_h": dh, "dilation_w": dw, "pad_top": top,
            "pad_left": left, "groups": groups, "multiplier": multiplier, "activation": act,
        }
        low, high = (0.1, 2.0) if name == "factors_above_one" else (0.002, 0.05)
        w_scales = scales(rng, oc if per_channel else 1, low, high)
        shape = (1, kh, kw, oc) if depthwise else (oc, kh, kw, c // groups)
        axis = 3 if depthwise else 0
        weights = golden.weights(shape)
        if name == "ties":
            w_scales, weights = np.array([0.5, 0.25, 0.03125, 0.3], np.float32)[:oc], np.ones(shape, np.int8)
        options = tfl.DepthwiseConv2DOptionsT() if depthwise else tfl.Conv2DOptionsT()
        options.padding = tfl.Padding.SAME if pad is same else tfl.Padding.VALID
        options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor = sh, sw, dh, dw
        options.fusedActivationFunction = ACTIVATIONS[act]
        if depthwise:
            options.depthMultiplier = multiplier
            model = Model(tfl.BuiltinOperator.DEPTHWISE_CONV_2D, tfl.BuiltinOptions.DepthwiseConv2DOptions, options)
        else:
            model = Model(tfl.BuiltinOperator.CONV_2D, tfl.BuiltinOptions.Conv2DOptions, options)
        w_quant = Quant(w_scales, 0, axis)
        if hybrid:
            data = golden.f32((n, h, w, c), 2.0)
            bias = None if name == "no_bias" else golden.f32(oc)
            if name == "pointwise":
                data[:] = np.abs(data)
            if name == "tiny_factors":
                data[0] = 0.0
            model.input(data)
            model.const(weights, w_quant, "weights")
            model.const(bias, None, "bias")
            model.output((n, out_h, out_w, oc), np.float32)
            out = model.run()[0]
            golden.case(name, params, input=data, weights=(weights, w_quant), bias=bias, output=out)
            continue
        data = golden.i8((n, h, w, c))
        input_quant, output_quant = Quant(*qin), Quant(*qout)
        bias_scales = w_scales * np.float32(qin[0])
        bias = None if name == "no_bias" else rng.integers(-20000, 20000, oc).astype(np.int32)
        if name == "factors_above_one":
            bias = rng.integers(-50, 50, oc).astype(np.int32)
            weights = np.sign(weights).astype(np.int8)
            data = np.clip(data, -3, 3)
        if name == "ties":
            data = np.arange(-128, 128).astype(np.int8).reshape(data.shape)
            bias = np.array([0, 0, 1, -300], np.int32)[:oc]
        model.input(data, input_quant)
        model.const(weights, w_quant, "weights")
        model.const(bias, Quant(bias_scales), "bias")
        model.output((n, out_h, out_w, oc), np.int8, output_quant)
        out = model.run()[0]
        golden.case(name, params, input=(data, input_quant), weights=(weights, w_quant), bias=bias,
                    output=(out, output_quant))


# name, rows, in, out, activation, input, output, per channel, bias
FULLY = [
    ("one_scale", 3, 17, 5, "none", (0.03, -3), (0.4, 4), False, True),
    ("per_channel", 2, 20, 7, "none", (0.03, 7), (0.3, -9), True, True),
    ("zero_points_low", 2, 9, 6, "relu", (0.02, -128), (0.1, -128), True, True),
    ("zero_points_high", 2, 9, 6, "relu6", (0.02, 127), (0.05, 127), False, True),
    ("no_bias", 1, 33, 3, "none", (0.02, 0), (0.2, 0), True, False),
    ("ties", 64, 1, 3, "none", (0.5, 0), (1.0, 0), False, True),
    ("ties_at_three", 64, 1, 3, "none", (0.25, 0), (1.0, 0), False, True),
    ("factors_above_one", 4, 3, 4, "relu_n1_to_1", (2.0, 0), (0.05, 3), True, True),
    ("long", 1, 200, 4, "none", (0.05, 100), (1.5, 2), True, True),
]


def fully_connected(golden, hybrid=False):
    rng = golden.rng
    for name, rows, inputs, outputs, act, qin, qout, per_channel, with_bias in FULLY:
        params = {"rows": rows, "in_features": inputs, "out_features": outputs, "activation": act}
        options = tfl.FullyConnectedOptionsT()
        options.fusedActivationFunction = ACTIVATIONS[act]
        options.asymmetricQuantizeInputs = hybrid
        model = Model(tfl.BuiltinOperator.FULLY_CONNECTED, tfl.BuiltinOptions.FullyConnectedOptions, options)
        weights = golden.weights((outputs, inputs))
        w_scales = scales(rng, outputs if per_channel else 1)
        if name.startswith("ties"):
            weights, w_scales = np.ones((outputs, inputs), np.int8), np.ones(1, np.float32)
        w_quant = Quant(w_scales)
        if hybrid:
            data = golden.f32((rows, inputs), 2.0)
            if name == "zero_points_low":
                data = np.abs(data)
            if name == "long":
                data[:] = 0.0
            bias = golden.f32(outputs) if with_bias else None
            model.input(data)
            model.const(weights, w_quant, "weights")
            model.const(bias, None, "bias")
            model.output((rows, outputs), np.float32)
            golden.case(name, params, input=data, weights=(weights, w_quant), bias=bias, output=model.run()[0])
            continue
        data = golden.i8((rows, inputs))
        bias = rng.integers(-2000, 2000, outputs).astype(np.int32) if with_bias else None
        if name.startswith("ties"):
            data = np.arange(-rows // 2, rows // 2).astype(np.int8).reshape(rows, 1)
            bias = np.array([0, 1, -100], np.int32)
        input_quant, output_quant = Quant(*qin), Quant(*qout)
        model.input(data, input_quant)
        model.const(weights, w_quant, "weights")
        model.const(bias, Quant(w_scales * np.float32(qin[0])), "bias")
        model.output((rows, outputs), np.int8, output_quant)
        out = model.run()[0]
        golden.case(name, params, input=(data, input_quant), weights=(weights, w_quant), bias=bias,
                    output=(out, output_quant))


# name, batch, in_h, in_w, in_c, out_c, k_h, k_w, stride_h, stride_w, padding, input, output, activation
TRANSPOSE = [
    ("valid_stride_2", 1, 3, 4, 3, 2, 2, 2, 2, 2, valid, (0.03, -5), (0.08, 7), "none"),
    ("same_stride_2", 2, 3, 3, 2, 3, 3, 3, 2, 2, same, (0.03, -128), (0.08, -128), "relu"),
    ("valid_stride_1_2", 1, 4, 3, 2, 3, 3, 4, 1, 2, valid, (0.03, 127), (0.08, 127), "none"),
    ("gaps", 1, 3, 3, 2, 2, 2, 2, 3, 3, same, (0.03, 3), (0.05, 0), "none"),
    ("no_bias", 1, 3, 3, 4, 2, 4, 4, 2, 2, same, (0.03, 3), (0.1, 0), "none"),
]


def transpose_conv(golden, dtype=np.int8):
    rng = golden.rng
    for name, n, h, w, c, oc, kh, kw, sh, sw, pad, qin, qout, act in TRANSPOSE:
        if pad is same:
            out_h, out_w = h * sh, w * sw
            top = max((h - 1) * sh + kh - out_h, 0) // 2
            left = max((w - 1) * sw + kw - out_w, 0) // 2
        else:
            out_h, out_w, top, left = (h - 1) * sh + kh, (w - 1) * sw + kw, 0, 0
        params = {
            "batch": n, "in_h": h, "in_w": w, "in_c": c, "out_h": out_h, "out_w": out_w, "out_c": oc, "k_h": kh,
            "k_w": kw, "stride_h": sh, "stride_w": sw, "pad_top": top, "pad_left": left, "activation": act,
        }
        options = tfl.TransposeConvOptionsT()
        options.padding = tfl.Padding.SAME if pad is same else tfl.Padding.VALID
        options.strideH, options.strideW, options.fusedActivationFunction = sh, sw, ACTIVATIONS[act]
        model = Model(tfl.BuiltinOperator.TRANSPOSE_CONV, tfl.BuiltinOptions.TransposeConvOptions, options)
        model.const(np.array([n, out_h, out_w, oc], np.int32), None, "shape")
        if dtype == np.float32:
            data, weights = golden.f32((n, h, w, c)), golden.f32((oc, kh, kw, c))
            bias = None if name == "no_bias" else golden.f32(oc)
            model.const(weights, None, "weights")
            model.input(data)
            if bias is not None:
                model.const(bias, None, "bias")
            model.output((n, out_h, out_w, oc), np.float32)
            golden.case(name, params, input=data, weights=weights, bias=bias, output=model.run()[0])
            continue
        w_quant, input_quant, output_quant = Quant(scales(rng, oc)), Quant(*qin), Quant(*qout)
        data, weights = golden.i8((n, h, w, c)), golden.weights((oc, kh, kw, c))
        bias = None if name == "no_bias" else rng.integers(-5000, 5000, oc).astype(np.int32)
        model.const(weights, w_quant, "weights")
        model.input(data, input_quant)
        if bias is not None:
            model.const(bias, Quant(w_quant.scales * np.float32(qin[0])), "bias")
        model.output((n, out_h, out_w, oc), np.int8, output_quant)
        out = model.run()[0]
        golden.case(name, params, input=(data, input_quant), weights=(weights, w_quant), bias=bias,
                    output=(out, output_quant))


def make(name, write, *args):
    golden = Golden(name, SEED)
    write(golden, *args)
    golden.write()


if __name__ == "__main__":
    make("conv2d_i8", conv)
    make("depthwise_conv2d_i8", conv, True)
    make("transpose_conv2d_i8", transpose_conv)
    make("fully_connected_i8", fully_connected)
    make("conv2d_hybrid", conv, False, True)
    make("depthwise_conv2d_hybrid", conv, True, True)
    make("fully_connected_hybrid", fully_connected, True)
