"""Functions of TensorFlow through our readers: each is saved as a SavedModel and converted to TensorFlow Lite; both must compute what
TensorFlow computes, and what is written from them must in LiteRT.

    python tf_operators.py --pipeline ../../target/release/pipeline                 # all of them
    python tf_operators.py --pipeline ... --only where                              # some

Needs `tensorflow`. A case passes, fails (other numbers), or is unsupported (refused by name). Exit code 1 if one fails.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

# Of the largest number. Products of rows are summed in another order.
TOLERANCE = 2e-6

RANDOM = np.random.default_rng(1)
FILTER = tf.constant(RANDOM.normal(0, 0.3, (3, 3, 4, 5)).astype(np.float32))
DEPTHWISE = tf.constant(RANDOM.normal(0, 0.3, (3, 3, 4, 1)).astype(np.float32))
BIAS = tf.constant([0.1, 0.2, 0.3, 0.4, 0.5])
ROW, ROWS, IMAGE = (1, 7), (1, 3, 7), (1, 6, 8, 4)
KEPT = [[0, 0], [0, 0]]


def dealt(x, paddings, layer, crops):
    return tf.batch_to_space(layer(tf.space_to_batch(x, [2, 2], paddings)), [2, 2], crops)


CASES = {
    "sin": (ROW, lambda x: tf.sin(5 * x)),
    "cos": (ROW, lambda x: tf.cos(5 * x)),
    "floor": (ROW, tf.floor),
    "ceil": (ROW, tf.math.ceil),
    "round": (ROW, lambda x: tf.round(2 * x) / 2),
    "sign": (ROW, tf.sign),
    "arg_max": (ROW, lambda x: tf.argmax(x, -1)),
    "arg_max_of_pixels": (IMAGE, lambda x: tf.argmax(x, -1, output_type=tf.int32)),
    "arg_max_of_rows": (IMAGE, lambda x: tf.argmax(x, 1)),
    "arg_min": (ROW, lambda x: tf.argmin(x, -1)),
    "pack": (ROW, lambda x: tf.stack([x, 2 * x], 1)),
    "unpack": (ROWS, lambda x: tf.unstack(x, axis=1)[1] + tf.unstack(x, axis=1)[2]),
    "split_v": (ROW, lambda x: tf.concat(tf.split(x, [2, 4, 1], 1)[::-1], 1)),
    "tile": (ROWS, lambda x: tf.tile(x, [1, 2, 3])),
    "depth_to_space": (IMAGE, lambda x: tf.nn.depth_to_space(x, 2)),
    "space_to_depth": (IMAGE, lambda x: tf.nn.space_to_depth(x, 2)),
    "atrous": (IMAGE, lambda x: tf.nn.relu(tf.nn.atrous_conv2d(x, FILTER, 2, "SAME"))),
    "atrous_valid": (IMAGE, lambda x: tf.nn.atrous_conv2d(x, FILTER, 2, "VALID")),
    "atrous_depthwise": (
        IMAGE,
        lambda x: tf.nn.depthwise_conv2d(x, DEPTHWISE, [1, 1, 1, 1], "SAME", dilations=[2, 2]),
    ),
    "dealt_convolution": (
        IMAGE,
        lambda x: dealt(
            x,
            [[2, 2], [2, 2]],
            lambda y: tf.nn.relu6(tf.nn.bias_add(tf.nn.conv2d(y, FILTER, 1, "VALID"), BIAS)),
            KEPT,
        ),
    ),
    "dealt_pool": (
        IMAGE,
        lambda x: dealt(x, [[1, 1], [0, 0]], lambda y: tf.nn.max_pool2d(y, 2, 1, "VALID"), [[0, 1], [1, 0]]),
    ),
    "space_to_batch": (IMAGE, lambda x: 2 * tf.space_to_batch(x, [2, 2], [[0, 0], [1, 1]])),
    "l2_normalize": (ROW, lambda x: tf.nn.l2_normalize(x, -1)),
    "log_softmax": (ROW, lambda x: tf.nn.log_softmax(9 * x)),
    "square": (ROW, tf.square),
    "add_n": (ROW, lambda x: tf.add_n([x, 2 * x, 3 * x])),
    "reverse": (IMAGE, lambda x: tf.reverse(x, [2])),
    "floor_div": (ROW, lambda x: tf.math.floordiv(x, tf.constant(0.3))),
    "where": (IMAGE, lambda x: tf.where(x > 0.2, x, -1.0)),
    "where_log": (IMAGE, lambda x: tf.where(x > 0, tf.math.log(x), x)),
    "where_div": (
        ROW,
        lambda x: tf.where(tf.equal(x - x[:, :1], 0), tf.zeros_like(x), 1 / (x - x[:, :1])),
    ),
    "logic": (
        ROW,
        lambda x: 3 * tf.cast(tf.logical_and(x >= -0.5, tf.logical_not(x <= 0.3)), tf.float32)
        + tf.cast(tf.logical_or(x < -1, tf.not_equal(x, x[:, :1])), tf.float32),
    ),
    "selu": (ROW, lambda x: tf.nn.selu(2 * x)),
    "softsign": (ROW, tf.nn.softsign),
    "reciprocal": (ROW, tf.math.reciprocal),
    "log1p": (ROW, lambda x: tf.math.log1p(tf.abs(x))),
    "fake_quant": (IMAGE, lambda x: tf.quantization.fake_quant_with_min_max_args(3 * x, -1.7, 2.3)),
    "fake_quant_narrow": (
        IMAGE,
        lambda x: tf.quantization.fake_quant_with_min_max_vars(x, tf.constant(-0.6), tf.constant(0.9), 4, True),
    ),
    "fake_quant_channels": (
        IMAGE,
        lambda x: tf.quantization.fake_quant_with_min_max_vars_per_channel(
            x, tf.constant([-1.0, -0.5, -2.0, 0.0]), tf.constant([1.0, 0.7, 1.0, 3.0])
        ),
    ),
    "new_axis": (IMAGE, lambda x: x[:, tf.newaxis, ..., :2]),
    "ellipsis": (IMAGE, lambda x: x[..., 1]),
    "new_axis_between": (IMAGE, lambda x: x[:, 2, tf.newaxis, 1:5:2]),
    "clip": (ROW, lambda x: tf.raw_ops.ClipByValue(t=x, clip_value_min=-0.5, clip_value_max=0.7)),
}


def run(pipeline, *arguments):
    done = subprocess.run([pipeline, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr.strip()


def litert(path, x):
    interpreter = tf.lite.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def differs(found, expected):
    """What is wrong with the numbers; nothing if they are right."""
    if found.shape != expected.shape:
        return f"has the shape {found.shape}, expected {expected.shape}"
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    if not np.array_equal(np.isfinite(found), np.isfinite(expected)):
        return "is infinite, or no number, elsewhere"
    finite = np.isfinite(expected)
    error = np.abs(found - expected)[finite].max() / max(np.abs(expected[finite]).max(), 1e-12)
    return f"differs by {error:.1e}" if error > TOLERANCE else ""


def judge(name, pipeline, place):
    """One line for each file: its kind, `pass`, `fail` or `unsupported`, and why."""
    shape, function = CASES[name]
    module = tf.Module()
    module.f = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32, name="x")])
    concrete = module.f.get_concrete_function()
    x = RANDOM.normal(size=shape).astype(np.float32)
    expected = module.f(x).numpy()
    np.save(place / "x.npy", x)
    tf.saved_model.save(module, str(place / "saved"), signatures=concrete)
    files = [place / "saved"]
    try:
        (place / "m.tflite").write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert())
        files.append(place / "m.tflite")
    except Exception as error:  # it has no such operator
        print(f"no .tflite: {name} {str(error).splitlines()[0]}")
    for file in files:
        code, said = run(pipeline, "infer", file, "--input", place / "x.npy", "--output", place / "y.npy")
        if code != 0:
            crashed = code < 0 or "panicked" in said or "a bug" in said
            yield file.name, "fail" if crashed else "unsupported", said.splitlines()[0]
            continue
        wrong = differs(np.load(place / "y.npy"), expected)
        code, said = run(pipeline, "convert", file, place / "again.tflite")
        if code == 0:
            wrong = wrong or differs(litert(place / "again.tflite", x), expected)
        elif not wrong:
            yield file.name, "unsupported", f"to .tflite: {said.splitlines()[0]}"
            continue
        yield file.name, "fail" if wrong else "pass", wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pipeline", required=True, help="the program")
    arguments.add_argument("--only", default="", help="cases with this in their name")
    args = arguments.parse_args()
    total = Counter()
    for name in CASES:
        if args.only not in name:
            continue
        with tempfile.TemporaryDirectory() as place:
            for file, what, why in judge(name, args.pipeline, Path(place)):
                total[what] += 1
                if what != "pass":
                    print(f"{what}: {name} ({file}) {why}")
    print(", ".join(f"{n} {what}" for what, n in sorted(total.items())))
    sys.exit(1 if total["fail"] or not total["pass"] else 0)


if __name__ == "__main__":
    main()
