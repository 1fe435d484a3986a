"""What a joint stage tuned is kept, measured and usable; degradations of clean LR are given clean LR."""

import csv
from types import SimpleNamespace

import pytest
import torch
from bench.degradations.conditions import Noise
from bench.degradations.flow_field import FlowField

from bench.core.image import upsample
from bench.core.spec import override
from bench.grid.artefacts import Artefacts

SMALL = "width=4,critic_width=4,batch=2,steps=2,critic_updates=1"
METHOD = f"low-to-high[widths=4+4+4,blocks=1+1+1,critic_width=4,batch=2,steps=2,joint_steps=2,degradation=high-to-low[{SMALL}]]"


@pytest.mark.usefixtures("one_thread")
def test_the_tuned_high_to_low_is_kept_measured_and_makes_lr(bench, folders, tmp_path):
    hr, lr = folders
    out = tmp_path / "run"
    code, _, err = bench("run", "--methods", METHOD, "--conditions", "bicubic", "--metrics", "psnr,swd-lr", "--hr", hr,
                         "--lr", lr, "--out", out)  # fmt: skip
    assert code == 0, err
    rows = [r for r in csv.DictReader((out / "results.csv").open()) if r["metric"] == "swd-lr"]
    tuned = [r for r in rows if "(tuned by low-to-high" in r["degradation"]]
    own = [r for r in rows if r["degradation"].startswith("high-to-low") and r not in tuned]
    assert len(tuned) == 1 and len(own) == 1 and tuned[0]["status"] == "ok" and tuned[0]["value"] != own[0]["value"]
    (file,) = (out / "checkpoints").glob("*tuned by*.pt")
    saved = torch.load(file, weights_only=True)
    assert saved["name"] == "high-to-low" and saved["params"]["width"] == 4
    code, _, err = bench("degrade", "high-to-low", "--weights", file, hr / "test", tmp_path / "lr")
    assert code == 0 and len(list((tmp_path / "lr").glob("*.png"))) == 4, err


@pytest.mark.parametrize("knows", [True, False])
def test_a_degradation_that_knows_clean_lr_gets_it_and_others_the_enlarged_image(knows, monkeypatch):
    torch.manual_seed(0)
    model = FlowField(override(FlowField.Params(), {"adaptation": "none", "disturb": 0.5}, "")) if knows else Noise()
    seen = []
    name = "degrade_clean" if knows else "infer"
    function = getattr(model, name)
    monkeypatch.setattr(model, name, lambda x, g: seen.append(x) or function(x, g))
    recipe = SimpleNamespace(scale=4, trains=False, label="x")
    given = SimpleNamespace(known=lambda spec, scale: recipe, load_model=lambda _: model)
    lr = torch.rand(2, 3, 8, 8)
    first, again, other = (Artefacts.degrade(given, "x", lr, 1, seed) for seed in (1, 1, 2))
    assert torch.equal(seen[0], lr if knows else upsample(lr, 4).clamp(0, 1)) and first.shape == lr.shape
    assert torch.equal(first, again) and not torch.equal(first, other)
