"""FD-DINOv2 and CMMD against torch-fidelity, DINOv2's formulas and CLIP's own package, on files of random values."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bench.metrics.embeddings import Cmmd, FdDinov2, gaussian, mmd
from scored import outputs, tensors
from test_faces import filled

from bench import weights
from bench.api.metric import Outputs
from bench.api.reference import Reference
from bench.core import stats
from bench.errors import MissingWeights, Unavailable
from bench.kit.iqa import pkg_resources

pytestmark = pytest.mark.usefixtures("no_network")


def dinov2_state(width=64, depth=2, side=37, seed=0):
    """Random weights under DINOv2's published names."""
    generator, state = torch.Generator().manual_seed(seed), {}

    def put(name, *shape, size=1.0):
        state[name] = size * torch.randn(shape, generator=generator)

    put("cls_token", 1, 1, width)
    put("mask_token", 1, width)
    put("pos_embed", 1, side**2 + 1, width)
    put("patch_embed.proj.weight", width, 3, 14, 14, size=0.04)
    put("patch_embed.proj.bias", width)
    for index in range(depth):
        block = f"blocks.{index}"
        for name, rows, columns in (("attn.qkv", 3 * width, width), ("attn.proj", width, width),
                                    ("mlp.fc1", 4 * width, width), ("mlp.fc2", width, 4 * width)):  # fmt: skip
            put(f"{block}.{name}.weight", rows, columns, size=columns**-0.5)
            put(f"{block}.{name}.bias", rows, size=0.1)
        for norm in ("norm1", "norm2"):
            state[f"{block}.{norm}.weight"] = 1 + 0.1 * torch.randn(width, generator=generator)
            put(f"{block}.{norm}.bias", width, size=0.1)
        for scale in ("ls1", "ls2"):
            put(f"{block}.{scale}.gamma", width)
    state["norm.weight"], state["norm.bias"] = torch.rand(2, width, generator=generator)
    return state


def dinov2_forward(state, images):
    """The class token of (B, 3, 224, 224), as DINOv2's code makes it, written on the names alone. Heads of 64 features."""
    width, names = state["cls_token"].shape[-1], [k for k in state if k.endswith("attn.qkv.weight")]
    heads = width // 64

    def linear(name, x):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name, x):
        return F.layer_norm(x, (width,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    x = F.conv2d(images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14)
    grid = state["pos_embed"][0, 1:].T.reshape(1, width, 37, 37)
    grid = F.interpolate(grid, scale_factor=((16 + 0.1) / 37, (16 + 0.1) / 37), mode="bicubic", antialias=False)
    x = torch.cat([(state["cls_token"][0, 0] + state["pos_embed"][0, 0]).expand(len(x), 1, width),
                   (x + grid).flatten(2).transpose(1, 2)], 1)  # fmt: skip
    for index in range(len(names)):
        block = f"blocks.{index}"
        q, k, v = (
            linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x)).unflatten(-1, (3, heads, 64)).permute(2, 0, 3, 1, 4)
        )
        seen = ((q @ k.transpose(-2, -1)) / 8).softmax(-1) @ v
        x = x + state[f"{block}.ls1.gamma"] * linear(f"{block}.attn.proj", seen.transpose(1, 2).flatten(2))
        x = x + state[f"{block}.ls2.gamma"] * linear(
            f"{block}.mlp.fc2", F.gelu(linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x)))
        )
    return norm("norm", x)[:, 0]


def frechet(x, y):
    from scipy.linalg import sqrtm

    one, two = (np.cov(z, rowvar=False) for z in (x, y))
    root = sqrtm(one @ two)
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(one + two - 2 * np.real(root))


