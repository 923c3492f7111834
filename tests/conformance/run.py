"""Converts networks in every scheme and runs each file twice: in LiteRT and in our runtime.

    python run.py --pipeline ../../target/release/pipeline            # what ships with the project
    python run.py --pipeline ... --shared ../../../shared             # and ResNet-8 on 200 CIFAR images
    python run.py --pipeline ... --shared ../../../shared --full      # on all 10,000
    python run.py --pipeline ... --only keras3/residual               # what has this in its name

Networks: `recipes/models/digits.h5`, every fixture of `tests/golden/keras` that has a `.tflite` form, and with `--shared`
MLPerf Tiny's ResNet-8 and its version trained on JPEG images.

Forms: float32; float16; dynamic-range int8 with scales per channel and per tensor; int8 per channel and per tensor, with
float, int8 and uint8 edges; int16x8 with float and int16 edges. LiteRT computes with its reference kernels (`ref` in `litert.py`), whose integer arithmetic our
runtime follows; both of our kernel sets run every file. Models with an operator that the reference set lacks, such as ELU, run
on LiteRT's optimized builtin kernels and are marked so.

What agreement means:
  int8, int16x8      equal in every bit; with float edges too, as nothing but integers is dequantized at the end
                     (against the builtin kernels: within `STEPS` steps)
  float32, float16   within `TOLERANCE` times the largest magnitude of the output (at least 1)
  dynamic            the same, but for a share of `JUMPING` of the outputs, which may be `JUMP` apart

A cell of the table: `=` equal in every bit, a number: the largest relative distance, `FAIL`, `-` refused as listed in
`REFUSED`. Exit code 1 if anything failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import encoder
import litert
from compare import compare

ROOT = Path(__file__).resolve().parents[2]

# Float kernels differ in the order of their sums and in exp and tanh. The dynamic-range kernels round activations to eight
# bits on the way, where one float rounding can move a value by a whole step: a few outputs may then be further apart.
TOLERANCE = {"float32": 1e-5, "float16": 1e-5, "dynamic": 1e-5}
JUMP = 0.05
JUMPING = 0.2

# Against LiteRT's builtin kernels, which round integers another way than its reference kernels: steps of eight bits.
STEPS = 2

# Networks without some form: families of forms, and a word of the complaint that says so. What is listed must be refused so.
INTEGERS = ("int8", "int16x8")
REFUSED = {
    "rare_activations": [("any", "softsign")],
    "rare_rectifiers": [("any", "threshold")],
    "layers": [("int16x8", "not in 16"), ("any", "ELU with alpha 1 only|elu with alpha 1 only")],
    "activation_arguments": [("int16x8", "not in 16")],
    "activation_layers": [("int16x8", "not in 16")],
    "rectifiers": [("int16x8", "not in 16")],
    "transformer": [("int16x8", "not in 16")],
    "encoder": [("int16x8", "not in 16")],
    "norms": [(family, "computed in floats only") for family in INTEGERS],
    "arithmetic": [(family, "computed in floats only") for family in INTEGERS],
    "functions": [(family, "in floats only|no signed 8-bit") for family in INTEGERS],
}

# Networks that compute something in floats between integers: where a float rounding decides, a result moves by one step of 16 bits.
FLOATS_BETWEEN = {"bidirectional"}

# Networks that read numbers of words, which are not stretched and not stored in 8 bits: the tests of the readers compare them.
WORDS = {"text", "text_of_integers"}


@dataclass
class Form:
    """One way to convert a network."""

    name: str
    column: str
    options: list
    calibrated: bool = False
    edges: str = "float"

    @property
    def family(self):
        return self.name.split("-")[0]


def forms():
    """All forms, in the order of the table's columns."""
    yield Form("float32", "float32", [])
    yield Form("float16", "float16", ["--quantize", "float16"])
    for per in ["channel", "tensor"]:
        yield Form(f"dynamic-{per}", f"dyn/{per[0]}", ["--quantize", "dynamic-int8", "--per", per])
    for per in ["channel", "tensor"]:
        for edges in ["float", "int8", "uint8"]:
            options = ["--quantize", "int8", "--per", per, "--input", edges, "--output", edges]
            yield Form(f"int8-{per}-{edges}", f"int8/{per[0]}/{edges}", options, True, edges)
    for edges in ["float", "int16"]:
        options = ["--quantize", "int16x8", "--input", edges, "--output", edges]
        yield Form(f"int16x8-{edges}", f"i16x8/{edges}", options, True, edges)


