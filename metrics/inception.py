"""pytorch-fid's Inception network on the local file, and what is kept of its features: all of them, mean and covariance."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.linalg import eigvalsh
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

import bench
from bench import weights
from bench.core.files import read_sealed, write_sealed
from bench.core.image import to_uint8
from bench.core.stats import without
from bench.kit.offline import standing_in

KEPT = 50_000  # reference images whose features are kept; mean and covariance are of all
SIDE = 299  # px: what the network takes
BLOCKS = {64: 0, 192: 1, 768: 2, 2048: 3}  # of the network, by features (pytorch-fid's --dims)


def network(
    dims: int = 2048, device: torch.device | str = "cpu", compiled: bool = False, resize: str = "pytorch"
) -> Callable[[Tensor], Tensor]:
    """(B, 3, H, W) in [0, 1] -> (B, dims): resized to 299 px as pytorch-fid does it (bilinear), or as clean-fid.

    Its speed: batch norms are part of their convolutions, and channels lie last in memory.
    """
    from pytorch_fid import inception as package

    saved, plain = weights.load("inception-fid"), resize == "pytorch"
    with standing_in(package, "load_state_dict_from_url", lambda *_, **__: saved):
        model = package.InceptionV3([BLOCKS[dims]], resize_input=plain, normalize_input=plain)
    model = model.eval().requires_grad_(False)
    for layer in model.modules():
        if isinstance(layer, package.torchvision.models.inception.BasicConv2d):
            layer.conv, layer.bn = fuse_conv_bn_eval(layer.conv, layer.bn), torch.nn.Identity()
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward = torch.compile(model) if compiled else model

    @torch.inference_mode()
    def features(images: Tensor) -> Tensor:
        images = images if plain else (clean(images) - 128) / 128
        return F.adaptive_avg_pool2d(forward(images.contiguous(memory_format=torch.channels_last))[0], 1).flatten(1)

    return features


def clean(images: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, 3, 299, 299) in [0, 255]: Pillow's antialiased bicubic in floats (Parmar 2022)."""

    def resized(channel: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(channel).resize((SIDE, SIDE), Image.Resampling.BICUBIC))

    pixels = to_uint8(images).cpu().numpy().astype(np.float32)
    return torch.from_numpy(np.array([[resized(c) for c in face] for face in pixels]).clip(0, 255)).to(images)


