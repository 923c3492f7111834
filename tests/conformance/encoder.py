"""A transformer encoder of one block, as PyTorch writes it for ONNX: weights by seed, norms and GELU spelled out in parts.

The second norm is the operator `LayerNormalization`, so that both forms are there.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TOKENS, FEATURES, HEADS, HIDDEN, CLASSES = 9, 16, 2, 32, 5


def write(path, seed=5):
    """Writes the network to `path`. Its input is `[1, TOKENS, FEATURES]`, its output `[1, CLASSES]`."""
    random = np.random.default_rng(seed)
    nodes, stored = [], []

    def constant(name, values):
        stored.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weights(name, *shape):
        return constant(name, (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32))

    def vector(name, size, around=0.0):
        return constant(name, (around + 0.3 * random.standard_normal(size)).astype(np.float32))

    def number(name, value):
        return constant(name, np.float32(value))

    def node(op, inputs, name, **attributes):
        nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def norm_in_parts(x, name):
        mean = node("ReduceMean", [x], f"{name}/mean", axes=[-1])
        centred = node("Sub", [x, mean], f"{name}/centred")
        squares = node("Pow", [centred, number(f"{name}/two", 2.0)], f"{name}/squares")
        variance = node("ReduceMean", [squares], f"{name}/variance", axes=[-1])
        guarded = node("Add", [variance, number(f"{name}/epsilon", 1e-5)], f"{name}/guarded")
        deviation = node("Sqrt", [guarded], f"{name}/deviation")
        normalized = node("Div", [centred, deviation], f"{name}/normalized")
        scaled = node("Mul", [normalized, vector(f"{name}/scale", FEATURES, 1.0)], f"{name}/scaled")
        return node("Add", [scaled, vector(f"{name}/offset", FEATURES)], name)

    def linear(x, name, inputs, outputs):
        product = node("MatMul", [x, weights(f"{name}/weights", inputs, outputs)], f"{name}/product")
        return node("Add", [vector(f"{name}/bias", outputs), product], name)

    def heads(x, name, perm):
        shape = constant(f"{name}/shape", np.array([1, TOKENS, HEADS, FEATURES // HEADS]))
        return node("Transpose", [node("Reshape", [x, shape], f"{name}/split")], name, perm=perm)

    def gelu_in_parts(x, name):
        scaled = node("Div", [x, number(f"{name}/root", np.sqrt(2.0))], f"{name}/scaled")
        error = node("Erf", [scaled], f"{name}/erf")
        shifted = node("Add", [error, number(f"{name}/one", 1.0)], f"{name}/shifted")
        return node("Mul", [node("Mul", [x, shifted], f"{name}/twice"), number(f"{name}/half", 0.5)], name)

    x = "x"
    h = norm_in_parts(x, "norm1")
    query = heads(linear(h, "query", FEATURES, FEATURES), "queries", [0, 2, 1, 3])
    key = heads(linear(h, "key", FEATURES, FEATURES), "keys", [0, 2, 3, 1])
    value = heads(linear(h, "value", FEATURES, FEATURES), "values", [0, 2, 1, 3])
    scores = node("MatMul", [query, key], "scores")
    scaled = node("Mul", [scores, number("scores/factor", (FEATURES // HEADS) ** -0.5)], "scores/scaled")
    share = node("Softmax", [scaled], "share", axis=-1)
    mixed = node("Transpose", [node("MatMul", [share, value], "mixed")], "mixed/last", perm=[0, 2, 1, 3])
    joined = node("Reshape", [mixed, constant("joined/shape", np.array([1, TOKENS, FEATURES]))], "joined")
    x = node("Add", [x, linear(joined, "projection", FEATURES, FEATURES)], "attended")
    norm2 = [x, vector("norm2/scale", FEATURES, 1.0), vector("norm2/offset", FEATURES)]
    h = node("LayerNormalization", norm2, "norm2", axis=-1, epsilon=1e-6)
    h = gelu_in_parts(linear(h, "wide", FEATURES, HIDDEN), "gelu")
    x = node("Add", [x, linear(h, "narrow", HIDDEN, FEATURES)], "block")
    x = node("ReduceMean", [norm_in_parts(x, "norm3")], "pooled", axes=[1], keepdims=0)
    head = [x, weights("head/weights", FEATURES, CLASSES), vector("head/bias", CLASSES)]
    node("Gemm", head, "y")

    def border(name, dims):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)

    graph = helper.make_graph(
        nodes, "encoder", [border("x", [1, TOKENS, FEATURES])], [border("y", [1, CLASSES])], stored
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def samples(count, seed=6):
    """Inputs of the network."""
    return np.random.default_rng(seed).standard_normal((count, TOKENS, FEATURES)).astype(np.float32)
