"""Consistency under degradation: constructed methods come out in the order they must, values against numpy."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from bench.methods.interpolation import Bicubic
from bench.metrics.consistency import Consistency, ConsistencyIdentity, ConsistencyLpips, area
from bench.metrics.versions import levels
from bench.reports.contents import contents
from degraded import outputs, smoothed
from made_reports import row

from bench.core.image import downsample, upsample
from bench.core.spec import override, parse
from bench.errors import Unavailable
from bench.faces.procedural import portrait
from bench.weights import files


def metric(**options):
    return Consistency(override(Consistency.Params(), options, "consistency"))


def bicubic(lr):
    return Bicubic().infer(lr)


def constant(lr):
    return torch.full((len(lr), 3, lr.shape[2] * 4, lr.shape[3] * 4), 0.5)


def amplifying(lr):
    return upsample(lr + 2 * (lr - smoothed(lr)), 4)


def denoising(lr):
    return upsample(smoothed(lr), 4)


def fading(lr):
    """Bicubic at a quarter of the contrast: consistent in grey levels only because it shows less."""
    return 0.5 + (bicubic(lr) - 0.5) / 4


def nearest(lr):
    return F.interpolate(lr, scale_factor=4)


def test_constructed_methods_come_out_in_the_order_they_must():
    scores = {f.__name__: metric().score(outputs(f)) for f in (denoising, bicubic, amplifying, fading)}
    for part in ("to_clean", "sensitivity", "area", "relative", "level0", "level3"):
        values = [scores[name].extra[part] for name in ("denoising", "bicubic", "amplifying")]
        assert values == sorted(values) and values[0] < 0.7 * values[1] < 0.5 * values[2], part
    assert scores["denoising"].value < scores["bicubic"].value < scores["amplifying"].value
    assert scores["denoising"].extra["psnr"] > scores["bicubic"].extra["psnr"] > scores["amplifying"].extra["psnr"]
    assert set(scores["bicubic"].directions) == {"psnr", "psnr_to_clean", "response", "lr_psnr", "lr_floor"}
    assert scores["fading"].value < scores["denoising"].value
    assert scores["fading"].extra["relative"] == pytest.approx(scores["bicubic"].extra["relative"], rel=0.02)


def test_a_constant_output_is_not_rewarded():
    with pytest.raises(Unavailable, match="one picture"):
        metric().score(outputs(constant))


TESTED, TRAINING = np.split(portrait.faces(24, 1, size=64)[0], [8])


def cheats():
    """Methods that are consistent because they ignore what they are given: what they know are training faces."""
    known = torch.from_numpy(TRAINING).float() / 255
    small = downsample(known, 4)

    def two_faces(lr):
        return known[(lr.mean((1, 2, 3)) > float(small.mean())).long()]

    def look_up(lr):
        return known[(lr[:, None] - small).square().mean((2, 3, 4)).argmin(1)]

    def tinted_look_up(lr):
        nearest_ = (lr[:, None] - small).square().mean((2, 3, 4)).argmin(1)
        return (known[nearest_] + (lr - small[nearest_]).mean((2, 3), keepdim=True)).clamp(0, 1)

    def mean_tint(lr):
        return (known.mean(0) + (lr - small.mean(0)).mean((2, 3), keepdim=True)).clamp(0, 1)

    def five_faces(lr):  # a face of five numbers: the projection on principal components
        flat = small.flatten(1) - small.flatten(1).mean(0)
        basis = torch.linalg.svd(flat, full_matrices=False)[2][:5]
        shown = (lr.flatten(1) - small.flatten(1).mean(0)) @ basis.T @ basis + small.flatten(1).mean(0)
        return bicubic(shown.view_as(lr).clamp(0, 1))

    def fading_to_the_mean(lr):
        return known.mean(0) + 0.4 * (bicubic(lr) - known.mean(0))

    def blur(lr):
        return upsample(F.avg_pool2d(lr, 4), 16)

    def half_resolution(lr):
        return upsample(F.avg_pool2d(lr, 2), 8)

    def nearly_constant(lr):
        return 0.5 + (bicubic(lr) - 0.5) / 25

    return {
        f.__name__: f
        for f in locals().values()
        if getattr(f, "__code__", None) and f.__code__.co_varnames[:1] == ("lr",)
    }


def of_faces(upscale, **more):
    """Faces with detail at the LR's own resolution, which smooth pictures lack."""
    hr = TESTED
    lr = (downsample(torch.from_numpy(hr) / 255, 4).clamp(0, 1) * 255).round().byte().numpy()
    return outputs(upscale, hr=list(hr), lr=list(lr), **more)


