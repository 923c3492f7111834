"""Goldens of element-wise integer operators: arithmetic, rectifiers, tables, softmax, quantization."""

import numpy as np
from one_op import Golden, Model, Quant, tfl

SEED = 3
ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
ALL = np.arange(-128, 128).astype(np.int8)

# name, shape a, shape b, (scale, zero) of a, b and output, activation
BINARY = [
    ("plain", (3, 32), (3, 32), (0.05, 3), (0.07, -9), (0.09, 11), "none"),
    ("row", (1, 4, 4, 6), (6,), (0.02, -128), (0.5, 127), (0.4, -128), "relu"),
    ("column", (2, 1, 5), (1, 7, 1), (0.3, 127), (0.01, -128), (0.2, 127), "none"),
    ("scalar", (64,), (1,), (0.03, 0), (0.03, 0), (0.03, 0), "none"),
    ("relu6", (64,), (64,), (0.1, -20), (0.02, 20), (0.03, -100), "relu6"),
    ("clamped", (64,), (64,), (0.5, 0), (0.25, 0), (0.011, 4), "relu_n1_to_1"),
    ("powers_of_two", (256,), (1,), (0.5, 0), (0.25, 1), (1.0, 0), "none"),
    ("far_apart", (128,), (128,), (1.0, 1), (0.0001, -1), (0.9, 2), "none"),
]

OPTIONS = {
    "add": (tfl.BuiltinOperator.ADD, tfl.BuiltinOptions.AddOptions, tfl.AddOptionsT),
    "sub": (tfl.BuiltinOperator.SUB, tfl.BuiltinOptions.SubOptions, tfl.SubOptionsT),
    "mul": (tfl.BuiltinOperator.MUL, tfl.BuiltinOptions.MulOptions, tfl.MulOptionsT),
    "div": (tfl.BuiltinOperator.DIV, tfl.BuiltinOptions.DivOptions, tfl.DivOptionsT),
    "minimum": (tfl.BuiltinOperator.MINIMUM, tfl.BuiltinOptions.MaximumMinimumOptions, tfl.MaximumMinimumOptionsT),
    "maximum": (tfl.BuiltinOperator.MAXIMUM, tfl.BuiltinOptions.MaximumMinimumOptions, tfl.MaximumMinimumOptionsT),
}


def binary(op):
    golden = Golden(f"{op}_i8", SEED)
    for name, shape_a, shape_b, qa, qb, qo, act in BINARY:
        if op in ("minimum", "maximum"):
            qb = qo = qa
            act = "none"
        a, b = golden.i8(shape_a), golden.i8(shape_b)
        if name == "powers_of_two":
            a = ALL
        if op == "div":
            b = np.where(b == qb[1], np.int8(qb[1] - 1 if qb[1] > 0 else qb[1] + 1), b).astype(np.int8)
        code, kind, make = OPTIONS[op]
        options = make()
        if op not in ("minimum", "maximum"):
            options.fusedActivationFunction = ACTIVATIONS[act]
        model = Model(code, kind, options)
        quants = [Quant(*q) for q in (qa, qb, qo)]
        model.input(a, quants[0], "a")
        model.input(b, quants[1], "b")
        model.output(np.broadcast_shapes(shape_a, shape_b), np.int8, quants[2])
        out = model.run()[0]
        golden.case(name, {"activation": act}, a=(a, quants[0]), b=(b, quants[1]), output=(out, quants[2]))
    golden.write()


PAIRS = [
    ("same", (0.05, 0), (0.05, 0)),
    ("low", (0.03, -128), (0.05, -128)),
    ("high", (0.09, 127), (0.02, 127)),
    ("halved", (0.25, 1), (0.5, -1)),
    ("enlarged", (0.2, 20), (0.0123, -30)),
    ("shrunk", (0.001, -40), (0.7, 5)),
]


