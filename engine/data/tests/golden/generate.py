"""Writes the golden files of the resize and JPEG tests.

    python generate.py

Made with Pillow 13.0.0, TensorFlow 2.21.0, NumPy 2.4.6. `source_HxWxC.npy` is noise with hard edges; every
`<method>_HxWxC_to_HxW.npy` is that image resized by `PIL.Image.resize` (uint8) or `tf.image.resize` (float32).
`jpeg.jpg` is a smooth picture with 4:2:0 chroma, `jpeg.npy` its pixels and `jpeg_gray.npy` their luma as Pillow (libjpeg-turbo 3.2.0) gives them.
"""

import numpy as np
import PIL
import tensorflow as tf
from PIL import Image

SOURCES = [(7, 11, 3), (9, 6, 1)]
TARGETS = [(3, 4), (7, 5), (13, 20), (16, 6)]
PILLOW = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}


def main():
    print("Pillow", PIL.__version__, "TensorFlow", tf.__version__, "NumPy", np.__version__)
    rng = np.random.default_rng(20)
    for h, w, c in SOURCES:
        image = rng.integers(0, 256, (h, w, c), dtype=np.uint8)
        image[: h // 2, : w // 2] = np.where(image[: h // 2, : w // 2] > 127, 255, 0)
        np.save(f"source_{h}x{w}x{c}.npy", image)
        picture = Image.fromarray(image if c == 3 else image[..., 0])
        for th, tw in TARGETS:
            name = f"{h}x{w}x{c}_to_{th}x{tw}.npy"
            for method, filter in PILLOW.items():
                resized = np.asarray(picture.resize((tw, th), filter)).reshape(th, tw, c)
                np.save(f"{method}_{name}", resized)
            np.save(f"tf-bilinear_{name}", tf.image.resize(image, (th, tw), "bilinear").numpy())

    y, x = np.mgrid[0:24, 0:40]
    smooth = np.stack([x * 6, y * 10, 128 + 90 * np.sin((x + y) / 9)], -1).astype(np.uint8)
    Image.fromarray(smooth).save("jpeg.jpg", quality=75, subsampling="4:2:0")
    with Image.open("jpeg.jpg") as picture:
        np.save("jpeg.npy", np.asarray(picture))
        np.save("jpeg_gray.npy", np.asarray(picture.convert("L")))


main()
