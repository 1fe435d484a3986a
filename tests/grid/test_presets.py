"""Presets and variants: what a variant is named after survives, and no two variants are one model."""

import dataclasses

import pytest
from smooth import smooth_images

from bench import plugins
from bench.core.spec import Spec, override, parse
from bench.errors import UsageError
from bench.faces.faceset import Data, FaceSet
from bench.grid.plan import make
from bench.grid.resolve import RESERVED, parameters, recipe
from bench.grid.settings import PRESETS, Settings

ALL = [
    (kind, name)
    for kind in ("methods", "degradations")
    for name in plugins.names(kind)
    if plugins.load(kind, name).variants
]


@pytest.mark.parametrize("preset", [*PRESETS])
@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_preset_keeps_what_defines_a_variant(kind, name, preset):
    cls = plugins.load(kind, name)
    fields = {f.name for f in dataclasses.fields(cls.Params)}
    for variant, options in cls.variants.items():
        params = parameters(cls, Spec(name, (("variant", variant),)), preset)
        defining = {k: v for k, v in options.items() if k in fields or k not in RESERVED}
        if preset == "quick":
            defining = {k: v for k, v in defining.items() if v == 0 or not (k in cls.lengths and k in cls.quick)}
        assert override(params, defining, "") == params, (variant, preset)


@pytest.fixture(scope="module")
def data():
    hr, lr = (FaceSet.of(list(smooth_images(2, side)), ["a", "b"], "faces") for side in (64, 16))
    return Data(hr, hr, lr, lr)


@pytest.mark.parametrize("preset", [*PRESETS])
@pytest.mark.parametrize(("kind", "name"), ALL)
def test_variants_are_models_of_their_own(kind, name, preset, data, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    cls, settings = plugins.load(kind, name), Settings(preset=preset, device="cpu", precision="fp32")
    keys = {}
    for variant, options in cls.variants.items():
        if not options:
            continue  # the plugin as it is
        keys.setdefault(recipe(kind, Spec(name, (("variant", variant),)), settings, data).key, []).append(variant)
    keys.setdefault(recipe(kind, Spec(name), settings, data).key, []).append("without a variant")
    others = [[name for name in names if name != "without a variant"] for names in keys.values()]
    assert all(len(names) <= 1 for names in others), keys  # the plugin as it is may be one of them


def test_the_quick_preset_shortens_a_variant_and_nothing_else():
    cls = plugins.load("methods", "selfsr")
    params = parameters(cls, parse("selfsr[variant=unpaired]"), "quick")
    assert (params.steps, params.pairs) == (280, "unpaired")
    assert parameters(cls, parse("selfsr[variant=unpaired]"), "paper").steps == 280_000
    assert parameters(cls, parse("selfsr[variant=unpaired,steps=7]"), "quick").steps == 7
    low = plugins.load("methods", "low-to-high")
    assert parameters(low, parse("low-to-high[variant=pixel-only]"), "quick").beta == 0
    assert parameters(low, parse("low-to-high"), "quick").beta == 0.003
    cycle = plugins.load("degradations", "flow-field")
    assert parameters(cycle, parse("flow-field[variant=cycle]"), "quick").identity == 0


def test_what_learns_from_real_lr_alone_takes_no_degradation(data):
    """One training, however many degradations a run trains on; asked for one by name, it says why not."""
    settings = Settings(methods="cyclegan-sr,edsr", degradations="bicubic,bilinear", metrics="psnr", preset="quick",
                        device="cpu", precision="fp32")  # fmt: skip
    grid = make(settings, data)
    assert [m.label for m in grid.methods] == ["cyclegan-sr", "edsr", "edsr[degradation=bilinear]"]
    assert [m.degradation and m.degradation.label for m in grid.methods] == [None, "bicubic", "bilinear"]
    assert grid.trainings == 3
    with pytest.raises(UsageError, match=r"^cyclegan-sr learns from real LR alone, so it takes no degradation$"):
        recipe("methods", parse("cyclegan-sr[degradation=bicubic]"), settings, data)


def test_wgan_gp_is_of_both_networks(data):
    settings = Settings(preset="quick", device="cpu", precision="fp32")
    both = recipe("methods", parse("low-to-high[variant=wgan-gp]"), settings, data)
    assert both.params.gan == both.degradation.params.gan == "wgan-gp"