def one_input(name, op, kind=0, options=None, pairs=PAIRS, params=None, data=ALL, golden=None, label=""):
    own = golden is None
    golden = golden or Golden(name, SEED)
    for case, qi, qo in pairs:
        model = Model(op, kind, options)
        quants = Quant(*qi), Quant(*qo)
        model.input(data, quants[0])
        model.output(data.shape, np.int8, quants[1])
        golden.case(label + case, params, input=(data, quants[0]), output=(model.run()[0], quants[1]))
    if own:
        golden.write()


def rectifiers():
    golden = Golden("relu_i8", SEED)
    for act, op in [("relu", "RELU"), ("relu6", "RELU6"), ("relu_n1_to_1", "RELU_N1_TO_1")]:
        one_input("", getattr(tfl.BuiltinOperator, op), params={"activation": act}, golden=golden, label=f"{act}_")
    golden.write()

    golden = Golden("leaky_relu_i8", SEED)
    for alpha in (0.1, 0.3, 1.7, -0.5):
        options = tfl.LeakyReluOptionsT()
        options.alpha = alpha
        bits = f"{np.float32(alpha).view(np.uint32):08x}"
        try:
            one_input("", tfl.BuiltinOperator.LEAKY_RELU, tfl.BuiltinOptions.LeakyReluOptions, options,
                      params={"alpha": bits}, golden=golden, label=f"{alpha}_")
        except RuntimeError as error:
            print("leaky_relu", alpha, error)
    golden.write()

    golden = Golden("prelu_i8", SEED)
    for name, shape, alpha_shape, qi, qa, qo in [
        ("channels", (1, 4, 4, 5), (1, 1, 5), (0.05, 0), (0.01, 0), (0.05, 0)),
        ("offsets", (1, 4, 4, 5), (1, 1, 5), (0.05, 127), (0.003, -128), (0.02, -128)),
        ("everywhere", (1, 3, 3, 4), (1, 3, 3, 4), (0.03, 10), (0.02, 127), (0.05, 20)),
    ]:
        model = Model(tfl.BuiltinOperator.PRELU)
        data, alpha = golden.i8(shape), golden.i8(alpha_shape)
        quants = Quant(*qi), Quant(*qa), Quant(*qo)
        model.input(data, quants[0])
        model.const(alpha, quants[1], "alpha")
        model.output(shape, np.int8, quants[2])
        golden.case(name, None, input=(data, quants[0]), alpha=(alpha, quants[1]), output=(model.run()[0], quants[2]))
    golden.write()


def tables():
    wide = [("tenth", (0.1, 0)), ("low", (0.05, -128)), ("high", (0.05, 127)), ("fine", (0.004, 12)),
            ("coarse", (0.6, -3))]
    to = lambda output: [(name, qi, output) for name, qi in wide]
    one_input("logistic_i8", tfl.BuiltinOperator.LOGISTIC, pairs=to((1 / 256, -128)))
    one_input("tanh_i8", tfl.BuiltinOperator.TANH, pairs=to((1 / 128, 0)) + [("odd", (0.03, 5), (0.011, -7))])
    one_input("elu_i8", tfl.BuiltinOperator.ELU, pairs=PAIRS + to((0.02, -78)))
    for name, approximate in [("gelu_i8", False), ("gelu_tanh_i8", True)]:
        options = tfl.GeluOptionsT()
        options.approximate = approximate
        one_input(name, tfl.BuiltinOperator.GELU, tfl.BuiltinOptions.GeluOptions, options,
                  pairs=PAIRS + to((0.05, -100)))
    golden = Golden("hard_swish_i8", SEED)
    for case, qi, qo in PAIRS + to((0.03, -118)) + [("large", (0.9, 3), (0.8, -120)), ("larger", (3.0, 0), (2.5, -30))]:
        try:
            one_input("", tfl.BuiltinOperator.HARD_SWISH, pairs=[(case, qi, qo)], golden=golden)
        except RuntimeError as error:
            print("hard_swish", case, error)
    golden.write()