@dataclass
class Statistics:
    """Mean and covariance, streamed in float64 (Chan 1983), of (n, d) features; the first of these themselves."""

    dims: int
    n: int = 0
    parts: list[np.ndarray] = field(default_factory=list)
    limit: int | None = None  # of the features that are kept

    def __post_init__(self) -> None:
        self.mean, self.scatter = np.zeros(self.dims), np.zeros((self.dims, self.dims))

    def add(self, features: np.ndarray) -> Statistics:
        rows = features.astype(np.float64)
        mean = rows.mean(0)
        centred = rows - mean
        if self.limit is None or self.n < self.limit:
            self.parts.append(features)
        return self.merge(len(rows), mean, centred.T @ centred)

    def merge(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> Statistics:
        """Add the statistics of ``count`` others."""
        delta, total = mean - self.mean, self.n + count
        self.scatter += scatter + np.outer(delta, delta) * (self.n * count / total)
        self.mean += delta * (count / total)
        self.n = total
        return self

    @property
    def features(self) -> np.ndarray:
        if len(self.parts) > 1:
            self.parts = [np.concatenate(self.parts)]
        return self.parts[0]

    def write(self, stream: IO[bytes]) -> None:
        scatter = self.scatter if self.n > self.dims else np.empty(0)  # of few images the features say it all
        np.savez(stream, n=self.n, mean=self.mean, scatter=scatter, features=self.features)

    @classmethod
    def read(cls, file: IO[bytes]) -> Statistics:
        with np.load(file, allow_pickle=False) as saved:
            found = cls(saved["mean"].size, int(saved["n"]), [saved["features"]])
            found.mean, found.scatter = saved["mean"], saved["scatter"]
        return found

    @classmethod
    def given(cls, mean: np.ndarray, covariance: np.ndarray) -> Statistics:
        """Of a set of which no more is known."""
        found = cls(mean.size, mean.size + 2)
        found.mean, found.scatter = mean, covariance * (mean.size + 1)
        return found

    @property
    def covariance(self) -> np.ndarray:
        return self.root.T @ self.root if self.n <= self.dims else self.scatter / (self.n - 1)

    @cached_property
    def root(self) -> np.ndarray:
        """(r, d) with root' root = the covariance: the centred features where they are few."""
        if self.n <= self.dims:
            return (self.features - self.mean) / np.sqrt(self.n - 1)
        values, vectors = np.linalg.eigh(self.covariance)
        return (vectors * np.sqrt(values.clip(0))).T

    def traces(self) -> float:
        few = self.n <= self.dims
        return float((self.root**2).sum() if few else self.scatter.trace() / (self.n - 1))


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """||m1 - m2||^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))."""
    shift = float(((first.mean - second.mean) ** 2).sum())
    return max(0.0, shift + first.traces() + second.traces() - 2 * cross_trace(first, second))


def cross_trace(first: Statistics, second: Statistics) -> float:
    """tr (S1 S2)^(1/2) without a matrix root: the sum of the square roots of the eigenvalues of S1 S2.

    Those are the solutions of a symmetric problem (of L' S1 L with S2 = LL'). With fewer images than features they are the
    squared singular values of R1 R2' with S = R'R, whose many zeros come out as zeros.
    """
    if min(first.n, second.n) > first.dims:
        one, two = first.covariance, second.covariance
        vary = (one.diagonal() > 0) & (two.diagonal() > 0)  # the other features add nothing
        with suppress(np.linalg.LinAlgError):  # fewer different images than features: S2 has no L
            pair = (matrix[np.ix_(vary, vary)] for matrix in (one, two))
            return float(np.sqrt(eigvalsh(*pair, type=2, driver="gv", check_finite=False).clip(0)).sum())
    return float(np.linalg.svd(first.root @ second.root.T, compute_uv=False).sum())


def frechet_without(features: np.ndarray, groups: Sequence[np.ndarray], second: Statistics) -> np.ndarray:
    """(G,): the distance of (n, d) features to the second set where each of G groups of them is left out.

    The trace of (S1 S2)^(1/2) is that of (R S1 R')^(1/2), R'R = S2: of few images by their (n, n) products in S2.
    """
    n, dims = features.shape
    middle = features.mean(0, dtype=np.float64)
    rows = features.astype(np.float64) - middle
    shift, root = second.mean - middle, second.root
    few = n <= dims
    seen = rows @ root.T
    products = seen @ seen.T if few else rows.T @ rows
    found = []
    for group, kept in zip(groups, without(n, groups), strict=True):
        count, mean = n - len(group), rows[kept].mean(0)
        if few:
            inner = products[np.ix_(kept, kept)]
            across = inner.mean(0)
            inner = inner - across - across[:, None] + across.mean()
        else:
            inner = root @ (products - rows[group].T @ rows[group] - count * np.outer(mean, mean)) @ root.T
        trace = ((rows[kept] - mean) ** 2).sum() / (count - 1)
        cross = np.sqrt(np.linalg.eigvalsh(inner / (count - 1)).clip(0)).sum()
        found.append(((mean - shift) ** 2).sum() + trace + second.traces() - 2 * cross)
    return np.array(found)


def merged(parts: Sequence[Statistics]) -> Statistics:
    """Of all of them together, in this order."""
    found = Statistics(parts[0].dims, limit=0)
    for part in parts:
        found.merge(part.n, part.mean, part.scatter)
    return found


def grouped(parts: Iterable[Mapping[str, np.ndarray]], dims: int, groups: int) -> list[Statistics]:
    """Statistics of the faces of chunks (see ``part_of``) dealt into groups by their content; memory holds one chunk."""
    found = [Statistics(dims, limit=0) for _ in range(groups)]
    for part in parts:
        dealt = part["digests"].view(np.uint64)[:, 0] % groups
        for group, of in enumerate(found):
            if (mine := dealt == group).any():
                of.add(part["features"][mine])
    return found


def of_features(features: np.ndarray) -> Statistics:
    """Of all (n, d) at once; where they are few, without the (d, d) that nothing needs then."""
    n, dims = features.shape
    if n > dims:
        return Statistics(dims).add(features)
    found = Statistics(dims, n, [features])
    found.mean = features.mean(0, dtype=np.float64)
    return found


# ---------------------------------------------------------------- of images


def of_outputs(outputs: bench.Outputs, dims: int = 2048, compiled: bool = False, resize: str = "pytorch") -> Statistics:
    """Of ``outputs.sr``, its features in their order. Kept for the next metric of the same images."""
    key, images = ("inception sr", dims, resize), digest(digests(outputs))
    if outputs.cache.get(key, ("",))[0] != images:
        outputs.cache[key] = images, of_images(outputs, outputs.sr, dims, compiled, resize)
    return outputs.cache[key][1]


def of_images(
    outputs: bench.Outputs, images: Any, dims: int = 2048, compiled: bool = False, resize: str = "pytorch"
) -> Statistics:
    """Of any images, their features in their order, by the run's network."""
    return of_features(features_of(outputs, images, dims, compiled, resize))


def features_of(outputs: bench.Outputs, images: Any, dims: int, compiled: bool, resize: str) -> np.ndarray:
    """(n, dims) float32 of n images, in their order."""
    features = np.empty((len(images), dims), np.float32)
    for indices, part in batches(outputs, images, dims, compiled, resize):
        features[indices] = part
    return features


def part_of(
    outputs: bench.Outputs, dims: int = 2048, compiled: bool = False, resize: str = "pytorch"
) -> dict[str, np.ndarray]:
    """Of a chunk of the outputs: features (n, dims) float32, and digests (n, 16) uint8. Kept for the next metric of it."""
    each = digests(outputs)
    key, images = ("inception part", dims, resize), digest(each)
    if outputs.cache.get(key, ("",))[0] != images:
        outputs.cache[key] = images, features_of(outputs, outputs.sr, dims, compiled, resize)
    return {"features": outputs.cache[key][1], "digests": np.frombuffer(b"".join(each), np.uint8).reshape(-1, 16)}


def of_reference(
    outputs: bench.Outputs,
    reference: bench.Reference,
    dims: int = 2048,
    compiled: bool = False,
    resize: str = "pytorch",
) -> Statistics:
    """Of the faces that sets are compared with, the same for all metrics and methods of a run; kept in its store."""

    def make() -> Statistics:
        if reference.images is None:
            assert reference.statistics is not None
            mean, covariance = reference.statistics
            if mean.size != dims:
                raise bench.Unavailable(
                    f"{reference.name} have {mean.size} features, not {dims}: fid[dims={mean.size}]"
                )
            return Statistics.given(mean, covariance)
        file = None
        if outputs.folder is not None:
            which = digest(
                [reference.fingerprint, weights.file_hash("inception-fid"), *[resize] * (resize != "pytorch")]
            )
            file = outputs.folder / f"inception-{dims}-{which}.npz"
            if content := read_sealed(file):
                return Statistics.read(content)
        found = Statistics(dims, limit=KEPT)
        for rows in chunks(part for _, part in batches(outputs, reference.images, dims, compiled, resize)):
            found.add(rows)
        if file is not None:
            write_sealed(file, found.write)
        return found

    return outputs.keep(("inception", reference.name, reference.fingerprint, dims, resize), make)


def chunks(parts: Iterable[np.ndarray], least: int = 1024) -> Iterator[np.ndarray]:
    """The same rows, at least so many at a time: each costs the statistics a (d, d) update."""
    waiting: list[np.ndarray] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= least:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def digests(outputs: bench.Outputs) -> list[bytes]:
    """A hash of the content of each of ``outputs.sr``, made once."""
    known = outputs.cache.get("digests")
    if known is None or known[0] is not outputs.sr or len(known[1]) != len(outputs.sr):
        found = [hashlib.blake2b(repr(i.shape).encode() + i.tobytes(), digest_size=16).digest() for i in outputs.sr]
        known = outputs.cache["digests"] = outputs.sr, found
    return known[1]


def digest(parts: Iterable[Any]) -> str:
    """32 hex digits of these parts and their order."""
    return hashlib.blake2b(repr(list(parts)).encode(), digest_size=16).hexdigest()


def batches(
    outputs: bench.Outputs, images: Any, dims: int, compiled: bool, resize: str
) -> Iterator[tuple[list[int], np.ndarray]]:
    model = outputs.keep(("inception", dims, compiled, resize), lambda: network(dims, outputs.device, compiled, resize))
    size = 16 if outputs.device.type == "cpu" else 128  # more does not fit a CPU's cache
    for indices, batch in bench.batches(images, size=size, device=outputs.device):
        yield indices, model(batch).cpu().numpy()