def marked(scores, metric, folder):
    """The methods that a report of these scores marks anywhere, and its tables."""
    rows: list[dict] = []
    for name, score in scores.items():
        shared = {"condition": "real", "direction": "lower"}
        for k, v in {"": score.value, **score.extra}.items():
            direction = score.directions.get(k, "lower")
            rows.append(row(name, value=v, metric=f"{metric}{k and '.' + k}", condition="real", direction=direction))
        rows += [row(name, value=v, metric=metric, image=f"face{i}", **shared) for i, v in enumerate(score.per_image)]
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "results.csv", index=False)
    found = contents([folder]).tables
    return {r.label for t in found for r in t.rows for c in r.cells if c.rank or c.tied}, found


def test_what_ignores_its_input_is_never_the_best(tmp_path):
    chosen, cache = metric(severities=(4, 16), versions=2), {}
    honest = {f.__name__: chosen.score(of_faces(f, cache=cache)) for f in (bicubic, nearest)}
    false = {name: chosen.score(of_faces(f, cache=cache)) for name, f in cheats().items()}
    assert len(false) == 9
    for score in honest.values():
        assert score.extra["lr_psnr"] > score.extra["lr_floor"] + 3
    for name, score in false.items():
        assert score.extra["lr_psnr"] < score.extra["lr_floor"], name
        assert score.value < honest["bicubic"].value, "else there were nothing to guard"
    best, found = marked({**false, **honest}, "consistency", tmp_path / "out")
    assert best == set(honest)
    table = next(t for t in found if t.kind == "consistency")
    shown = [c.short for c in table.columns]
    assert {"response", "LR-PSNR", "its floor"} <= set(shown) and "† Never the best in between" in table.guarded
    floor = shown.index("its floor")
    assert not any(r.cells[floor].rank for r in table.rows), "a floor is no achievement"
    ranked = next(t for t in found if t.kind == "ranks")
    assert {r.label for r in ranked.rows} == set(honest)


@pytest.mark.parametrize("name", ["consistency-lpips", "consistency-identity"])
def test_the_guard_is_the_same_in_other_distances(name, tmp_path, monkeypatch):
    from bench.metrics import consistency

    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 112 * 112, 8)).requires_grad_(False)
    monkeypatch.setattr(consistency, "arcface", lambda: net)
    monkeypatch.setattr(
        ConsistencyLpips, "load", lambda self, outputs: (lambda x: x.flatten(1), lambda a, b: (a - b).square().sum(1))
    )
    cls = {"consistency-lpips": ConsistencyLpips, "consistency-identity": ConsistencyIdentity}[name]
    chosen = cls(override(cls.Params(), {"severities": (8,), "versions": 2}, name))
    methods = {"bicubic": bicubic, "nearest": nearest} | {k: cheats()[k] for k in ("look_up", "mean_tint", "blur")}
    cache: dict = {}
    best, found = marked(
        {k: chosen.score(of_faces(f, cache=cache)) for k, f in methods.items()}, name, tmp_path / "out"
    )
    assert best == {"bicubic", "nearest"} and found[-1].columns


def test_the_response_is_that_to_a_face_over_that_to_degradation():
    """A method that passes both on alike has 1; one that hears the degradation half as loud has 2."""
    assert metric().score(outputs(nearest)).extra["response"] == pytest.approx(1, rel=1e-3)
    assert metric().score(outputs(denoising)).extra["response"] > 1.5


def test_a_method_that_copies_pixels_passes_everything_on():
    """nearest neighbour: every distance between outputs is the one between inputs, 16 times over."""
    lr = [np.full((3, 16, 16), 40 * i + 80, np.uint8) for i in range(4)]
    score = metric(severities=(3,), versions=4).score(outputs(nearest, lr=lr, names=list("abcd")))
    assert score.extra["sensitivity"] == pytest.approx(1, rel=1e-5)
    assert score.value == pytest.approx(3 * 2**0.5, rel=0.03), "two draws of noise differ by sigma sqrt(2)"
    assert score.extra["to_clean"] == score.extra["level0"] == pytest.approx(3, rel=0.03)
    assert score.extra["level0_input"] == pytest.approx(score.extra["level0"], rel=1e-5)
    assert score.extra["area"] == pytest.approx(score.extra["level0"] / 2, rel=1e-5), "a triangle from the origin"
    assert score.extra["psnr_to_clean"] == pytest.approx(20 * np.log10(255 / 3), abs=0.2)
    assert score.extra["psnr"] == pytest.approx(20 * np.log10(255 / score.value), abs=0.01)
    assert score.extra["relative"] == pytest.approx(score.value / (200 / 3), rel=1e-4), "pairs differ by 40 to 120"


