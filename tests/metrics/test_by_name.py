"""pyiqa's metrics by name against `pyiqa.create_metric` on the same faces and files; where those come from."""

import hashlib
import importlib
import importlib.util
import json
import socket
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import scipy.io
import torch
from bench.metrics.by_name import Pyiqa
from scored import agrees, outputs, tensors, with_params

from bench import weights
from bench.core.image import write_image
from bench.errors import MissingWeights, Unavailable
from bench.kit import iqa


@pytest.fixture(autouse=True)
def empty_store(store, no_network):
    """No file, no network."""


def by_name(name):
    return with_params(Pyiqa, metric=name)


def one_by_one(model):
    """The package's own metric on each face alone, as its command does it."""
    return lambda *images: torch.cat([model(*(x[i : i + 1] for x in images)).flatten() for i in range(len(images[0]))])


@pytest.mark.parametrize("name", ["vif", "gmsd", "fsim", "vsi", "nlpd", "ssim", "entropy", "piqe"])
def test_metrics_without_weights_are_pyiqas(name):
    import pyiqa

    theirs = pyiqa.create_metric(name, device=torch.device("cpu"))
    given = outputs(2)
    score = agrees(metric := by_name(name), given, one_by_one(theirs), rel=1e-6)
    assert metric.direction == ("lower" if theirs.lower_better else "higher")
    assert metric.needs == (("hr",) if theirs.metric_mode == "FR" else ()) and metric.required_weights() == ()
    assert name in metric.protocol(given) and score.per_image[0] != score.per_image[1]


def test_two_metrics_have_rows_of_their_own(bench, tmp_path):
    (tmp_path / "hr").mkdir()
    for index, image in enumerate(outputs(2).hr):
        write_image(tmp_path / "hr" / f"{index}.png", image)
    both = "pyiqa[metric=vif],pyiqa[metric=gmsd]"
    code, *_ = bench("score", tmp_path / "hr", "--hr", tmp_path / "hr", "--metrics", both, "--out", tmp_path / "o")
    table = (tmp_path / "o" / "results.csv").read_text().splitlines()
    assert code == 0 and "higher" in next(line for line in table if "metric=vif" in line)
    assert "lower" in next(line for line in table if "metric=gmsd" in line)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("pyiqa[metric=maniq]", "did you mean 'maniqa'?"), ("pyiqa[metric=fid]", "measures a set"), ("pyiqa", "pyiqa[metric=...]")],
)  # fmt: skip
def test_a_name_that_measures_no_face_is_refused_before_any_work(bench, folders, typed, answer):
    code, _, err = bench("score", folders[0] / "test", "--metrics", typed)
    assert code == 2 and answer in err


def test_a_missing_file_names_the_command_and_asks_no_network(bench, folders, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))
    for name, file in (("clipiqa+", "RN50.pt"), ("fgresq", "openai/clip-vit"), ("cnniqa", "CNNIQA")):
        with pytest.raises(MissingWeights, match=rf"^{file}.*bench weights fetch pyiqa:{name.replace('+', '.')}"):
            by_name(name).score(outputs(1))
    code, out, _ = bench("score", folders[0] / "test", "--metrics", "pyiqa[metric=maniqa]")
    assert code == 1 and "unavailable" in out and "bench weights fetch pyiqa:maniqa" in out


@pytest.fixture
def put(store, tmp_path):
    """put(FILE, content): a file that pyiqa asks for, of random values."""
    folder = tmp_path / "files"
    folder.mkdir()

    def save(file, content):
        (torch.jit.save if isinstance(content, torch.jit.ScriptModule) else torch.save)(content, folder / file)
        return str(store(f"random {file}", folder / file))

    return save


def test_a_network_is_that_of_its_file(put):
    from pyiqa.archs.cnniqa_arch import CNNIQA

    torch.manual_seed(3)
    theirs = CNNIQA(pretrained=None).eval()
    put("CNNIQA_koniq10k-e6f14c91.pth", {"params": theirs.state_dict()})
    given = outputs(2)
    agrees(metric := by_name("cnniqa"), given, one_by_one(theirs), rel=1e-5)
    (name,) = metric.required_weights()
    assert name == "pyiqa:CNNIQA_koniq10k-e6f14c91.pth" and weights.file_hash(name) in metric.protocol(given)


