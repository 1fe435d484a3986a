"""Faces that sets are compared with: images, or the mean and covariance of their Inception features, and their origin."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench import weights
from bench.core.hashing import content_hash
from bench.core.spec import nearest
from bench.core.tensors import load_array, load_tensors
from bench.errors import UsageError
from bench.faces.images import ImageFiles, extent, fingerprint
from bench.faces.packed import unpack
from bench.faces.read import images_under, read_list, unique_names

STATISTICS = (".npz", ".pth", ".pt")  # files of mean and covariance: pytorch-fid's, and BasicSR's (VQFR's)
ABOUT = ("n", "size", "name", "fingerprint")  # what such a file may say of its set
NAMED = {"ffhq-512": (50_000, "512x512")}  # statistics among the pretrained files, and what they are of (BasicSR)


@dataclass(frozen=True)
class Reference:
    """``images`` (a sequence of (3, H, W) uint8 arrays) or ``statistics``, (d,) mean and (d, d) covariance, or both.

    ``count`` and ``size`` are 0 and empty where a file of statistics does not say. ``key``: a hash of the content.
    """

    name: str  # as protocols call it
    images: Sequence[np.ndarray] | None = None
    names: tuple[str, ...] = ()  # of the images
    statistics: tuple[np.ndarray, np.ndarray] | None = None
    count: int = 0
    size: str = ""
    known: str = ""  # the fingerprint, where it is known already

    def __len__(self) -> int:
        return self.count if self.images is None else len(self.images)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.images if self.images is not None else ())

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the names and pixels (as a FaceSet's), or of the file of statistics."""
        if self.known or self.images is None:
            return self.known
        return fingerprint(self.names or [f"{i:08d}" for i in range(len(self.images))], self.images)

    def lacks(self, images: Sequence[np.ndarray]) -> list[int]:
        """Which of these it has not got, pixel for pixel."""
        return [i for i, image in enumerate(images) if content_of(image) not in self._contents]

    @cached_property
    def _contents(self) -> frozenset[bytes]:
        return frozenset(map(content_of, self))

    @property
    def extent(self) -> str:
        """``64x64``, or the range of sizes; empty where a file of statistics does not say."""
        return self.size if self.images is None else extent(self.images)

    def __str__(self) -> str:
        count = f"{len(self)} " if len(self) else ""
        of = f" of {self.extent}" if self.extent else ""
        return f"{count}{self.name}{of} ({self.fingerprint})"


def content_of(image: np.ndarray) -> bytes:
    """A hash of a picture's size and pixels."""
    return hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).digest()


def read_reference(source: str) -> Reference:
    """A folder (its train/ where it has one), CSV list, packed set (its training faces), file of statistics or name."""
    path = Path(source)
    if not path.exists():
        if source in NAMED:
            count, size = NAMED[source]
            return _statistics(weights.path(source), f"faces of {source}", count, size)
        raise UsageError(f"--reference {source}: no such file or folder, and no named set{nearest(source, NAMED)}")
    if path.suffix.lower() in STATISTICS:
        return _statistics(path, f"faces of {path.name}")
    if path.suffix == ".safetensors":
        faces, _ = unpack(path)
        return Reference(f"faces of {path.name}", faces.images(), tuple(faces.names), known=faces.fingerprint)
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise UsageError(
                f"--reference {path}: a folder, a .csv list, a packed .safetensors file or statistics "
                f"({', '.join(STATISTICS)}) are expected"
            )
        files, root = read_list(path), path.parent
    else:
        root = path / "train" if (path / "train").is_dir() else path
        files = images_under(root)
    if not files:
        raise UsageError(f"--reference {root}: no image files in this folder")
    label = f"{path.resolve().name}/train" if root != path and path.is_dir() else path.resolve().name
    return Reference(f"faces of {label}", ImageFiles(files), tuple(unique_names(files, root).values()))


def _statistics(path: Path, name: str, count: int = 0, size: str = "") -> Reference:
    """pytorch-fid's mu and sigma, BasicSR's mean and cov; what `bench data stats` writes has the count and size too."""
    about: dict[str, Any] = {}
    try:
        if path.suffix.lower() == ".npz":
            saved = load_array(path, only=("mu", "sigma", *ABOUT))
            mean, covariance = saved["mu"], saved["sigma"]
        else:
            saved = load_tensors(path, _numpy_types())
            mean, covariance = saved["mean"], saved["cov"]
        mean, covariance = (np.asarray(x).astype(np.float64, casting="same_kind") for x in (mean, covariance))
        about = {key: np.asarray(saved[key]).item() for key in ABOUT if key in saved}
        count = int(about.get("n", count))
    except UsageError as error:
        raise _refused(path, str(error).removeprefix(f"{path}: ")) from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _refused(path, str(error).partition("\n")[0]) from None
    if wrong := _wrong_with(mean, covariance):
        raise _refused(path, wrong)
    said = about.get("size", size)  # a side, in BasicSR's
    if "fingerprint" in about:  # `bench data stats` wrote it: the set is the reference, whichever way it is given
        name = str(about.get("name", name))
    known = about.get("fingerprint") or content_hash(path)[:16]
    said = f"{said}x{said}" if isinstance(said, int) else str(said)
    return Reference(name, None, (), (mean, covariance), count, said, str(known))


def _wrong_with(mean: np.ndarray, covariance: np.ndarray) -> str:
    """Why these cannot be a mean and a covariance; empty where they can."""
    if mean.ndim != 1 or not mean.size or covariance.shape != (mean.size, mean.size):
        return f"mean of {mean.shape}, covariance of {covariance.shape}"
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        return "values that are no numbers, or infinite"
    if not np.allclose(covariance, covariance.T, rtol=1e-4, atol=1e-6 * float(np.abs(covariance).max())):
        return "the covariance is not symmetric"
    return "a negative variance" if covariance.diagonal().min() < 0 else ""


def _refused(path: Path, why: str) -> UsageError:
    return UsageError(f"--reference {path}: no statistics of a set (mu and sigma, or mean and cov): {why}")


def _numpy_types() -> list[Any]:
    """What numpy arrays in a file of torch's are made of."""
    from numpy.dtypes import Float32DType, Float64DType

    make = np.array(0.0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    names = [(make, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    names += [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    return [np.ndarray, np.dtype, Float32DType, Float64DType, *names]