def test_values_agree_with_numpy():
    given = outputs(bicubic, n=3)
    score = metric(severities=(4, 9), versions=2).score(given)
    ((_, clean, versions),) = next(iter(given.cache.values()))
    assert versions.shape == (2, 2, 3, 3, 16, 16)
    outs = np.stack([bicubic(v).numpy() for v in versions.flatten(0, 1)]) * 255
    pairs = [np.sqrt(((outs[i] - outs[j]) ** 2).mean((1, 2, 3))) for i in range(4) for j in range(i)]
    assert score.per_image == pytest.approx(np.mean(pairs, 0), rel=1e-5)
    drift = np.sqrt(((outs - bicubic(clean).numpy() * 255) ** 2).mean((2, 3, 4))).mean(1)
    assert [score.extra["level0"], score.extra["level1"]] == pytest.approx(
        [drift[:2].mean(), drift[2:].mean()], rel=1e-5
    )


def test_versions_depend_on_the_face_and_not_on_order_or_batch(monkeypatch):
    given = outputs(bicubic)
    first = metric().score(given)
    order = np.random.default_rng(0).permutation(8)
    shuffled = metric().score(outputs(bicubic, lr=[given.lr[i] for i in order], names=[given.names[i] for i in order]))
    assert shuffled.extra == pytest.approx(first.extra, rel=1e-5)
    assert shuffled.per_image == pytest.approx(first.per_image[order], rel=1e-5)
    import bench

    batches = bench.batches
    monkeypatch.setattr(bench, "batches", lambda *images, **o: batches(*images, **{**o, "size": 3}), raising=False)
    assert metric().score(outputs(bicubic)).per_image == pytest.approx(first.per_image, rel=1e-5)


def test_versions_can_be_made_from_the_ground_truth():
    score = metric(source="hr").score(outputs(bicubic, lr=[np.zeros((3, 16, 16), np.uint8)] * 8))
    assert score.extra["level0_input"] == pytest.approx(2, rel=0.05)
    with pytest.raises(Unavailable, match="ground truth"):
        metric(source="hr").score(outputs(bicubic, hr=None))


def test_levels_are_severities_of_one_degradation_or_a_list_of_several():
    assert levels(metric(severities="2+4").params) == ["noise[sigma=2]", "noise[sigma=4]"]
    chosen = parse("consistency[degradation=noise[sigma=4]+jpeg[quality=30],parameter=none]")
    assert levels(metric(**dict(chosen.options)).params) == ["noise[sigma=4]", "jpeg[quality=30]"]
    options = {"degradation": "jpeg", "parameter": "quality", "severities": "60+30+10"}
    score = metric(**options).score(outputs(bicubic))
    assert 0 < score.extra["level0"] < score.extra["level1"] < score.extra["level2"], "one version a level is enough"


def test_a_single_version_is_paired_with_the_undegraded_lr():
    score = metric(degradation=("jpeg[quality=20]",), parameter=None).score(outputs(bicubic))
    assert score.value == pytest.approx(score.extra["to_clean"]) and score.value > 1
    assert score.extra["sensitivity"] == pytest.approx(score.extra["level0"] / score.extra["level0_input"], rel=1e-5)


def test_only_the_first_faces_are_used_and_the_others_are_not_measured():
    score = metric(faces=3).score(outputs(bicubic))
    assert score.n == 3 and np.isfinite(score.per_image).tolist() == [True] * 3 + [False] * 5


def test_faces_of_several_sizes_are_measured():
    lr = [np.full((3, 8 + i, 12), 40 * i, np.uint8) for i in range(4)]
    score = metric().score(outputs(bicubic, lr=lr, names=list("abcd")))
    assert np.isfinite(score.per_image).all() and score.extra["relative"] > 0


def test_a_degradation_that_changes_nothing_is_refused():
    with pytest.raises(Unavailable, match="the same LR"):
        metric().score(outputs(bicubic, degrade=lambda spec, images, **_: images))


def test_the_area_is_the_mean_height_of_the_curve():
    assert area(np.array([4.0, 2.0]), np.array([3.0, 3.0])) == pytest.approx((2 * 1.5 + 2 * 3) / 4)


def test_the_robustness_figure_shows_clean_and_degraded_versions_of_the_first_faces():
    given = outputs(bicubic)
    found = metric(severities=(4, 16)).score(given).pictures
    columns = [("clean", "lr"), ("clean", "sr"), ("noise[sigma=4]", "lr"), ("noise[sigma=4]", "sr")]
    assert [(p.label, p.of) for p in found[:4]] == columns
    assert {p.group for p in found} == {"face0", "face1"} and len(found) == 12
    assert np.array_equal(found[0].image, given.lr[0]) and found[0].note == found[1].note == ""
    answers = [p for p in found if p.of == "sr" and p.group == "face0"]
    clean, weak, strong = (p.image.astype(float) for p in answers)
    for one, picture in ((weak, answers[1]), (strong, answers[2])):
        assert float(picture.note.split()[0]) == pytest.approx(
            10 * np.log10(255**2 / ((one - clean) ** 2).mean()), abs=0.2
        )


