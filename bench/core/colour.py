"""Luma of ITU-R BT.601, which every part of the harness takes from here."""

from torch import Tensor

BT601 = (0.299, 0.587, 0.114)  # of red, green and blue


def luma(images: Tensor) -> Tensor:
    """(..., 3, H, W) -> (..., H, W), in the images' own range."""
    return (images * images.new_tensor(BT601)[:, None, None]).sum(-3)
