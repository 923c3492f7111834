"""The networks of the Keras fixtures: tiny, each about one thing that the importer must read.

Every function takes the Keras package (`keras` or `tf_keras`) and returns a model; `MODELS` lists them by file name. A network
whose branches have one shape concatenates them, so that a wrong channel names the wrong branch; one whose branches
differ in shape has several outputs.
"""

import numpy as np

MODELS = {}


def model(build):
    """Registers a network under its function's name."""
    MODELS[build.__name__] = build
    return build


def is_keras_2(k):
    return k.__version__.startswith("2.")


def image(k, height=8, width=8, channels=3):
    return k.Input((height, width, channels), name="image")


def conv_bn_relu(k, x, filters, kernel=3, strides=1):
    x = k.layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    return k.layers.ReLU()(k.layers.BatchNormalization()(x))


def side_by_side(k, x, branches):
    """The outputs of `branches` (name to layer), one after the other along the channels."""
    return k.Model(x, k.layers.Concatenate()([branch(x) for branch in branches.values()]))


# Model kinds


@model
def sequential(k):
    layers = k.layers
    return k.Sequential(
        [
            k.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.Dense(5),
            layers.Activation("softmax"),
        ]
    )


@model
def residual(k):
    """ResNet's two blocks: identity shortcut, then stride 2 with a projected shortcut."""
    layers = k.layers
    x = image(k)
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    for filters, strides in [(4, 1), (8, 2)]:
        shortcut = y
        y = conv_bn_relu(k, y, filters, strides=strides)
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(y))
        if strides > 1:
            shortcut = layers.Conv2D(filters, 1, strides=strides, padding="same")(shortcut)
        y = layers.Activation("relu")(layers.add([shortcut, y]))
    y = layers.Flatten()(layers.AveragePooling2D(4)(y))
    return k.Model(x, layers.Dense(5, activation="softmax")(y))