def test_with_one_level_the_figure_shows_all_versions_side_by_side():
    """Goswami's: several degraded versions of one face by one degradation."""
    found = metric(degradation=("noise[sigma=9]",), parameter=None, versions=4).score(outputs(bicubic)).pictures
    first = [p for p in found if p.group == "face0"]
    assert [p.label for p in first if p.of == "lr"] == [
        "clean",
        "noise[sigma=9]",
        *(f"noise[sigma=9] ({k})" for k in (2, 3, 4)),
    ]
    assert [p.label for p in first if p.of == "sr"] == [p.label for p in first if p.of == "lr"]
    assert len({p.image.tobytes() for p in first if p.of == "lr"}) == 5, "each another version"


def test_lpips_of_versions_is_the_packages_number(tmp_path, monkeypatch):
    import torchvision

    file = tmp_path / "alexnet.pth"
    torch.manual_seed(0)
    torch.save(torchvision.models.alexnet().state_dict(), file)
    monkeypatch.setattr(files, "path", lambda name: file)
    given = outputs(bicubic, n=2)
    chosen = ConsistencyLpips(override(Consistency.Params(), {"severities": (4, 9), "versions": 1}, "consistency"))
    score = chosen.score(given)
    from bench.kit.features import lpips

    ((_, clean, versions),) = next(v for k, v in given.cache.items() if k[0] == "versions")
    outs, model = [bicubic(v) for v in versions.flatten(0, 1)], lpips("alex")
    with torch.no_grad():
        assert score.per_image == pytest.approx(model(outs[0], outs[1], normalize=True).flatten().numpy(), rel=1e-4)
        drift = [model(o, bicubic(clean), normalize=True).mean().item() for o in outs]
    assert [score.extra["level0"], score.extra["level1"]] == pytest.approx(drift, rel=1e-4)
    assert score.pictures == [] and 0 < score.extra["relative"] < 1


def test_identity_of_versions_is_one_less_the_cosine(monkeypatch):
    from bench.metrics import consistency

    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 112 * 112, 8)).requires_grad_(False)
    monkeypatch.setattr(consistency, "arcface", lambda: net)
    given = outputs(bicubic, n=2)
    chosen = ConsistencyIdentity(override(Consistency.Params(), {"severities": (16,), "versions": 2}, "consistency"))
    score = chosen.score(given)
    ((_, _, versions),) = next(v for k, v in given.cache.items() if k[0] == "versions")
    a, b = (consistency.embed(net, bicubic(v)).numpy() for v in versions[0])
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert score.per_image == pytest.approx(1 - cosine, rel=1e-4) and chosen.required_weights() == ("arcface",)


LEARNED = """
from dataclasses import dataclass
import torch
import bench
from bench.api import downsample

class Dim(bench.Degradation):
    @dataclass(frozen=True)
    class Params:
        steps: int = 2
    def build(self):
        self.gain = torch.nn.Parameter(torch.ones(1))
    def stages(self):
        return [bench.Stage("dim", self.params.steps, self.step, {"net": torch.optim.SGD([self.gain], 0.1)}, batch_size=2)]
    def step(self, batch, run):
        run.minimize(self.infer(batch.hr).mean(), "net")
    def infer(self, hr, generator=None):
        return self.gain * downsample(hr, self.scale)
"""


def test_a_run_takes_the_degradation_from_the_metrics_brackets_and_trains_it(bench, folders, tmp_path):
    import json

    (tmp_path / "dim.py").write_text(LEARNED)
    hr, lr = folders
    common = [
        "--plugin",
        tmp_path / "dim.py",
        "--methods",
        "bicubic",
        "--conditions",
        "bicubic",
        "--hr",
        hr,
        "--lr",
        lr,
    ]
    common += ["--device", "cpu", "--out", tmp_path / "out", "--metrics"]
    known = "consistency[degradation=jpeg,parameter=quality,severities=60+20]"
    learned = "consistency[degradation=dim[steps=3],parameter=none]"
    code, _, err = bench("run", *common, f"{known},{learned}")
    assert code == 0, err
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet")
    protocols = rows[rows.image == ""].groupby("metric").protocol.first()
    assert "jpeg[quality=60], jpeg[quality=20]" in protocols[known] and "dim[steps=3]" in protocols[learned]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [d["label"] for d in record["degradations"]] == ["dim[steps=3]"], "trained for the metric alone"
    code, _, err = bench("run", *common, "consistency[degradation=jpeg]")
    assert code == 2 and "no parameter 'sigma'" in err and len(err.strip().splitlines()) == 1
