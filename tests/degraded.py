"""Faces with a degradation, for metrics that make versions of them."""

import torch
import torch.nn.functional as F
from bench.degradations.conditions import Jpeg, Noise
from smooth import smooth_images

from bench.api.metric import Outputs
from bench.core.image import downsample
from bench.core.spec import override, parse


def degrade(spec, images, scale=1, seed=0):
    """Outputs.degrade for the two degradations of these tests."""
    cls = {"noise": Noise, "jpeg": Jpeg}[parse(spec).name]
    params = override(cls.Params(), dict(parse(spec).options), spec)
    return cls(params, scale=scale).infer(images, torch.Generator().manual_seed(seed))


def outputs(upscale, n=8, seed=0, **more):
    hr = smooth_images(n, 64, seed)
    lr = (downsample(torch.from_numpy(hr) / 255, 4).clamp(0, 1) * 255).round().byte().numpy()
    given = {"hr": list(hr), "lr": list(lr), "names": [f"face{i}" for i in range(n)], "degrade": degrade}
    return Outputs(sr=list(hr), upscale=upscale, **{**given, **more})


def smoothed(lr):
    return F.avg_pool2d(lr, 3, 1, 1, count_include_pad=False)
