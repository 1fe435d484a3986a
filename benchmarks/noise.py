"""The search for smooth patches (eqs. 4-6 of Aakerberg 2021): vectorised, against a sliding window. One run, side by side.

    python benchmarks/noise.py [IMAGE...] [--stride 1] [--size 320 240]

Without images, two frames of smooth noise are made, 320x240 for the comparison (the window takes minutes on more), and
800x600 for time and memory of the vectorised search alone. Prints both times, whether the patches are the same, and their ratio.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from bench.degradations.noise_pool import smooth_places
from torch import Tensor

from bench.core.image import read_image
from bench.kit.jpeg import luma

SETTINGS = {"patch": 32, "sub": 8, "sub_stride": 4, "mu": 0.1, "gamma": 0.25, "phi": 0.5}  # section 4; the step is ours


def window_by_window(grey: np.ndarray, *, patch, sub, stride, sub_stride, mu, gamma, phi) -> list[list[int]]:
    """What people write: numpy's mean and var of each p, then of its q until one fails."""
    found = []
    for top in range(0, grey.shape[0] - patch + 1, stride):
        for left in range(0, grey.shape[1] - patch + 1, stride):
            p = grey[top : top + patch, left : left + patch]
            mean, variance = p.mean(), p.var()
            if variance < phi:
                continue
            subs = (
                p[y : y + sub, x : x + sub]
                for y in range(0, patch - sub + 1, sub_stride)
                for x in range(0, patch - sub + 1, sub_stride)
            )
            if all(abs(q.mean() - mean) <= mu * mean and abs(q.var() - variance) <= gamma * variance for q in subs):
                found.append([top, left])
    return found


def frame(height: int, width: int) -> Tensor:
    """(H, W) grey levels: areas of different brightness; weave and noise of about equal strength in the left half."""
    rng = np.random.default_rng(0)
    areas = np.kron(rng.integers(60, 200, (height // 80 + 1, width // 80 + 1)), np.ones((80, 80)))[:height, :width]
    y, x = np.mgrid[:height, :width]
    texture = np.where((x + y) % 2, 3.0, -3.0) + rng.normal(0, 0.8, (height, width))
    texture[:, width // 2 :] = rng.normal(0, 1, (height, width - width // 2)) * 8
    return torch.from_numpy((areas + texture).round().clip(0, 255))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="*")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240), metavar=("W", "H"))
    options = parser.parse_args()
    settings = {**SETTINGS, "stride": options.stride}
    greys = [luma(torch.from_numpy(read_image(f))) for f in options.images] or [frame(*reversed(options.size))]
    smooth_places(greys[0], **settings)  # the first call sets threads up
    fast = slow = 0.0
    same, count = True, 0
    for grey in greys:
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            vectorised = smooth_places(grey, **settings).tolist()
            times.append(time.perf_counter() - begin)
        fast += median(times)
        begin = time.perf_counter()
        naive = window_by_window(grey.numpy(), **settings)
        slow += time.perf_counter() - begin
        same &= vectorised == naive
        count += len(naive)
    print(f"{len(greys)} images, first {tuple(greys[0].shape)}: {count} patches, the same in both: {same}")
    print(f"vectorised {fast:.4f} s, window by window {slow:.2f} s: ratio {slow / fast:.0f}")
    large = frame(600, 800)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    found = smooth_places(large, **settings)
    seconds = time.perf_counter() - begin
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"800x600 frame: {len(found)} patches in {seconds:.3f} s, peak memory {more:.0f} MB above what it began with")


if __name__ == "__main__":
    main()