FORMS = list(forms())


@dataclass
class Network:
    """A model file with an array for each of its inputs; `calibration` are those that ranges are taken from."""

    name: str
    path: Path
    inputs: list
    calibration: list


@dataclass
class Outcome:
    """What came of one form of one network."""

    cell: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    details: list = field(default_factory=list)


class Pipeline:
    """Our program."""

    def __init__(self, binary, cache):
        self.binary = str(Path(binary).resolve())
        self.environment = os.environ | {"PIPELINE_CACHE": str(cache)}

    def call(self, *arguments):
        """Runs the program; what it complained about, or nothing."""
        done = subprocess.run(
            [self.binary, *map(str, arguments)], capture_output=True, text=True, env=self.environment, check=False
        )
        return "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def load_arrays(path, prefix):
    """The arrays `x`, or `x0`, `x1`, … of an .npz file."""
    with np.load(path) as arrays:
        names = [prefix] if prefix in arrays else [f"{prefix}{i}" for i in range(len(arrays)) if f"{prefix}{i}" in arrays]
        return [arrays[name] for name in names]


def stretched(values):
    """Samples with some beyond the range that calibration sees, so that clamping takes part."""
    return np.concatenate([values, -values, 3 * values]).astype(np.float32)


def shipped_networks(folder):
    """The digits, a transformer that is written to `folder`, and the fixtures whose whole model is one file."""
    digits = np.load(ROOT / "recipes/data/digits.npz")
    tests, training = digits["x_test"].astype(np.float32), digits["x_train"].astype(np.float32)
    yield Network("digits", ROOT / "recipes/models/digits.h5", [tests], [training[:200]])
    encoder.write(folder / "encoder.onnx")
    yield Network("encoder", folder / "encoder.onnx", [stretched(encoder.samples(20))], [encoder.samples(100, seed=7)])
    golden = ROOT / "tests/golden/keras"
    for layout, group in json.loads((golden / "manifest.json").read_text()).items():
        for name, fixture in group["fixtures"].items():
            if name in WORDS:
                print(f"not compared here: {layout}/{name} reads numbers of words")
            elif len(fixture["files"]) == 1:
                inputs = load_arrays(golden / layout / f"{name}.npz", "x")
                network = Network(
                    f"{layout}/{name}", golden / layout / fixture["files"][0], [stretched(x) for x in inputs], inputs
                )
                yield network


def shared_networks(shared, pipeline, folder, count):
    """ResNet-8 on CIFAR images: `count` of each split at most, decoded by our program so that both sides see the same pixels."""
    splits = {}
    for split in ["test", "train"]:
        draw = f", count: {count if split == 'test' else 200}, seed: 7" if count or split == "train" else ""
        recipe = folder / f"{split}.yaml"
        recipe.write_text(
            f"schema: pipeline/v1\nname: {split}\nsources: {{ cifar: {{ file: {shared}/data/cifar10-{split}.tar.gz }} }}\n"
            f"steps:\n  data: {{ dataset: {{ source: cifar, split: {split}{draw} }} }}\n"
        )
        complaint = pipeline.call("run", recipe, "--out", folder / split)
        if complaint:
            sys.exit(f"the CIFAR images cannot be read: {complaint}")
        record = json.loads((folder / split / "record.json").read_text())
        blobs = record["instances"][0]["blobs"]
        digests = [blobs[name] for name in sorted(blobs) if name.startswith("samples-")]
        store = Path(pipeline.environment["PIPELINE_CACHE"]) / "v1/cas/sha256"
        splits[split] = np.concatenate([np.load(store / digest[:2] / digest) for digest in digests]).astype(np.float32)
    models = [shared / "models/mlperf-tiny/pretrainedResnet.h5", shared / "models/resnet8-cifar-jpeg.h5"]
    for path in models:
        yield Network(path.stem, path, [splits["test"]], [splits["train"]])


