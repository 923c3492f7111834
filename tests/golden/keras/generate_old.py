"""Writes the fixtures of `old_models.py` with the Keras releases of their time.

    pip install -r requirements-keras3.txt && pip install six pyyaml          # for all three, then one of
    pip install --no-deps keras==1.2.2 && python generate_old.py keras1.2
    pip install --no-deps keras==2.1.6 && python generate_old.py keras2.1
    pip install --no-deps keras==2.2.4 keras_applications==1.0.6 keras_preprocessing==1.0.5 &&
        python generate_old.py keras2.2

These releases know TensorFlow 1 and Python 3.6. Here they run on today's: their backend is given the compatibility module of
TensorFlow, and the names that Python has dropped since are put back. What they save is what they saved then, because
configuration and HDF5 layout come from their own code. They can't read files with today's h5py, so the outputs are
computed from the network that was saved, and the README says how the files were checked.
"""

import argparse
import collections
import collections.abc
import importlib
import inspect
import os
import tempfile

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["HOME"] = tempfile.mkdtemp()  # where these releases keep settings

import numpy as np
import tensorflow.compat.v1 as tf

import generate
from old_models import KERAS_1, KERAS_2

DIALECTS = {"keras1.2": KERAS_1, "keras2.1": KERAS_2, "keras2.2": KERAS_2}


def open_old_keras():
    """The installed Keras 1 or 2, made to run."""
    for name in ["Callable", "Iterable", "Mapping", "Sequence"]:
        setattr(collections, name, getattr(collections.abc, name))
    arguments = collections.namedtuple("ArgSpec", "args varargs keywords defaults")
    inspect.getargspec = lambda function: arguments(*inspect.getfullargspec(function)[:4])
    tf.disable_v2_behavior()
    keras = importlib.import_module("keras")
    backend = importlib.import_module("keras.backend.tensorflow_backend")
    backend.tf = tf
    backend.is_tensor = keras.backend.is_tensor = tf.is_tensor
    return keras


def weight_name(weight):
    """`layer/role` for the names of either version: `conv2d_1/kernel:0`, `convolution2d_1_W:0`."""
    name = weight.name.split(":")[0]
    for ending, role in {
        "running_mean": "moving_mean",
        "running_std": "moving_variance",  # a variance in spite of its name
        "alphas": "alpha",
        "_b": "bias",
    }.items():
        if name.endswith(ending):
            return f"{name}/{role}"
    return name if "/" in name else name.replace("_", "/")


def write(k, name, build, folder):
    """One fixture; returns its description."""
    k.backend.clear_session()
    seed = generate.seed_of(name)
    rng = np.random.default_rng(seed)
    network = build(k)
    for layer in generate.flat_layers(network):
        shapes = [values.shape for values in layer.get_weights()]
        layer.set_weights([generate.draw_weight(weight_name(w), s, rng) for w, s in zip(layer.weights, shapes)])
    network.save(str(folder / f"{name}.h5"))
    inputs = generate.draw_inputs(network, name, rng)
    outputs = network.predict(inputs)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return {"seed": seed, "files": [f"{name}.h5"]} | generate.store(network, name, inputs, outputs, folder)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("dialect", choices=DIALECTS)
    args = arguments.parse_args()
    k = open_old_keras()
    if not k.__version__.startswith(args.dialect.removeprefix("keras")):
        arguments.error(f"{args.dialect} needs another Keras than the installed {k.__version__}")
    folder = generate.HERE / args.dialect
    folder.mkdir(exist_ok=True)
    fixtures = {name: write(k, name, build, folder) for name, build in sorted(DIALECTS[args.dialect].items())}
    generate.write_manifest(args.dialect, {"keras": k.__version__}, fixtures)


if __name__ == "__main__":
    main()
