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
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, values)))


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
    made = signature(**{name: tf.constant(value) for name, value in zip(arrays["inputs"], values)})
    return [made[name].numpy() for name in arrays["outputs"]]


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
