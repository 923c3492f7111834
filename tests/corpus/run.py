"""Takes files of models through inspect, convert and infer, and runs what was written: see README.md."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RUNTIMES = Path(__file__).with_name("runtimes.py")
COLUMNS = ["inspect", "infer", "tflite", "onnx", "saved-model", "int8"]
FAILURES = ("differs", "unloadable", "crash")
TOLERANCE = 1e-4
# Where a file computes with integers, ONNX Runtime rounds floats between them: a few values may be a step of eight bits apart.
STEP, STEPPING = 0.01, 0.05
ELEMENTS = {"f32": np.float32, "i8": np.int8, "u8": np.uint8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "bool": np.bool_}


class Failed(Exception):
    """A step that did not come to an end: a word for the row, and the reason."""

    def __init__(self, word, reason):
        super().__init__(reason)
        self.word, self.reason = word, reason


class Worker:
    """A process that runs files in their runtimes, started again after one that took it down."""

    def __init__(self, python):
        self.python, self.process = python, None

    def ask(self, task):
        """`ok`, or why not."""
        if self.process is None or self.process.poll() is not None:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
            self.process = subprocess.Popen([self.python, RUNTIMES], **pipes)
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer:
            return answer.removeprefix("no ")
        return f"the runtime ended the process (exit code {self.process.wait()})"


class Case:
    """One model file, with a folder for what is made of it."""

    def __init__(self, path, folder, options):
        self.path, self.folder, self.options = path, Path(folder), options
        self.reasons = {}

    def call(self, *arguments):
        """Runs our program; its output, or why there is none."""
        command = [self.options.pipeline, *map(str, arguments)]
        environment = os.environ | {"PIPELINE_CACHE": str(self.folder / "cache")}
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=self.options.timeout, check=False)
        except subprocess.TimeoutExpired:
            raise Failed("-", "takes too long") from None
        if done.returncode < 0 or done.returncode == 101 or "panicked" in done.stderr:
            raise Failed("crash", done.stderr.strip()[:400])
        if done.returncode != 0:
            raise Failed("refused", done.stderr.strip()[:400])
        return done.stdout

    def infer(self, model, inputs, count):
        """Outputs of our runtime."""
        arguments = []
        for i, value in enumerate(inputs):
            np.save(self.folder / f"in{i}.npy", value)
            arguments += ["--input", self.folder / f"in{i}.npy"]
        outputs = [self.folder / f"out{i}.npy" for i in range(count)]
        for output in outputs:
            arguments += ["--output", output]
        self.call("infer", model, *arguments)
        return [np.load(output) for output in outputs]

    def run(self, kind, model, inputs, names=None):
        """Outputs of another runtime; an abort is a failure like an exception."""
        given, made = self.folder / "given.npz", self.folder / "made.npz"
        values = {f"x{i}": value for i, value in enumerate(inputs)}
        np.savez(given, **values, **(names if kind == "saved-model" else {}))
        worker = self.options.workers[kind == "saved-model"]
        answer = worker.ask([kind, str(model), str(given), str(made)])
        if answer != "ok":
            raise Failed("unloadable", answer)
        with np.load(made) as arrays:
            return [arrays[f"y{i}"] for i in range(len(arrays.files))]

    def attempt(self, column, action):
        """What an action returns, its failure noted."""
        try:
            return action(), "="
        except Failed as failed:
            self.reasons[column] = failed.reason
            return None, failed.word


def agreement(ours, theirs, steps=False, tolerance=TOLERANCE):
    """`=` or `differs`, with how far apart the worst output is; `steps`: whether a few may be a step of integers apart."""
    worst, apart, count = 0.0, 0, 0
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return "differs", f"shapes {a.shape} and {b.shape}"
        if b.dtype.kind != "f":
            count = int((a != b).sum())
            if count:
                return "differs", f"{count} of {a.size} integers"
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        finite = np.isfinite(b)
        if not (np.isfinite(a) == finite).all():
            return "differs", "other places are infinite"
        if finite.any():
            distance = np.abs(a[finite] - b[finite]) / max(np.abs(b[finite]).max(), 1e-6)
            worst, count = max(worst, float(distance.max())), count + distance.size
            apart += int((distance > tolerance).sum())
    near = worst <= tolerance or (steps and worst <= STEP and apart <= STEPPING * count + 1)
    return ("=" if near else "differs"), f"{worst:.1e}"


def first(value):
    """Channels before rows and columns, as ONNX files state images."""
    return np.ascontiguousarray(value.transpose(0, 3, 1, 2)) if value.ndim == 4 else value


def last(value):
    return np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if value.ndim == 4 else value


def shapes(described):
    return [tuple(int(d) for d in tensor["shape"]) for tensor in described]


def stated(value, shape):
    """A value of a file in the order that our program states: as it lies, or with channels last."""
    return last(value) if value.ndim == 4 and last(value).shape[1:] == tuple(shape[1:]) else value


def numbers(tensor, seed):
    """Random values of a described input."""
    shape = [int(d) if int(d) > 0 else 1 for d in tensor["shape"]]
    kind = ELEMENTS.get(tensor.get("element", "f32"), np.float32)
    if kind == np.float32:
        return seed.normal(size=shape).astype(kind)
    if kind in (np.int8, np.uint8, np.int16):
        info = np.iinfo(kind)
        return seed.integers(info.min, info.max + 1, shape).astype(kind)
    return seed.integers(0, 2, shape).astype(kind)


def picking(case, values, inputs, count, seed):
    """The values, with those of inputs that pick entries of a table replaced by numbers of entries that there are."""
    for _ in inputs:
        try:
            case.infer(case.path, values, count)
        except Failed as failed:
            told = re.search(r"input `(.*)`: value .* picks by it from entries 0 to (\d+)", failed.reason)
            if not told:
                break
            i = [tensor["name"] for tensor in inputs].index(told[1])
            values[i] = seed.integers(0, int(told[2]) + 1, values[i].shape).astype(values[i].dtype)
    return values


def signal(a, b):
    """Signal to noise of `a` against `b`, in dB."""
    noise = float(((a.astype(np.float64) - b) ** 2).sum())
    return 10 * np.log10(float((b.astype(np.float64) ** 2).sum()) / max(noise, 1e-30) + 1e-30)


def row(case):
    """What became of one file, by column."""
    found = {}
    text, found["inspect"] = case.attempt("inspect", lambda: case.call("inspect", case.path, "--json"))
    if text is None:
        return found
    described = json.loads(text)
    inputs, outputs = described["inputs"], described["outputs"]
    names = {"inputs": [t["name"] for t in inputs], "outputs": [t["name"] for t in outputs]}
    seed = np.random.default_rng(zlib.crc32(case.path.name.encode()))
    beside = sorted(case.path.parent.glob("x[0-9]*.npy"))
    onnx = case.path.suffix == ".onnx"
    if beside and len(beside) == len(inputs):
        given = [np.load(path) for path in beside]
        ours = [stated(value, shape) for value, shape in zip(given, shapes(inputs))]
    else:
        ours = picking(case, [numbers(tensor, seed) for tensor in inputs], inputs, len(outputs), seed)
        given = [first(value) for value in ours] if onnx else ours
    # Our integers are LiteRT's; ONNX Runtime's are near. It computes in half precision where the file says so, we in 32 bits.
    near = {"steps": '"i8"' in text, "tolerance": 2e-3 if beside and given[0].dtype == np.float16 else TOLERANCE}
    # What is right: the source's own runtime, or what we make of it.
    right = None
    if onnx or case.path.suffix == ".tflite":
        right, word = case.attempt("source", lambda: case.run("onnx" if onnx else "tflite-ref", case.path, given))
        if right is None and not onnx:
            right, word = case.attempt("source", lambda: case.run("tflite-builtin", case.path, given))
        if right is not None:
            right = [stated(value, shape) for value, shape in zip(right, shapes(outputs))] if onnx else right
    made, found["infer"] = case.attempt("infer", lambda: case.infer(case.path, ours, len(outputs)))
    if made is not None and right is not None:
        found["infer"], case.reasons["infer"] = agreement(made, right, **(near if onnx else {}))
    right = made if right is None else right
    integers = any(tensor.get("element", "f32") not in ("f32", "f16") for tensor in inputs)

    for column, file, kind in [("tflite", "model.tflite", "tflite"), ("onnx", "model.onnx", "onnx"), ("saved-model", "saved", "saved-model")]:
        target = case.folder / file
        written, found[column] = case.attempt(column, lambda: case.call("convert", case.path, target))
        if written is None or (kind == "saved-model" and not case.options.tensorflow):
            continue
        if kind == "onnx":
            values, wanted = [first(v) for v in ours], right and [first(v) for v in right]
            # A file that begins with a transpose keeps its border.
            if onnx and beside:
                values = given
        else:
            values, wanted = ours, right
        loaded, found[column] = case.attempt(column, lambda: case.run(kind, target, values, names))
        if loaded is None or wanted is None:
            continue
        if kind == "onnx" and [v.shape for v in loaded] != [v.shape for v in wanted]:
            wanted = right if [v.shape for v in loaded] == [v.shape for v in right] else wanted
        found[column], case.reasons[column] = agreement(loaded, wanted, **(near if onnx or kind == "onnx" else {}))

    found["int8"] = "-"
    if len(inputs) == 1 and not integers:
        found["int8"] = int8(case, ours, right, len(outputs))
    return found


def int8(case, ours, right, count):
    """The int8 file: the same in LiteRT's reference kernels and ours, its worth against floats where that is little."""
    samples, target = case.folder / "samples.npy", case.folder / "int8.tflite"
    np.save(samples, ours[0])
    written, word = case.attempt("int8", lambda: case.call("convert", case.path, target, "--quantize", "int8", "--calibrate", samples))
    if written is None:
        return word
    steps = 0.0
    theirs, word = case.attempt("int8", lambda: case.run("tflite-ref", target, ours))
    if theirs is None:
        # An operator that the reference kernels lack, or rows on which they abort. The others round in another way.
        theirs, word = case.attempt("int8", lambda: case.run("tflite-builtin", target, ours))
        steps = 0.05
    if theirs is None:
        return word
    _, word = case.attempt("int8", lambda: case.run("tflite", target, ours))
    if word != "=":
        return word
    made, word = case.attempt("int8", lambda: case.infer(target, ours, count))
    if made is None:
        return word
    word, case.reasons["int8"] = agreement(made, theirs)
    if word == "differs" and steps:
        apart = [np.abs(a - b).max() / max(np.abs(b).max(), 1e-6) for a, b in zip(made, theirs) if b.dtype.kind == "f"]
        word = "=" if all(d <= steps for d in apart) else word
    if word != "=" or right is None:
        return word
    for a, b in zip(made, right):
        if b.dtype.kind == "f" and a.shape == b.shape and np.isfinite(b).all() and b.std() > 0:
            if a.std() == 0:
                return "constant"
            if signal(a, b) < 12:
                return f"{signal(a, b):.0f} dB"
    return word


