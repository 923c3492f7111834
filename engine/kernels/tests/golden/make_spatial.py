"""Goldens of operators over space: pooling, mean, resizing, and those that only move elements."""

import numpy as np
from one_op import Golden, Model, Quant, tfl

SEED = 4
ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}


def extent(size, kernel, stride, same):
    if same:
        out = -(-size // stride)
        return out, max((out - 1) * stride + kernel - size, 0) // 2
    return (size - kernel) // stride + 1, 0


# name, batch, in_h, in_w, channels, k_h, k_w, stride_h, stride_w, same, (scale, zero), activation
POOL = [
    ("halves", 1, 6, 6, 3, 2, 2, 2, 2, False, (0.05, -3), "none"),
    ("same_3x3", 2, 5, 7, 2, 3, 3, 1, 1, True, (0.05, -128), "relu"),
    ("same_3x3_stride_2", 1, 8, 7, 3, 3, 3, 2, 2, True, (0.03, 100), "none"),
    ("global", 1, 7, 7, 4, 7, 7, 1, 1, False, (0.02, 127), "none"),
    ("rectangle", 1, 4, 9, 2, 1, 4, 1, 3, False, (0.1, -60), "relu6"),
    ("one", 1, 3, 3, 2, 1, 1, 2, 2, False, (0.02, 5), "relu_n1_to_1"),
]


def pool(name, op, dtype=np.int8):
    golden = Golden(name, SEED)
    for case, n, h, w, c, kh, kw, sh, sw, same, q, act in POOL:
        (oh, top), (ow, left) = extent(h, kh, sh, same), extent(w, kw, sw, same)
        options = tfl.Pool2DOptionsT()
        options.padding = tfl.Padding.SAME if same else tfl.Padding.VALID
        options.strideH, options.strideW, options.filterHeight, options.filterWidth = sh, sw, kh, kw
        options.fusedActivationFunction = ACTIVATIONS[act]
        model = Model(op, tfl.BuiltinOptions.Pool2DOptions, options)
        data = golden.i8((n, h, w, c)) if dtype == np.int8 else golden.f32((n, h, w, c), 3.0)
        quant = Quant(*q) if dtype == np.int8 else None
        model.input(data, quant)
        model.output((n, oh, ow, c), dtype, quant)
        params = {"batch": n, "in_h": h, "in_w": w, "channels": c, "out_h": oh, "out_w": ow, "k_h": kh, "k_w": kw,
                  "stride_h": sh, "stride_w": sw, "pad_top": top, "pad_left": left, "activation": act}
        golden.case(case, params, input=(data, quant), output=(model.run()[0], quant))
    golden.write()


# name, shape, axes, keep dimensions, input, output
MEAN = [
    ("height_width", (1, 5, 5, 6), (1, 2), False, (0.05, 3), (0.05, 3)),
    ("height_width_kept", (2, 7, 3, 4), (1, 2), True, (0.05, -128), (0.03, -100)),
    ("power_of_two", (1, 8, 8, 5), (1, 2), False, (0.04, 127), (0.01, 127)),
    ("channels", (1, 4, 5, 7), (3,), False, (0.1, 0), (0.04, -9)),
    ("all", (3, 4, 5), (0, 1, 2), False, (0.2, 9), (0.004, 0)),
    ("outer", (6, 10), (0,), False, (0.5, -40), (0.9, 20)),
    ("coarser", (1, 9, 9, 3), (1, 2), False, (0.01, 4), (3.0, 1)),
    ("finer", (1, 3, 3, 3), (1, 2), False, (1.0, 4), (0.02, 1)),
    ("ties", (64, 2), (1,), False, (0.5, 0), (0.5, 0)),
    ("one", (1, 1, 1, 20), (1, 2), False, (0.1, 5), (0.07, -5)),
]


def mean(name, dtype=np.int8):
    golden = Golden(name, SEED)
    for case, shape, axes, keep, qi, qo in MEAN:
        options = tfl.ReducerOptionsT()
        options.keepDims = keep
        model = Model(tfl.BuiltinOperator.MEAN, tfl.BuiltinOptions.ReducerOptions, options)
        quants = (Quant(*qi), Quant(*qo)) if dtype == np.int8 else (None, None)
        data = golden.i8(shape) if dtype == np.int8 else golden.f32(shape, 3.0)
        model.input(data, quants[0])
        model.const(np.array(axes, np.int32), None, "axes")
        out_shape = [1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes]
        model.output(out_shape, dtype, quants[1])
        params = {"axes": " ".join(map(str, axes))}
        golden.case(case, params, input=(data, quants[0]), output=(model.run()[0], quants[1]))
    golden.write()


# name, batch, in_h, in_w, channels, out_h, out_w
RESIZE = [
    ("double", 1, 3, 4, 2, 6, 8),
    ("shrink", 2, 7, 8, 2, 3, 5),
    ("odd", 1, 5, 3, 3, 7, 11),
    ("one_row", 1, 1, 6, 2, 4, 1),
    ("same", 1, 4, 4, 2, 4, 4),
]


def resize(name, bilinear, dtype=np.int8):
    golden = Golden(name, SEED)
    for case, n, h, w, c, oh, ow in RESIZE:
        for mode in ("asymmetric", "half_pixel", "align_corners"):
            options = tfl.ResizeBilinearOptionsT() if bilinear else tfl.ResizeNearestNeighborOptionsT()
            options.alignCorners, options.halfPixelCenters = mode == "align_corners", mode == "half_pixel"
            op, kind = (
                (tfl.BuiltinOperator.RESIZE_BILINEAR, tfl.BuiltinOptions.ResizeBilinearOptions)
                if bilinear
                else (tfl.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR, tfl.BuiltinOptions.ResizeNearestNeighborOptions)
            )
            model = Model(op, kind, options)
            quant = Quant(0.05, 3) if dtype == np.int8 else None
            data = golden.i8((n, h, w, c)) if dtype == np.int8 else golden.f32((n, h, w, c), 3.0)
            model.input(data, quant)
            model.const(np.array([oh, ow], np.int32), None, "size")
            model.output((n, oh, ow, c), dtype, quant)
            params = {"batch": n, "in_h": h, "in_w": w, "channels": c, "out_h": oh, "out_w": ow, "mode": mode}
            golden.case(f"{case}_{mode}", params, input=(data, quant), output=(model.run()[0], quant))
    golden.write()


def moves():
    quant = Quant(0.05, -7)
    golden = Golden("moves", SEED)

    data = golden.i8((2, 3, 4, 5))
    options = tfl.TransposeOptionsT()
    model = Model(tfl.BuiltinOperator.TRANSPOSE, tfl.BuiltinOptions.TransposeOptions, options)
    model.input(data, quant)
    model.const(np.array([0, 3, 1, 2], np.int32), None, "permutation")
    model.output((2, 5, 3, 4), np.int8, quant)
    golden.case("transpose", {"permutation": "0 3 1 2"}, input=data, output=model.run()[0])

    model = Model(tfl.BuiltinOperator.PAD, tfl.BuiltinOptions.PadOptions, tfl.PadOptionsT())
    model.input(data, quant)
    model.const(np.array([[0, 0], [1, 2], [0, 3], [2, 0]], np.int32), None, "paddings")
    model.output((2, 6, 7, 7), np.int8, quant)
    golden.case("pad", {"before": "0 1 0 2", "value": -7}, input=data, output=model.run()[0])

    model = Model(tfl.BuiltinOperator.SLICE, tfl.BuiltinOptions.SliceOptions, tfl.SliceOptionsT())
    model.input(data, quant)
    model.const(np.array([1, 0, 2, 1], np.int32), None, "begin")
    model.const(np.array([1, 3, 2, 3], np.int32), None, "size")
    model.output((1, 3, 2, 3), np.int8, quant)
    golden.case("slice", {"begin": "1 0 2 1", "step": "1 1 1 1"}, input=data, output=model.run()[0])

    options = tfl.StridedSliceOptionsT()
    model = Model(tfl.BuiltinOperator.STRIDED_SLICE, tfl.BuiltinOptions.StridedSliceOptions, options)
    model.input(data, quant)
    model.const(np.array([0, 2, 0, 4], np.int32), None, "begin")
    model.const(np.array([2, 0, 4, 0], np.int32), None, "end")
    model.const(np.array([1, -1, 2, -3], np.int32), None, "strides")
    model.output((2, 2, 2, 2), np.int8, quant)
    golden.case("strided_slice", {"begin": "0 2 0 4", "step": "1 -1 2 -3"}, input=data, output=model.run()[0])

    a, b = golden.i8((2, 3, 2)), golden.i8((2, 3, 5))
    options = tfl.ConcatenationOptionsT()
    options.axis = 2
    model = Model(tfl.BuiltinOperator.CONCATENATION, tfl.BuiltinOptions.ConcatenationOptions, options)
    model.input(a, quant, "a")
    model.input(b, quant, "b")
    model.output((2, 3, 7), np.int8, quant)
    golden.case("concat", {"outer": 6}, a=a, b=b, output=model.run()[0])

    joined = golden.i8((2, 6, 3))
    options = tfl.SplitOptionsT()
    options.numSplits = 2
    model = Model(tfl.BuiltinOperator.SPLIT, tfl.BuiltinOptions.SplitOptions, options)
    model.const(np.array(1, np.int32), None, "axis")
    model.input(joined, quant)
    model.output((2, 3, 3), np.int8, quant)
    model.output((2, 3, 3), np.int8, quant)
    first, second = model.run()
    golden.case("split", {"outer": 2}, input=joined, first=first, second=second)
    golden.write()


if __name__ == "__main__":
    pool("average_pool2d_i8", tfl.BuiltinOperator.AVERAGE_POOL_2D)
    pool("max_pool2d_i8", tfl.BuiltinOperator.MAX_POOL_2D)
    mean("mean_i8")
    resize("resize_nearest_i8", False)
    resize("resize_bilinear_i8", True)
    moves()
