"""Models of one operator, run by LiteRT's reference kernels, written down as goldens.

A golden file is text. Each case is a block:

    case NAME
    param KEY VALUE...          integers or words
    quant TENSOR AXIS SCALE...  scales as the hexadecimal bits of a float32
    zero TENSOR ZERO_POINT...
    data TENSOR TYPE SHAPE HEX  little-endian elements; SHAPE is 1x2x3, or - for a scalar

`file.rs` reads it. Every golden has a random generator of its own, seeded by the script's SEED and the golden's
name, so that it can be made again: run a script with a Python that has ai-edge-litert and numpy.
"""

import importlib.metadata
import pathlib
import zlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter, OpResolverType

HERE = pathlib.Path(__file__).parent
TYPES = {
    np.dtype(np.float32): (tfl.TensorType.FLOAT32, "f32"),
    np.dtype(np.int8): (tfl.TensorType.INT8, "i8"),
    np.dtype(np.uint8): (tfl.TensorType.UINT8, "u8"),
    np.dtype(np.int16): (tfl.TensorType.INT16, "i16"),
    np.dtype(np.int64): (tfl.TensorType.INT64, "i64"),
    np.dtype(np.int32): (tfl.TensorType.INT32, "i32"),
    np.dtype(np.bool_): (tfl.TensorType.BOOL, "bool"),
}


class Quant:
    """Affine quantization: one scale, or one per slice along `axis`."""

    def __init__(self, scales, zeros=0, axis=0):
        self.scales = np.atleast_1d(np.asarray(scales, np.float32))
        self.zeros = np.broadcast_to(np.asarray(zeros, np.int64), self.scales.shape)
        self.axis = axis


class Model:
    """One operator with its tensors; `run` returns the outputs."""

    def __init__(self, op, options_type=0, options=None):
        # The reference set lacks ELU; the kernel that the other set has for it is a table as well.
        missing = op == tfl.BuiltinOperator.ELU
        self.resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if missing else OpResolverType.BUILTIN_REF
        self.op, self.options_type, self.options = op, options_type, options
        self.buffers, self.tensors = [tfl.BufferT()], []
        self.inputs, self.outputs, self.operands, self.feeds = [], [], [], []

    def _tensor(self, name, shape, dtype, quant, data=None):
        tensor = tfl.TensorT()
        tensor.name, tensor.shape, tensor.type = name, [int(d) for d in shape], TYPES[np.dtype(dtype)][0]
        if data is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        if quant is not None:
            q = tfl.QuantizationParametersT()
            q.scale, q.zeroPoint, q.quantizedDimension = quant.scales, np.array(quant.zeros), quant.axis
            tensor.quantization = q
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def input(self, data, quant=None, name="input"):
        index = self._tensor(name, data.shape, data.dtype, quant)
        self.inputs.append(index)
        self.operands.append(index)
        self.feeds.append(data)

    def const(self, data, quant=None, name="const"):
        """An operand that the file holds; without data, an operand left out."""
        if data is not None:
            self.operands.append(self._tensor(name, data.shape, data.dtype, quant, data))

    def output(self, shape, dtype, quant=None, name="output"):
        self.outputs.append(self._tensor(name, shape, dtype, quant))

    def bytes(self):
        code = tfl.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = self.op, min(self.op, 127), 1
        operator = tfl.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, self.operands, self.outputs
        operator.builtinOptionsType, operator.builtinOptions = self.options_type, self.options
        graph = tfl.SubGraphT()
        graph.tensors, graph.operators = self.tensors, [operator]
        graph.inputs, graph.outputs = self.inputs, self.outputs
        model = tfl.ModelT()
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], self.buffers
        model.description = "one operator"
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def run(self):
        interpreter = Interpreter(
            model_content=self.bytes(),
            experimental_op_resolver_type=self.resolver,
            num_threads=1,
        )
        interpreter.allocate_tensors()
        for index, data in zip(self.inputs, self.feeds):
            interpreter.set_tensor(index, data)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in self.outputs]


class Golden:
    """A golden file under construction."""

    def __init__(self, name, seed):
        self.name, self.seed, self.lines, self.cases = name, seed, [], 0
        self.rng = np.random.default_rng([seed, zlib.crc32(name.encode())])

    def case(self, name, params=None, **tensors):
        """`tensors`: name = array or (array, Quant)."""
        self.cases += 1
        self.lines.append(f"case {name}")
        for key, value in (params or {}).items():
            self.lines.append(f"param {key} {value}")
        for key, value in tensors.items():
            data, quant = value if isinstance(value, tuple) else (value, None)
            if data is None:
                continue
            if quant is not None:
                scales = " ".join(f"{bits:08x}" for bits in quant.scales.view(np.uint32))
                self.lines.append(f"quant {key} {quant.axis} {scales}")
                self.lines.append(f"zero {key} " + " ".join(str(int(z)) for z in quant.zeros))
            data = np.ascontiguousarray(data)
            shape = "x".join(map(str, data.shape)) or "-"
            kind = TYPES[data.dtype][1]
            self.lines.append(f"data {key} {kind} {shape} {data.tobytes().hex() or '-'}")

    def write(self):
        text = "\n".join(self.lines) + "\n"
        (HERE / f"{self.name}.golden").write_text(text)
        note(self.name, self.seed, self.cases, len(text))

    def i8(self, shape, extremes=True):
        """Random int8 with about one value in eight at an end of the range."""
        data = self.rng.integers(-128, 128, shape).astype(np.int8)
        if extremes:
            ends = self.rng.choice(np.array([-128, 127], np.int8), shape)
            data = np.where(self.rng.random(shape) < 0.125, ends, data)
        return data

    def weights(self, shape):
        """Symmetric weights: -127..=127."""
        return self.rng.integers(-127, 128, shape).astype(np.int8)

    def f32(self, shape, scale=1.0):
        return (self.rng.standard_normal(shape) * scale).astype(np.float32)


def note(name, seed, cases, size):
    """Keeps the line of `name` in the manifest up to date."""
    path = HERE / "MANIFEST.txt"
    head = (
        "runtime ai-edge-litert " + importlib.metadata.version("ai-edge-litert") + "\n"
        "resolver OpResolverType.BUILTIN_REF (elu: BUILTIN_WITHOUT_DEFAULT_DELEGATES), 1 thread, x86-64\n"
        "numpy " + np.__version__ + "\n"
    )
    old = path.read_text().splitlines() if path.exists() else []
    lines = {line.split()[1]: line for line in old if line.startswith("golden ")}
    lines[name] = f"golden {name} seed {seed} cases {cases} bytes {size}"
    path.write_text(head + "".join(lines[key] + "\n" for key in sorted(lines)))
