"""One image reader, one resize, one writer."""

import os
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from bench.errors import UnreadableImage

# Faces are read-only, so that no plugin changes them for the others; torch warns of tensors on them that nobody writes to.
warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
warnings.filterwarnings("ignore", module=r"PIL(\.|$)")  # of damaged and large files, which are named in a line below
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM")  # no other decoder of Pillow is asked
SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
# What is named where it is left out: images that are not read.
UNREAD = {
    ".avif", ".heic", ".heif", ".gif", ".jxl", ".jp2", ".tga", ".dng", ".cr2", ".nef", ".arw", ".exr", ".hdr", ".psd", ".svg",
}  # fmt: skip
ORIENTATION, TURNED = 0x0112, 5  # the EXIF tag, and from where on sides are exchanged
MOST = 2**28 // 3  # pixels that an image may have, as Pillow advises


def read_image(path: str | Path) -> np.ndarray:
    """Read a file as RGB: (3, H, W) uint8, turned as its EXIF orientation says.

    Grey is repeated, alpha is laid over white, 16 bits become 8, floats in [0, 1] too.

    Raises UnreadableImage, naming the file and what is wrong with it.
    """
    try:
        if not os.path.isfile(path):  # a pipe would be waited for
            raise ValueError("not a file" if os.path.exists(path) else "no such file")
        with Image.open(path, formats=FORMATS) as file:
            if file.width * file.height > MOST:
                raise Image.DecompressionBombError
            file.load()
            deep = file.mode == "I" and file.format not in ("PNG", "PPM")
            image: Image.Image = ImageOps.exif_transpose(file)
            if deep:
                raise ValueError("32-bit whole numbers have no known range")
            if image.mode == "F":
                values = np.asarray(image)
                if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
                    raise ValueError("floats outside [0, 1] have no known range")
                image = Image.fromarray((values * 255).round().astype(np.uint8))
            elif image.mode.startswith("I"):  # 16-bit grey
                image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
            elif image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            array = np.array(image.convert("RGB"))
    except UnidentifiedImageError:
        raise UnreadableImage(f"{path}: not an image") from None
    except Image.DecompressionBombError:
        raise UnreadableImage(f"{path}: has more than {MOST:,} pixels") from None
    except Exception as error:  # decoders raise whatever comes of a damaged file
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        raise UnreadableImage(f"{path}: cannot be read ({reason})") from None
    return array.transpose(2, 0, 1)


def image_shape(path: str | Path) -> tuple[int, ...]:
    """(3, H, W) of what ``read_image`` gives, from the file's head where that says it. Raises as ``read_image``."""
    try:
        with Image.open(path, formats=FORMATS) as file:
            if file.height == file.width or file.getexif().get(ORIENTATION, 1) < TURNED:
                return 3, file.height, file.width
    except Exception:
        pass  # reading says what is wrong
    return read_image(path).shape


def write_image(path: str | Path, image: np.ndarray | Tensor, form: str | None = None) -> None:
    """Write (3, H, W), uint8 or float in [0, 1], as a file of the suffix's format, or of ``form``."""
    if isinstance(image, Tensor):
        image = (to_uint8(image) if image.is_floating_point() else image).cpu().numpy()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(path, form)


def to_uint8(images: Tensor) -> Tensor:
    """Floats in [0, 1] to the nearest of 256 levels, as a file would hold them."""
    return images.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)


def to_float(images: Tensor) -> Tensor:
    """uint8 to float32 in [0, 1]."""
    return images.float().div_(255)


def resize(images: Tensor, size: int | tuple[int, int], mode: str = "bicubic", edges: str = "matlab") -> Tensor:
    """Resize (B, C, H, W) floats to ``size`` (side, or height and width), antialiased when shrinking.

    ``mode``: bicubic (Keys, a = -0.5), bilinear, area, nearest. ``edges`` of bicubic: matlab mirrors the image at its
    border, as MATLAB's imresize; torch leaves out what lies beyond it and normalises the other weights, as Pillow.
    """
    size = (size, size) if isinstance(size, int) else size
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    if mode in ("area", "nearest"):
        return F.interpolate(images, size=size, mode=mode)
    if mode == "bilinear" or edges == "torch":
        return F.interpolate(images, size=size, mode=mode, antialias=True, align_corners=False)
    with torch.autocast(images.device.type, enabled=False):
        images = images if images.dtype == torch.float64 else images.float()
        rows, columns = (
            _cubic_matrix(n, m).to(images.device, images.dtype) for n, m in zip(images.shape[-2:], size, strict=True)
        )
        return rows @ images @ columns.T


@lru_cache(maxsize=64)
def _cubic_matrix(size: int, target: int) -> Tensor:
    """(target, size) float64: what each of ``size`` pixels of a line weighs in each of ``target``, as MATLAB's imresize."""
    shrink = max(1.0, size / target)  # the kernel widens so far
    centre = (torch.arange(target, dtype=torch.float64) + 0.5) * size / target - 0.5
    reach = torch.arange(-int(2 * shrink) - 1, int(2 * shrink) + 2)
    taps = centre.floor().long()[:, None] + reach
    t = ((centre[:, None] - taps) / shrink).abs()
    inner, outer = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    weights = torch.where(t <= 1, inner, torch.where(t < 2, outer, 0))
    weights /= weights.sum(1, keepdim=True)
    taps = taps % (2 * size)
    return torch.zeros(target, size, dtype=torch.float64).scatter_add_(1, taps.minimum(2 * size - 1 - taps), weights)


def downsample(images: Tensor, scale: int, mode: str = "bicubic", edges: str = "matlab") -> Tensor:
    """(B, C, H, W) -> (B, C, H/scale, W/scale)."""
    height, width = images.shape[-2:]
    return resize(images, (height // scale, width // scale), mode, edges)


def upsample(images: Tensor, scale: int, mode: str = "bicubic", edges: str = "matlab") -> Tensor:
    """(B, C, h, w) -> (B, C, h*scale, w*scale)."""
    height, width = images.shape[-2:]
    return resize(images, (height * scale, width * scale), mode, edges)
