"""NIMA as idealo trained it on TID2013 (Keras' MobileNet, technical quality, 1-10), from its HDF5 file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UsageError

SIDE = 224  # px: what the network takes
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of the 13 depthwise convolutions (Howard 2017, table 1)


def read_layers(file: Path) -> dict[str, dict[str, Tensor]]:
    """Layer -> its arrays by name, of a file of Keras' weights. Raises UsageError."""
    import h5py

    found: dict[str, dict[str, Tensor]] = {}

    def take(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            *_, layer, name = path.split("/")
            found.setdefault(layer, {})[name.removesuffix(":0")] = torch.from_numpy(np.asarray(item, np.float32))

    try:
        with h5py.File(file) as saved:
            saved.visititems(take)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{file}: no file of Keras' weights ({str(error).partition(chr(10))[0]})") from None
    return found


def normalisation(layer: dict[str, Tensor]) -> nn.Module:
    norm = nn.BatchNorm2d(len(layer["gamma"]), eps=1e-3)  # Keras' epsilon
    names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    norm.load_state_dict({key: layer[name] for key, name in names.items()} | {"num_batches_tracked": torch.tensor(0)})
    return norm


def convolution(kernel: Tensor, stride: int = 1) -> nn.Module:
    """Of (O, I, h, w). Padded as TensorFlow does it: all round, at stride 2 below and to the right alone."""
    outputs, inputs, side, _ = kernel.shape
    groups = outputs if inputs == 1 and side > 1 else 1
    layer = nn.Conv2d(
        inputs * groups, outputs, side, stride, side // 2 if stride == 1 else 0, groups=groups, bias=False
    )
    layer.weight = nn.Parameter(kernel)
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), layer) if stride == 2 else layer


class Mobilenet(nn.Module):
    """MobileNet with a distribution of ten scores, of the widths that its arrays have."""

    def __init__(self, layers: dict[str, dict[str, Tensor]]) -> None:
        super().__init__()
        parts = [
            convolution(layers["conv1"]["kernel"].permute(3, 2, 0, 1), 2),
            normalisation(layers["conv1_bn"]),
            nn.ReLU6(),
        ]
        for number, stride in enumerate(STRIDES, 1):
            for name, key, axes in (("dw", "depthwise_kernel", (2, 3, 0, 1)), ("pw", "kernel", (3, 2, 0, 1))):
                kernel = layers[f"conv_{name}_{number}"][key].permute(*axes).contiguous()
                parts += [convolution(kernel, stride if name == "dw" else 1),
                          normalisation(layers[f"conv_{name}_{number}_bn"]), nn.ReLU6()]  # fmt: skip
        self.body = nn.Sequential(*parts)
        (head,) = (layer for name, layer in layers.items() if name.startswith("dense"))
        self.register_buffer("kernel", head["kernel"])
        self.register_buffer("bias", head["bias"])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B,): the mean of the predicted distribution over 1 to 10."""
        small = F.interpolate(images, size=(SIDE, SIDE), mode="nearest-exact")  # as Keras' load_img
        shares = (self.body(small * 2 - 1).mean((2, 3)) @ self.kernel + self.bias).softmax(1)
        return shares @ torch.arange(1.0, 11.0, device=shares.device)


def nima_tid2013(file: Path) -> nn.Module:
    """The network on its local file. Raises UsageError for another file."""
    layers = read_layers(file)
    try:
        return Mobilenet(layers).eval().requires_grad_(False)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UsageError(f"{file}: not NIMA's MobileNet ({str(error).partition(chr(10))[0]})") from None