@model
def nested(k):
    """A functional model that holds a sequential and a functional one, which in turn holds a sequential one."""
    layers = k.layers
    stem = k.Sequential([k.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same"), layers.ReLU()], name="stem")
    inner = k.Sequential([k.Input((8, 8, 4)), layers.DepthwiseConv2D(3, padding="same")], name="inner")
    block_input = k.Input((8, 8, 4))
    block_output = layers.Add()([block_input, layers.BatchNormalization()(inner(block_input))])
    block = k.Model(block_input, block_output, name="block")
    x = image(k)
    y = layers.GlobalAveragePooling2D()(block(stem(x)))
    return k.Model(x, layers.Dense(5)(y))


@model
def nested_sequential(k):
    """A sequential model whose first layer is a functional backbone, as in transfer learning."""
    layers = k.layers
    x = k.Input((8, 8, 3))
    backbone = k.Model(x, conv_bn_relu(k, x, 4, strides=2), name="backbone")
    return k.Sequential([k.Input((8, 8, 3)), backbone, layers.GlobalMaxPooling2D(), layers.Dense(5)])


@model
def shared(k):
    """A convolution and a model used twice each, on two inputs; two outputs."""
    layers = k.layers
    left, right = k.Input((6, 6, 2), name="left"), k.Input((6, 6, 2), name="right")
    conv = layers.Conv2D(3, 3, padding="same", name="twice")
    tower = k.Sequential([k.Input((6, 6, 3)), layers.ReLU(), layers.MaxPooling2D()], name="tower")
    a, b = tower(conv(left)), tower(conv(right))
    joined = layers.Dense(4, name="joined")(layers.Flatten()(layers.Concatenate()([a, b])))
    return k.Model([left, right], [joined, layers.Subtract(name="difference")([a, b])])


@model
def mobilenet_v1(k):
    """Asymmetric padding before the strided convolutions, depthwise blocks, ReLU6, a convolution as classifier."""
    layers = k.layers
    x = image(k, 16, 16)
    y = layers.ZeroPadding2D(((0, 1), (0, 1)), name="conv1_pad")(x)
    y = layers.Conv2D(4, 3, strides=2, padding="valid", use_bias=False, name="conv1")(y)
    y = layers.ReLU(6.0, name="conv1_relu")(layers.BatchNormalization(name="conv1_bn")(y))
    for block, (filters, strides) in enumerate([(6, 1), (8, 2)], start=1):
        if strides == 2:
            y = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{block}")(y)
        padding = "same" if strides == 1 else "valid"
        y = layers.DepthwiseConv2D(3, strides=strides, padding=padding, use_bias=False, name=f"conv_dw_{block}")(y)
        y = layers.ReLU(6.0, name=f"conv_dw_{block}_relu")(layers.BatchNormalization(name=f"conv_dw_{block}_bn")(y))
        y = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{block}")(y)
        y = layers.ReLU(6.0, name=f"conv_pw_{block}_relu")(layers.BatchNormalization(name=f"conv_pw_{block}_bn")(y))
    y = layers.GlobalAveragePooling2D(keepdims=True)(y)
    y = layers.Conv2D(5, 1, padding="same", name="conv_preds")(layers.Dropout(0.001, name="dropout")(y))
    y = layers.Reshape((5,), name="reshape_2")(y)
    return k.Model(x, layers.Activation("softmax", name="predictions")(y))


@model
def mobilenet_v2(k):
    """An inverted residual with linear bottleneck, and one with stride 2."""
    layers = k.layers
    x = image(k)
    y = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    for strides in [1, 2]:
        z = layers.Conv2D(8, 1, padding="same", use_bias=False)(y)
        z = layers.ReLU(6.0)(layers.BatchNormalization(epsilon=1e-3, momentum=0.999)(z))
        if strides == 2:
            z = layers.ZeroPadding2D(((0, 1), (0, 1)))(z)
        z = layers.DepthwiseConv2D(3, strides=strides, use_bias=False, padding="same" if strides == 1 else "valid")(z)
        z = layers.ReLU(6.0)(layers.BatchNormalization(epsilon=1e-3, momentum=0.999)(z))
        z = layers.Conv2D(4, 1, padding="same", use_bias=False)(z)
        z = layers.BatchNormalization(epsilon=1e-3, momentum=0.999)(z)
        y = layers.Add()([y, z]) if strides == 1 else z
    return k.Model(x, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(y)))


@model
def autoencoder_dense(k):
    """The shape of MLPerf Tiny's anomaly detector."""
    layers = k.layers
    x = k.Input((40,), name="features")
    y = x
    for width in [16, 4, 16]:
        y = layers.Activation("relu")(layers.BatchNormalization()(layers.Dense(width)(y)))
    return k.Model(x, layers.Dense(40)(y))


@model
def autoencoder_conv(k):
    layers = k.layers
    x = image(k, 8, 8, 1)
    y = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    y = layers.Conv2D(2, 3, strides=2, padding="same", activation="relu")(y)
    y = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(y)
    y = layers.UpSampling2D()(y)
    return k.Model(x, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(y))


@model
def unet(k):
    """Skip connections across a bottleneck, joined by concatenation."""
    layers = k.layers
    x = image(k)
    fine = conv_bn_relu(k, x, 3)
    coarse = conv_bn_relu(k, layers.MaxPooling2D()(fine), 4)
    up = layers.Conv2DTranspose(3, 2, strides=2, padding="same")(coarse)
    return k.Model(x, layers.Conv2D(2, 1, activation="softmax")(layers.concatenate([up, fine])))


@model
def compiled(k):
    """Saved with its optimizer, as `model.save` does after training."""
    layers = k.layers
    net = k.Sequential([k.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)])
    net.compile(optimizer=k.optimizers.Adam(), loss="mse", metrics=["mae"])
    return net


