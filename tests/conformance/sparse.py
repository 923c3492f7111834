"""Runs pruned networks with dense and with sparse weights in LiteRT: the outputs must be equal in every bit.

    python sparse.py --pipeline ../../target/release/pipeline            # what ships with the project
    python sparse.py --pipeline ... --shared ../../../shared             # and ResNet-8 on CIFAR images

Every network is pruned by 50 % and by 80 %, converted in every form, once with `--sparse`, and both files run on LiteRT's
reference, builtin and default (XNNPACK) kernels. Our own reader gets both files, too: they hold the same model.

A row of the table: bytes of the file and of its deflate stream, dense and sparse, and how many tensors are sparse. Exit code 1 if
anything failed.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

import litert
import run

FORMS = {
    "float32": [],
    "float16": ["--quantize", "float16"],
    "dynamic": ["--quantize", "dynamic-int8"],
    "int8": ["--quantize", "int8"],
    "int8/tensor": ["--quantize", "int8", "--per", "tensor"],
    "int16x8": ["--quantize", "int16x8"],
}
# Samples a file is run on; the reference kernels are slow.
SAMPLES = 8


def pruned(network, sparsity, pipeline, folder):
    """The network with so many of its weights zero, as a float .tflite file; or nothing, where the format has no such network."""
    recipe = folder / "prune.yaml"
    recipe.write_text(
        "schema: pipeline/v1\nname: prune\n"
        f"sources: {{ model: {{ file: {json.dumps(str(network.path))} }} }}\n"
        "steps:\n  base: { import: { from: model } }\n"
        f"  pruned: {{ prune: {{ model: base, sparsity: {sparsity} }} }}\n"
        "  file: { export: { model: pruned } }\n"
    )
    out = folder / "out"
    if pipeline.call("run", recipe, "--out", out):
        return None
    return next(out.glob("*.tflite"))


def outputs(model, inputs, resolver):
    """What LiteRT computes, or its complaint; in a process of its own, since it crashes on some files, dense ones too."""
    command = [sys.executable, Path(__file__).with_name("litert.py"), model, "--resolver", resolver]
    command += [word for path in inputs for word in ("--input", path)]
    count = len(litert.open_model(model, "ref").get_output_details())
    results = [model.with_suffix(f".{i}.npy") for i in range(count)]
    command += [word for path in results for word in ("--output", path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["crashed"])[-1]
    return [np.load(path) for path in results]


def compare(dense, sparse, inputs):
    """Resolvers on which the files differ."""
    for resolver in ["ref", "builtin", "default"]:
        expected, found = [outputs(model, inputs, resolver) for model in (dense, sparse)]
        if isinstance(expected, str):
            continue
        if isinstance(found, str):
            yield f"{resolver}: {found}"
        elif not all(np.array_equal(a, b) for a, b in zip(expected, found)):
            yield f"{resolver}: other outputs"


def size(path):
    """Bytes, and bytes of the deflate stream."""
    data = path.read_bytes()
    return f"{len(data):9,} {len(zlib.compress(data, 9)):9,}"


def check(network, sparsity, pipeline, folder):
    """Converts in every form and prints a row for each; complaints."""
    source = pruned(network, sparsity, pipeline, folder)
    if source is None:
        return []
    np.save(folder / "calibration.npy", network.calibration[0])
    inputs = [folder / f"x{i}.npy" for i in range(len(network.inputs))]
    for path, values in zip(inputs, network.inputs):
        np.save(path, values[:SAMPLES])
    complaints = []
    for name, options in FORMS.items():
        if "int8" in options or "int16x8" in options:
            options = [*options, "--calibrate", folder / "calibration.npy"]
        dense, sparse = folder / "dense.tflite", folder / "sparse.tflite"
        if pipeline.call("convert", source, dense, *options):
            continue
        complaint = pipeline.call("convert", source, sparse, *options, "--sparse")
        problems = [complaint] if complaint else list(compare(dense, sparse, inputs))
        if not complaint:
            verdict = pipeline.call("verify", sparse, dense, "--max-abs-error", "0")
            problems += [verdict] if verdict else []
        count = len(re.findall(rb"/sparse\0", sparse.read_bytes())) if not complaint else 0
        label = f"{network.name} {sparsity} {name}"
        print(f"{label:44} {size(dense)} {size(sparse)} {count:4} {'FAIL' if problems else '='}", flush=True)
        complaints += [f"{label}: {problem}" for problem in problems]
    return complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipeline", required=True, help="the binary")
    parser.add_argument("--shared", type=Path, help="folder with models and datasets that do not ship")
    parser.add_argument("--only", default="", help="networks with this in their name")
    arguments = parser.parse_args()
    complaints = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pipeline = run.Pipeline(arguments.pipeline, folder / "cache")
        networks = list(run.shipped_networks(folder))
        if arguments.shared:
            networks += run.shared_networks(arguments.shared, pipeline, folder, SAMPLES)
        print(f"{'':44} {'dense':>9} {'deflated':>9} {'sparse':>9} {'deflated':>9} tensors")
        for number, network in enumerate(n for n in networks if arguments.only in n.name):
            for sparsity in [0.5, 0.8]:
                place = folder / f"{number}-{sparsity}"
                place.mkdir()
                complaints += check(network, sparsity, pipeline, place)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
