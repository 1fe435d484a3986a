"""Face sets: uint8 pixels in a fixed order, one tensor a size, with a fingerprint."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

PASSED = 64 << 20  # bytes of a file's faces that stay in memory while all of them pass


class FaceSet:
    """Faces in a fixed order: one (n, 3, H, W) uint8 tensor for each size that occurs.

    ``names[i]`` is the face at ``places[i]``: (name, size of its bucket, row in it).
    """

    def __init__(
        self,
        buckets: Mapping[tuple[int, int], Tensor],
        names: dict[tuple[int, int], list[str]],
        source: str = "",
        mapping: mmap.mmap | None = None,
        reopen: Callable[[], FaceSet] | None = None,
    ) -> None:
        """Of faces that are read from a file as they are used: ``mapping`` is the file's, ``reopen`` opens it elsewhere."""
        self.buckets, self.source, self.mapping, self.reopen = buckets, source, mapping, reopen
        self.known = ""  # the fingerprint, once it is known
        self.places = sorted((name, size, row) for size in buckets for row, name in enumerate(names[size]))
        self.names = [name for name, _, _ in self.places]

    @classmethod
    def of(cls, images: list[np.ndarray], names: list[str], source: str = "") -> FaceSet:
        """Pack (3, H, W) uint8 arrays; those of one size lie in the order of their names."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index in sorted(range(len(names)), key=names.__getitem__):
            groups.setdefault((images[index].shape[1], images[index].shape[2]), []).append(index)
        buckets = {size: torch.from_numpy(np.stack([images[i] for i in rows])) for size, rows in sorted(groups.items())}
        return cls(buckets, {size: [names[i] for i in rows] for size, rows in groups.items()}, source)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def uniform(self) -> bool:
        """All faces have one size."""
        return len(self.buckets) == 1

    @property
    def size(self) -> int:
        """The side of the largest square that fits into every face, in pixels."""
        return min((min(size) for size in self.buckets), default=0)

    @property
    def extent(self) -> str:
        """``64x64``, or the range of sizes."""
        return extent_of(self.buckets)

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 over names, sizes and pixels, in order. Computed once."""
        if not self.known:
            digest = hashlib.sha256()
            for name, image in self.each():
                self.enter(digest, name, image)
            self.known = digest.hexdigest()[:16]
        return self.known

    def each(self) -> Iterator[tuple[str, np.ndarray]]:
        """Names, in order, and (3, H, W) uint8 pixels, one face after the other; those of a file do not stay in memory."""
        arrays = {size: bucket.numpy() for size, bucket in self.buckets.items()}
        passed = 0
        for name, size, row in self.places:
            yield name, arrays[size][row]
            passed += arrays[size][row].nbytes
            if passed > PASSED:
                self.leave()
                passed = 0
        self.leave()

    def leave(self) -> None:
        """Let go of pixels of a file that were used; they are read again where they are used again."""
        if self.mapping is not None and hasattr(self.mapping, "madvise"):
            self.mapping.madvise(mmap.MADV_DONTNEED)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Other processes open the file themselves, where there is one: its pixels are in memory once."""
        return (self.reopen, ()) if self.reopen else super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "mapping": None}

    @staticmethod
    def enter(digest: Any, name: str, image: np.ndarray) -> None:
        """One (3, H, W) face into the hash of a set: name, (H, W), pixels."""
        digest.update(f"{name}\0{image.shape[1:]}\0".encode("utf-8", "surrogatepass"))
        digest.update(np.ascontiguousarray(image))

    def images(self) -> list[np.ndarray]:
        """The faces as (3, H, W) uint8 arrays that cannot be written to, in the order of ``names``."""
        arrays = {size: bucket.numpy() for size, bucket in self.buckets.items()}
        for array in arrays.values():
            array.flags.writeable = False
        return [arrays[size][row] for _, size, row in self.places]

    def only(self, names: list[str]) -> FaceSet:
        """The faces of these names, which are in order; itself where they are all of its own."""
        if names == self.names:
            return self
        known = dict(zip(self.names, self.images(), strict=True))
        return FaceSet.of([known[name] for name in names], names, self.source)

    def subset(self, count: int) -> FaceSet:
        """``count`` faces spread evenly over the names (all of them where there are fewer)."""
        if count >= len(self):
            return self
        keep = [self.places[i * len(self) // count] for i in range(count)]
        images = [self.buckets[size][row].numpy() for _, size, row in keep]
        return FaceSet.of(images, [name for name, _, _ in keep], self.source)

    def lent(self) -> FaceSet:
        """The same faces for code that may write to them: what it changes is its own; of a file, the pages that it writes to."""
        if self.reopen:
            return self.reopen()
        return FaceSet(_Copies(self.buckets), self._called(), self.source)

    def _called(self) -> dict[tuple[int, int], list[str]]:
        rows = {size: [(row, name) for name, other, row in self.places if other == size] for size in self.buckets}
        return {size: [name for _, name in sorted(found)] for size, found in rows.items()}


def extent_of(sizes: Collection[tuple[int, int]]) -> str:
    """``64x48`` (height first) where all are one, or the range of sides."""
    if len(sizes) < 2:
        return "".join(f"{height}x{width}" for height, width in sizes) or "none"
    return f"{min(map(min, sizes))}-{max(map(max, sizes))} px"


def survey(faces: Iterable[tuple[str, np.ndarray]]) -> tuple[int, str, str]:
    """Count, extent and fingerprint of a set whose faces pass once, in the order of their names."""
    digest, sizes, count = hashlib.sha256(), set[tuple[int, int]](), 0
    for name, image in faces:
        FaceSet.enter(digest, name, image)
        sizes.add((image.shape[1], image.shape[2]))
        count += 1
    return count, extent_of(sizes), digest.hexdigest()[:16]


class _Copies(Mapping[tuple[int, int], Tensor]):
    """Tensors that are copied when they are asked for, once."""

    def __init__(self, tensors: Mapping[tuple[int, int], Tensor]) -> None:
        self.tensors, self.copies = tensors, dict[tuple[int, int], Tensor]()

    def __getitem__(self, size: tuple[int, int]) -> Tensor:
        if size not in self.copies:
            self.copies[size] = self.tensors[size].clone()
        return self.copies[size]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


@dataclass
class Data:
    """The face sets of a run; HR and real LR are not paired."""

    hr_train: FaceSet  # what models learn from
    hr_test: FaceSet  # what test conditions degrade
    lr_train: FaceSet | None = None  # real LR to learn from; None where the run has none
    lr_test: FaceSet | None = None  # real LR to restore
    truth: FaceSet | None = None  # HR aligned with ``lr_test`` (the embedded set only)
    skipped: list[str] = field(default_factory=list)  # files that were no faces, each with the reason

    @property
    def train_fingerprint(self) -> str:
        """The fingerprints of the two sets that are learned from."""
        return "+".join(s.fingerprint if s else "none" for s in (self.hr_train, self.lr_train))

    def lent(self) -> Data:
        """The same for code that may write to the faces."""
        sets = {f.name: v.lent() for f in fields(self) if isinstance(v := getattr(self, f.name), FaceSet)}
        return replace(self, **sets, skipped=list(self.skipped))
