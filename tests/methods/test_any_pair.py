"""Every method trains on every learned degradation, through all of its stages."""

import pytest
import torch
from bench.degradations.conditions import Bicubic, Blur
from bench.degradations.degradation_gan import DegradationGAN
from bench.degradations.flow_field import FlowField
from bench.degradations.high_to_low import HighToLow
from bench.degradations.jpeg_kernel import JpegKernel
from bench.methods.esrgan_jpeg_kernel import ESRGANJpegKernel
from bench.methods.low_to_high import LowToHigh
from bench.methods.selfsr import SelfSR
from bench.methods.smooth_features import SmoothFeatures
from small_training import train

from bench.core.spec import override

pytestmark = pytest.mark.usefixtures("one_thread")
NARROW = {"width": 4, "critic_width": 4, "batch": 2, "steps": 2}
DEGRADATIONS = {
    "bicubic": (Bicubic, {}),
    "blur": (Blur, {"kind": "box"}),
    "high-to-low": (HighToLow, NARROW),
    "high-to-low-wgan": (HighToLow, {**NARROW, "gan": "wgan-gp", "layout": "released"}),
    "degradation-gan": (DegradationGAN, NARROW),
    "flow-field": (FlowField, {**NARROW, "blocks": 1}),
    "cycle": (FlowField, {**NARROW, "blocks": 1, "adaptation": "cycle"}),
    "vanilla": (FlowField, {"adaptation": "none"}),
    "jpeg-kernel": (JpegKernel, {"kernel": "bicubic", "noise": "gaussian"}),
}
METHODS = {
    "low-to-high": (LowToHigh, {"widths": (4, 4, 4), "blocks": (1, 1, 1), "critic_width": 4, "critic_updates": 1, "steps": 2,
                                "joint_steps": 2}),
    "low-to-high-wgan": (LowToHigh, {"widths": (4, 4, 4), "blocks": (1, 1, 1), "critic_width": 4, "critic_updates": 1,
                                     "steps": 2, "joint_steps": 2, "gan": "wgan-gp"}),
    "smooth-features": (SmoothFeatures, {"width": 4, "pairs": 1, "critic_width": 4, "critic_updates": 1, "steps": 4,
                                         "feature_loss": "none", "robust_start": 2}),
    "selfsr": (SelfSR, {"widths": (4, 4, 4), "blocks": 1, "hidden": 4, "critic_width": 4, "critic_most": 4, "steps": 4}),
    "selfsr-unpaired": (SelfSR, {"widths": (4, 4, 4), "blocks": 1, "hidden": 4, "critic_width": 4, "critic_most": 4,
                                 "steps": 4, "pairs": "unpaired"}),
    "esrgan": (ESRGANJpegKernel, {"width": 4, "blocks": 1, "growth": 4, "critic_width": 4, "init": "none", "l1_steps": 2,
                                  "feature_loss": "none", "steps": 2}),
}  # fmt: skip
JOINT = {"high-to-low", "high-to-low-wgan", "degradation-gan", "flow-field"}
PAIRS = [(m, d) for m in METHODS for d in DEGRADATIONS if not ("-wgan" in m or "unpaired" in m) or d.startswith("high")]
HR, REAL = torch.rand(4, 3, 32, 32), torch.rand(4, 3, 12, 12)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The degradations after two steps on real LR of another size, by name."""
    torch.manual_seed(0)
    found = {}
    for name, (cls, options) in DEGRADATIONS.items():
        model = cls(override(cls.Params(), options, ""), hr_size=32)
        if model.stages():
            result = train(model, HR, tmp_path_factory.mktemp(name), REAL)
            assert [s["steps"] for s in result["stages"]] == [2]
            model.load_state_dict(result["model"])
        found[name] = model.eval()
    return found


@pytest.mark.parametrize(("method", "degradation"), PAIRS)
def test_it_trains_through_every_stage(method, degradation, trained, tmp_path):
    cls, options = METHODS[method]
    torch.manual_seed(0)
    base = trained[degradation]
    kept = {k: v.clone() for k, v in base.state_dict().items() if isinstance(v, torch.Tensor)}
    model = cls(override(cls.Params(), {**options, "batch": 2}, ""), hr_size=32, degradation=base)
    result = train(model, HR, tmp_path, REAL)
    assert [s["steps"] for s in result["stages"]] == [2, 2][
        : 1 if method.startswith("low") and degradation not in JOINT else 2
    ]
    assert not any(k.startswith("degradation.") for k in result["model"])
    assert all(torch.isfinite(v).all() for v in result["model"].values() if isinstance(v, torch.Tensor))
    joint = method.startswith("low") and degradation in JOINT
    assert ("degradation" in result) == joint, "what the joint stage tuned is kept, and nothing else"
    if joint:
        tuned = result["degradation"]
        assert tuned.keys() >= kept.keys() and any(not torch.equal(tuned[k], v) for k, v in kept.items())
        base.load_state_dict({**base.state_dict(), **kept})  # for the next
        base.requires_grad_(False).eval()
    else:
        assert all(torch.equal(v, base.state_dict()[k]) for k, v in kept.items()), "a frozen degradation stays"
    said = any("cannot train along" in note for note in result["notes"])
    assert said == (method.startswith("low") and not joint)
