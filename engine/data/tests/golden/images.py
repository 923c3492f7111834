"""Writes `images/` (pictures in the formats and colour modes that data sets hold under the name of JPEG) and `images.npz`, what Pillow's
`convert("RGB")` makes of each.

    python images.py

Made with Pillow 13.0.0, NumPy 2.4.6."""

import io
import os

import numpy as np
import PIL
from PIL import Image

H, W = 9, 12


def main():
    print("Pillow", PIL.__version__, "NumPy", np.__version__)
    os.makedirs("images", exist_ok=True)
    y, x = np.mgrid[0:H, 0:W]
    rgb = np.stack([x * 20, y * 25, 128 + 90 * np.sin((x + y) / 4)], -1).astype(np.uint8)
    color = Image.fromarray(rgb)
    alpha = color.copy()
    alpha.putalpha(Image.fromarray((x * 15 + y * 5).astype(np.uint8)))
    gray, palette, bits = color.convert("L"), color.quantize(17), color.convert("1")
    cmyk = color.convert("CMYK")

    def made(picture, kind, **options):
        file = io.BytesIO()
        picture.save(file, kind, **options)
        return file.getvalue()

    jpeg = made(color, "JPEG", quality=95, subsampling="4:4:4")
    second = Image.fromarray(rgb[::-1])
    files = {
        "jpeg_trailing": jpeg + b"\0\x0d\x0asome text behind the end",
        "jpeg_two": jpeg + jpeg,
        "jpeg_gray": made(gray, "JPEG", quality=95),
        "jpeg_cmyk": made(cmyk, "JPEG", quality=95),
        "jpeg_progressive": made(color, "JPEG", quality=95, progressive=True, subsampling="4:4:4"),
        "jpeg_fill": jpeg[:2] + b"\xff\xff\xff" + jpeg[2:],
        "png_palette": made(palette, "PNG"),
        "png_bits": made(bits, "PNG"),
        "png_alpha": made(alpha, "PNG"),
        "gif": made(palette, "GIF"),
        "gif_animated": made(palette, "GIF", save_all=True, append_images=[second.quantize(9)]),
        "bmp": made(color, "BMP"),
        "bmp_palette": made(palette, "BMP"),
        "bmp_gray": made(gray, "BMP"),
        "bmp_bits": made(bits, "BMP"),
        "bmp_alpha": made(alpha, "BMP"),
        "webp_lossless": made(color, "WEBP", lossless=True),
        "webp_alpha": made(alpha, "WEBP", lossless=True, exact=True),
        "webp_lossy": made(color, "WEBP", quality=90),
        "tiff": made(color, "TIFF"),
        "tiff_lzw": made(color, "TIFF", compression="tiff_lzw"),
        "tiff_packbits": made(gray, "TIFF", compression="packbits"),
        "tiff_alpha": made(alpha, "TIFF"),
    }
    arrays = {}
    for name, bytes_ in files.items():
        with open(f"images/{name}", "wb") as file:
            file.write(bytes_)
        with Image.open(io.BytesIO(bytes_)) as picture:
            arrays[name] = np.asarray(picture.convert("RGB"))
    np.savez("images.npz", **arrays)


if __name__ == "__main__":
    main()