def resolver_for(path):
    """`ref`, or `builtin` where the reference kernels lack an operator of the model."""
    try:
        litert.open_model(path, "ref")
        return "ref"
    except ValueError as error:
        if "Didn't find op" not in str(error):
            raise
        return "builtin"


def magnitude(values):
    """The largest magnitude, at least 1."""
    return max(1.0, float(np.abs(values.astype(np.float64)).max()))


def judge(ours, theirs, form, resolver, floats_between):
    """A comparison with its verdict, by what the form promises."""
    scale = magnitude(theirs)
    if floats_between and form.family == "int16x8":
        # With float edges a step is at most 1/32767 of the range's larger end.
        return compare(ours, theirs, atol=1 if form.edges != "float" else 1.01 * scale / 32767)
    if form.family in INTEGERS and resolver == "builtin":
        # With float edges a step is known by its share of the range, of which the largest magnitude is at least half.
        steps = 255 if form.family == "int8" else 65535
        return compare(ours, theirs, atol=STEPS if form.edges != "float" else STEPS * 2 * scale / steps)
    report = compare(ours, theirs, atol=TOLERANCE.get(form.family, 0.0) * scale)
    if form.family == "dynamic" and not report["agree"] and "apart" in report:
        report["agree"] = report["max_distance"] <= JUMP * scale and report["apart"] <= JUMPING * report["elements"]
    return report