@model
def transformer(k):
    """Attention of a sequence to itself and of a shorter one to it, its parts with and without biases, scales and centres."""
    layers = k.layers
    x = k.Input((6, 8), name="sequence")
    y = layers.LayerNormalization()(x)
    y = layers.Add()([x, layers.MultiHeadAttention(2, 3, value_dim=4, name="self_attention")(y, y)])
    z = layers.LayerNormalization(epsilon=1e-5, center=False)(y)
    z = layers.Dense(8)(layers.Dense(12, activation="gelu")(z))
    y = layers.LayerNormalization(scale=False)(layers.Add()([y, z]))
    short = layers.AveragePooling1D(2)(y)
    attend = layers.MultiHeadAttention(1, 5, output_shape=7, use_bias=False, name="cross_attention")
    y = attend(short, value=y, key=layers.Dense(9, activation="tanh")(y))
    y = layers.EinsumDense("abc,cd->abd", output_shape=(3, 6), bias_axes="d", name="equation")(y)
    return k.Model(x, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(y)))


# Layers


@model
def convolutions(k):
    layers = k.layers
    x = image(k, 9, 7, 4)
    variants = [
        layers.Conv2D(3, 3, padding="same", name="same"),
        layers.Conv2D(3, 3, padding="same", strides=2, name="same_stride"),
        layers.Conv2D(3, (3, 2), padding="same", strides=(1, 2), name="same_even"),
        layers.Conv2D(3, 3, padding="valid", strides=(2, 1), name="valid"),
        layers.Conv2D(3, 3, padding="same", dilation_rate=2, name="dilated"),
        layers.Conv2D(3, (1, 5), padding="same", use_bias=False, name="row"),
        layers.Conv2D(6, 3, padding="same", groups=2, name="grouped"),
        layers.Conv2D(3, 1, strides=3, padding="same", name="pointwise_stride"),
    ]
    return k.Model(x, [layer(x) for layer in variants])


@model
def depthwise(k):
    layers = k.layers
    x = image(k, 9, 7, 3)
    variants = [
        layers.DepthwiseConv2D(3, padding="same", name="same"),
        layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, activation="relu", name="multiplied"),
        layers.DepthwiseConv2D((2, 3), strides=1, padding="valid", use_bias=False, name="valid"),
        layers.DepthwiseConv2D(3, padding="same", dilation_rate=2, name="dilated"),
        layers.SeparableConv2D(4, 3, padding="same", name="separable"),
        layers.SeparableConv2D(4, 3, strides=2, depth_multiplier=2, activation="relu", name="separable_multiplied"),
        layers.SeparableConv2D(4, 3, use_bias=False, name="separable_unbiased"),
    ]
    return k.Model(x, [layer(x) for layer in variants])


@model
def transposed(k):
    layers = k.layers
    x = image(k, 4, 5, 3)
    variants = [
        layers.Conv2DTranspose(2, 3, strides=2, padding="same", name="same"),
        layers.Conv2DTranspose(2, 4, strides=2, padding="same", name="same_even"),
        layers.Conv2DTranspose(2, 2, strides=2, padding="valid", use_bias=False, name="valid"),
        layers.Conv2DTranspose(2, 2, strides=3, padding="valid", name="valid_gap"),
        layers.Conv2DTranspose(2, 3, padding="same", activation="relu", name="stride_1"),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1, name="output_padding"),
        layers.Conv2DTranspose(2, (3, 5), strides=(1, 3), padding="valid", name="oblong"),
    ]
    return k.Model(x, [layer(x) for layer in variants])


@model
def upsampling(k):
    layers = k.layers
    x = image(k, 3, 4, 2)
    variants = [
        layers.UpSampling2D(name="nearest"),
        layers.UpSampling2D((2, 3), name="nearest_oblong"),
        layers.UpSampling2D(2, interpolation="bilinear", name="bilinear"),
        layers.UpSampling2D((3, 2), interpolation="bilinear", name="bilinear_oblong"),
    ]
    return k.Model(x, [layer(x) for layer in variants])


