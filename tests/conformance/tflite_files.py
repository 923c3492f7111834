"""Runs .tflite files that others made in LiteRT's reference kernels and in ours.

    python tflite_files.py --pipeline ../../target/release/pipeline ../../../shared/models/mlperf-tiny/*.tflite

Inputs are drawn over the whole range of an integer input, and as integers of a pixel's range for a float one. Integer outputs have
to be equal in every bit, floats within `TOLERANCE` of the largest output. Exit code 1 where one is not.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import litert
from compare import compare

TOLERANCE = 1e-5


def draw(detail, count, rng):
    """Samples for an input."""
    shape = (count, *detail["shape"][1:])
    if np.issubdtype(detail["dtype"], np.integer):
        limits = np.iinfo(detail["dtype"])
        return rng.integers(limits.min, limits.max + 1, shape).astype(detail["dtype"])
    return rng.integers(0, 256, shape).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", type=Path, required=True, help="our program")
    parser.add_argument("--count", type=int, default=50, help="samples for each file")
    parser.add_argument("models", type=Path, nargs="+")
    arguments = parser.parse_args()
    program = arguments.pipeline.resolve()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        x, y = Path(folder) / "x.npy", Path(folder) / "y.npy"
        for model in arguments.models:
            details = litert.open_model(model, "ref").get_input_details()
            samples = draw(details[0], arguments.count, np.random.default_rng(7))
            np.save(x, samples)
            theirs, _ = litert.run(model, [samples], "ref", workers=2)
            tolerance = 0.0 if theirs[0].dtype.kind in "iu" else TOLERANCE * max(1.0, float(np.abs(theirs[0]).max()))
            for kernels in ["reference", "fast"]:
                command = [program, "infer", model, "--kernels", kernels, "--input", x, "--output", y]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                report = compare(np.load(y), theirs[0], atol=tolerance)
                failed += not report["agree"]
                verdict = "agrees" if report["agree"] else "DEPARTS"
                print(f"{model.name:40} {kernels:10} {verdict}: {report['unequal']} of {report['elements']} differ, "
                      f"by {report['max_distance']:g} at most")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
