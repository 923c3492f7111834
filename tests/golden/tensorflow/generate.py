"""Writes the SavedModel fixtures: networks saved by TensorFlow, with inputs and what TensorFlow makes of them.

    python generate.py        # needs ../keras/requirements-keras3.txt

For each network `<name>.zip` receives the folder of the SavedModel, and `<name>.npz` its inputs `x` and outputs `y`; `<name>.tflite` is
what TensorFlow's converter makes of some. `keras_*`
are networks of `../keras/models.py` written by `model.export`; the others are written by `tf.saved_model.save` from
functions, as users of plain TensorFlow do. `manifest.json` says which versions wrote them.
"""

import json
import os
import shutil
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "keras"))

from generate import draw_inputs, draw_weights
from models import MODELS

KERAS = [
    "autoencoder_conv",
    "batch_norms",
    "mobilenet_v2",
    "residual",
    "squeeze_excite",
    "transformer",
    "transposed",
    "upsampling",
]
# Also converted by `tf.lite.TFLiteConverter`, with a batch of any size.
CONVERTED = ["transformer"]


class Plain(tf.Module):
    """Convolutions, shapes and slices written by hand, one function calling another."""

    def __init__(self, rng):
        super().__init__()
        draw = lambda *shape: tf.Variable(rng.normal(0, 0.3, shape).astype(np.float32))
        self.filter, self.depthwise = draw(3, 3, 3, 6), draw(3, 3, 6, 2)
        self.bias, self.weights = draw(6), draw(5, 48)

    @tf.function
    def features(self, x):
        y = tf.nn.conv2d(x, self.filter, [1, 2, 1, 1], [[0, 0], [1, 0], [2, 1], [0, 0]], dilations=[1, 1, 2, 1])
        y = tf.nn.leaky_relu(tf.nn.bias_add(y, self.bias), 0.1)
        return tf.nn.depthwise_conv2d(y, self.depthwise, [1, 1, 1, 1], "SAME")

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 7, 3], tf.float32, name="image")])
    def serve(self, image):
        y = self.features(tf.identity(image))
        left, right = tf.split(y, 2, axis=-1)
        y = tf.concat([left[:, :, 1:5, :], tf.maximum(right[:, :, -4:, :], 0.0)], axis=3)
        y = tf.pad(y, [[0, 0], [1, 1], [0, 0], [0, 0]], constant_values=0.5)
        y = tf.nn.avg_pool2d(y, 3, 2, "SAME")
        y = tf.transpose(y, [0, 2, 1, 3])
        y = tf.reshape(y, [tf.shape(y)[0], -1])[:, :48]
        logits = tf.matmul(y, self.weights, transpose_b=True)
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


def pack(folder, path):
    """A zip archive with the same bytes for the same files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(p for p in Path(folder).rglob("*") if p.is_file() and p.name != "fingerprint.pb"):
            info = zipfile.ZipInfo(str(file.relative_to(folder)), (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.read_bytes())


def main():
    for name in [f"keras_{model}" for model in KERAS] + ["plain"]:
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        folder = tempfile.mkdtemp()
        if name == "plain":
            module = Plain(rng)
            x = rng.normal(0, 1, (3, 8, 7, 3)).astype(np.float32)
            tf.saved_model.save(module, folder, signatures=module.serve)
            outputs = module.serve(x)
            arrays = {"y0": outputs["logits"].numpy(), "y1": outputs["probabilities"].numpy()}
        else:
            keras.backend.clear_session()
            network = MODELS[name.removeprefix("keras_")](keras)
            draw_weights(network, rng)
            [x] = draw_inputs(network, name, rng)
            network.export(folder, verbose=False)
            if name.removeprefix("keras_") in CONVERTED:
                converted = tf.lite.TFLiteConverter.from_keras_model(network).convert()
                (HERE / f"{name}.tflite").write_bytes(converted)
            outputs = network(x, training=False)
            outputs = outputs if isinstance(outputs, list) else [outputs]
            keys = ["y"] if len(outputs) == 1 else [f"y{i}" for i in range(len(outputs))]
            arrays = {key: np.array(y) for key, y in zip(keys, outputs)}
        pack(folder, HERE / f"{name}.zip")
        shutil.rmtree(folder)
        np.savez_compressed(HERE / f"{name}.npz", x=x, **arrays)
        print(f"{(HERE / f'{name}.zip').stat().st_size:8,} {name}")
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    (HERE / "manifest.json").write_text(json.dumps({"versions": versions, "seed": "crc32 of the name"}, indent=1) + "\n")


if __name__ == "__main__":
    main()
