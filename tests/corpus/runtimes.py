"""Runs one model file in its runtime, in a process of its own: python runtimes.py KIND FILE INPUTS.npz OUTPUTS.npz

KIND: `onnx`, `tflite` (default kernels), `tflite-ref` (reference kernels), `tflite-builtin` (without delegates), `saved-model`.
Inputs are taken by position, `x0`, `x1`, …; outputs are written as `y0`, `y1`, ….
"""

import os
import sys

import numpy as np


def onnx(path, inputs):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs)))


def tflite(path, inputs, kernels):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_path=path, experimental_op_resolver_type=getattr(OpResolverType, kernels))
    details = interpreter.get_input_details()
    for detail, value in zip(details, inputs):
        if list(detail["shape"]) != list(value.shape):
            interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def saved_model(path, inputs):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    signature = tf.saved_model.load(path).signatures["serving_default"]
    # The order of a signature is that of its names; ours are given by `names`.
    names = np.load(os.environ["CORPUS_NAMES"], allow_pickle=False)
    made = signature(**{name: tf.constant(value) for name, value in zip(names["inputs"], inputs)})
    return [made[name].numpy() for name in names["outputs"]]


KERNELS = {"tflite": "BUILTIN", "tflite-ref": "BUILTIN_REF", "tflite-builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES"}


def main():
    kind, path, inputs, outputs = sys.argv[1:5]
    with np.load(inputs) as arrays:
        values = [arrays[f"x{i}"] for i in range(len(arrays.files))]
    if kind == "onnx":
        made = onnx(path, values)
    elif kind == "saved-model":
        made = saved_model(path, values)
    else:
        made = tflite(path, values, KERNELS[kind])
    np.savez(outputs, **{f"y{i}": np.asarray(value) for i, value in enumerate(made)})


if __name__ == "__main__":
    main()
