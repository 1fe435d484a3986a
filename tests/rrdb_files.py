"""Checkpoints of RRDBNet in the key layouts that its authors have published, with random weights."""

import torch


def rrdb_file(path, layout, *, width=8, growth=32, blocks=2, seed=0):
    """Write a x4 RRDBNet: ``first`` and ``later`` ESRGAN release, or ``basicsr``; the weights depend on ``seed`` alone."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, inputs, outputs in _convs(layout, width, growth, blocks):
        bound = 0.5 * (2 / (9 * inputs)) ** 0.5
        state[f"{name}.weight"] = bound * torch.randn(outputs, inputs, 3, 3, generator=generator)
        state[f"{name}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    torch.save({"params_ema": state} if layout == "basicsr" else state, path)
    return path


def _convs(layout, width, growth, blocks):
    """(name, inputs, outputs) from the LR to the HR."""
    dense, ends = {
        "first": (
            "model.1.sub.{b}.RDB{r}.conv{c}.0",
            ["model.0", f"model.1.sub.{blocks}", "model.3", "model.6", "model.8", "model.10"],
        ),
        "later": (
            "RRDB_trunk.{b}.RDB{r}.conv{c}",
            ["conv_first", "trunk_conv", "upconv1", "upconv2", "HRconv", "conv_last"],
        ),
        "basicsr": (
            "body.{b}.rdb{r}.conv{c}",
            ["conv_first", "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"],
        ),
    }[layout]
    yield ends[0], 3, width
    for b in range(blocks):
        for r in (1, 2, 3):
            for c in range(1, 6):
                yield dense.format(b=b, r=r, c=c), width + (c - 1) * growth, growth if c < 5 else width
    for name in ends[1:-1]:
        yield name, width, width
    yield ends[-1], width, 3