@model
def batch_norms(k):
    layers = k.layers
    x = image(k, 4, 4, 3)
    return side_by_side(
        k,
        x,
        {
            "plain": layers.BatchNormalization(name="plain"),
            "unscaled": layers.BatchNormalization(scale=False, name="unscaled"),
            "uncentered": layers.BatchNormalization(center=False, name="uncentered"),
            "bare": layers.BatchNormalization(scale=False, center=False, epsilon=0.1, name="bare"),
        },
    )


@model
def dense(k):
    """On a vector without bias, and on the last axis of an image."""
    layers = k.layers
    x = image(k, 4, 4, 3)
    y = layers.Dense(4, activation="tanh", name="per_pixel")(x)
    return k.Model(x, layers.Dense(5, use_bias=False, name="unbiased")(layers.Flatten()(y)))


ACTIVATIONS = ["linear", "relu", "relu6", "elu", "sigmoid", "tanh", "hard_sigmoid", "swish", "gelu", "softmax"]
KERAS_3_ACTIVATIONS = ["silu", "hard_silu", "hard_swish", "leaky_relu"]
RARE_ACTIVATIONS = ["selu", "softplus", "softsign", "exponential"]


def activation_names(k):
    """What both dialects know by name. Keras 2 has `relu6` in MobileNet files only, through a custom object."""
    if is_keras_2(k):
        return [name for name in ACTIVATIONS if name != "relu6"]
    return ACTIVATIONS + KERAS_3_ACTIVATIONS


@model
def activation_layers(k):
    layers = k.layers
    return side_by_side(
        k, image(k, 4, 4, 3), {name: layers.Activation(name, name=f"as_{name}") for name in activation_names(k)}
    )


@model
def activation_arguments(k):
    layers = k.layers
    return side_by_side(
        k,
        image(k, 4, 4, 3),
        {name: layers.Conv2D(3, 1, activation=name, name=f"conv_{name}") for name in activation_names(k)},
    )


@model
def rare_activations(k):
    layers = k.layers
    return side_by_side(
        k, image(k, 4, 4, 3), {name: layers.Activation(name, name=f"as_{name}") for name in RARE_ACTIVATIONS}
    )


@model
def norms(k):
    """By groups of channels, by the root of the mean square, to length 1."""
    layers = k.layers
    kinds = {
        "groups": layers.GroupNormalization(groups=2, name="groups"),
        "each_channel": layers.GroupNormalization(groups=-1, center=False, name="each_channel"),
        "one_group": layers.GroupNormalization(groups=1, scale=False, epsilon=1e-2, name="one_group"),
        "length": layers.UnitNormalization(name="length"),
    }
    if hasattr(layers, "RMSNormalization"):
        kinds["mean_square"] = layers.RMSNormalization(name="mean_square")
    return side_by_side(k, image(k, 4, 5, 6), kinds)


@model
def rectifiers(k):
    """The activations that are layers of their own."""
    layers = k.layers
    leaky = {"alpha" if is_keras_2(k) else "negative_slope": 0.1}
    return side_by_side(
        k,
        image(k, 4, 4, 3),
        {
            "relu": layers.ReLU(name="relu"),
            "relu_6": layers.ReLU(max_value=6, name="relu_6"),
            "relu_1": layers.ReLU(max_value=1.0, name="relu_1"),
            "relu_slope": layers.ReLU(negative_slope=0.25, name="relu_slope"),
            "leaky": layers.LeakyReLU(name="leaky"),
            "leaky_0.1": layers.LeakyReLU(**leaky, name="leaky_tenth"),
            "prelu": layers.PReLU(name="prelu"),
            "prelu_shared": layers.PReLU(shared_axes=[1, 2], name="prelu_shared"),
            "elu": layers.ELU(name="elu"),
            "softmax": layers.Softmax(name="softmax"),
        },
    )


