"""Networks with random weights, as PyTorch exports them to ONNX: channels first, symmetric padding, activations of several nodes.

    python networks.py FOLDER [NAME ...]

Needs numpy and onnx. The shapes are those of torchvision's networks of the same names, batch norms folded; `inception`, `vit`, `swin`,
`convnext`, `unet` and `segmenter` are small. What runs is what counts here, so weights are random and only keep activations in a reasonable range.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph under construction; every method returns the name of its output."""

    def __init__(self, name, size, channels=3):
        self.name, self.nodes, self.constants, self.count = name, [], [], 0
        self.random = np.random.default_rng(7)
        self.shapes = {"x": (1, channels, size, size)}

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op, inputs, shape, **attributes):
        self.count += 1
        name = f"{op.lower()}{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.shapes[name] = tuple(shape)
        return name

    def weights(self, *shape, fan):
        return self.constant((self.random.standard_normal(shape) * (1.6 / fan) ** 0.5).astype(np.float32))

    def conv(self, x, out, kernel=3, stride=1, groups=1, act=None, dilation=1, pad=None):
        _, c, h, w = self.shapes[x]
        pad = dilation * (kernel - 1) // 2 if pad is None else pad
        size = [(n + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1 for n in (h, w)]
        weights = self.weights(out, c // groups, kernel, kernel, fan=c // groups * kernel * kernel)
        bias = self.constant((0.1 * self.random.standard_normal(out)).astype(np.float32))
        y = self.node(
            "Conv", [x, weights, bias], (1, out, *size), kernel_shape=[kernel] * 2, strides=[stride] * 2,
            pads=[pad] * 4, group=groups, dilations=[dilation] * 2,
        )
        return self.act(y, act)

    def act(self, x, kind):
        same = self.shapes[x]
        if kind is None:
            return x
        if kind == "relu":
            return self.node("Relu", [x], same)
        if kind == "relu6":
            low, high = self.constant(np.float32(0)), self.constant(np.float32(6))
            return self.node("Clip", [x, low, high], same)
        if kind == "hswish":
            return self.node("HardSwish", [x], same)
        if kind == "hsigmoid":
            return self.node("HardSigmoid", [x], same, alpha=1 / 6, beta=0.5)
        if kind == "sigmoid":
            return self.node("Sigmoid", [x], same)
        if kind == "swish":
            return self.node("Mul", [x, self.node("Sigmoid", [x], same)], same)
        if kind == "gelu":
            scaled = self.node("Div", [x, self.constant(np.float32(2**0.5))], same)
            erf = self.node("Erf", [scaled], same)
            shifted = self.node("Add", [erf, self.constant(np.float32(1))], same)
            return self.node("Mul", [self.node("Mul", [x, shifted], same), self.constant(np.float32(0.5))], same)
        raise ValueError(kind)

    def add(self, a, b):
        return self.node("Add", [a, b], self.shapes[a])

    def pool(self, x, kind, kernel, stride, pad=0):
        _, c, h, w = self.shapes[x]
        size = [(n + 2 * pad - kernel) // stride + 1 for n in (h, w)]
        return self.node(f"{kind}Pool", [x], (1, c, *size), kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def squeeze(self, x, width, inner="relu", gate="sigmoid"):
        c = self.shapes[x][1]
        mean = self.node("GlobalAveragePool", [x], (1, c, 1, 1))
        hidden = self.conv(mean, width, 1, act=inner)
        return self.node("Mul", [x, self.conv(hidden, c, 1, act=gate)], self.shapes[x])

    def concat(self, parts, axis=1):
        shape = list(self.shapes[parts[0]])
        shape[axis] = sum(self.shapes[p][axis] for p in parts)
        return self.node("Concat", parts, shape, axis=axis)

    def reshape(self, x, shape):
        return self.node("Reshape", [x, self.constant(np.array(shape, np.int64))], shape)

    def transpose(self, x, perm):
        return self.node("Transpose", [x], [self.shapes[x][p] for p in perm], perm=perm)

    def linear(self, x, out):
        *leading, c = self.shapes[x]
        y = self.node("MatMul", [x, self.weights(c, out, fan=c)], (*leading, out))
        return self.node("Add", [y, self.constant((0.1 * self.random.standard_normal(out)).astype(np.float32))], (*leading, out))

    def norm(self, x):
        c = self.shapes[x][-1]
        scale, bias = self.constant(np.ones(c, np.float32)), self.constant(np.zeros(c, np.float32))
        return self.node("LayerNormalization", [x, scale, bias], self.shapes[x], axis=-1, epsilon=1e-6)

    def classifier(self, x, classes=1000):
        c = self.shapes[x][1]
        mean = self.node("GlobalAveragePool", [x], (1, c, 1, 1))
        flat = self.node("Flatten", [mean], (1, c))
        weights, bias = self.weights(classes, c, fan=c), self.constant(np.zeros(classes, np.float32))
        return self.node("Gemm", [flat, weights, bias], (1, classes), transB=1)

    def model(self, *outputs):
        info = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name])
        graph = helper.make_graph(self.nodes, self.name, [info("x")], [info(y) for y in outputs], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model


def inverted(n, x, expand, out, kernel, stride, act, se=None):
    """The inverted residual of MobileNets and EfficientNets."""
    c = n.shapes[x][1]
    y = n.conv(x, expand, 1, act=act) if expand != c else x
    y = n.conv(y, expand, kernel, stride, groups=expand, act=act)
    if se:
        y = se(y)
    y = n.conv(y, out, 1)
    return n.add(x, y) if stride == 1 and c == out else y


def mobilenet_v2():
    n = Net("mobilenet_v2", 224)
    x = n.conv("x", 32, 3, 2, act="relu6")
    for t, c, count, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(count):
            x = inverted(n, x, t * n.shapes[x][1], c, 3, s if i == 0 else 1, "relu6")
    return n.model(n.classifier(n.conv(x, 1280, 1, act="relu6")))


def mobilenet_v3_small():
    n = Net("mobilenet_v3_small", 224)
    x = n.conv("x", 16, 3, 2, act="hswish")
    rows = [
        (3, 16, 16, 1, "relu", 2), (3, 72, 24, 0, "relu", 2), (3, 88, 24, 0, "relu", 1), (5, 96, 40, 1, "hswish", 2),
        (5, 240, 40, 1, "hswish", 1), (5, 240, 40, 1, "hswish", 1), (5, 120, 48, 1, "hswish", 1),
        (5, 144, 48, 1, "hswish", 1), (5, 288, 96, 1, "hswish", 2), (5, 576, 96, 1, "hswish", 1), (5, 576, 96, 1, "hswish", 1),
    ]
    for kernel, expand, out, se, act, stride in rows:
        gate = (lambda y, e=expand: n.squeeze(y, max(8, (e // 4 + 4) // 8 * 8), gate="hsigmoid")) if se else None
        x = inverted(n, x, expand, out, kernel, stride, act, gate)
    return n.model(n.classifier(n.conv(x, 576, 1, act="hswish")))


def efficientnet_b0():
    n = Net("efficientnet_b0", 224)
    x = n.conv("x", 32, 3, 2, act="swish")
    for t, c, count, s, k in [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]:
        for i in range(count):
            width = n.shapes[x][1]
            x = inverted(n, x, t * width, c, k, s if i == 0 else 1, "swish", lambda y: n.squeeze(y, width // 4, "swish"))
    return n.model(n.classifier(n.conv(x, 1280, 1, act="swish")))


def shuffle(n, x):
    _, c, h, w = n.shapes[x]
    x = n.transpose(n.reshape(x, (1, 2, c // 2, h, w)), (0, 2, 1, 3, 4))
    return n.reshape(x, (1, c, h, w))


def shufflenet_v2():
    n = Net("shufflenet_v2", 224)
    x = n.pool(n.conv("x", 24, 3, 2, act="relu"), "Max", 3, 2, 1)
    for out, count in [(116, 4), (232, 8), (464, 4)]:
        half = out // 2
        for i in range(count):
            c, h = n.shapes[x][1], n.shapes[x][2]
            if i == 0:
                left = n.conv(n.conv(x, c, 3, 2, groups=c), half, 1, act="relu")
                right = n.conv(n.conv(n.conv(x, half, 1, act="relu"), half, 3, 2, groups=half), half, 1, act="relu")
            else:
                sizes = n.constant(np.array([half, half], np.int64))
                n.count += 1
                left, kept = f"left{n.count}", f"right{n.count}"
                n.nodes.append(helper.make_node("Split", [x, sizes], [left, kept], axis=1, name=f"split{n.count}"))
                n.shapes[left] = n.shapes[kept] = (1, half, h, h)
                right = n.conv(n.conv(n.conv(kept, half, 1, act="relu"), half, 3, 1, groups=half), half, 1, act="relu")
            x = shuffle(n, n.concat([left, right]))
    return n.model(n.classifier(n.conv(x, 1024, 1, act="relu")))


def residual(n, x, out, stride):
    y = n.conv(n.conv(x, out, 3, stride, act="relu"), out, 3)
    if stride != 1 or n.shapes[x][1] != out:
        x = n.conv(x, out, 1, stride)
    return n.act(n.add(y, x), "relu")


def resnet18():
    n = Net("resnet18", 224)
    x = n.pool(n.conv("x", 64, 7, 2, act="relu"), "Max", 3, 2, 1)
    for out, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        x = residual(n, residual(n, x, out, stride), out, 1)
    return n.model(n.classifier(x))


def bottleneck(n, x, width, out, stride, groups, se=False):
    y = n.conv(n.conv(x, width, 1, act="relu"), width, 3, stride, groups=groups, act="relu")
    if se:
        y = n.squeeze(y, n.shapes[x][1] // 4)
    y = n.conv(y, out, 1)
    if stride != 1 or n.shapes[x][1] != out:
        x = n.conv(x, out, 1, stride)
    return n.act(n.add(y, x), "relu")


def regnet_y_400mf():
    n = Net("regnet_y_400mf", 224)
    x = n.conv("x", 32, 3, 2, act="relu")
    for out, count in [(48, 1), (104, 3), (208, 6), (440, 6)]:
        for i in range(count):
            x = bottleneck(n, x, out, out, 2 if i == 0 else 1, out // 8, True)
    return n.model(n.classifier(x))


def resnext50():
    n = Net("resnext50", 224)
    x = n.pool(n.conv("x", 64, 7, 2, act="relu"), "Max", 3, 2, 1)
    for width, out, count, stride in [(128, 256, 3, 1), (256, 512, 4, 2), (512, 1024, 6, 2), (1024, 2048, 3, 2)]:
        for i in range(count):
            x = bottleneck(n, x, width, out, stride if i == 0 else 1, 32)
    return n.model(n.classifier(x))


def densenet121():
    """With the batch norms before its convolutions, which fold into nothing, as sums and products by channel."""
    n = Net("densenet121", 224)

    def norm_relu(x):
        shape = n.shapes[x]
        of_channels = lambda low, high: n.constant(n.random.uniform(low, high, (1, shape[1], 1, 1)).astype(np.float32))
        y = n.node("Add", [n.node("Mul", [x, of_channels(0.5, 1.0)], shape), of_channels(-0.1, 0.1)], shape)
        return n.act(y, "relu")

    x = n.pool(n.conv("x", 64, 7, 2, act="relu"), "Max", 3, 2, 1)
    for block, count in enumerate([6, 12, 24, 16]):
        for _ in range(count):
            y = n.conv(norm_relu(x), 128, 1, act="relu")
            x = n.concat([x, n.conv(y, 32, 3)])
        if block < 3:
            x = n.pool(n.conv(norm_relu(x), n.shapes[x][1] // 2, 1), "Average", 2, 2)
    return n.model(n.classifier(norm_relu(x)))


def squeezenet():
    n = Net("squeezenet", 224)
    x = n.pool(n.conv("x", 64, 3, 2, pad=0, act="relu"), "Max", 3, 2)
    for squeezed, out, pooled in [(16, 64, 0), (16, 64, 1), (32, 128, 0), (32, 128, 1), (48, 192, 0), (48, 192, 0), (64, 256, 0), (64, 256, 0)]:
        s = n.conv(x, squeezed, 1, act="relu")
        x = n.concat([n.conv(s, out, 1, act="relu"), n.conv(s, out, 3, act="relu")])
        if pooled:
            x = n.pool(x, "Max", 3, 2)
    return n.model(n.classifier(n.conv(x, 1000, 1, act="relu")))


def mobilenet_v1():
    n = Net("mobilenet_v1", 96)
    x = n.conv("x", 8, 3, 2, act="relu6")
    for out, stride in [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]:
        c = n.shapes[x][1]
        x = n.conv(n.conv(x, c, 3, stride, groups=c, act="relu6"), out, 1, act="relu6")
    return n.model(n.classifier(x, 2))


def attention(n, x, heads):
    _, tokens, width = n.shapes[x]
    split = lambda y: n.transpose(n.reshape(y, (1, tokens, heads, width // heads)), (0, 2, 1, 3))
    q, k, v = (split(n.linear(x, width)) for _ in range(3))
    scores = n.node("MatMul", [q, n.transpose(k, (0, 1, 3, 2))], (1, heads, tokens, tokens))
    scores = n.node("Div", [scores, n.constant(np.float32((width // heads) ** 0.5))], n.shapes[scores])
    weights = n.node("Softmax", [scores], n.shapes[scores], axis=-1)
    mixed = n.node("MatMul", [weights, v], (1, heads, tokens, width // heads))
    return n.linear(n.reshape(n.transpose(mixed, (0, 2, 1, 3)), (1, tokens, width)), width)


def vit():
    n = Net("vit", 64)
    width = 64
    x = n.conv("x", width, 8, 8, pad=0)
    tokens = n.shapes[x][2] ** 2
    x = n.transpose(n.reshape(x, (1, width, tokens)), (0, 2, 1))
    x = n.add(x, n.constant((0.1 * n.random.standard_normal((1, tokens, width))).astype(np.float32)))
    for _ in range(4):
        x = n.add(x, attention(n, n.norm(x), 4))
        x = n.add(x, n.linear(n.act(n.linear(n.norm(x), 4 * width), "gelu"), width))
    mean = n.node("ReduceMean", [n.norm(x)], (1, width), axes=[1], keepdims=0)
    return n.model(n.linear(mean, 10))


def convnext():
    n = Net("convnext", 96)
    x = n.conv("x", 48, 4, 4, pad=0)
    for stage, (width, count) in enumerate([(48, 2), (96, 2), (192, 4), (384, 2)]):
        if stage:
            x = n.conv(x, width, 2, 2, pad=0)
        for _ in range(count):
            y = n.transpose(n.conv(x, width, 7, groups=width), (0, 2, 3, 1))
            y = n.linear(n.act(n.linear(n.norm(y), 4 * width), "gelu"), width)
            x = n.add(x, n.transpose(y, (0, 3, 1, 2)))
    return n.model(n.classifier(x))


def unet():
    n = Net("unet", 128)
    x, skips = "x", []
    for width in (16, 32, 64, 128):
        x = n.conv(n.conv(x, width, act="relu"), width, act="relu")
        skips.append(x)
        x = n.pool(x, "Max", 2, 2)
    x = n.conv(n.conv(x, 256, act="relu"), 256, act="relu")
    for skip in reversed(skips):
        _, c, h, _ = n.shapes[skip]
        weights = n.weights(n.shapes[x][1], c, 2, 2, fan=n.shapes[x][1])
        bias = n.constant(np.zeros(c, np.float32))
        up = n.node("ConvTranspose", [x, weights, bias], (1, c, h, h), kernel_shape=[2, 2], strides=[2, 2])
        x = n.conv(n.conv(n.concat([skip, up]), c, act="relu"), c, act="relu")
    return n.model(n.act(n.conv(x, 1, 1), "sigmoid"))


def segmenter():
    """Dilated convolutions, pooled context, bilinear enlarging: DeepLab in small."""
    n = Net("segmenter", 128)
    x = n.conv("x", 16, 3, 2, act="hswish")
    for out, stride in [(24, 2), (40, 2), (64, 1)]:
        x = inverted(n, x, 4 * n.shapes[x][1], out, 3, stride, "hswish")
    _, c, h, w = n.shapes[x]
    context = n.conv(n.node("GlobalAveragePool", [x], (1, c, 1, 1)), 32, 1, act="relu")

    def enlarge(y, size):
        shape = (1, n.shapes[y][1], size, size)
        return n.node(
            "Resize", [y, "", "", n.constant(np.array(shape, np.int64))], shape, mode="linear",
            coordinate_transformation_mode="half_pixel",
        )

    parts = [n.conv(x, 32, 1, act="relu"), *(n.conv(x, 32, 3, dilation=d, act="relu") for d in (2, 4)), enlarge(context, h)]
    return n.model(enlarge(n.conv(n.conv(n.concat(parts), 32, 1, act="relu"), 8, 1), 128))


def resnet8():
    """The residual network of MLPerf Tiny."""
    n = Net("resnet8", 32)
    x = n.conv("x", 16, act="relu")
    for out, stride in [(16, 1), (32, 2), (64, 2)]:
        x = residual(n, x, out, stride)
    return n.model(n.classifier(x, 10))


def ds_cnn():
    """The keyword spotter of MLPerf Tiny, on a square of its spectrogram."""
    n = Net("ds_cnn", 22, 1)
    x = n.conv("x", 64, 5, 2, act="relu")
    for _ in range(4):
        x = n.conv(n.conv(x, 64, groups=64, act="relu"), 64, 1, act="relu")
    return n.model(n.classifier(x, 12))


def efficientnet_lite0():
    n = Net("efficientnet_lite0", 224)
    x = n.conv("x", 32, 3, 2, act="relu6")
    for t, c, count, s, k in [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]:
        for i in range(count):
            x = inverted(n, x, t * n.shapes[x][1], c, k, s if i == 0 else 1, "relu6")
    return n.model(n.classifier(n.conv(x, 1280, 1, act="relu6")))


def fbnet_a():
    n = Net("fbnet_a", 224)
    x = n.conv("x", 16, 3, 2, act="relu")
    rows = [
        (3, 1, 16, 1), (3, 3, 24, 2), (3, 1, 24, 1), (5, 6, 32, 2), (3, 3, 32, 1), (5, 1, 32, 1), (3, 3, 32, 1), (5, 6, 64, 2),
        (5, 3, 64, 1), (5, 1, 64, 1), (5, 6, 64, 1), (3, 6, 112, 1), (5, 1, 112, 1), (5, 3, 112, 1), (5, 6, 184, 2),
        (5, 6, 184, 1), (5, 1, 184, 1), (3, 6, 184, 1), (3, 6, 352, 1),
    ]
    for kernel, t, c, s in rows:
        x = inverted(n, x, t * n.shapes[x][1], c, kernel, s, "relu")
    return n.model(n.classifier(n.conv(x, 1504, 1, act="relu")))


def googlenet():
    n = Net("googlenet", 224)
    relu = lambda x, out, kernel=1, stride=1: n.conv(x, out, kernel, stride, act="relu")
    x = n.pool(relu("x", 64, 7, 2), "Max", 3, 2, 1)
    x = n.pool(relu(relu(x, 64), 192, 3), "Max", 3, 2, 1)
    rows = [
        (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), None, (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), None,
        (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
    ]
    for row in rows:
        if row is None:
            x = n.pool(x, "Max", 3, 2, 1)
        else:
            one, three_in, three, five_in, five, pooled = row
            branches = [relu(x, one), relu(relu(x, three_in), three, 3), relu(relu(x, five_in), five, 3)]
            x = n.concat([*branches, relu(n.pool(x, "Max", 3, 1, 1), pooled)])
    return n.model(n.classifier(x))


def inception():
    """Kernels of one row and one column, as in Inception v3, and pooled branches."""
    n = Net("inception", 150)

    def line(x, out, kernel):
        _, c, h, w = n.shapes[x]
        weights, bias = n.weights(out, c, *kernel, fan=c * max(kernel)), n.constant(np.zeros(out, np.float32))
        pads = [k // 2 for k in kernel] * 2
        return n.act(n.node("Conv", [x, weights, bias], (1, out, h, w), kernel_shape=kernel, pads=pads), "relu")

    relu = lambda x, out, kernel=1, stride=1, pad=None: n.conv(x, out, kernel, stride, pad=pad, act="relu")
    x = relu(relu(relu("x", 32, 3, 2, 0), 32, 3, 1, 0), 64, 3)
    x = relu(relu(n.pool(x, "Max", 3, 2), 80), 192, 3, 1, 0)
    x = n.pool(x, "Max", 3, 2)
    for _ in range(2):
        branches = [relu(x, 64), relu(relu(x, 48), 64, 5), relu(relu(relu(x, 64), 96, 3), 96, 3)]
        x = n.concat([*branches, relu(n.pool(x, "Average", 3, 1, 1), 64)])
    x = n.concat([relu(x, 384, 3, 2, 0), relu(relu(relu(x, 64), 96, 3), 96, 3, 2, 0), n.pool(x, "Max", 3, 2)])
    for _ in range(2):
        long = line(line(relu(x, 128), 128, [1, 7]), 192, [7, 1])
        longer = line(line(line(line(relu(x, 128), 128, [7, 1]), 128, [1, 7]), 128, [7, 1]), 192, [1, 7])
        x = n.concat([relu(x, 192), long, longer, relu(n.pool(x, "Average", 3, 1, 1), 192)])
    return n.model(n.classifier(x))


def swin():
    """Attention in windows of 7 × 7 tokens, every second time of the image rolled by half a window."""
    n = Net("swin", 112)
    width, heads, side = 48, 3, 28
    x = n.transpose(n.conv("x", width, 4, 4, pad=0), (0, 2, 3, 1))

    def sliced(x, low, high, axis):
        shape = list(n.shapes[x])
        shape[axis] = high - low
        bounds = [n.constant(np.array([v], np.int64)) for v in (low, high, axis)]
        return n.node("Slice", [x, *bounds], shape)

    def roll(x, by):
        for axis in (1, 2):
            size = n.shapes[x][axis]
            x = n.concat([sliced(x, by % size, size, axis), sliced(x, 0, by % size, axis)], axis)
        return x

    def windows(x):
        _, side, _, c = n.shapes[x]
        x = n.transpose(n.reshape(x, (1, side // 7, 7, side // 7, 7, c)), (0, 1, 3, 2, 4, 5))
        return n.reshape(x, ((side // 7) ** 2, 49, c))

    def image(x, side):
        c = n.shapes[x][-1]
        x = n.transpose(n.reshape(x, (1, side // 7, side // 7, 7, 7, c)), (0, 1, 3, 2, 4, 5))
        return n.reshape(x, (1, side, side, c))

    def attend(x, heads):
        count, tokens, c = n.shapes[x]
        split = lambda y: n.transpose(n.reshape(y, (count, tokens, heads, c // heads)), (0, 2, 1, 3))
        q, k, v = (split(n.linear(x, c)) for _ in range(3))
        q = n.node("Mul", [q, n.constant(np.float32((c // heads) ** -0.5))], n.shapes[q])
        scores = n.node("MatMul", [q, n.transpose(k, (0, 1, 3, 2))], (count, heads, tokens, tokens))
        bias = n.constant((0.1 * n.random.standard_normal((1, heads, tokens, tokens))).astype(np.float32))
        scores = n.node("Add", [scores, bias], n.shapes[scores])
        weights = n.node("Softmax", [scores], n.shapes[scores], axis=-1)
        mixed = n.node("MatMul", [weights, v], (count, heads, tokens, c // heads))
        return n.linear(n.reshape(n.transpose(mixed, (0, 2, 1, 3)), (count, tokens, c)), c)

    for stage, count in enumerate([2, 2, 4]):
        if stage:
            parts = []
            for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)):
                _, h, _, c = n.shapes[x]
                bounds = [n.constant(np.array(v, np.int64)) for v in ([i, j], [h, h], [1, 2], [2, 2])]
                parts.append(n.node("Slice", [x, *bounds], (1, h // 2, h // 2, c)))
            side, width, heads = side // 2, 2 * width, 2 * heads
            x = n.linear(n.norm(n.concat(parts, 3)), width)
        for i in range(count):
            y = roll(n.norm(x), 3) if i % 2 and side > 7 else n.norm(x)
            y = image(attend(windows(y), heads), side)
            x = n.add(x, roll(y, -3) if i % 2 and side > 7 else y)
            x = n.add(x, n.linear(n.act(n.linear(n.norm(x), 4 * width), "gelu"), width))
    mean = n.node("ReduceMean", [n.norm(x)], (1, width), axes=[1, 2], keepdims=0)
    return n.model(n.linear(mean, 1000))


NETWORKS = [
    resnet8, ds_cnn, mobilenet_v1, mobilenet_v2, mobilenet_v3_small, efficientnet_lite0, efficientnet_b0, fbnet_a, shufflenet_v2,
    resnet18, resnext50, regnet_y_400mf, densenet121, squeezenet, googlenet, inception, vit, swin, convnext, unet, segmenter,
]


def main():
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    for make in NETWORKS:
        if not names or make.__name__ in names:
            onnx.save(make(), folder / f"{make.__name__}.onnx")


if __name__ == "__main__":
    main()
