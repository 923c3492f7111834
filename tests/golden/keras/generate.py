"""Writes the Keras fixtures: each network of `models.py` as a file, with inputs and what Keras makes of them.

    python generate.py keras3        # needs requirements-keras3.txt
    python generate.py keras2        # needs requirements-keras2.txt

For each network a folder named after the dialect receives `<name>.h5` (legacy HDF5, whole model), for some of Keras 3 also
`<name>.keras`, and `<name>.npz`: `x` and `y`, or `x0`, `x1`, … and `y0`, `y1`, … in the order of the model's inputs and
outputs where there are several. The network `split` is written as configuration and weights in files of their own.
`manifest.json` says what is in each file.

Weights and inputs are drawn from NumPy's generator, seeded by the network's name; batch-norm statistics are far from
their initial 0 and 1.
"""

import argparse
import importlib
import json
import os
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import h5py
import numpy as np
import tensorflow as tf

from models import MODELS

HERE = Path(__file__).parent
ARCHIVED = {
    "batch_norms",
    "depthwise",
    "mobilenet_v1",
    "arithmetic",
    "bidirectional",
    "functions",
    "nested",
    "nested_sequential",
    "recurrent_last",
    "recurrent_layers",
    "sequential",
    "shapes",
    "text",
    "text_of_integers",
    "transformer",
}
PACKAGES = {"keras3": "keras", "keras2": "tf_keras"}
SAMPLES = 3


def seed_of(name):
    """Differs from fixture to fixture, the same at every run."""
    return zlib.crc32(name.encode())


def draw_weight(name, shape, rng):
    """Values of the size that the weight's role wants."""
    role = name.split("/")[-1].split(":")[0]
    if role in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape)
    if role == "alpha":
        return rng.uniform(0.05, 0.4, shape)
    if role in ("beta", "moving_mean", "bias"):
        return rng.normal(0, 0.3, shape)
    fan_in = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
    return rng.normal(0, np.sqrt(2 / fan_in), shape)


def draw_weights(network, rng):
    """Gives every floating weight but the adapted statistics of `Normalization` a value."""
    for layer in flat_layers(network):
        if type(layer).__name__ == "Normalization":
            continue
        for weight in layer.weights:
            name = f"{layer.name}/{weight.name}"
            if type(layer).__name__ == "DepthwiseConv2D":
                name = name.replace("kernel", "depthwise_kernel")
            weight.assign(draw_weight(name, tuple(weight.shape), rng).astype(np.float32))


def flat_layers(network):
    """The layers of a model and of the models inside it, each once."""
    found = {}
    for layer in network.layers:
        for inner in flat_layers(layer) if hasattr(layer, "layers") else [layer]:
            found[id(inner)] = inner
    return list(found.values())


def draw_inputs(network, name, rng):
    """Standard normal; wide enough to meet the corners of an activation, pixels where pixels are expected."""
    shapes = [(SAMPLES, *tensor.shape[1:]) for tensor in network.inputs]
    if name.startswith("text"):
        words = min(layer.input_dim for layer in network.layers if type(layer).__name__ == "Embedding")
        dtype = np.int32 if name == "text_of_integers" else np.float32
        return [rng.integers(0, words, shape).astype(dtype) for shape in shapes]
    if name == "preprocessing":
        return [rng.integers(0, 256, shape).astype(np.float32) for shape in shapes]
    spread = 4 if "activation" in name or "rectifiers" in name else 1
    return [rng.normal(0, spread, shape).astype(np.float32) for shape in shapes]


def numbered(letter, arrays):
    """`x` for one array, `x0`, `x1`, … for several."""
    if len(arrays) == 1:
        return {letter: arrays[0]}
    return {f"{letter}{i}": array for i, array in enumerate(arrays)}


def store(network, name, inputs, outputs, folder):
    """Writes inputs and outputs; returns their description."""
    assert all(np.isfinite(y).all() for y in outputs), name
    np.savez_compressed(folder / f"{name}.npz", **numbered("x", inputs), **numbered("y", outputs))
    return {
        "inputs": {key: list(x.shape) for key, x in numbered("x", inputs).items()},
        "outputs": {key: list(y.shape) for key, y in numbered("y", outputs).items()},
        "layers": sorted({type(layer).__name__ for layer in flat_layers(network)}),
    }


def evaluate(network, name, rng, folder):
    """Computes the outputs for drawn inputs and stores both."""
    inputs = draw_inputs(network, name, rng)
    outputs = network(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return store(network, name, inputs, [np.array(y) for y in outputs], folder)


def write_split(k, dialect, rng, folder):
    """The configuration as JSON, the weights apart: in the legacy layout, and in the one of `.weights.h5`."""
    network = MODELS["mobilenet_v1"](k)
    draw_weights(network, rng)
    (folder / "split.json").write_text(json.dumps(json.loads(network.to_json()), indent=1) + "\n")
    if dialect == "keras2":
        network.save_weights(folder / "split.weights-legacy.h5", save_format="h5")
    else:
        legacy = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
        with h5py.File(folder / "split.weights-legacy.h5", "w") as file:
            legacy.save_weights_to_hdf5_group(file, network)
    network.save_weights(folder / "split.weights.h5")
    return evaluate(network, "split", rng, folder) | {
        "files": ["split.json", "split.weights-legacy.h5", "split.weights.h5"]
    }


def write(k, dialect, name, folder):
    """One fixture; returns its description."""
    k.backend.clear_session()
    seed = seed_of(name)
    k.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    if name == "split":
        return {"seed": seed} | write_split(k, dialect, rng, folder)
    network = MODELS[name](k)
    draw_weights(network, rng)
    if name == "compiled":
        target = np.zeros((SAMPLES, *network.output_shape[1:]), np.float32)
        network.fit(draw_inputs(network, name, rng)[0], target, verbose=0)
    network.save(folder / f"{name}.h5", include_optimizer=name == "compiled")
    files = [f"{name}.h5"]
    if dialect == "keras3" and name in ARCHIVED:
        network.save(folder / f"{name}.keras")
        files.append(f"{name}.keras")
    # The outputs are those of the file. Keras 3 writes operators to HDF5, and does not read them from there.
    network = k.models.load_model(folder / files[-1], compile=False)
    return {"seed": seed, "files": files} | evaluate(network, name, rng, folder)


def write_manifest(dialect, versions, fixtures, some):
    """Replaces the dialect's entry in `manifest.json`, or that of some fixtures."""
    path = HERE / "manifest.json"
    manifest = json.loads(path.read_text()) if path.exists() else {}
    versions |= {"tensorflow": tf.__version__, "numpy": np.__version__, "h5py": h5py.__version__}
    if some:
        fixtures = manifest[dialect]["fixtures"] | fixtures
    manifest[dialect] = {"versions": versions, "fixtures": fixtures}
    path.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("dialect", choices=PACKAGES)
    arguments.add_argument("--only", nargs="+", metavar="NAME", help="these networks, the others left alone")
    args = arguments.parse_args()

    k = importlib.import_module(PACKAGES[args.dialect])
    folder = HERE / args.dialect
    folder.mkdir(exist_ok=True)
    fixtures = {name: write(k, args.dialect, name, folder) for name in args.only or sorted([*MODELS, "split"])}
    for path in sorted(folder.glob("*.h5")):
        print(f"{path.stat().st_size:8,} {path.name}")
    write_manifest(args.dialect, {PACKAGES[args.dialect]: k.__version__}, fixtures, bool(args.only))


if __name__ == "__main__":
    main()