def files(folders):
    """Model files in folders, and files as they are."""
    for folder in map(Path, folders):
        if folder.is_file() or (folder / "saved_model.pb").exists():
            yield folder
            continue
        found = [p for p in folder.rglob("*") if p.suffix in (".onnx", ".tflite", ".h5", ".keras") and p.is_file()]
        yield from sorted(found + [p.parent for p in folder.rglob("saved_model.pb")])


def shipped():
    """Networks that the project has."""
    return [ROOT / "recipes" / "models", ROOT / "tests" / "golden"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--pipeline", required=True, type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--shipped", action="store_true", help="the networks and fixtures of this project")
    parser.add_argument("--tensorflow", metavar="PYTHON", help="an interpreter that has TensorFlow")
    parser.add_argument("--only", default="", help="files whose path matches this expression")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one call of our program")
    parser.add_argument("--json", type=Path, help="rows with their reasons")
    options = parser.parse_args()
    options.workers = [Worker(sys.executable), Worker(options.tensorflow)]
    rows, failed = {}, 0
    for path in files(options.folders + (shipped() if options.shipped else [])):
        if not re.search(options.only, str(path)):
            continue
        with tempfile.TemporaryDirectory() as folder:
            case = Case(path, folder, options)
            found = row(case)
        bad = [column for column, word in found.items() if word in FAILURES]
        failed += bool(bad)
        name = path.name if path.name not in ("model.onnx", "model.tflite", "sm") else f"{path.parent.name}/{path.name}"
        rows[str(path)] = {"row": found, "reasons": case.reasons}
        print(f"{'FAIL' if bad else 'ok  '} {name:40} " + " ".join(f"{column} {found.get(column, '-')};" for column in COLUMNS), flush=True)
        for column in bad or []:
            print(f"       {column}: {case.reasons.get(column, '')}", flush=True)
    print(f"{len(rows)} files, {failed} failed")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
