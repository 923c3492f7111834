"""The networks of the fixtures in the layouts of Keras before TensorFlow took it over.

`KERAS_2` is for Keras 2.0 to 2.2, `KERAS_1` for Keras 1: other class names (`Convolution2D`), other arguments (`nb_filter`,
`border_mode`), one `Merge` layer instead of `Add`, `Concatenate` and so on.
"""

KERAS_1 = {}
KERAS_2 = {}


def keras_1(build):
    """Registers a network under its function's name without the ending."""
    KERAS_1[build.__name__.removesuffix("_1")] = build
    return build


def keras_2(build):
    """Registers a network under its function's name without the ending."""
    KERAS_2[build.__name__.removesuffix("_2")] = build
    return build


def relu6(x):
    """The activation that MobileNet files name and that loading them needed as a custom object."""
    import keras

    return keras.backend.relu(x, max_value=6)


# Keras 2.0 to 2.2


@keras_2
def sequential_2(k):
    """No input layer: the first layer has the shape."""
    layers = k.layers
    net = k.models.Sequential()
    net.add(layers.Conv2D(4, (3, 3), activation="relu", input_shape=(8, 8, 3)))
    net.add(layers.MaxPooling2D(pool_size=(2, 2)))
    net.add(layers.Dropout(0.25))
    net.add(layers.Flatten())
    net.add(layers.Dense(6, activation="relu"))
    net.add(layers.BatchNormalization())
    net.add(layers.Dense(5, activation="softmax"))
    return net


@keras_2
def residual_2(k):
    layers = k.layers
    x = layers.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, padding="same")(x)
    z = layers.Activation("relu")(layers.BatchNormalization(axis=3)(y))
    z = layers.Conv2D(4, 3, padding="same", use_bias=False)(z)
    y = layers.add([y, z])
    y = layers.concatenate([y, layers.Conv2D(2, 1)(y)])
    y = layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2)(y))
    return k.models.Model(x, layers.Dense(5, activation="softmax")(y))


@keras_2
def nested_2(k):
    """A sequential and a functional model inside, the latter used twice."""
    layers = k.layers
    stem = k.models.Sequential([layers.Conv2D(4, 3, padding="same", input_shape=(8, 8, 3)), layers.LeakyReLU(0.2)])
    block_input = layers.Input((8, 8, 4))
    block_output = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(block_input))
    block = k.models.Model(block_input, block_output, name="block")
    x = layers.Input((8, 8, 3))
    y = stem(x)
    y = block(block(y))
    return k.models.Model(x, layers.Dense(5)(layers.GlobalMaxPooling2D()(y)))


@keras_2
def mobilenet_v1_2(k):
    """As `keras.applications` made it: `relu6` as a function, and a reshape before the last convolution."""
    layers = k.layers
    x = layers.Input((16, 16, 3))
    y = layers.ZeroPadding2D(((0, 1), (0, 1)), name="conv1_pad")(x)
    y = layers.Conv2D(4, 3, strides=2, padding="valid", use_bias=False, name="conv1")(y)
    y = layers.Activation(relu6, name="conv1_relu")(layers.BatchNormalization(axis=-1, name="conv1_bn")(y))
    y = layers.ZeroPadding2D(((0, 1), (0, 1)), name="conv_pad_1")(y)
    y = layers.DepthwiseConv2D(3, strides=2, padding="valid", use_bias=False, depth_multiplier=1, name="conv_dw_1")(y)
    y = layers.Activation(relu6, name="conv_dw_1_relu")(layers.BatchNormalization(axis=-1, name="conv_dw_1_bn")(y))
    y = layers.Conv2D(6, 1, padding="same", use_bias=False, name="conv_pw_1")(y)
    y = layers.Activation(relu6, name="conv_pw_1_relu")(layers.BatchNormalization(axis=-1, name="conv_pw_1_bn")(y))
    y = layers.Reshape((1, 1, 6), name="reshape_1")(layers.GlobalAveragePooling2D()(y))
    y = layers.Conv2D(5, 1, padding="same", name="conv_preds")(layers.Dropout(1e-3, name="dropout")(y))
    y = layers.Reshape((5,), name="reshape_2")(layers.Activation("softmax", name="act_softmax")(y))
    return k.models.Model(x, y)