def run_form(network, form, pipeline, folder, workers):
    """Converts and compares: one pass or failure for each of our kernel sets."""
    reasons = REFUSED.get(network.name.split("/")[-1], [])
    refused = next((reason for family, reason in reasons if family in ("any", form.family)), None)
    model = folder / f"{network.name.replace('/', '-')}-{form.name}.tflite"
    options = list(form.options)
    if form.calibrated:
        for i, samples in enumerate(network.calibration):
            path = model.with_suffix(f".calibration{i}.npy")
            np.save(path, samples)
            options += ["--calibrate", path]
    complaint = pipeline.call("convert", network.path, model, *options)
    if refused:
        if any(word in complaint for word in refused.split("|")):
            return Outcome("-", skipped=1, details=[f"{network.name}: refused ({refused})"])
        told = complaint or "it was converted"
        return Outcome("FAIL", failed=1, details=[f"{network.name} {form.name}: expected `{refused}`: {told}"])
    if complaint:
        return Outcome("FAIL", failed=1, details=[f"{network.name} {form.name}: {complaint}"])

    resolver = resolver_for(model)
    interpreter = litert.open_model(model, resolver)
    edges = [interpreter.get_input_details(), interpreter.get_output_details()]
    wanted = {"float": np.float32}.get(form.edges, form.edges)
    wrong = [d["name"] for side in edges for d in side if d["dtype"] != np.dtype(wanted)]
    if wrong:
        return Outcome("FAIL", failed=1, details=[f"{network.name} {form.name}: {wrong} are not {form.edges}"])
    inputs = [litert.quantize(x, detail) for x, detail in zip(network.inputs, edges[0])]
    theirs, _ = litert.run(model, inputs, resolver, workers=workers)

    files = [model.with_suffix(f".x{i}.npy") for i in range(len(inputs))]
    for path, values in zip(files, inputs):
        np.save(path, values)
    outcome = Outcome("=")
    largest = 0.0
    for kernels in ["reference", "fast"]:
        results = [model.with_suffix(f".{kernels}{i}.npy") for i in range(len(theirs))]
        arguments = ["infer", model, "--kernels", kernels]
        arguments += [word for path in files for word in ("--input", path)]
        arguments += [word for path in results for word in ("--output", path)]
        complaint = pipeline.call(*arguments)
        problems = [complaint] if complaint else []
        for i, (path, expected) in enumerate(zip(results, theirs)):
            if complaint:
                break
            between = network.name.split("/")[-1] in FLOATS_BETWEEN
            report = judge(np.load(path), expected, form, resolver, between)
            if report["agree"]:
                largest = max(largest, report["max_distance"] / magnitude(expected))
            else:
                problems.append(f"output {i}: {json.dumps(report)}")
        if problems:
            outcome.failed += 1
            outcome.details += [f"{network.name} {form.name} ({kernels}, LiteRT {resolver}): {p}" for p in problems]
        else:
            outcome.passed += 1
    if outcome.failed:
        outcome.cell = "FAIL"
    elif largest > 0:
        outcome.cell = f"{largest:.0e}"
    if resolver == "builtin":
        outcome.cell += " b"
    for path in folder.glob(f"{model.stem}.*"):
        path.unlink()
    return outcome


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pipeline", required=True, help="the program")
    arguments.add_argument("--shared", type=Path, help="a folder with the ResNet-8 models and CIFAR images")
    arguments.add_argument("--full", action="store_true", help="all 10,000 images")
    arguments.add_argument("--only", default="", help="networks with this in their name")
    arguments.add_argument("--form", default="", help="forms with this in their name, such as int8-channel")
    args = arguments.parse_args()
    if not Path(args.pipeline).is_file():
        arguments.error(f"{args.pipeline}: no such file")
    cores = os.cpu_count() or 1
    chosen = [form for form in FORMS if args.form in form.name]

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pipeline = Pipeline(args.pipeline, folder / "cache")
        networks = [network for network in shipped_networks(folder) if args.only in network.name]
        if args.shared:
            found = shared_networks(args.shared.resolve(), pipeline, folder, None if args.full else 200)
            networks += [network for network in found if args.only in network.name]
        # Small networks side by side; large ones one after the other, their samples side by side.
        large = [network for network in networks if network.inputs[0].nbytes > 1 << 20]
        jobs = [(network, form) for network in networks for form in chosen]

        def work(job, workers=1):
            try:
                return run_form(*job, pipeline, folder, workers)
            except (RuntimeError, ValueError, SystemExit) as error:  # LiteRT's, and ours about it
                return Outcome("FAIL", failed=1, details=[f"{job[0].name} {job[1].name}: LiteRT: {error}"])

        with ThreadPoolExecutor(cores) as pool:
            small = {i: pool.submit(work, job) for i, job in enumerate(jobs) if job[0] not in large}
            outcomes = [small[i].result() if i in small else None for i in range(len(jobs))]
        outcomes = [outcome or work(job, cores) for outcome, job in zip(outcomes, jobs)]

    width = max([len(network.name) for network in networks], default=0)
    print(f"{'network':{width}}  " + "  ".join(f"{form.column:>12}" for form in chosen))
    for row, network in enumerate(networks):
        cells = outcomes[row * len(chosen) : (row + 1) * len(chosen)]
        print(f"{network.name:{width}}  " + "  ".join(f"{outcome.cell:>12}" for outcome in cells))
    print("= equal in every bit; a number: largest relative distance; b: against LiteRT's builtin kernels; -: no such form")
    for outcome in outcomes:
        if outcome.failed:
            print("\n".join(outcome.details))
    refused = sorted({line for outcome in outcomes if outcome.skipped for line in outcome.details})
    print("\n".join(f"skipped: {line}" for line in refused))
    passed, failed, skipped = (sum(getattr(o, what) for o in outcomes) for what in ["passed", "failed", "skipped"])
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