def test_a_backbone_that_the_checkpoint_holds_is_not_asked_for(put):
    """As in TOPIQ, MANIQA, HyperIQA: timm would fetch what the next line replaces."""
    from pyiqa.archs.arch_util import get_url_from_name, load_pretrained_network
    from timm.models import resnet

    class Held(torch.nn.Module):
        def __init__(self, **_):
            super().__init__()
            self.net = resnet.resnet18(pretrained=True)
            load_pretrained_network(self, get_url_from_name("HyperIQA-resnet50-koniq10k-c96c41b1.pth"), True, "params")

    saved = {f"net.{name}": value for name, value in resnet.resnet18().state_dict().items()}
    put("HyperIQA-resnet50-koniq10k-c96c41b1.pth", {"params": saved})
    with patch("pyiqa.models.inference_model.build_network", lambda _: Held()):
        found = iqa.create("hyperiqa").net.state_dict()
    assert all(torch.equal(found[name], value) for name, value in saved.items())


def test_a_backbone_that_no_checkpoint_holds_is_asked_for(put):
    """AHIQ keeps its backbones as timm has them: without their files it is not made of empty ones."""
    from timm.models import _builder, resnet

    class Kept(torch.nn.Module):
        def __init__(self, **_):
            super().__init__()
            self.net = resnet.resnet18(pretrained=True)

    with patch("pyiqa.models.inference_model.build_network", lambda _: Kept()):
        with pytest.raises(MissingWeights, match=r"timm/resnet18.*bench weights fetch pyiqa:ahiq"):
            iqa.create("ahiq")
        with patch.object(_builder, "load_pretrained", lambda *_, **__: None):
            assert iqa.create("ahiq")


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_clips_networks_come_from_the_store_too(put):
    """CLIP-IQA+ on a small CLIP of the released layout, and its learned prompts."""
    with iqa.pkg_resources():
        from pyiqa.archs import clip_model, clipiqa_arch

    torch.manual_seed(3)
    small = clip_model.CLIP(64, 224, (1, 1, 1, 1), 16, None, 77, 49408, 512, 8, 1).eval()
    archive = torch.jit.trace(
        small, (torch.rand(1, 3, 224, 224), torch.zeros(1, 77, dtype=torch.long)), check_trace=False
    )
    backbone = put("RN50.pt", archive)
    prompts = put("CLIP-IQA+_learned_prompts-603f3273.pth", torch.randn(2, 16, 512))
    with patch.object(clip_model, "_download", lambda *_: backbone), \
         patch.object(clipiqa_arch, "load_file_from_url", lambda _: prompts):  # fmt: skip
        theirs = clipiqa_arch.CLIPIQA(model_type="clipiqa+").eval()
    given = outputs(2, 96)
    score = agrees(metric := by_name("clipiqa+"), given, one_by_one(theirs), rel=1e-5)
    assert len(metric.required_weights()) == 2 and ((score.per_image > 0) & (score.per_image < 1)).all()


def test_statistics_of_a_file_are_pyiqas(store, tmp_path):
    from pyiqa.archs.niqe_arch import NIQE

    rng = np.random.default_rng(0)
    root, file = rng.normal(0, 1, (36, 36)), tmp_path / "niqe_modelparameters.mat"
    scipy.io.savemat(file, {"mu_prisparam": rng.random((1, 36)), "cov_prisparam": root @ root.T})
    store("statistics", file)
    theirs = NIQE(test_y_channel=True, pretrained_model_path=str(file))
    agrees(by_name("niqe"), given := outputs(2, 96), one_by_one(theirs), rel=1e-6)
    small = outputs(1, 48)
    with pytest.raises(Unavailable, match="no face can be measured"):
        by_name("niqe").score(small)
    given.sr, given.names = given.sr + small.sr, ["a", "b", "c"]
    assert np.isfinite(by_name("niqe").score(given).per_image).tolist() == [True, True, False]