@keras_2
def layers_2(k):
    """One output per layer."""
    layers = k.layers
    x = layers.Input((6, 5, 3))
    variants = [
        layers.SeparableConv2D(4, 3, padding="same", depth_multiplier=2),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same"),
        layers.UpSampling2D((2, 3)),
        layers.Cropping2D(((1, 0), (0, 2))),
        layers.Permute((3, 1, 2)),
        layers.Conv2D(2, 3, dilation_rate=2, padding="same", activation="hard_sigmoid"),
        layers.AveragePooling2D(3, strides=2, padding="same"),
        layers.LeakyReLU(),
        layers.PReLU(shared_axes=[1, 2]),
        layers.ELU(0.5),
        layers.GaussianNoise(0.1),
        layers.SpatialDropout2D(0.1),
    ]
    return k.models.Model(x, [layer(x) for layer in variants])


@keras_2
def merges_2(k):
    layers = k.layers
    x = layers.Input((4, 4, 3))
    a, b = layers.Conv2D(3, 1)(x), layers.Conv2D(3, 1)(x)
    kinds = [layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum]
    return k.models.Model(x, layers.Concatenate(axis=-1)([kind()([a, b]) for kind in kinds]))


# Keras 1


@keras_1
def sequential_1(k):
    layers = k.layers
    net = k.models.Sequential()
    net.add(layers.ZeroPadding2D((1, 1), input_shape=(8, 8, 3)))
    net.add(layers.Convolution2D(4, 3, 3, activation="relu"))
    net.add(layers.Convolution2D(4, 3, 3, border_mode="same", subsample=(2, 2), bias=False))
    net.add(layers.BatchNormalization())
    net.add(layers.Activation("relu"))
    net.add(layers.MaxPooling2D((2, 2), strides=(2, 2)))
    net.add(layers.Dropout(0.5))
    net.add(layers.Flatten())
    net.add(layers.Dense(6, activation="relu"))
    net.add(layers.Dense(5, activation="softmax"))
    return net


@keras_1
def residual_1(k):
    """Sums and concatenations through `merge`."""
    layers = k.layers
    x = layers.Input((8, 8, 3))
    y = layers.Convolution2D(4, 3, 3, border_mode="same")(x)
    z = layers.Activation("relu")(layers.BatchNormalization(axis=3)(y))
    z = layers.Convolution2D(4, 3, 3, border_mode="same")(z)
    y = layers.merge([y, z], mode="sum")
    y = layers.merge([y, layers.Convolution2D(2, 1, 1)(y)], mode="concat", concat_axis=3)
    y = layers.GlobalAveragePooling2D()(layers.AveragePooling2D((2, 2), border_mode="same")(y))
    return k.models.Model(input=x, output=layers.Dense(5, activation="softmax")(y))


@keras_1
def layers_1(k):
    """One output per layer."""
    layers = k.layers
    x = layers.Input((6, 5, 3))
    variants = [
        layers.SeparableConvolution2D(4, 3, 3, border_mode="same", depth_multiplier=2),
        layers.AtrousConvolution2D(2, 3, 3, atrous_rate=(2, 2), border_mode="same"),
        layers.UpSampling2D((2, 3)),
        layers.Cropping2D(((1, 0), (0, 2))),
        layers.Permute((3, 1, 2)),
        layers.Reshape((30, 3)),
        layers.AveragePooling2D((3, 3), strides=(2, 2), border_mode="same"),
        layers.LeakyReLU(0.2),
        layers.PReLU(shared_axes=[1, 2]),
        layers.ELU(0.5),
        layers.SpatialDropout2D(0.1),
    ]
    return k.models.Model(input=x, output=[layer(x) for layer in variants])
