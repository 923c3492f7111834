"""Runs model files in their runtimes, one a line of standard input: KIND FILE INPUTS.npz OUTPUTS.npz, as a JSON list.

KIND: `onnx`, `tflite` (default kernels), `tflite-ref` (reference kernels), `tflite-builtin` (without delegates), `saved-model`.
Inputs are taken by position, `x0`, `x1`, … (of a SavedModel by the names in `inputs`, and outputs by those in `outputs`); outputs are written as
`y0`, `y1`, …. The answer is a line: `ok`, or `no` and the reason. A runtime that aborts takes this process with it.
"""

import json
import os
import sys

import numpy as np


def onnx(path, values, _arrays):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    # As it is used, and as the file says: further optimizations compute some products of integer weights in integers.
    for level in (onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
        inputs = zip(session.get_inputs(), values)
        made = session.run(None, {given.name: value.astype(kinds.get(given.type, value.dtype)) for given, value in inputs})
    return [value.astype(np.float32) if value.dtype in (np.float16, np.float64) else value for value in made]


def tflite(kernels):
    def run(path, values, _arrays):
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        interpreter = Interpreter(model_path=path, experimental_op_resolver_type=getattr(OpResolverType, kernels))
        for detail, value in zip(interpreter.get_input_details(), values):
            if list(detail["shape"]) != list(value.shape):
                interpreter.resize_tensor_input(detail["index"], value.shape)
        interpreter.allocate_tensors()
        for detail, value in zip(interpreter.get_input_details(), values):
            interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]))
        interpreter.invoke()
        return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]

    return run


def saved_model(path, values, arrays):
    import tensorflow as tf

    signature = tf.saved_model.load(path).signatures["serving_default"]
    kinds = {name: spec.dtype.as_numpy_dtype for name, spec in signature.structured_input_signature[1].items()}
    made = signature(**{str(name): tf.constant(value.astype(kinds[str(name)])) for name, value in zip(arrays["inputs"], values)})
    return [made[str(name)].numpy() for name in arrays["outputs"]]


KINDS = {
    "onnx": onnx,
    "tflite": tflite("BUILTIN"),
    "tflite-ref": tflite("BUILTIN_REF"),
    "tflite-builtin": tflite("BUILTIN_WITHOUT_DEFAULT_DELEGATES"),
    "saved-model": saved_model,
}


def main():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Runtimes print where they like: answers have a channel of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        kind, path, given, made = json.loads(line)
        try:
            with np.load(given) as arrays:
                values = [arrays[f"x{i}"] for i in range(sum(name.startswith("x") for name in arrays.files))]
                outputs = KINDS[kind](path, values, arrays)
            np.savez(made, **{f"y{i}": np.asarray(value) for i, value in enumerate(outputs)})
            answer = "ok"
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises is the answer
            answer = "no " + " ".join(str(error).split())[:300]
        print(answer, file=answers, flush=True)


if __name__ == "__main__":
    main()
