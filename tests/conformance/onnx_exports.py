"""Converts the shipped networks to ONNX and runs each file twice: in ONNX Runtime and in ours. `onnx.checker` looks at each file too.

    python onnx_exports.py --pipeline ../../target/release/pipeline
    python onnx_exports.py --pipeline ... --only keras3/residual

Networks: as in `run.py`. Forms: float32; float16 weights; int8 per channel with float edges; the same for TensorRT; 4-bit weights with a
scale for each four of them.

What agreement means: float32, float16 and 4-bit weights within `TOLERANCE` times the largest magnitude of the output (at least 1). Int8 files are
float networks with rounding in between, which ONNX Runtime and ours round at different places: at most `SHARE` of the outputs may be
further apart than `STEPS` steps of the output's scale. Exit code 1 if a file fails.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from run import Pipeline, REFUSED, magnitude, shipped_networks

TOLERANCE, STEPS, SHARE = 1e-5, 3, 0.02

FORMS = {
    "float32": [],
    "float16": ["--quantize", "float16"],
    "int8": ["--quantize", "int8"],
    "tensorrt": ["--quantize", "int8", "--profile", "tensorrt"],
    "int4 blocks": ["--quantize", "dynamic-int8", "--int4", "--block", "4"],
}


def channels(array, to_first):
    """Images are channels-first in the file, channels-last on our side."""
    if array.ndim != 4:
        return array
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2) if to_first else array.transpose(0, 2, 3, 1))


def shaped(array, dims):
    """A sample per row, in the dimensions that the file states."""
    dims = [d if isinstance(d, int) else -1 for d in dims]
    last = dims if len(dims) != 4 else [dims[0], dims[2], dims[3], dims[1]]
    return channels(array.reshape([-1, *last[1:]]), True)


def grid(values):
    """The step of dequantized integers: the least distance between two that differ."""
    known = np.unique(values.astype(np.float64).round(6))
    return np.diff(known).min() if len(known) > 1 else 0.0


def session_of(path):
    """A session whose sums of bytes do not saturate on processors that lack VNNI. ONNX Runtime cannot load LSTMs and layers that share weights so:
    these run without its optimizations, in floats between the integers."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def check(network, form, pipeline, folder):
    """`None`, a reason to skip, or a list of problems with the largest distance."""
    path = folder / "model.onnx"
    options = list(FORMS[form])
    if "int8" in options:
        for i, samples in enumerate(network.calibration):
            np.save(folder / f"calibration{i}.npy", samples)
            options += ["--calibrate", folder / f"calibration{i}.npy"]
    complaint = pipeline.call("convert", network.path, path, *options)
    if complaint:
        families = [family for family, _ in REFUSED.get(network.name.split("/")[-1], [])]
        expected = "any" in families or "int8" in options and "int8" in families
        return ("skip" if expected else "fail"), complaint.splitlines()[0]
    onnx.checker.check_model(str(path), full_check=True)
    session = session_of(path)
    ports = session.get_inputs()
    batched = not isinstance(ports[0].shape[0], int)
    fed = [shaped(x, port.shape) for port, x in zip(ports, network.inputs)]
    rows = [fed] if batched else [[x[i : i + 1] for x in fed] for i in range(len(fed[0]))]
    theirs = [session.run(None, {p.name: x for p, x in zip(ports, row)}) for row in rows]
    theirs = [channels(np.concatenate(parts), False) for parts in zip(*theirs)]
    arguments = []
    for i, array in enumerate(network.inputs):
        np.save(folder / f"x{i}.npy", array)
        arguments += ["--input", folder / f"x{i}.npy"]
    for i in range(len(theirs)):
        arguments += ["--output", folder / f"y{i}.npy"]
    complaint = pipeline.call("infer", path, *arguments)
    if complaint:
        return "fail", complaint
    worst = 0.0
    for i, expected in enumerate(theirs):
        ours = np.load(folder / f"y{i}.npy").reshape(expected.shape)
        distance = np.abs(ours.astype(np.float64) - expected)
        if "int8" not in options:
            agree = distance.max() <= TOLERANCE * magnitude(expected)
        else:
            agree = (distance > STEPS * grid(expected) + 1e-6).mean() <= SHARE
        worst = max(worst, distance.max() / magnitude(expected))
        if not agree:
            return "fail", f"output {i} differs by up to {distance.max():.3g} of {magnitude(expected):.3g}"
    return "pass", f"{worst:.0e}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pipeline", required=True, help="the program")
    arguments.add_argument("--only", default="", help="networks with this in their name")
    args = arguments.parse_args()
    counts = {"pass": 0, "fail": 0, "skip": 0}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pipeline = Pipeline(args.pipeline, folder / "cache")
        for network in shipped_networks(folder):
            if args.only not in network.name:
                continue
            cells = []
            for form in FORMS:
                try:
                    outcome, why = check(network, form, pipeline, folder)
                except Exception as error:  # the checker's and ONNX Runtime's, about our file
                    outcome, why = "fail", str(error).splitlines()[0]
                counts[outcome] += 1
                cells.append(why if outcome == "pass" else f"{outcome.upper()}: {why[:100]}")
            print(f"{network.name:28} " + "  ".join(cells), flush=True)
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    sys.exit(1 if counts["fail"] or not counts["pass"] else 0)


if __name__ == "__main__":
    main()
