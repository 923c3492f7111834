"""Trains the small digit network that ships with the quickstart recipe.

Writes `digits.npz` (the images, split) and `digits.h5` (the network, legacy Keras HDF5). Both are reproducible:
the split, the initial weights, the augmentation and the order of the batches follow from `--seed`, and TensorFlow
runs its deterministic kernels. Other versions or processors may round differently and give a network as good.

    python train.py --data ../../../recipes/data --models ../../../recipes/models
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

TEST_IMAGES = 500


def split_digits(seed):
    """The 1,797 images as uint8 NHWC with one channel, 0..16, split so that every class keeps its share."""
    digits = load_digits()
    images = digits.images.astype(np.uint8)[..., np.newaxis]
    labels = digits.target.astype(np.uint8)
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels, test_size=TEST_IMAGES, stratify=labels, random_state=seed
    )
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def build_network():
    """A convolution, two depthwise-separable blocks (the second halves the resolution), pooling, a classifier."""

    def normalized(x, layer, name):
        x = layer(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    pixels = keras.Input((8, 8, 1), name="pixels")
    x = normalized(pixels, layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem"), "stem")
    for name, stride, channels in [("block1", 1, 32), ("block2", 2, 64)]:
        depthwise = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise")
        x = normalized(x, depthwise, f"{name}_depthwise")
        pointwise = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")
        x = normalized(x, pointwise, f"{name}_pointwise")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(pixels, layers.Dense(10, activation="softmax", name="digit")(x), name="digits")


def shifted(images, rng):
    """Each image moved by -1, 0 or 1 pixel along both axes, zeros moving in."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    offsets = rng.integers(0, 3, (len(images), 2))
    return np.stack([image[y : y + 8, x : x + 8] for image, (y, x) in zip(padded, offsets)])


def train(network, data, epochs, seed):
    """Adam with a cosine schedule over freshly shifted images; the test images are not looked at."""
    rng = np.random.default_rng(seed)
    batch = 32
    steps = epochs * -(-len(data["x_train"]) // batch)
    network.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    images, labels = data["x_train"].astype(np.float32), data["y_train"]
    for _ in range(epochs):
        order = rng.permutation(len(images))
        network.fit(shifted(images[order], rng), labels[order], batch_size=batch, shuffle=False, verbose=0)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder that receives digits.npz")
    arguments.add_argument("--models", type=Path, required=True, help="folder that receives digits.h5")
    arguments.add_argument("--epochs", type=int, default=40)
    arguments.add_argument("--seed", type=int, default=7)
    args = arguments.parse_args()

    keras.utils.set_random_seed(args.seed)
    tf.config.experimental.enable_op_determinism()

    data = split_digits(args.seed)
    np.savez_compressed(args.data / "digits.npz", **data)

    network = build_network()
    train(network, data, args.epochs, args.seed)
    network.save(args.models / "digits.h5", include_optimizer=False)

    for part in ["train", "test"]:
        decisions = network.predict(data[f"x_{part}"].astype(np.float32), verbose=0).argmax(axis=1)
        right = int((decisions == data[f"y_{part}"]).sum())
        print(f"{part}: {right} of {len(decisions)} right, {right / len(decisions):.2%}")
    print(f"{network.count_params():,} parameters")


if __name__ == "__main__":
    main()