@model
def rare_rectifiers(k):
    """A threshold, a cap above a slope, ELU with another alpha, softmax along the rows."""
    layers = k.layers
    return side_by_side(
        k,
        image(k, 4, 4, 3),
        {
            "threshold": layers.ReLU(threshold=0.5, name="threshold"),
            "all": layers.ReLU(max_value=3, negative_slope=0.25, threshold=0.5, name="all"),
            "elu_half": layers.ELU(0.5, name="elu_half"),
            "softmax_rows": layers.Softmax(axis=1, name="softmax_rows"),
        },
    )


@model
def merges(k):
    layers = k.layers
    x = image(k, 4, 4, 3)
    a, b, c = (layers.Conv2D(3, 1, name=f"operand_{i}")(x) for i in range(3))
    merged = [
        layers.Add()([a, b]),
        layers.Add(name="add_three")([a, b, c]),
        layers.Subtract()([a, b]),
        layers.Multiply()([a, b]),
        layers.Average()([a, b, c]),
        layers.Maximum()([a, b]),
        layers.Minimum()([a, b, c]),
        layers.Add(name="twice_the_same")([a, a]),
    ]
    return k.Model(x, layers.Concatenate()(merged))


@model
def concatenations(k):
    """Along each axis, the last written as -1 and as 3."""
    layers = k.layers
    x = image(k, 4, 4, 3)
    a, b = (layers.Conv2D(3, 1, name=f"operand_{i}")(x) for i in range(2))
    return k.Model(x, [layers.Concatenate(axis=axis)([a, b, x]) for axis in [-1, 3, 2, 1]])


@model
def squeeze_excite(k):
    """A gate of one value per channel, broadcast over the image."""
    layers = k.layers
    x = image(k, 6, 6, 8)
    gate = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(2, 1, activation="relu")(gate)
    gate = layers.Conv2D(8, 1, activation="hard_sigmoid")(gate)
    return k.Model(x, layers.Multiply()([x, gate]))


@model
def pooling(k):
    """Odd sizes, so that `same` pads; padding takes no part in the average."""
    layers = k.layers
    x = image(k, 7, 9, 2)
    variants = []
    for kind, pool in [("max", layers.MaxPooling2D), ("average", layers.AveragePooling2D)]:
        variants += [
            pool(2, name=f"{kind}"),
            pool(2, padding="same", name=f"{kind}_same"),
            pool((3, 2), strides=(1, 2), padding="same", name=f"{kind}_overlapping"),
            pool(3, strides=1, padding="valid", name=f"{kind}_valid"),
        ]
    return k.Model(x, [layer(x) for layer in variants])


@model
def global_pooling(k):
    layers = k.layers
    x = image(k, 5, 4, 3)
    variants = [
        layers.GlobalAveragePooling2D(),
        layers.GlobalMaxPooling2D(),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.GlobalMaxPooling2D(keepdims=True),
    ]
    return k.Model(x, [layer(x) for layer in variants])


@model
def shapes(k):
    layers = k.layers
    x = image(k, 4, 6, 2)
    variants = [
        layers.Flatten(),
        layers.Reshape((6, 8)),
        layers.Reshape((-1, 3, 4), name="inferred"),
        layers.Permute((2, 1, 3)),
        layers.Permute((3, 1, 2), name="channels_first"),
        layers.Cropping2D(1, name="crop"),
        layers.Cropping2D((0, 2), name="crop_columns"),
        layers.Cropping2D(((0, 1), (2, 1)), name="crop_each"),
        layers.ZeroPadding2D(1, name="pad"),
        layers.ZeroPadding2D((0, 2), name="pad_columns"),
        layers.ZeroPadding2D(((0, 1), (2, 1)), name="pad_each"),
    ]
    return k.Model(x, [layer(x) for layer in variants])