def softmax():
    golden = Golden("softmax_i8", SEED)
    for name, shape, qi, beta in [
        ("ten", (4, 10), (0.1, 0), 1.0),
        ("low", (3, 7), (0.02, -128), 1.0),
        ("high", (3, 17), (0.3, 127), 1.0),
        ("beta", (3, 8), (0.05, 3), 2.5),
        ("one", (4, 1), (0.05, 3), 1.0),
        ("many", (1, 300), (0.03, 3), 1.0),
        ("steep", (4, 6), (40.0, 0), 1.0),
        ("flat", (4, 6), (1e-5, 0), 1.0),
        ("image", (1, 2, 2, 3), (0.04, 9), 1.0),
    ]:
        options = tfl.SoftmaxOptionsT()
        options.beta = beta
        model = Model(tfl.BuiltinOperator.SOFTMAX, tfl.BuiltinOptions.SoftmaxOptions, options)
        data = golden.i8(shape)
        quants = Quant(*qi), Quant(1 / 256, -128)
        model.input(data, quants[0])
        model.output(shape, np.int8, quants[1])
        params = {"depth": shape[-1], "beta": f"{np.float32(beta).view(np.uint32):08x}"}
        golden.case(name, params, input=(data, quants[0]), output=(model.run()[0], quants[1]))
    golden.write()


def quantization():
    golden = Golden("quantize", SEED)
    reals = np.concatenate([golden.f32(80, 3.0), np.arange(-10, 10).astype(np.float32) / 8,
                            np.array([0.0, -0.0, 1e6, -1e6, 1e-30], np.float32)])
    for dtype in (np.int8, np.uint8):
        low = np.iinfo(dtype).min
        for name, q in [("mid", (0.05, low + 100)), ("low", (0.25, low)), ("high", (0.1, low + 255))]:
            model = Model(tfl.BuiltinOperator.QUANTIZE)
            model.input(reals)
            model.output(reals.shape, dtype, Quant(*q))
            golden.case(f"{np.dtype(dtype).name}_{name}", {"type": np.dtype(dtype).name}, input=reals,
                        output=(model.run()[0], Quant(*q)))
    golden.write()

    golden = Golden("dequantize", SEED)
    for dtype in (np.int8, np.uint8):
        info = np.iinfo(dtype)
        data = np.arange(info.min, info.max + 1).astype(dtype)
        for name, q in [("mid", (0.0473, info.min + 100)), ("low", (0.31, info.min)), ("high", (1e-5, info.max))]:
            model = Model(tfl.BuiltinOperator.DEQUANTIZE)
            model.input(data, Quant(*q))
            model.output(data.shape, np.float32)
            golden.case(f"{np.dtype(dtype).name}_{name}", {"type": np.dtype(dtype).name}, input=(data, Quant(*q)),
                        output=model.run()[0])
    golden.write()

    golden = Golden("requantize", SEED)
    for a in (np.int8, np.uint8):
        for b in (np.int8, np.uint8):
            la, lb = np.iinfo(a).min, np.iinfo(b).min
            data = np.arange(la, la + 256).astype(a)
            for name, qa, qb in [
                ("shifted", (0.05, la + 128), (0.05, lb + 128)),
                ("scaled", (0.05, la + 3), (0.08, lb + 200)),
                ("halved", (0.25, la), (0.5, lb)),
                ("enlarged", (0.3, la + 255), (0.0711, lb + 128)),
            ]:
                model = Model(tfl.BuiltinOperator.QUANTIZE)
                model.input(data, Quant(*qa))
                model.output(data.shape, b, Quant(*qb))
                params = {"from": np.dtype(a).name, "to": np.dtype(b).name}
                golden.case(f"{params['from']}_{params['to']}_{name}", params, input=(data, Quant(*qa)),
                            output=(model.run()[0], Quant(*qb)))
    golden.write()


if __name__ == "__main__":
    for op in OPTIONS:
        binary(op)
    rectifiers()
    tables()
    softmax()
    quantization()
