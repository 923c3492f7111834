"""Trains the small MNIST network that ships with the structured pruning lab.

Writes `mnist_cnn.h5` (legacy Keras HDF5): LeNet's shape as the lab's task has it, with widths that are multiples of 8. It is reproducible:
the initial weights, the augmentation and the order of the batches follow from `--seed`, and TensorFlow runs its deterministic kernels.
Other versions or processors may round differently and give a network as good.

    python train.py --data FOLDER_WITH_THE_FOUR_IDX_FILES --models ../../../recipes/models
"""

import argparse
import gzip
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

BATCH = 64


def read(folder, part):
    """Images as float32 NHWC, 0..255, and their labels."""
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    images = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    return images.astype(np.float32), np.frombuffer(labels, np.uint8, offset=8)


def build_network():
    """Two 5x5 convolutions with pooling, two dense layers."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="pixels"),
            layers.Conv2D(16, 5, activation="relu", name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(32, 5, activation="relu", name="conv2"),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="fc1"),
            layers.Dropout(0.3, name="dropout"),
            layers.Dense(10, activation="softmax", name="fc2"),
        ],
        name="mnist_cnn",
    )


def shifted(images, rng):
    """Each image moved by -2 to 2 pixels along both axes, zeros moving in."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    offsets = rng.integers(0, 5, (len(images), 2))
    return np.stack([image[y : y + 28, x : x + 28] for image, (y, x) in zip(padded, offsets)])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder with the four .gz files")
    arguments.add_argument("--models", type=Path, required=True, help="folder that receives mnist_cnn.h5")
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--seed", type=int, default=7)
    args = arguments.parse_args()

    keras.utils.set_random_seed(args.seed)
    tf.config.experimental.enable_op_determinism()
    rng = np.random.default_rng(args.seed)

    images, labels = read(args.data, "train")
    network = build_network()
    steps = args.epochs * -(-len(images) // BATCH)
    network.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.003, steps)),
        loss="sparse_categorical_crossentropy",
    )
    for _ in range(args.epochs):
        order = rng.permutation(len(images))
        network.fit(shifted(images[order], rng) / 255.0, labels[order], batch_size=BATCH, shuffle=False, verbose=0)

    # The network is to read pixels as they are stored, 0 to 255: the first convolution divides.
    conv1 = network.get_layer("conv1")
    kernel, bias = conv1.get_weights()
    conv1.set_weights([kernel / 255.0, bias])
    network.save(args.models / "mnist_cnn.h5", include_optimizer=False)

    for part in ["train", "t10k"]:
        images, labels = read(args.data, part)
        right = int((network.predict(images, verbose=0).argmax(axis=1) == labels).sum())
        print(f"{part}: {right} of {len(labels)} right, {right / len(labels):.2%}")
    print(f"{network.count_params():,} parameters")


if __name__ == "__main__":
    main()