@model
def training_only(k):
    """Layers that do nothing after training."""
    layers = k.layers
    net = [
        k.Input((6, 6, 3)),
        layers.GaussianNoise(0.1),
        layers.Conv2D(4, 3, kernel_regularizer="l2", kernel_constraint="max_norm"),
        layers.SpatialDropout2D(0.2),
        layers.ActivityRegularization(0.01),
        layers.Flatten(),
        layers.GaussianDropout(0.2),
        layers.AlphaDropout(0.2),
        layers.Dense(5),
        layers.Dropout(0.5),
        layers.Activation("linear"),
    ]
    return k.Sequential(net)


@model
def preprocessing(k):
    """Pixels to numbers: scale and offset, then statistics from the configuration and from weights."""
    layers = k.layers
    x = image(k, 4, 4, 3)
    y = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    stated = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 1.0, 2.0], name="stated")(y)
    adapted = layers.Normalization(name="adapted")
    grid = [[[[i / 16 - 0.5, (i * 5 % 16) / 8, -i / 4] for i in range(16)]]]
    adapted.adapt(np.array(grid, np.float32))
    return k.Model(x, layers.Concatenate()([stated, adapted(y)]))


@model
def recurrent(k):
    """A layer in the middle of a network, its last state alone."""
    layers = k.layers
    x = k.Input((6, 3), name="sequence")
    return k.Model(x, layers.Dense(2)(layers.LSTM(4, name="memory")(x)))


@model
def recurrent_layers(k):
    """Cells, directions, functions and biases, side by side along the features."""
    layers = k.layers
    x = k.Input((5, 3), name="sequence")
    branches = {
        "lstm": layers.LSTM(4, return_sequences=True, name="lstm"),
        "lstm_backwards": layers.LSTM(3, return_sequences=True, go_backwards=True, name="lstm_backwards"),
        "lstm_hard": layers.LSTM(
            4, return_sequences=True, activation="relu", recurrent_activation="hard_sigmoid", name="lstm_hard"
        ),
        "lstm_unbiased": layers.LSTM(2, return_sequences=True, use_bias=False, unroll=True, name="lstm_unbiased"),
        "gru": layers.GRU(4, return_sequences=True, name="gru"),
        "gru_before": layers.GRU(4, return_sequences=True, reset_after=False, name="gru_before"),
        "gru_unbiased": layers.GRU(3, return_sequences=True, use_bias=False, name="gru_unbiased"),
        "rnn": layers.SimpleRNN(4, return_sequences=True, name="rnn"),
        "rnn_relu": layers.SimpleRNN(3, return_sequences=True, activation="relu", dropout=0.2, name="rnn_relu"),
    }
    return side_by_side(k, x, branches)


@model
def recurrent_last(k):
    """The state after the last step, read forwards and backwards, and layers on layers."""
    layers = k.layers
    x = k.Input((6, 2), name="sequence")
    deep = layers.GRU(3, name="second")(layers.LSTM(4, return_sequences=True, name="first")(x))
    backwards = layers.GRU(4, go_backwards=True, name="backwards")(x)
    both = layers.Bidirectional(layers.LSTM(3, name="memory"), name="both")(x)
    summed = layers.Bidirectional(layers.GRU(4, name="gate"), merge_mode="sum", name="summed")(x)
    return k.Model(x, layers.Concatenate()([deep, backwards, both, summed]))


@model
def bidirectional(k):
    """Both directions step by step, in every way of putting them together, and with a layer of its own for the way back."""
    layers = k.layers
    x = k.Input((4, 3), name="sequence")
    lstm = lambda name: layers.LSTM(3, return_sequences=True, name=name)
    back = layers.GRU(3, return_sequences=True, go_backwards=True, name="back")
    branches = {
        "concat": layers.Bidirectional(lstm("a"), name="concat"),
        "ave": layers.Bidirectional(lstm("b"), merge_mode="ave", name="ave"),
        "mul": layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True, name="c"), merge_mode="mul", name="mul"),
        "other": layers.Bidirectional(
            layers.GRU(3, return_sequences=True, reset_after=False, name="there"), backward_layer=back, name="other"
        ),
    }
    return side_by_side(k, x, branches)


