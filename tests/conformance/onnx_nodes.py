"""Runs the official node tests of ONNX (its Python package makes them) through our importer and runtime.

    python onnx_nodes.py --pipeline ../../target/release/pipeline                 # all of them
    python onnx_nodes.py --pipeline ... --only conv --list                        # some, every case by name

A node test is a model of one operator with inputs and outputs. Our graphs describe one sample of floats, so each model is
wrapped first: float inputs come in as rows `[1, elements]` and are reshaped inside, float outputs go out the same way, and inputs of
other types (shapes, axes, indices) become stored constants. Integers and truth values that a node makes go out as floats. Where the runtime wants constants (weights, statistics), all inputs but the first
are stored too, in a second attempt.

Each case passes, fails (other numbers, or a crash), or is unsupported (refused by name). Exit code 1 if one fails.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

# As in onnx.backend.test: relative and absolute. Softmax and norms sum in another order.
RELATIVE, ABSOLUTE = 1e-3, 1e-5

# What outputs may be of, to be compared.
COMPARED = [np.float32, np.int64, np.int32, np.bool_]

# Sums have the range of the floats, as in LiteRT.
SUMS = "a sum of minus infinity is the least float"

# Cases that cannot be right here, with the reason.
KNOWN = {
    "test_training_dropout": "draws random numbers",
    # They return masked scores.
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal_expanded": SUMS,
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal_expanded": SUMS,
}


def wrap(model, inputs, expected, store_rest):
    """The model on rows of floats; what is fed, in order. None where nothing is left to feed."""
    graph = model.graph
    names = [value.name for value in graph.input]
    fed, nodes, stored, border = [], [], list(graph.initializer), []
    for i, (name, array) in enumerate(zip(names, inputs)):
        if array.dtype != np.float32 or array.size == 0 or (store_rest and i > 0):
            stored.append(numpy_helper.from_array(array, name))
            continue
        row = f"row_{len(fed)}"
        shape = numpy_helper.from_array(np.array(array.shape, np.int64), f"shape_{row}")
        stored.append(shape)
        nodes.append(helper.make_node("Reshape", [row, shape.name], [name]))
        border.append(helper.make_tensor_value_info(row, TensorProto.FLOAT, [1, array.size]))
        fed.append(array.reshape(1, -1))
    if not fed:
        return None
    nodes += graph.node
    outputs = []
    for i, (value, array) in enumerate(zip(graph.output, expected)):
        stored.append(numpy_helper.from_array(np.array([1, -1], np.int64), f"flat_{i}"))
        name = value.name
        if array.dtype != np.float32:
            nodes.append(helper.make_node("Cast", [name], [f"floats_{i}"], to=TensorProto.FLOAT))
            name = f"floats_{i}"
        nodes.append(helper.make_node("Reshape", [name, f"flat_{i}"], [f"result_{i}"]))
        outputs.append(helper.make_tensor_value_info(f"result_{i}", TensorProto.FLOAT, None))
    wrapped = helper.make_graph(nodes, graph.name, border, outputs, stored)
    return helper.make_model(wrapped, opset_imports=model.opset_import, ir_version=model.ir_version), fed


def run(pipeline, model, fed, count, folder):
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    command = [pipeline, "infer", str(folder / "model.onnx")]
    for i, array in enumerate(fed):
        np.save(folder / f"in{i}.npy", array)
        command += ["--input", str(folder / f"in{i}.npy")]
    results = [folder / f"out{i}.npy" for i in range(count)]
    for path in results:
        command += ["--output", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        return done.returncode, done.stderr.strip()
    return 0, [np.load(path) for path in results]


def judge(case, pipeline):
    """`pass`, `fail` or `unsupported`, and why."""
    if case.name in KNOWN:
        return "unsupported", KNOWN[case.name]
    model = case.model
    inputs, expected = case.data_sets[0]
    if not all(isinstance(array, (np.ndarray, np.generic)) for array in [*inputs, *expected]):
        return "unsupported", "its data is no tensor"
    inputs, expected = [np.asarray(array) for array in inputs], [np.asarray(array) for array in expected]
    if any(array.dtype not in COMPARED for array in expected):
        return "unsupported", f"an output of {expected[0].dtype}"
    reason = "no float input"
    for store_rest in [False, True]:
        wrapped = wrap(model, inputs, expected, store_rest)
        if wrapped is None:
            continue
        with tempfile.TemporaryDirectory() as place:
            code, results = run(pipeline, *wrapped, len(expected), Path(place))
        if code != 0:
            # Not "bug" alone: the folder has a random name.
            crashed = code < 0 or "panicked" in results or "a bug" in results
            if crashed:
                return "fail", results
            reason = results.splitlines()[0] if results else f"exit code {code}"
            continue
        for i, (ours, theirs) in enumerate(zip(results, expected)):
            if ours.size != theirs.size:
                return "fail", f"output {i} has {ours.size} elements, expected {theirs.size}"
            theirs = theirs.astype(np.float32)
            if not np.allclose(ours.ravel(), theirs.ravel(), RELATIVE, ABSOLUTE, equal_nan=True):
                return "fail", f"output {i} differs by {np.nanmax(np.abs(ours.ravel() - theirs.ravel())):.3g}"
        return "pass", ""
    return "unsupported", reason


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pipeline", required=True, help="the program")
    arguments.add_argument("--only", default="", help="cases with this in their name")
    arguments.add_argument("--list", action="store_true", help="every case, not only failures")
    args = arguments.parse_args()
    warnings.simplefilter("ignore")  # some cases divide by zero on purpose
    cases = sorted(collect_testcases(None), key=lambda case: case.name)
    cases = [case for case in cases if args.only in case.name]

    def outcome(case):
        try:
            return judge(case, args.pipeline)
        except subprocess.TimeoutExpired:
            return "fail", "takes more than two minutes"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(outcome, cases))
    by_operator = defaultdict(Counter)
    for case, (what, why) in zip(cases, outcomes):
        nodes = case.model.graph.node
        by_operator[nodes[-1].op_type if nodes else "?"][what] += 1
        if args.list or what == "fail":
            print(f"{what}: {case.name} {why}")
    supported = sorted(op for op, counts in by_operator.items() if counts["pass"])
    for op in supported:
        print(f"{op:26} " + ", ".join(f"{n} {what}" for what, n in sorted(by_operator[op].items())))
    total = Counter(what for what, _ in outcomes)
    print(f"{len(supported)} operators; {total['pass']} passed, {total['fail']} failed, {total['unsupported']} unsupported")
    sys.exit(1 if total["fail"] or not total["pass"] else 0)


if __name__ == "__main__":
    main()
