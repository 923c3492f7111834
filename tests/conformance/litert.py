"""Runs a .tflite file with LiteRT, or prints what is in it.

    python litert.py MODEL --describe
    python litert.py MODEL --input x.npy --output y.npy --resolver ref --workers 2

Inputs hold samples along the first dimension and are given in the order of the model's inputs, outputs likewise.
Values go in and out as the model stores them: an int8 model takes and gives int8, unless `--quantize` or
`--dequantize` asks for the conversion at that edge. A summary of the run is printed as one line of JSON.

Resolvers, that is, which kernels compute:
    ref      the reference kernels (BUILTIN_REF), the arithmetic that our runtime follows
    builtin  the optimized builtin kernels
    default  what an application gets: XNNPACK where it applies, else the optimized kernels
"""

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ai_edge_litert
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

RESOLVERS = {
    "ref": OpResolverType.BUILTIN_REF,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "default": OpResolverType.AUTO,
}


def open_model(path, resolver, threads=1):
    """An interpreter for the file, tensors not yet allocated."""
    return Interpreter(model_path=str(path), experimental_op_resolver_type=RESOLVERS[resolver], num_threads=threads)


def describe(path):
    """Inputs, outputs, tensors and operators of the file as plain values; quantization where a tensor has scales."""
    interpreter = open_model(path, "ref")
    tensors = []
    for detail in interpreter.get_tensor_details():
        tensor = {
            "index": detail["index"],
            "name": detail["name"],
            "dtype": np.dtype(detail["dtype"]).name,
            "shape": detail["shape"].tolist(),
            "shape_signature": detail["shape_signature"].tolist(),
        }
        quantization = detail["quantization_parameters"]
        if len(quantization["scales"]):
            # The Python wrapper gives float32 scales; their exact value survives the way through JSON's doubles.
            tensor["scales"] = [float(scale) for scale in quantization["scales"]]
            tensor["zero_points"] = quantization["zero_points"].tolist()
            tensor["quantized_axis"] = int(quantization["quantized_dimension"]) if len(tensor["scales"]) > 1 else None
        tensors.append(tensor)
    operators = [
        {"op": op["op_name"], "inputs": [int(i) for i in op["inputs"]], "outputs": [int(i) for i in op["outputs"]]}
        for op in interpreter._get_ops_details()
    ]
    return {
        "inputs": [detail["index"] for detail in interpreter.get_input_details()],
        "outputs": [detail["index"] for detail in interpreter.get_output_details()],
        "signatures": interpreter.get_signature_list(),
        "tensors": tensors,
        "operators": operators,
    }


def quantize(values, detail):
    """Float values in the type of a tensor, as the QUANTIZE operator does: float32 division, halves away from zero."""
    scale, zero_point = detail["quantization"]
    if scale == 0 or values.dtype == detail["dtype"]:
        return values
    scaled = values.astype(np.float32) / np.float32(scale)
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)) + zero_point
    limits = np.iinfo(detail["dtype"])
    return np.clip(rounded, limits.min, limits.max).astype(detail["dtype"])


def dequantize(values, detail):
    """Stored values as the float32 numbers that they stand for."""
    scale, zero_point = detail["quantization"]
    if scale == 0:
        return values
    return (values.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale)


def check_inputs(interpreter, inputs):
    """Complains where the arrays don't fit the model's inputs."""
    details = interpreter.get_input_details()
    if len(inputs) != len(details):
        sys.exit(f"the model has {len(details)} inputs, {len(inputs)} were given")
    for values, detail in zip(inputs, details):
        if values.dtype != detail["dtype"]:
            sys.exit(
                f"{detail['name']}: expected {np.dtype(detail['dtype']).name}, got {values.dtype}; "
                "--quantize converts float values"
            )
        if values.shape[1:] != tuple(detail["shape"][1:]):
            sys.exit(f"{detail['name']}: expected samples of {detail['shape'][1:].tolist()}, got {list(values.shape[1:])}")
        if len(values) != len(inputs[0]):
            sys.exit(f"{detail['name']}: {len(values)} samples, but {len(inputs[0])} in the first input")


def allocate(interpreter, batch):
    """Makes room for `batch` samples at once; False where the graph is fixed to its own batch size.

    Some graphs compute shapes while they run, so a trial run on whatever the buffers hold must show the batch.
    """
    try:
        for detail in interpreter.get_input_details():
            interpreter.resize_tensor_input(detail["index"], [batch, *detail["shape"][1:]])
        interpreter.allocate_tensors()
        interpreter.invoke()
    except (RuntimeError, ValueError):
        return False
    shapes = [interpreter.get_tensor(detail["index"]).shape for detail in interpreter.get_output_details()]
    return all(shape[:1] == (batch,) for shape in shapes)