@model
def text(k):
    """Numbers of words to a class."""
    layers = k.layers
    words = k.Input((7,), name="words")
    x = layers.Embedding(20, 4, name="table")(words)
    x = layers.Bidirectional(layers.LSTM(4, name="memory"), name="both")(x)
    return k.Model(words, layers.Dense(3, activation="softmax")(layers.Dense(5, activation="relu")(x)))


@model
def text_of_integers(k):
    """The same with numbers that are declared to be integers, and the words added up."""
    layers = k.layers
    words = k.Input((5,), dtype="int32", name="words")
    x = layers.Embedding(11, 3, name="table")(words)
    x = layers.GRU(4, return_sequences=True, name="memory")(x)
    return k.Model(words, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


@model
def arithmetic(k):
    """Operators on tensors where layers end: numbers on either side, slices."""
    x = image(k, 4, 6, 3)
    each = [0.5, 1.0, -2.0] if is_keras_2(k) else np.array([0.5, 1.0, -2.0], np.float32)
    outputs = [
        k.layers.Conv2D(2, 1)((x - 127.5) / 127.5),
        2.0 - x * 0.5,
        1.0 / (x * x + 1.5),
        -x + each,
        x[:, 1:3, ::2],
        x[..., 0:2],
        x[:, -1] + x[:, 0],
    ]
    return k.Model(x, outputs)


@model
def functions(k):
    """Functions of tensors that are no layers: of `keras.ops`, and of TensorFlow in Keras 2."""
    x = image(k, 4, 6, 4)
    if is_keras_2(k):
        import tensorflow as tf

        mean, total, greatest = tf.reduce_mean, tf.reduce_sum, tf.reduce_max
        nn, concat, power, clip = tf.nn, tf.concat, tf.pow, tf.clip_by_value
        first, second = tf.split(x, 2, axis=3)
        stacked = tf.stack([first, second], axis=1)
        product = tf.matmul(first, second, transpose_b=True)
        shaped = tf.reshape(x, [-1, 24, 4])
        turned = tf.transpose(x, [0, 3, 1, 2])
        padded = tf.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]])
    else:
        ops = k.ops
        mean, total, greatest = ops.mean, ops.sum, ops.max
        nn, concat, power, clip = ops.nn, ops.concatenate, ops.power, ops.clip
        first, second = ops.split(x, 2, axis=3)
        stacked = ops.stack([first, second], axis=1)
        product = ops.matmul(first, ops.transpose(second, (0, 1, 3, 2)))
        shaped = ops.reshape(x, (-1, 24, 4))
        turned = ops.transpose(x, (0, 3, 1, 2))
        padded = ops.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]])
    outputs = [
        x * nn.relu6(x + 3.0) * (1.0 / 6.0),
        mean(x, axis=[1, 2], keepdims=True),
        total(x, axis=-1),
        greatest(x, axis=2),
        concat([first, nn.sigmoid(second)], axis=-1),
        power(x, 2.0) + clip(x, -0.5, 0.75),
        nn.softmax(x, axis=-1),
        stacked,
        product,
        shaped,
        turned,
        padded,
    ]
    return k.Model(x, outputs)


@model
def separable_rows(k):
    """Depthwise and separable convolutions of sequences."""
    layers = k.layers
    x = k.Input((9, 3), name="sequence")
    branches = {
        "depthwise": layers.DepthwiseConv1D(3, padding="same", name="depthwise"),
        "multiplied": layers.DepthwiseConv1D(
            3, padding="same", depth_multiplier=2, activation="relu", use_bias=False, name="multiplied"
        ),
        "separable": layers.SeparableConv1D(5, 3, padding="same", name="separable"),
        "even": layers.SeparableConv1D(4, 2, padding="same", name="even"),
    }
    return side_by_side(k, x, branches)
