"""Trains the two-class network that ships with the recipe `two-classes.yaml`: ships and trucks of CIFAR-10.

Takes an archive of image folders, `train/ship/*.jpg` and so on, writes `ship_truck.h5` (legacy Keras HDF5), and says how
many images of `--test` it decides rightly. Other versions or processors may round differently and give a network as good.

    python train.py --train cifar10-train.tar.gz --test cifar10-test.tar.gz --models ../../../recipes/models
"""

import argparse
import io
import os
import tarfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image

CLASSES = ["ship", "truck"]


def read(archive):
    """The images of the two classes as float32 NHWC, 0..255, with their labels, in the order of the archive's names."""
    images, labels = [], []
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar if m.name.endswith(".jpg")), key=lambda m: m.name)
        for member in members:
            name = Path(member.name).parent.name
            if name in CLASSES:
                images.append(np.asarray(Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")))
                labels.append(CLASSES.index(name))
    return np.stack(images).astype(np.float32), np.array(labels, np.int32)


def build_network():
    """Scaling, a convolution, three depthwise-separable blocks that halve the resolution, pooling, a classifier."""

    def normalized(x, layer, name):
        x = layer(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    pixels = keras.Input((32, 32, 3), name="pixels")
    x = layers.Rescaling(1 / 255, name="scale")(pixels)
    x = normalized(x, layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem"), "stem")
    for block, channels in enumerate([32, 64, 96], 1):
        name = f"block{block}"
        depthwise = layers.DepthwiseConv2D(3, 2, padding="same", use_bias=False, name=f"{name}_depthwise")
        x = normalized(x, depthwise, f"{name}_depthwise")
        pointwise = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")
        x = normalized(x, pointwise, f"{name}_pointwise")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(pixels, layers.Dense(2, activation="softmax", name="class")(x), name="ship_truck")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--train", type=Path, required=True)
    arguments.add_argument("--test", type=Path, required=True)
    arguments.add_argument("--models", type=Path, required=True)
    arguments.add_argument("--epochs", type=int, default=8)
    arguments.add_argument("--seed", type=int, default=7)
    args = arguments.parse_args()
    keras.utils.set_random_seed(args.seed)
    tf.config.experimental.enable_op_determinism()
    (x, y), (x_test, y_test) = read(args.train), read(args.test)
    model = build_network()
    batches = 64
    rate = keras.optimizers.schedules.CosineDecay(2e-3, args.epochs * (len(x) // batches + 1))
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    flipped = np.concatenate([x, x[:, :, ::-1]]), np.concatenate([y, y])
    model.fit(*flipped, batch_size=2 * batches, epochs=args.epochs, verbose=2)
    model.save(args.models / "ship_truck.h5", include_optimizer=False)
    right = int((model.predict(x_test, verbose=0).argmax(1) == y_test).sum())
    print(f"{right} of {len(y_test)} test images, {model.count_params()} parameters")


if __name__ == "__main__":
    main()