def run_chunk(path, resolver, threads, batch, inputs):
    """The outputs for consecutive samples, and the batch size that took effect."""
    interpreter = open_model(path, resolver, threads)
    if batch > 1 and not allocate(interpreter, batch):
        interpreter = open_model(path, resolver, threads)
        batch = 1
    if batch == 1 and not allocate(interpreter, 1):
        sys.exit("the model doesn't run one sample at a time")
    sources = [detail["index"] for detail in interpreter.get_input_details()]
    sinks = [detail["index"] for detail in interpreter.get_output_details()]
    count = len(inputs[0])
    outputs = [[] for _ in sinks]
    for start in range(0, count, batch):
        used = min(batch, count - start)
        for index, values in zip(sources, inputs):
            part = values[start : start + used]
            if used < batch:  # the last batch is filled up with copies of its last sample
                part = np.concatenate([part, np.repeat(part[-1:], batch - used, axis=0)])
            interpreter.set_tensor(index, part)
        # States of recurrent layers: samples have nothing to do with each other.
        interpreter.reset_all_variables()
        interpreter.invoke()
        for index, parts in zip(sinks, outputs):
            parts.append(interpreter.get_tensor(index)[:used])
    return [np.concatenate(parts) for parts in outputs], batch


def run(path, inputs, resolver="default", threads=1, batch=1, workers=1):
    """The outputs for all samples, split evenly over `workers` interpreters, and the batch size that took effect.

    The reference kernels use one thread whatever `threads` says; more workers are the way to more cores.
    """
    check_inputs(open_model(path, resolver), inputs)
    workers = min(workers, len(inputs[0]))
    if workers == 0:
        sys.exit("the inputs hold no samples")
    bounds = [len(inputs[0]) * worker // workers for worker in range(workers + 1)]
    chunks = [[values[low:high] for values in inputs] for low, high in zip(bounds, bounds[1:])]
    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(lambda chunk: run_chunk(path, resolver, threads, batch, chunk), chunks))
    outputs = [np.concatenate(parts) for parts in zip(*(outputs for outputs, _ in done))]
    return outputs, done[0][1]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model")
    arguments.add_argument("--describe", action="store_true", help="print tensors and operators as JSON, run nothing")
    arguments.add_argument("--input", action="append", default=[], metavar="NPY", help="repeat for several inputs")
    arguments.add_argument("--output", action="append", default=[], metavar="NPY", help="repeat for several outputs")
    arguments.add_argument("--resolver", choices=RESOLVERS, default="default")
    arguments.add_argument("--threads", type=int, default=1, help="threads of one interpreter (default 1)")
    arguments.add_argument("--workers", type=int, default=1, help="interpreters side by side (default 1)")
    arguments.add_argument("--batch", type=int, default=1, help="samples per invocation; 1 where the graph refuses")
    arguments.add_argument("--quantize", action="store_true", help="convert float inputs to the model's input type")
    arguments.add_argument("--dequantize", action="store_true", help="write outputs as float32 numbers")
    args = arguments.parse_args()
    for path in [args.model, *args.input]:
        if not Path(path).is_file():
            arguments.error(f"{path}: no such file")

    if args.describe:
        print(json.dumps(describe(args.model), indent=1))
        return

    interpreter = open_model(args.model, "ref")
    sources, sinks = interpreter.get_input_details(), interpreter.get_output_details()
    if len(args.output) != len(sinks):
        arguments.error(f"the model has {len(sinks)} outputs, {len(args.output)} --output were given")
    inputs = [np.load(path) for path in args.input]
    if args.quantize:
        inputs = [quantize(values, detail) for values, detail in zip(inputs, sources)]
    started = time.perf_counter()
    outputs, batch = run(args.model, inputs, args.resolver, args.threads, args.batch, args.workers)
    seconds = time.perf_counter() - started
    if args.dequantize:
        outputs = [dequantize(values, detail) for values, detail in zip(outputs, sinks)]
    for path, values in zip(args.output, outputs):
        np.save(path, values)
    summary = {
        "litert": ai_edge_litert.__version__,
        "resolver": args.resolver,
        "samples": len(inputs[0]),
        "batch": batch,
        "threads": args.threads,
        "workers": args.workers,
        "seconds": round(seconds, 4),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
