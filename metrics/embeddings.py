"""Distances between sets of faces by DINOv2's and CLIP's features, which torch-fidelity extracts: FD-DINOv2, CMMD."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import bench
from bench import weights
from bench.core import stats
from bench.core.image import to_uint8
from bench.kit.offline import standing_in

from .distribution import LARGEST, OfSets
from .inception import Statistics, digest, digests, frechet_distance, frechet_without, of_features

PATCHES, OFFSET = 16, 0.1  # a side, of 14 px at 224 px; DINOv2's shift where it resizes the places' embedding
BANDWIDTH, SCALE = 10.0, 1000.0  # of CMMD (Jayasumana 2024, section 5)
MEAN, SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's


def dinov2(device: torch.device) -> Callable[[Tensor], Tensor]:
    """torch-fidelity's extractor on the local file: (B, 3, H, W) in [0, 1] -> (B, 1024), the class token."""
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    network = vision_transformer(weights.load("dinov2-vitl14"))
    with standing_in(torch.hub, "load", lambda *_, **__: network):  # which would fetch DINOv2's code, and the file
        extractor = FeatureExtractorDinoV2("dinov2-vit-l-14", ["dinov2"]).to(device)
    return lambda images: extractor(to_uint8(images))[0]


def vision_transformer(saved: dict[str, Tensor]) -> nn.Module:
    """DINOv2's ViT of the widths and depth of its weights, by timm; its places at 224 px as DINOv2's own code resizes them."""
    from timm.models.vision_transformer import VisionTransformer

    state = {k: v for k, v in saved.items() if k != "mask_token"}
    width, depth = state["cls_token"].shape[-1], len([k for k in state if k.endswith("attn.qkv.weight")])
    model = VisionTransformer(img_size=14 * PATCHES, patch_size=14, embed_dim=width, depth=depth, num_heads=width // 64,
                              init_values=1.0, num_classes=0, global_pool="token")  # fmt: skip
    places = state["pos_embed"]
    side = round((places.shape[1] - 1) ** 0.5)
    if side != PATCHES:
        grid = places[:, 1:].reshape(1, side, side, width).permute(0, 3, 1, 2)
        factor = (PATCHES + OFFSET) / side
        grid = F.interpolate(grid, scale_factor=(factor, factor), mode="bicubic")
        state["pos_embed"] = torch.cat([places[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)
    model.load_state_dict(state)
    return model.eval()


def clip(device: torch.device) -> Callable[[Tensor], Tensor]:
    """CLIP's image network, by torch-fidelity on the local file: (B, 3, H, W) in [0, 1] -> (B, 768) of length 1."""
    from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

    file = str(weights.path("clip-vit-l-14-336"))
    extractor = FeatureExtractorCLIP("clip-vit-l-14-336px", ["clip"], feature_extractor_weights_path=file).to(device)
    mean, spread = (torch.tensor(x, device=device).view(3, 1, 1) for x in (MEAN, SPREAD))

    def features(images: Tensor) -> Tensor:
        large = F.interpolate(images, size=(extractor.resolution,) * 2, mode="bicubic")
        return F.normalize(extractor.model.visual((large - mean) / spread).float(), dim=1)

    return features


class OfEmbeddings(OfSets):
    """A distance between features of two sets; a subclass says which."""

    libraries: ClassVar[tuple[str, ...]] = ("torch-fidelity", "timm", "scipy")
    default = False
    file: ClassVar[str] = ""

    def extractor(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        """(B, 3, H, W) in [0, 1] -> (B, d)."""
        raise NotImplementedError

    def embedded(self, outputs: bench.Outputs, images: Sequence[np.ndarray]) -> np.ndarray:
        """(n, d), in the order of the images."""
        model = outputs.keep(self.file, lambda: self.extractor(outputs.device))
        found: list[Any] = [None] * len(images)
        for indices, batch in bench.batches(images, size=16, device=outputs.device):
            with torch.inference_mode():
                for index, row in zip(indices, model(batch).cpu().numpy(), strict=True):
                    found[index] = row
        return np.stack(found)

    def ours(self, outputs: bench.Outputs) -> np.ndarray:
        """Kept for the next metric of the same images."""
        key, images = (self.file, "sr"), digest(digests(outputs))
        if outputs.cache.get(key, ("",))[0] != images:
            outputs.cache[key] = images, self.embedded(outputs, outputs.sr)
        return outputs.cache[key][1]

    def of_reference(self, outputs: bench.Outputs) -> np.ndarray:
        reference = self.theirs(outputs)
        _, images = self.sets(outputs)
        return outputs.keep((self.file, reference.name, reference.fingerprint), lambda: self.embedded(outputs, images))


class FdDinov2(OfEmbeddings):
    """Frechet distance of DINOv2's features (Stein 2023), ViT-L/14: nearer to what people see than Inception's.

    Extra: ``floor``, what as many real faces reach.
    """

    title = "FD-DINOv2"
    decimals = 2
    pretrained = {"dinov2-vitl14": ""}
    file = "dinov2-vitl14"
    paper = (
        "Stein et al.: Exposing flaws of generative model evaluation metrics and their unfair treatment of diffusion "
        "models, NeurIPS 2023"
    )

    def extractor(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        return dinov2(device)

    def protocol(self, outputs: bench.Outputs) -> str:
        return (
            f"{self.heading(outputs)} Frechet distance, {self.counts(outputs)}, DINOv2 ViT-L/14 (sha256 "
            f"{weights.file_hash(self.file)}), class token, bilinear to 224 px as TensorFlow 1 does it, by torch-fidelity; "
            f"biased upwards by few images, see .floor; interval by the jackknife of {stats.GROUPS} groups of the images"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        reference, n = self.theirs(outputs), len(outputs.sr)
        if n < 2 or (reference.images is not None and len(reference) < 2):
            raise bench.Unavailable("needs at least two images in each set")
        first = self.ours(outputs)
        second = self.statistics(outputs, reference, first.shape[1])
        value = frechet_distance(of_features(first), second)
        left_out = frechet_without(first, stats.dealt(digests(outputs)), second) if n > 2 else np.empty(0)
        floor = self.floor(outputs, lambda real: frechet_distance(of_features(self.embedded(outputs, real)), second))
        return bench.Score(value, ci=stats.jackknife(value, left_out, least=0.0), n=n, **floor)

    def statistics(self, outputs: bench.Outputs, reference: bench.Reference, dims: int) -> Statistics:
        if reference.images is not None:
            of_theirs = self.of_reference(outputs)
            return outputs.keep((self.file, "statistics", reference.fingerprint), lambda: of_features(of_theirs))
        assert reference.statistics is not None
        mean, covariance = reference.statistics
        if mean.size != dims:
            raise bench.Unavailable(f"{reference.name} have {mean.size} features, not DINOv2's {dims}")
        return Statistics.given(mean, covariance)


class Cmmd(OfEmbeddings):
    """CMMD (Jayasumana 2024): 1000 x squared MMD of CLIP's embeddings of length 1, Gaussian kernel of bandwidth 10.

    The estimator of its authors' code, of all pairs, an image with itself too. Extra: ``floor``, what as many real faces reach.
    """

    title = "CMMD"
    pretrained = {"clip-vit-l-14-336": ""}
    file = "clip-vit-l-14-336"
    paper = "Jayasumana et al.: Rethinking FID: towards a better evaluation metric for image generation, CVPR 2024"

    def extractor(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        return clip(device)

    def protocol(self, outputs: bench.Outputs) -> str:
        return (
            f"{self.heading(outputs)} CMMD, {self.counts_in_pairs(outputs)}, CLIP ViT-L/14@336px (sha256 "
            f"{weights.file_hash(self.file)}) by torch-fidelity, bicubic to 336 px, kernel exp(-|x - y|^2 / 200), MMD^2 of all "
            f"pairs x 1000, interval by the jackknife of {stats.GROUPS} groups of the images"
        )

    def score(self, outputs: bench.Outputs) -> bench.Score:
        theirs = self.of_reference(outputs)[:LARGEST].astype(np.float64)
        ours = self.ours(outputs)[:LARGEST].astype(np.float64)
        within = outputs.keep(
            (self.file, "within", self.theirs(outputs).fingerprint), lambda: gaussian(theirs, theirs).mean()
        )
        groups = stats.dealt(digests(outputs)[:LARGEST]) if len(ours) > 2 else []
        value, left_out = mmd(ours, theirs, within, groups)
        floor = self.floor(
            outputs, lambda real: mmd(self.embedded(outputs, real).astype(np.float64), theirs, within, [])[0]
        )
        return bench.Score(value, ci=stats.jackknife(value, left_out), n=len(outputs.sr), **floor)


def gaussian(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, d) and (m, d) -> (n, m)."""
    apart = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    return np.exp(-apart.clip(0) / (2 * BANDWIDTH**2))


def mmd(x: np.ndarray, y: np.ndarray, within: float, groups: Sequence[np.ndarray]) -> tuple[float, np.ndarray]:
    """1000 MMD^2 of (n, d) and (m, d) features, and (G,) the same where each of G groups of x is left out."""
    inner, cross = gaussian(x, x), gaussian(x, y).mean(1)
    value = SCALE * (inner.mean() + within - 2 * cross.mean())
    found = []
    for kept in stats.without(len(x), groups):
        found.append(SCALE * (inner[np.ix_(kept, kept)].mean() + within - 2 * cross[kept].mean()))
    return float(value), np.array(found)
