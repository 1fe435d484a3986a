"""Random weights in the layouts of published EDSR and RDN checkpoints, and what their authors' networks make of an image.

The forward passes are written on the published names alone, with nothing of bench.
"""

import torch
import torch.nn.functional as F

MEAN = torch.tensor([0.4488, 0.4371, 0.4040]).view(3, 1, 1)


def _filled(shapes, seed):
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, outputs, inputs, kernel in shapes:
        spread = (1 / (inputs * kernel**2)) ** 0.5
        state[f"{name}.weight"] = spread * torch.randn(outputs, inputs, kernel, kernel, generator=generator)
        state[f"{name}.bias"] = 5 * torch.randn(outputs, generator=generator)  # values run to 255
    return state


def _conv(state, name, x):
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)


EDSR_NAMES = {
    "pytorch": ("head.0", "body.{}.body.0", "body.{}.body.2", "body.{blocks}", "tail.0.{}", "tail.1"),
    "basicsr": ("conv_first", "body.{}.conv1", "body.{}.conv2", "conv_after_body", "upsample.{}", "conv_last"),
}


def edsr_state(layout, *, width=8, blocks=2, ups=2, seed=0):
    first, one, two, merge, up, last = EDSR_NAMES[layout]
    shapes = [(first, width, 3, 3)]
    for b in range(blocks):
        shapes += [(one.format(b), width, width, 3), (two.format(b), width, width, 3)]
    shapes.append((merge.format(blocks=blocks), width, width, 3))
    shapes += [(up.format(2 * i), 4 * width, width, 3) for i in range(ups)]
    state = _filled([*shapes, (last, 3, width, 3)], seed)
    if layout == "basicsr":
        return {"params": {"mean": MEAN[None] * 1.0, **state}}
    eye = torch.eye(3).view(3, 3, 1, 1)
    shift = {f"{n}_mean.{k}": v for n in ("sub", "add") for k, v in (("weight", eye), ("bias", 255 * MEAN.flatten()))}
    return {**shift, **state}


def edsr_forward(layout, state, lr, *, blocks=2, ups=2, scaling=0.1):
    state = state.get("params", state)
    first, one, two, merge, up, last = EDSR_NAMES[layout]
    x = head = _conv(state, first, 255 * (lr - MEAN))
    for b in range(blocks):
        x = x + scaling * _conv(state, two.format(b), _conv(state, one.format(b), x).clamp(min=0))
    x = _conv(state, merge.format(blocks=blocks), x) + head
    for i in range(ups):
        x = F.pixel_shuffle(_conv(state, up.format(2 * i), x), 2)
    return (_conv(state, last, x) + 255 * MEAN) / 255


def rdn_state(*, width=6, blocks=2, convs=3, growth=4, ups=2, seed=0):
    shapes = [("SFENet1", width, 3, 3), ("SFENet2", width, width, 3)]
    for b in range(blocks):
        shapes += [(f"RDBs.{b}.convs.{c}.conv.0", growth, width + c * growth, 3) for c in range(convs)]
        shapes.append((f"RDBs.{b}.LFF", width, width + convs * growth, 1))
    shapes += [("GFF.0", width, blocks * width, 1), ("GFF.1", width, width, 3)]
    shapes += [(f"UPNet.{2 * i}", 4 * width, width, 3) for i in range(ups)]
    return _filled([*shapes, (f"UPNet.{2 * ups}", 3, width, 3)], seed)


def rdn_forward(state, lr, *, blocks=2, convs=3, ups=2):
    shallow = _conv(state, "SFENet1", 255 * lr)
    x, found = _conv(state, "SFENet2", shallow), []
    for b in range(blocks):
        features = [x]
        for c in range(convs):
            features.append(_conv(state, f"RDBs.{b}.convs.{c}.conv.0", torch.cat(features, 1)).clamp(min=0))
        x = _conv(state, f"RDBs.{b}.LFF", torch.cat(features, 1)) + x
        found.append(x)
    x = _conv(state, "GFF.1", _conv(state, "GFF.0", torch.cat(found, 1))) + shallow
    for i in range(ups):
        x = F.pixel_shuffle(_conv(state, f"UPNet.{2 * i}", x), 2)
    return _conv(state, f"UPNet.{2 * ups}", x) / 255
