"""Small legal networks that are rarely written: python odd.py OUT. Each folder gets `model.onnx`; inputs are left to `run.py`.

Families: resizes by fractional scales in every mode; masks before a softmax; weights stored as integers in every way; constant outputs and inputs as
outputs; scalars, shared constants, several outputs; padding with the least number; grouped, dilated and one-dimensional convolutions; operators
that no file format but ONNX has.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)
X = (1, 4, 9, 7)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def networks():
    """Name, nodes, shape of the input, constants, opset, number of outputs."""
    for mode in ("nearest", "linear"):
        for transformation in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"):
            for scales in ((1.7, 2.3), (0.6, 0.7), (2.0, 3.0), (1.3, 0.4)):
                value = {"s": np.array([1, 1, *scales], np.float32)}
                name = f"resize_{mode}_{transformation}_{scales[0]}_{scales[1]}"
                roundings = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"] if mode == "nearest" else ["floor"]
                # Half-way cases of this one lie on either side by the last bit.
                for rounding in roundings[2:] if mode == "nearest" and transformation == "half_pixel_symmetric" else roundings:
                    resize = node("Resize", ["x", "", "s"], ["y0"], mode=mode, coordinate_transformation_mode=transformation, nearest_mode=rounding)
                    yield f"{name}_{rounding}", [resize], X, value, 17, 1
        for sizes in ((15, 11), (4, 3), (9, 14)):
            yield f"resize_{mode}_sizes_{sizes[0]}_{sizes[1]}", [node("Resize", ["x", "", "", "s"], ["y0"], mode=mode)], X, {"s": ints(1, 4, *sizes)}, 17, 1

    for name, hidden in {"inf": -np.inf, "least": np.finfo(np.float32).min, "1e9": -1e9, "1e4": -1e4, "100": -100, "8": -8}.items():
        mask = np.triu(np.full((6, 6), hidden, np.float32), 1)
        constants = {"q": normal(16, 16) / 4, "k": normal(16, 16) / 4, "v": normal(16, 16) / 4, "m": mask}
        attention = [
            node("MatMul", ["x", "q"], ["Q"]), node("MatMul", ["x", "k"], ["K"]), node("MatMul", ["x", "v"], ["V"]),
            node("Transpose", ["K"], ["Kt"], perm=[0, 2, 1]), node("MatMul", ["Q", "Kt"], ["s"]), node("Add", ["s", "m"], ["sm"]),
            node("Softmax", ["sm"], ["p"], axis=-1), node("MatMul", ["p", "V"], ["y0"]),
        ]  # fmt: skip
        yield f"mask_{name}", attention, (1, 6, 16), constants, 17, 1

    stored = rng.integers(-100, 100, (6, 4, 3, 3)).astype(np.int8)
    scales = (np.abs(normal(6)) * 0.01 + 0.005).astype(np.float32)
    for zero in (0, 7):
        for bias in (False, True):
            constants = {"w": stored, "s": scales, "z": np.full(6, zero, np.int8)} | ({"b": normal(6)} if bias else {})
            nodes = [node("DequantizeLinear", ["w", "s", "z"], ["wf"], axis=0), node("Conv", ["x", "wf", *(["b"] if bias else [])], ["y0"])]
            yield f"weight_only_{zero}{'_bias' if bias else ''}", nodes, X, constants, 17, 1
    yield "weight_only_int_bias", [
        node("DequantizeLinear", ["w", "s"], ["wf"], axis=0), node("DequantizeLinear", ["b", "s"], ["bf"], axis=0), node("Conv", ["x", "wf", "bf"], ["y0"])
    ], X, {"w": stored, "s": scales, "b": np.arange(6, dtype=np.int32)}, 17, 1  # fmt: skip
    yield "weight_only_groups", [node("DequantizeLinear", ["w", "s"], ["wf"], axis=0), node("Conv", ["x", "wf"], ["y0"], group=2)], X, {
        "w": stored[:, :2], "s": scales
    }, 17, 1  # fmt: skip
    yield "weight_only_matmul", [node("DequantizeLinear", ["w", "s"], ["wf"], axis=1), node("MatMul", ["x", "wf"], ["y0"])], (1, 6), {
        "w": stored[0, :, :, 0].repeat(2, 0)[:6], "s": scales[:3]
    }, 17, 1  # fmt: skip
    for signed in (True, False):
        kind, center = (np.int8, 0) if signed else (np.uint8, 128)
        for zero in (center, center + 5):
            constants = {
                "sx": np.float32(0.03), "zx": kind(center + 3), "w": (stored.astype(int) + center).astype(kind), "sw": np.float32(0.01), "zw": kind(zero),
                "sy": np.float32(0.05), "zy": kind(center - 20), "b": np.arange(6, dtype=np.int32) * 50, "sb": np.float32(0.0003),
            }  # fmt: skip
            yield f"qdq_{kind.__name__}_{zero}", [
                node("QuantizeLinear", ["x", "sx", "zx"], ["xq"]), node("DequantizeLinear", ["xq", "sx", "zx"], ["xd"]),
                node("DequantizeLinear", ["w", "sw", "zw"], ["wd"]), node("DequantizeLinear", ["b", "sb"], ["bd"]),
                node("Conv", ["xd", "wd", "bd"], ["c"]), node("Relu", ["c"], ["r"]),
                node("QuantizeLinear", ["r", "sy", "zy"], ["rq"]), node("DequantizeLinear", ["rq", "sy", "zy"], ["y0"]),
            ], X, constants, 17, 1  # fmt: skip

    weights = {"w": normal(6, 4, 3, 3)}
    conv = node("Conv", ["x", "w"], ["c"])
    for value in (-np.inf, np.finfo(np.float32).min):
        pad = node("Pad", ["c", "p", "v"], ["q"])
        pool = node("MaxPool", ["q"], ["y0"], kernel_shape=[3, 3], strides=[2, 2])
        yield f"pad_{'inf' if np.isinf(value) else 'least'}", [conv, pad, pool], X, weights | {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "v": np.float32(value)}, 17, 1
    depthwise = {"w": normal(4, 1, 3, 3), "b": normal(4)}
    for strides, pads in (((2, 2), (1, 1, 1, 1)), ((1, 1), (2, 0, 1, 1)), ((2, 2), (0, 0, 1, 1))):
        op = node("Conv", ["x", "w", "b"], ["c"], group=4, strides=strides, pads=pads)
        yield f"depthwise_{strides[0]}_{''.join(map(str, pads))}", [op, node("Clip", ["c", "lo", "hi"], ["y0"])], X, depthwise | {"lo": np.float32(0), "hi": np.float32(6)}, 17, 1
    grouped = {"w": normal(6, 2, 3, 3), "b": normal(6)}
    yield "grouped_relu", [node("Conv", ["x", "w", "b"], ["c"], group=2, pads=[1, 1, 1, 1]), node("Relu", ["c"], ["y0"])], X, grouped, 17, 1
    yield "dilated", [node("Conv", ["x", "w"], ["y0"], dilations=[2, 1], pads=[2, 1, 2, 1])], X, weights, 17, 1
    yield "line", [node("Conv", ["x", "w"], ["y0"], dilations=[2], group=4, pads=[4, 0])], (1, 4, 12), {"w": normal(8, 1, 3)}, 17, 1

    yield "twice", [node("Relu", ["x"], ["y0"]), node("Identity", ["y0"], ["y1"])], X, {}, 17, 2
    yield "constant_output", [node("Relu", ["x"], ["y0"]), node("Identity", ["c"], ["y1"])], X, {"c": normal(1, 3)}, 17, 2
    yield "shared", [node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["a", "w"], ["b"]), node("Add", ["b", "w"], ["y0"])], (1, 5, 5), {"w": normal(5, 5)}, 17, 1
    yield "scalar", [node("Mul", ["x", "c"], ["y0"])], X, {"c": np.float32(2.5)}, 17, 1
    yield "six", [node("Reshape", ["x", "a"], ["r"]), node("Transpose", ["r"], ["t"], perm=[0, 1, 4, 2, 5, 3]), node("Reshape", ["t", "b"], ["y0"])], (1, 8, 3, 5), {
        "a": ints(1, 2, 2, 2, 3, 5), "b": ints(1, 2, 6, 10)
    }, 17, 1  # fmt: skip
    tiny = {"w": normal(6, 5) * np.float32(1e-12)}
    yield "tiny_softmax", [node("MatMul", ["x", "w"], ["m"]), node("Softmax", ["m"], ["y0"], axis=-1)], (1, 6), tiny, 17, 1
    for op, opset in (("Softsign", 17), ("Mish", 18), ("BitwiseNot", 18), ("Det", 17), ("CumSum", 17)):
        if op == "BitwiseNot":
            continue
        inputs = ["a", "i"] if op == "CumSum" else ["a"]
        constants = {"i": np.int64(1)} if op == "CumSum" else {}
        yield f"only_onnx_{op}", [node("Abs", ["x"], ["a"]), node(op, inputs, ["y0"]), node("ReduceMean", ["x"], ["y1"], keepdims=1)], (1, 5, 5), constants, opset, 2


def main():
    folder = Path(sys.argv[1])
    for name, nodes, shape, constants, opset, outputs in networks():
        given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        made = [onnx.ValueInfoProto(name=f"y{i}") for i in range(outputs)]
        stored = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
        graph = helper.make_graph(nodes, name, given, made, stored)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        (folder / name).mkdir(parents=True, exist_ok=True)
        onnx.save(model, folder / name / "model.onnx")


if __name__ == "__main__":
    main()
