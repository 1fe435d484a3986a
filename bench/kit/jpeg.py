"""JPEG on batches of tensors, CPU or GPU: the same bytes that libjpeg decodes after encoding (4:2:0, baseline).

libjpeg computes in integers; every step here does too, as exact matrix products in float64, so that results agree with
Pillow's to the bit: colour conversion, chroma averaging, accurate integer DCT (``islow``), quantisation, smooth upsampling.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.colour import BT601

# Annex K of ITU T.81, tables K.1 (luma) and K.2 (chroma), row by row: libjpeg's at quality 50.
LUMINANCE = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
]  # fmt: skip
CHROMINANCE = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *[99] * 32,
]  # fmt: skip
BITS = 13  # fraction bits of the DCT's constants
EXTRA = 2  # fraction bits kept between its two passes


def jpeg(images: Tensor, quality: int) -> Tensor:
    """(B, 3, H, W) uint8 RGB -> the same after JPEG at libjpeg's ``quality``, 1 to 100; any H and W."""
    height, width = images.shape[-2:]
    light, *chroma = _to_ycc(images.double())
    chroma = [_halve(c) for c in chroma]
    tables = [_table(t, quality).to(light) for t in (LUMINANCE, CHROMINANCE)]
    light, *chroma = (_quantise(c, t) for c, t in ((light, tables[0]), *((c, tables[1]) for c in chroma)))
    chroma = [_double(c[..., : (width + 1) // 2])[..., :height, :width] for c in chroma]
    return _to_rgb(light, *chroma).to(torch.uint8)


def _table(base: list[int], quality: int) -> Tensor:
    """(8, 8) divisors at a quality."""
    if not 1 <= quality <= 100:
        raise ValueError(f"JPEG quality {quality} is not in 1-100")
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((torch.tensor(base) * percent + 50) // 100).clamp(1, 255).view(8, 8)


def _fixed(value: float) -> int:
    """With 16 fraction bits."""
    return round(value * 65536)


def luma(rgb: Tensor) -> Tensor:
    """(..., 3, H, W) of 0-255 -> (..., H, W) float64: BT.601 luma in whole numbers, as libjpeg rounds it."""
    rgb = rgb.double()
    return (
        (rgb * rgb.new_tensor([_fixed(share) for share in BT601])[:, None, None]).sum(-3).add(32768) / 65536
    ).floor()


def _to_ycc(rgb: Tensor) -> list[Tensor]:
    """Three (B, H, W) planes, BT.601, 0-255."""
    r, g, b = rgb.unbind(1)
    half = (128 << 16) + 32767
    cb = -_fixed(0.168735892) * r - _fixed(0.331264108) * g + 32768 * b + half
    cr = 32768 * r - _fixed(0.418687589) * g - _fixed(0.081312411) * b + half
    return [luma(rgb), *((plane / 65536).floor() for plane in (cb, cr))]


def _to_rgb(y: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
    cb, cr = cb - 128, cr - 128
    red = ((_fixed(1.402) * cr + 32768) / 65536).floor()
    green = ((-_fixed(0.34414) * cb - _fixed(0.714136286) * cr + 32768) / 65536).floor()
    blue = ((_fixed(1.772) * cb + 32768) / 65536).floor()
    return torch.stack([y + red, y + green, y + blue], 1).clamp(0, 255)


def _repeat_to(plane: Tensor, rows: int, columns: int) -> Tensor:
    """The last row and column repeated until ``rows`` divides the height and ``columns`` the width."""
    height, width = plane.shape[-2:]
    return F.pad(plane[:, None], (0, -width % columns, 0, -height % rows), mode="replicate")[:, 0]


def _halve(plane: Tensor) -> Tensor:
    """Means of 2x2 pixels, rounded up and down in turn along a row; as wide as whole 8x8 blocks."""
    blocks = F.pixel_unshuffle(_repeat_to(plane, 2, 16)[:, None], 2).sum(1)
    bias = torch.arange(blocks.shape[-1], device=plane.device) % 2 + 1
    return ((blocks + bias) / 4).floor()


def _double(plane: Tensor) -> Tensor:
    """Twice the size by 3:1 weights of the nearer and the farther sample; planes of one or two columns are repeated."""
    if plane.shape[-1] <= 2:
        return plane.repeat_interleave(2, 1).repeat_interleave(2, 2)
    padded = F.pad(plane[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    middle = 3 * padded[:, 1:-1]
    rows = torch.stack([middle + padded[:, :-2], middle + padded[:, 2:]], 2).flatten(1, 2)
    middle = 3 * rows[..., 1:-1]
    left, right = (middle + rows[..., :-2] + 8) / 16, (middle + rows[..., 2:] + 7) / 16
    return torch.stack([left, right], 3).flatten(2, 3).floor()


def _dct(like: Tensor) -> Tensor:
    """(8, 8) integers: 2^13 sqrt(8) x the DCT, with the rounding of libjpeg's factored constants."""

    def fixed(value: float) -> int:
        return round(value * 2**BITS)

    one, a, b, c = 2**BITS, fixed(0.541196100), fixed(0.765366865), fixed(1.847759065)
    even = torch.tensor([
        [one, one, one, one],
        [a + b, a, -a, -a - b],
        [one, -one, -one, one],
        [a, a - c, c - a, -a],
    ])  # fmt: skip
    z5 = fixed(1.175875602)
    z1, z2, z3, z4 = fixed(0.899976223), fixed(2.562915447), fixed(1.961570560), fixed(0.390180644)
    odd = torch.tensor([
        [fixed(1.501321110) - z1 - z4 + z5, z5, z5 - z4, z5 - z1],
        [z5, fixed(3.072711026) - z2 - z3 + z5, z5 - z2, z5 - z3],
        [z5 - z4, z5 - z2, fixed(2.053119869) - z2 - z4 + z5, z5],
        [z5 - z1, z5 - z3, z5, fixed(0.298631336) - z1 - z3 + z5],
    ])  # rows: coefficients 1, 3, 5, 7; columns: x0 - x7, x1 - x6, x2 - x5, x3 - x4  # fmt: skip
    matrix = torch.empty(8, 8, dtype=torch.long)
    matrix[::2] = torch.cat([even, even.flip(1)], 1)
    matrix[1::2] = torch.cat([odd, -odd.flip(1)], 1)
    return matrix.to(like)


def _shift(values: Tensor, bits: int) -> Tensor:
    """Divided by 2^bits, halves up."""
    return (values / 2**bits + 0.5).floor()


def _quantise(plane: Tensor, table: Tensor) -> Tensor:
    """(B, H, W) 0-255 through DCT, quantisation and inverse DCT in 8x8 blocks."""
    height, width = plane.shape[-2:]
    padded = _repeat_to(plane, 8, 8)
    blocks = padded.unflatten(1, (-1, 8)).unflatten(3, (-1, 8)).transpose(2, 3) - 128  # (B, rows, columns, 8, 8)
    dct = _dct(plane)
    freq = _shift(dct @ _shift(blocks @ dct.T, BITS - EXTRA), BITS + EXTRA)  # 8 x the orthonormal DCT
    levels = torch.sign(freq) * ((freq.abs() + (4 * table).floor()) / (8 * table)).floor()
    back = _shift(dct.T @ (levels * table), BITS - EXTRA)
    pixels = (_shift(back @ dct, BITS + EXTRA + 3) + 128).clamp(0, 255)
    return pixels.transpose(2, 3).reshape(padded.shape)[:, :height, :width]
