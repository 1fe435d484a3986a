"""Estimated kernels, real noise and JPEG: LR as a surveillance camera makes it (Aakerberg 2021, sections 3.1 to 3.4)."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

import bench
from bench.core.image import downsample, to_float, to_uint8
from bench.core.tensors import load_tensors
from bench.errors import TrainingFailed, UsageError
from bench.kit.blocks import normal
from bench.kit.jpeg import jpeg, luma

from .kernelgan import SMALLEST, KernelGAN, Schedule, crop_side
from .kernels import SIDE, centred, composed, downsample_with, files_of, in_one_piece, read_kernels, significant
from .noise_pool import draw_noise, gaussian_patches, noise_level, noise_patches, read_patches, smooth_places

ENOUGH = 100  # noise patches; where there are fewer, a looser search is tried
IN_ONE_PIECE = 0.9  # a kernel with less of its mass together is said to have fallen apart
SLICE = 50  # iterations of KernelGAN between two looks at the clock
OWN = {"kernel": ("estimated", "bicubic"), "noise": ("pool", "gaussian", "none")}  # else a place to read from


class JpegKernel(bench.Degradation):
    """LR = JPEG((HR * k) downsampled + n) (eq. 2): k and n are drawn anew for each face from pools.

    The pools are fitted to unpaired real LR faces of any size: kernels by KernelGAN, one for each face (x2; those of x4
    and x8 follow analytically), noise from their smooth areas (eqs. 4-6). ``kernel`` and ``noise`` may also
    name a folder of .npy and .mat files, or the weights of another jpeg-kernel at the same scale (a .pt file).
    """

    libraries = ("pillow", "scipy")
    paper = (
        "Aakerberg, Nasrollahi, Moeslund: Real-world super-resolution of face-images from surveillance cameras, 2021"
    )
    scales = (4, 2, 8)
    stochastic = True
    bounds = {"jpeg": (1, 100), "probability": (0, 1), "sigma": (0, 255), "images": (0, None),
              "noise_images": (0, None), "together": (1, None), "whole": (0, 1), "sub": (1, None), "mu": (0, None),
              "gamma": (0, None), "phi": (0, None), "psi": (0, None), "patches": (1, None),
              "kernelgan.iterations": (0, None), "kernelgan.crop": (1, None), "kernelgan.width": (1, None),
              "kernelgan.lr": (0, None), "kernelgan.lr_every": (1, None), "kernelgan.bicubic": (0, None),
              "kernelgan.bicubic_every": (1, None), "kernelgan.sum_to_one": (0, None),
              "kernelgan.boundaries": (0, None), "kernelgan.centring": (0, None), "kernelgan.sparsity": (0, None)}  # fmt: skip
    idle = ("together", "jpeg", "probability", "sigma")

    @dataclass(frozen=True)
    class Params:
        kernel: str = "estimated"  # or bicubic, a folder of .npy and .mat kernels, a jpeg-kernel's .pt
        noise: str = "pool"  # or gaussian, none, a folder of patches, a jpeg-kernel's .pt
        jpeg: int | None = 30  # libjpeg quality, 1-100 (section 4: "compression strength 30"); none
        probability: float = 0.9  # of JPEG (section 4)
        sigma: float = 8.0  # of noise=gaussian, in grey levels of 255 (section 4.2)
        images: int = 500  # real LR faces to estimate kernels from, at most, spread evenly; 0: all (the paper's)
        noise_images: int = 5000  # to take noise from; 0: all (the paper's)
        together: int = 32  # of them in training at the same time; changes nothing but speed
        whole: float = 0.0  # least share of a kernel's mass in one piece (not in the paper); 0 keeps all
        kernelgan: Schedule = Schedule()  # noqa: RUF009 (frozen)
        patch: int = 32  # side of the noise patches p, LR pixels (section 4)
        sub: int = 8  # side of the patches q inside (section 4)
        mu: float = 0.1  # eq. 4 (section 4)
        gamma: float = 0.25  # eq. 5 (section 4)
        phi: float = 0.5  # eq. 6, in squared grey levels of 255 (section 4)
        loosen: bool = True  # smaller p, of at most psi, where fewer than 100 patches are found (not in the paper)
        psi: float | None = 100.0  # most variance of such p: without it texture and features pass; none
        patches: int = 5000  # most noise patches that are kept, drawn at random

    variants = {
        "literal": {"loosen": False, "whole": 0.0, "images": 0, "noise_images": 0},  # nothing that the paper lacks
        "realsr": {"jpeg": None},  # figure 6
        "test": {"noise": "gaussian", "probability": 1.0},  # section 4.2
    }
    lengths = ("images",)
    # Few faces, a short schedule of narrow networks for the quick preset.
    quick = {"images": 8, "kernelgan.width": 24, "kernelgan.iterations": 500, "kernelgan.lr_every": 200,
             "kernelgan.bicubic_every": 60, "kernelgan.lr": 5e-4}  # fmt: skip

    @classmethod
    def needs_for(cls, params: Params) -> tuple[str, ...]:
        return ("lr_real",) if params.kernel == "estimated" or params.noise == "pool" else ()

    @classmethod
    def fingerprint(cls, params: Params, scale: int) -> str:
        digest = hashlib.sha256()
        for pool, own in OWN.items():
            source = getattr(params, pool)
            if source not in own:
                digest.update(read_pool(pool, source, scale).numpy().tobytes())
        return digest.hexdigest()[:16]

    def build(self) -> None:
        for pool in OWN:
            self.register_buffer(pool, None, persistent=False)  # their sizes are known after fitting only
        self.register_buffer("place", torch.empty(0), persistent=False)  # the device that pools go to
        self.kernel: Tensor | None
        self.noise: Tensor | None
        self.place: Tensor

    def get_extra_state(self) -> dict[str, Tensor]:
        return {pool: getattr(self, pool).cpu() for pool in OWN if getattr(self, pool) is not None}

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        for pool, values in state.items():
            setattr(self, pool, values.to(self.place.device))

    # ------------------------------------------------------------ fitting

    def prepare(self, data: bench.Data, run: bench.Step) -> None:
        p, real = self.params, data.lr_train
        with run.fp32():
            for pool, own in OWN.items():
                source = getattr(p, pool)
                if source not in own:
                    setattr(self, pool, read_pool(pool, source, self.scale).to(run.device))
            if p.noise == "pool" and real:  # there are real LR faces where one is to be estimated: ``needs_for``
                self.noise = self.collect_noise(real, run).to(run.device)
            if p.kernel == "estimated" and real:
                kernel = self.estimate(real, run)
                self.kernel = None if kernel is None else kernel.to(run.device)

    def estimate(self, faces: bench.FaceSet, run: bench.Step) -> Tensor | None:
        """Kernels (n, K, K) of this scale, one for each face that KernelGAN was trained on; None where all are too small.

        The report says of how many faces, and how many of the kernels hang together.
        """
        p = self.params
        groups = list(self.groups(faces))
        if not groups:
            run.note(
                f"kernels need real LR faces of {SMALLEST} px, these have {faces.extent}: bicubic downsampling instead"
            )
            return None
        total = p.kernelgan.iterations * len(groups)
        raw: list[Tensor] = []
        begin = time.monotonic()
        with run.bar(f"kernels of {sum(len(names) for names, _ in groups)} faces", total, "iteration") as bar:
            for index, (names, images) in enumerate(groups):
                done = index * p.kernelgan.iterations

                def train(names: list[str] = names, images: list[Tensor] = images, done: int = done) -> Tensor:
                    seeds = [zlib.crc32(f"{run.seed}/{name}".encode()) for name in names]
                    gan = KernelGAN(images, seeds, p.kernelgan, run.device)
                    while gan.iteration < p.kernelgan.iterations:
                        gan.train(SLICE)
                        bar.advance(done + gan.iteration)
                    return gan.kernels().cpu()

                content = hashlib.sha256(b"".join(image.numpy().tobytes() for image in images)).hexdigest()
                raw += run.remember([names, content, run.seed, asdict(p.kernelgan)], train)
                if run.budget and time.monotonic() - begin > run.budget:
                    break
        cleaned = [significant(k) for k in torch.stack(raw).double().numpy() if np.isfinite(k).all()]
        shares = [in_one_piece(k) for k in cleaned]
        whole = [k for k, share in zip(cleaned, shares, strict=True) if share >= p.whole]
        if not whole:
            raise TrainingFailed("KernelGAN gave no kernel in one piece; take other faces, kernel=bicubic or whole=0")
        apart = sum(share < (p.whole or IN_ONE_PIECE) for share in shares)
        run.note(f"kernels from {len(raw)} of {len(faces)} real LR faces")
        if apart:
            run.note(f"{apart} of {len(raw)} estimated kernels fell apart and are {'left out' if p.whole else 'kept'}")
        return torch.from_numpy(np.stack([composed(centred(k, SIDE), self.scale) for k in whole])).float()

    def groups(self, faces: bench.FaceSet) -> Iterator[tuple[list[str], list[Tensor]]]:
        """Names and images, (3, H, W) in [0, 1], of faces that are in training together: those that share a crop's side.

        Of ``images`` faces spread evenly over those that are large enough.
        """
        large = [place for place in faces.places if min(place[1]) >= SMALLEST]
        by_side: dict[int, list[tuple[str, Tensor]]] = {}
        for index in spread(len(large), self.params.images or len(large)).tolist():
            name, size, row = large[index]
            face = to_float(faces.buckets[size][row])
            by_side.setdefault(crop_side(face, self.params.kernelgan.crop), []).append((name, face))
        for _, found in sorted(by_side.items()):
            for start in range(0, len(found), self.params.together):
                names, images = zip(*found[start : start + self.params.together], strict=True)
                yield list(names), list(images)

    def collect_noise(self, faces: bench.FaceSet, run: bench.Step) -> Tensor:
        """Noise patches (n, 3, s, s) of ``noise_images`` faces spread evenly; Gaussian ones where there are none to be had.

        First the paper's: eqs. 4-6 with p of ``patch`` px and q of ``sub``. Where these find fewer than 100 and ``loosen``
        allows it, from strict to loose: q in steps of its side, p of ``patch`` px and variance of at most ``psi``; then
        p of half, and of a quarter of the side, no more than half a face. The report says what was found.
        """
        p = self.params
        sample = faces.subset(p.noise_images) if p.noise_images else faces
        of = (
            f"{len(sample)} of {len(faces)} real LR faces"
            if len(sample) < len(faces)
            else f"{len(faces)} real LR faces"
        )
        places = noise_places(sample, p, p.patch, steps=2, psi=None)
        found, side = f"{len(places)} noise patches of {p.patch} px as eqs. 4-6 say, from {of}", p.patch
        if len(places) < ENOUGH and p.loosen:
            for side, steps in product((p.patch, p.patch // 2, p.patch // 4), (2, 1)):
                places = noise_places(sample, p, side, steps, p.psi)
                if len(places) >= ENOUGH:
                    found += f": too few; {len(places)} of {side} px and of a variance of at most {p.psi} instead"
                    break
            else:
                run.note(f"{of} have no smooth areas to take noise from; Gaussian noise of their levels instead")
                levels = torch.stack([noise_level(torch.tensor(image)) for image in sample.images()])
                return gaussian_patches(levels, min(p.patches, 4 * len(sample)), p.patch, run.seed)
        elif not places:
            raise TrainingFailed(f"{found}: nothing to draw noise from; take larger or other faces, or loosen=yes")
        run.note(found)
        if len(places) > p.patches:
            generator = torch.Generator().manual_seed(run.seed)
            keep = torch.randperm(len(places), generator=generator)[: p.patches].sort().values
            places = [places[i] for i in keep]
        return torch.cat([noise_patches(sample.buckets[size][row], place[None], side) for size, row, place in places])

    # ------------------------------------------------------------ use

    def infer(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        p = self.params
        source = generator.device if generator else hr.device
        if self.kernel is None:
            lr = downsample(hr, self.scale)
        else:
            which = torch.randint(len(self.kernel), (len(hr),), generator=generator, device=source)
            lr = downsample_with(hr, self.kernel[which.to(self.kernel.device)], self.scale)
        if self.noise is not None:
            lr = lr + draw_noise(self.noise, (len(lr), *lr.shape[-2:]), generator)  # eq. 7
        elif p.noise == "gaussian":
            lr = lr + normal(*lr.shape, device=lr.device, generator=generator) * p.sigma / 255
        lr = lr.clamp(0, 1)
        if p.jpeg is None:
            return lr
        chosen = torch.rand(len(lr), generator=generator, device=source).to(lr.device) < p.probability
        compressed = to_float(jpeg(to_uint8(lr), p.jpeg))
        return torch.where(chosen[:, None, None, None], compressed, lr)

    # ------------------------------------------------------------ a picture

    def picture(self) -> np.ndarray:
        """What was fitted, (3, H, W) uint8: 48 kernels, each over its largest value, and 48 noise patches x 4 on grey."""
        parts = []
        if self.kernel is not None:
            shown = self.kernel[spread(len(self.kernel), 48)]
            shown = (shown / shown.amax((1, 2), keepdim=True)).clamp(0, 1)[:, None].expand(-1, 3, -1, -1)
            parts.append((f"{len(self.kernel)} kernels of x{self.scale}, {self.kernel.shape[-1]} px of HR", shown))
        if self.noise is not None:
            shown = (0.5 + 4 * self.noise[spread(len(self.noise), 48)]).clamp(0, 1)
            side, sigma = self.noise.shape[-1], 255 * self.noise.square().mean().sqrt()
            parts.append((f"{len(self.noise)} noise patches of {side} px of LR, sigma {sigma:.1f} of 255, x4", shown))
        if not parts:
            raise UsageError(
                f"kernel={self.params.kernel}, noise={self.params.noise}: nothing was fitted, nothing to show"
            )
        return np.concatenate([captioned(text, images) for text, images in parts], 1)


def noise_places(
    faces: bench.FaceSet, p: Any, side: int, steps: int, psi: float | None
) -> list[tuple[Any, int, Tensor]]:
    """Bucket, row, and (top, left) of the smooth ``side``-px windows of all faces, q in steps of its side over ``steps``.

    One face at a time: memory does not grow with their number.
    """
    sub = max(1, min(p.sub, side // 2))
    found = []
    for _, size, row in faces.places:
        if min(size) >= (side if psi is None else 2 * side):
            grey = luma(faces.buckets[size][row])
            found += [
                (size, row, place)
                for place in smooth_places(grey, patch=side, sub=sub, stride=max(1, side // 8),
                                           sub_stride=max(1, sub // steps), mu=p.mu, gamma=p.gamma, phi=p.phi, psi=psi)
            ]  # fmt: skip
    return found


def spread(count: int, most: int) -> Tensor:
    """At most ``most`` of ``count`` indices, evenly."""
    return torch.arange(min(count, most)) * count // max(1, min(count, most))


def captioned(text: str, images: Tensor) -> np.ndarray:
    """(n, 3, s, s) in [0, 1] under a line of text, 12 in a row, each 52 px: (3, H, 12 * 56 + 4) uint8."""
    tiles = to_uint8(images).permute(0, 2, 3, 1).cpu().numpy()
    rows = -(-len(tiles) // 12)
    sheet = Image.new("RGB", (12 * 56 + 4, rows * 56 + 24), "white")
    ImageDraw.Draw(sheet).text((4, 6), text, "black")
    for index, tile in enumerate(tiles):
        large = Image.fromarray(tile).resize((52, 52), Image.Resampling.NEAREST)
        sheet.paste(large, (4 + index % 12 * 56, 24 + index // 12 * 56))
    return np.asarray(sheet).transpose(2, 0, 1)


def read_pool(pool: str, source: str, scale: int) -> Tensor:
    """A pool (``kernel`` or ``noise``) of this scale from a folder, or a jpeg-kernel's .pt file. Raises UsageError."""
    path = Path(source)
    if path.suffix == ".pt":
        try:
            saved = load_tensors(path)
            made_for, values = saved["scale"], saved["model"]["_extra_state"][pool]
        except UsageError as error:
            raise UsageError(f"{pool}={error}") from None
        except (TypeError, KeyError, IndexError, AttributeError):
            raise UsageError(f"{pool}={source}: not the weights of a jpeg-kernel with a {pool} pool") from None
        if pool == "kernel" and made_for != scale:
            raise UsageError(f"kernel={source}: kernels of x{made_for}, not of x{scale}")
        return values
    if not path.is_dir():
        raise UsageError(f"{pool}={source}: neither {', '.join(OWN[pool])}, nor a folder, nor a .pt file")
    files_of(source, pool)
    return read_kernels(source, SIDE if scale == 2 else 7 * scale - 2) if pool == "kernel" else read_patches(source)