def test_fd_dinov2_is_torch_fidelitys_on_the_same_weights(store):
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    class Theirs(torch.nn.Module):
        def forward(self, images):
            return dinov2_forward(state, images)

    state = dinov2_state()
    store("dinov2-vitl14", state)
    given = outputs(4, 32)
    with patch.object(torch.hub, "load", lambda *_: Theirs()):
        extractor = FeatureExtractorDinoV2("dinov2-vit-l-14", ["dinov2"])
    with torch.inference_mode():
        sets = [extractor(torch.from_numpy(np.stack(list(x))))[0].double() for x in (given.sr, given.reference_hr)]
    metric = FdDinov2()
    score = metric.score(given)
    assert metric.ours(given) == pytest.approx(sets[0].numpy(), abs=2e-4)
    first, second = (fid_features_to_statistics(x) for x in sets)
    theirs = fid_statistics_to_metric(first, second, False)["frechet_inception_distance"]
    assert score.value == pytest.approx(theirs, rel=1e-3)
    assert score.value == pytest.approx(frechet(*(x.numpy() for x in sets)), rel=1e-2)
    assert score.ci[0] < score.value < score.ci[1] and weights.file_hash("dinov2-vitl14") in metric.protocol(given)
    same = Outputs(
        sr=given.reference_hr, names=list(map(str, range(12))), reference_hr=given.reference_hr, cache=given.cache
    )
    assert metric.score(same).value < 1e-6 * score.value + 1e-6
    given.reference_hr = Reference("x", None, (), (np.zeros(3), np.eye(3)))
    with pytest.raises(Unavailable, match="3 features, not DINOv2's 64"):
        metric.score(given)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_cmmd_is_its_authors_estimator_on_clips_embeddings(store, tmp_path):
    with pkg_resources():
        from clip.model import CLIP

    model = filled(CLIP(64, 56, 2, 64, 14, 77, 100, 64, 1, 1).float())
    inputs = (torch.rand(1, 3, 56, 56), torch.zeros(1, 77, dtype=torch.long))
    torch.jit.save(torch.jit.trace(model, inputs, check_trace=False), tmp_path / "clip.pt")
    store("clip-vit-l-14-336", tmp_path / "clip.pt")
    given = outputs(6, 32)

    def embedded(images):
        large = F.interpolate(tensors(list(images)), size=(56, 56), mode="bicubic")
        mean, std = (
            torch.tensor([0.48145466, 0.4578275, 0.40821073]),
            torch.tensor([0.26862954, 0.26130258, 0.27577711]),
        )
        with torch.inference_mode():
            found = model.encode_image((large - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        return (found / found.norm(dim=1, keepdim=True)).double().numpy()

    x, y = embedded(given.sr), embedded(given.reference_hr)

    def kernel(a, b):
        return np.mean([[np.exp(-np.sum((p - q) ** 2) / 200) for q in b] for p in a])

    metric = Cmmd()
    score = metric.score(given)
    assert metric.ours(given) == pytest.approx(x, abs=1e-3)  # the package's weights are of half precision
    expected = 1000 * (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y))
    assert score.value == pytest.approx(expected, rel=2e-2) and score.value > 0
    exact = mmd(metric.ours(given).astype(float), metric.of_reference(given).astype(float), 0.0, [])[0]
    x, y = metric.ours(given).astype(float), metric.of_reference(given).astype(float)
    assert exact == pytest.approx(1000 * (kernel(x, x) - 2 * kernel(x, y)), rel=1e-9)
    assert score.ci[0] < score.value < score.ci[1]


def test_leaving_groups_out_is_the_distance_of_the_rest():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 3, (9, 5)), rng.normal(1, 3, (12, 5))
    groups = stats.dealt([bytes([i]) for i in range(9)])
    _, left_out = mmd(x, y, float(gaussian(y, y).mean()), groups)
    for group, value in zip(groups, left_out, strict=True):
        kept = [i for i in range(9) if i not in group]
        assert value == pytest.approx(mmd(x[kept], y, float(gaussian(y, y).mean()), [])[0])


def test_missing_files_name_their_commands(store):
    for metric in (FdDinov2(), Cmmd()):
        with pytest.raises(MissingWeights, match=f"bench weights fetch {metric.file}"):
            metric.score(outputs(3, 32))
