"""What TensorFlow Lite Micro itself makes of `.tflite` files, beside what `pipeline inspect --target tflm` says of them.

    tflm.py --pipeline BINARY FILES

For each file: whether the runtime takes it is what the account says; the head of its arena is the planned one to the byte; and on random
inputs the integers of its outputs are ours in every bit, floats within 1e-5 of the largest. Needs `tflite-micro` and NumPy.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

RUNTIME = """
import sys, numpy
from tflite_micro.python.tflite_micro import runtime
interpreter = runtime.Interpreter.from_file(sys.argv[1], arena_size=64 << 20)
interpreter.print_allocations()
sys.stderr.flush()
if len(sys.argv) > 2:
    interpreter.set_input(numpy.load(sys.argv[2]), 0)
    interpreter.invoke()
    numpy.save(sys.argv[3], interpreter.get_output(0))
"""


def micro(arguments):
    """The bytes of the arena's head, or why the runtime does not take the file. In a process of its own: some files abort it."""
    done = subprocess.run([sys.executable, "-c", RUNTIME, *arguments], capture_output=True, text=True)
    head = re.search(r"Arena allocation head (\d+) bytes", done.stderr)
    if head and done.returncode == 0:
        return int(head.group(1)), None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return None, lines[0] if lines else f"exit code {done.returncode}"


def outputs_agree(pipeline, path, account, folder):
    """None, or how the outputs differ; inputs are random in the type of the model's."""
    import numpy

    border = account["inputs"][0]
    types = {"i8": numpy.int8, "u8": numpy.uint8, "i16": numpy.int16, "i32": numpy.int32, "f32": numpy.float32}
    generator = numpy.random.default_rng(7)
    kind = types[border["element"]]
    if kind is numpy.float32:
        x = generator.standard_normal(border["shape"]).astype(kind)
    else:
        low, high = (0, 1) if border["element"] == "i32" else (numpy.iinfo(kind).min, numpy.iinfo(kind).max + 1)
        x = generator.integers(low, high, border["shape"]).astype(kind)
    x_path, ours, theirs = (os.path.join(folder, name) for name in ("x.npy", "ours.npy", "theirs.npy"))
    numpy.save(x_path, x)
    _, problem = micro([path, x_path, theirs])
    if problem:
        return f"does not run there: {problem}"
    done = subprocess.run([pipeline, "infer", path, "--input", x_path, "--output", ours, "--kernels", "reference"], capture_output=True, text=True)
    if done.returncode:
        return f"does not run here: {done.stderr.strip()}"
    a, b = numpy.load(ours), numpy.load(theirs)
    a, b = a.reshape(-1), b.reshape(-1)
    if a.dtype.kind == "f":
        error = float(numpy.max(numpy.abs(a - b), initial=0.0))
        return None if error <= 1e-5 * max(1.0, float(numpy.max(numpy.abs(b), initial=0.0))) else f"floats differ by {error}"
    different = int((a != b).sum())
    return f"{different} of {a.size} integers differ" if different else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", required=True)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    wrong = refused = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in arguments.files:
            done = subprocess.run([arguments.pipeline, "inspect", path, "--target", "tflm", "--json"], capture_output=True, text=True)
            if done.returncode:
                print(f"{path}: not read here: {done.stderr.strip()}")
                continue
            account = json.loads(done.stdout)
            head, problem = micro([path])
            planned, lacking = account["arena"]["bytes"], account["lacking"]
            if problem and lacking:
                refused += 1
                print(f"{path}: refused by both: {lacking[0]['name']}: {lacking[0]['why']}")
                continue
            found = None
            if problem or lacking:
                found = f"here {lacking[0]['name'] + ': ' + lacking[0]['why'] if lacking else 'taken'}, there {problem or 'taken'}"
            elif head != planned:
                found = f"arena {planned} here, {head} there"
            elif len(account["inputs"]) == 1:
                found = outputs_agree(arguments.pipeline, path, account, folder)
            wrong += found is not None
            print(f"{path}: {found or f'{planned} bytes of arena, outputs equal'}")
    print(f"{len(arguments.files) - wrong - refused} passed, {wrong} failed, {refused} refused by both")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