def test_a_model_of_the_hub_comes_from_its_folder_in_the_store(bench, put, tmp_path):
    """Hugging Face's layout, as `bench weights add` takes it: no network is asked, and what was read is in the key."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    small = CLIPVisionConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=28,
                             patch_size=14)  # fmt: skip
    revision = "1" * 40
    given = tmp_path / "models--some--clip"
    made = CLIPVisionModel(small)
    made.save_pretrained(given / "snapshots" / revision)
    (given / "refs").mkdir()
    (given / "refs" / "main").write_text(revision)

    class Loaded(torch.nn.Module):
        def __init__(self, **_):
            super().__init__()
            self.net = CLIPVisionModel.from_pretrained("some/clip")

    with patch("pyiqa.models.inference_model.build_network", lambda _: Loaded()):
        with pytest.raises(MissingWeights, match=r"some/clip.*bench weights fetch pyiqa:entropy.*models--some--clip"):
            iqa.create("entropy")
        assert bench("weights", "add", given)[0] == 0
        loaded = iqa.create("entropy").net.net.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in made.state_dict().items())
    files = iqa.files_of("entropy")
    assert f"pyiqa:hub/models--some--clip/snapshots/{revision}/model.safetensors" in files
    assert all(weights.file_hash(name) for name in files)


def test_random_crops_are_the_seeds(put):
    """A network that draws crops gives the same face the same value, in any order."""

    class Drawing(torch.nn.Module):
        def forward(self, images):
            return images.mean((1, 2, 3)) + torch.rand(len(images))

    with patch("pyiqa.models.inference_model.build_network", lambda _: Drawing()):
        given = outputs(3)
        state = torch.get_rng_state()
        first = by_name("entropy").score(given)
        assert torch.equal(state, torch.get_rng_state())
        given.sr.reverse()
        assert by_name("entropy").score(given).per_image[::-1] == pytest.approx(first.per_image, rel=1e-7)
        given.seed, drawn = 7, first.per_image - tensors(given.sr[::-1]).mean((1, 2, 3)).numpy()
        assert np.ptp(drawn) < 1e-6 and by_name("entropy").score(given).value != pytest.approx(first.value, abs=1e-4)


def test_files_are_added_by_the_names_that_pyiqa_gives_them(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "here"))
    (tmp_path / "ckpt_koniq10k.pt").write_bytes(b"x")
    code, out, _ = bench("weights", "add", tmp_path / "ckpt_koniq10k.pt")
    assert code == 0 and (tmp_path / "here" / "ckpt_koniq10k.pt").is_file() and "recorded now" in out
    (tmp_path / "RN50.pt").write_bytes(b"x")
    code, _, err = bench("weights", "add", tmp_path / "RN50.pt")
    assert code == 2 and "refused" in err
    model = tmp_path / "models--some--one" / "snapshots" / "0"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    code, _, _ = bench("weights", "add", tmp_path / "models--some--one")
    assert code == 0 and (tmp_path / "here" / "hub" / "models--some--one" / "snapshots").is_dir()


def test_fetch_gets_what_a_metric_asks_for_one_after_the_other(bench, put, tmp_path, monkeypatch):
    from pyiqa.archs.cnniqa_arch import CNNIQA

    file = "CNNIQA_koniq10k-e6f14c91.pth"
    source = put(file, {"params": CNNIQA(pretrained=None).state_dict()})
    (weights.store() / file).unlink()
    code, _, err = bench("weights", "fetch", "pyiqa:cnniqa")
    assert code == 1 and f"bench weights add {file}" in err
    content = Path(source).read_bytes()

    def receive(url, part, *_):
        part.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    monkeypatch.setattr("bench.weights.fetch.receive", receive)
    code, out, _ = bench("weights", "fetch", "pyiqa:cnniqa")
    assert code == 0 and f"1 files are here ({file})" in out and (weights.store() / file).is_file()
    (known,) = weights.store().glob("pyiqa-*.json")
    assert json.loads(known.read_text()) == {"cnniqa": [file]}
    assert by_name("cnniqa").score(outputs(1)).value and bench("weights", "verify", "pyiqa:cnniqa")[0] == 0
    code, _, err = bench("weights", "fetch", "pyiqa:cnniq")
    assert code == 2 and "did you mean 'cnniqa'?" in err


def test_what_clip_imports_is_there_only_for_it(monkeypatch):
    """Others, pytest among them, take a module of that name for the whole of setuptools' old one."""
    monkeypatch.delitem(sys.modules, "pkg_resources", raising=False)
    known = importlib.util.find_spec("pkg_resources")
    with iqa.pkg_resources():
        assert importlib.import_module("pkg_resources").packaging.version
    assert known or "pkg_resources" not in sys.modules
