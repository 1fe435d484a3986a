"""Identity, landmarks and detection against facexlib and AdaFace's layout, on files of random values."""

import argparse

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bench.metrics import identity
from bench.metrics.identity import Identity, verified
from bench.metrics.landmarks import Detection, Landmarks
from scored import agrees, outputs, tensors, with_params

from bench import weights
from bench.core.tensors import load_checkpoint
from bench.errors import MissingWeights, Unavailable, UsageError

pytestmark = pytest.mark.usefixtures("no_network")


def filled(model, seed=3, bias=0.0):
    """Random values at which signals neither vanish nor grow."""
    torch.manual_seed(seed)
    for name, value in model.state_dict().items():
        if "running_var" in name or value.ndim == 0:
            value.fill_(1)
        elif value.ndim == 1:
            value.uniform_(0.8, 1.2) if name.endswith("weight") else value.normal_(bias, 0.1)
        else:
            value.normal_(0, 1.4 * max(value[0].numel(), 2) ** -0.5)
    return model.eval()


# ---------------------------------------------------------------- AdaFace


def adaface_state(sizes=((6, 6), (6, 6), (6, 8), (8, 8), (8, 10), (10, 12)), seed=0):
    """Random weights under the names of AdaFace's release: first and last convolutions, residual blocks (inputs, depth)."""
    generator, state = torch.Generator().manual_seed(seed), {}

    def put(name, *shape):
        state[name] = torch.randn(shape, generator=generator) * (2 / max(1, np.prod(shape[1:]))) ** 0.5

    def norm(name, width):
        state[f"{name}.weight"] = 1 + 0.1 * torch.randn(width, generator=generator)
        state[f"{name}.bias"], state[f"{name}.running_mean"] = 0.1 * torch.randn(2, width, generator=generator)
        state[f"{name}.running_var"] = 0.5 + torch.rand(width, generator=generator)
        state[f"{name}.num_batches_tracked"] = torch.tensor(3)

    put("input_layer.0.weight", sizes[0][0], 3, 3, 3)
    norm("input_layer.1", sizes[0][0])
    state["input_layer.2.weight"] = torch.full((sizes[0][0],), 0.25)
    for index, (inputs, depth) in enumerate(sizes):
        body = f"body.{index}"
        norm(f"{body}.res_layer.0", inputs)
        put(f"{body}.res_layer.1.weight", depth, inputs, 3, 3)
        norm(f"{body}.res_layer.2", depth)
        state[f"{body}.res_layer.3.weight"] = torch.full((depth,), 0.25)
        put(f"{body}.res_layer.4.weight", depth, depth, 3, 3)
        norm(f"{body}.res_layer.5", depth)
        if inputs != depth:
            put(f"{body}.shortcut_layer.0.weight", depth, inputs, 1, 1)
            norm(f"{body}.shortcut_layer.1", depth)
    norm("output_layer.0", sizes[-1][1])
    put("output_layer.3.weight", 16, sizes[-1][1] * 49)
    state["output_layer.3.bias"] = torch.randn(16, generator=generator)
    norm("output_layer.4", 16)
    del state["output_layer.4.weight"], state["output_layer.4.bias"]  # affine=False
    return state


def adaface_forward(state, rgb, strides=(2, 1, 2, 1, 2, 2)):
    """What AdaFace's code makes of (B, 3, 112, 112) RGB in [0, 1], of the names alone: BGR, blocks, length 1."""

    def norm(name, x):
        extra = (state.get(f"{name}.weight"), state.get(f"{name}.bias"))
        return F.batch_norm(x, state[f"{name}.running_mean"], state[f"{name}.running_var"], *extra)

    x = (rgb[:, [2, 1, 0]] - 0.5) / 0.5
    x = F.prelu(
        norm("input_layer.1", F.conv2d(x, state["input_layer.0.weight"], padding=1)), state["input_layer.2.weight"]
    )
    for index, stride in enumerate(strides):
        body = f"body.{index}"
        short = x[..., ::stride, ::stride]
        if f"{body}.shortcut_layer.0.weight" in state:
            short = norm(
                f"{body}.shortcut_layer.1", F.conv2d(x, state[f"{body}.shortcut_layer.0.weight"], stride=stride)
            )
        y = norm(
            f"{body}.res_layer.2",
            F.conv2d(norm(f"{body}.res_layer.0", x), state[f"{body}.res_layer.1.weight"], padding=1),
        )
        y = F.conv2d(
            F.prelu(y, state[f"{body}.res_layer.3.weight"]),
            state[f"{body}.res_layer.4.weight"],
            stride=stride,
            padding=1,
        )
        x = norm(f"{body}.res_layer.5", y) + short
    x = norm("output_layer.0", x).flatten(1) @ state["output_layer.3.weight"].T + state["output_layer.3.bias"]
    x = norm("output_layer.4", x)
    return x / x.norm(dim=1, keepdim=True)


def checkpoint(state):
    """As AdaFace's training saved it: with the head, and settings of a class that is not torch's."""
    model = {f"model.{k}": v for k, v in state.items()}
    return {
        "state_dict": {**model, "head.kernel": torch.zeros(16, 2)},
        "hyper_parameters": argparse.Namespace(arch="ir_50"),
    }


def cosines(state):
    def measure(*pair):
        large = [F.interpolate(x, size=112, mode="bilinear", align_corners=False) for x in pair]
        return (adaface_forward(state, large[0]) * adaface_forward(state, large[1])).sum(1)

    return measure


@pytest.mark.parametrize("name", ["adaface-ir50", "adaface-ir101"])
def test_adaface_is_read_in_its_authors_layout(store, name):
    state = adaface_state()
    store(name, checkpoint(state))
    given = outputs(4)
    score = agrees(metric := with_params(Identity, network=name), given, cosines(state), rel=1e-4, pair=True)
    assert weights.file_hash(name) in metric.protocol(given) and metric.required_weights() == (name,)
    assert score.extra["degrees"] == pytest.approx(np.degrees(np.arccos(score.per_image)).mean(), rel=1e-6)
    assert score.directions == {"degrees": "lower"}


def test_a_checkpoints_other_objects_run_nothing(store):
    class Harmful:
        def __reduce__(self):
            return (pytest.fail, ("ran code of a file",))

    file = store("adaface-ir50", {"state_dict": {"a": torch.ones(2)}, "settings": Harmful()})
    assert torch.equal(load_checkpoint(file)["state_dict"]["a"], torch.ones(2))
    file.write_bytes(b"no checkpoint")
    with pytest.raises(UsageError, match="not a checkpoint"):
        load_checkpoint(file)


def test_identity_against_the_input_enlarges_it(store):
    state = adaface_state()
    store("adaface-ir50", checkpoint(state))
    given = outputs(3, hr=None)
    metric = with_params(Identity, network="adaface-ir50", against="lq")
    enlarged = torch.stack([identity.resize(x[None], 64)[0].clamp(0, 1) for x in tensors(given.lr)])
    expected = cosines(state)(tensors(given.sr), enlarged)
    assert metric.score(given).per_image == pytest.approx(expected.numpy(), rel=1e-4)
    assert "LQ input" in metric.protocol(given)
    given.lr = None
    with pytest.raises(Unavailable, match="LQ inputs"):
        metric.score(given)


def test_verification_is_the_share_above_the_threshold_that_few_strangers_pass():
    found = np.random.default_rng(0).normal(0, 0.1, (60, 60))
    strangers = np.sort(found[~np.eye(60, dtype=bool)])[::-1]
    np.fill_diagonal(found, (strangers[:60] + strangers[1:61]) / 2)  # one between each two of the nearest strangers
    for far, above in ((0.01, 35), (0.001, 3), (1 / 3540, 1)):
        rates = [np.mean(found.diagonal() > t) for t in strangers if np.mean(strangers > t) <= far]
        assert max(rates) == pytest.approx(above / 60)
        for block in (7, 60, 256):  # what memory holds at once changes nothing
            assert verified(found, np.eye(60), far, block) == pytest.approx(max(rates))
    assert verified(found[:20, :20], np.eye(20), 0.001) is None and verified(np.eye(40), np.eye(40), 0.001) == 1
    assert verified(found, np.eye(60), 1.0) == 1 and verified(found, np.eye(60), 0.0) is None, "the ends of the option"


# ---------------------------------------------------------------- facexlib's detector and landmarks


@pytest.fixture
def finder(store, tmp_path):
    """facexlib's small detector, by its own loader, on a file that the store has too; its random heads find something."""
    from facexlib.detection import init_detection_model
    from facexlib.detection.retinaface import RetinaFace

    state = filled(RetinaFace(network_name="mobile0.25", device="cpu")).state_dict()
    for name, value in state.items():
        value.mul_(1e-3 if name.startswith("ClassHead") else 1)  # confidences apart from 1
    (tmp_path / "own").mkdir()
    torch.save({f"module.{k}": v for k, v in state.items()}, tmp_path / "own" / "detection_mobilenet0.25_Final.pth")
    store("retinaface-mobile", tmp_path / "own" / "detection_mobilenet0.25_Final.pth")
    model = init_detection_model("retinaface_mobile0.25", device="cpu", model_rootpath=str(tmp_path / "own"))
    return model.requires_grad_(False)


def bgr(image):
    return image.transpose(1, 2, 0)[..., ::-1].copy()


def test_detection_is_facexlibs(finder):
    given = outputs(6, seed=2)
    best = np.array([finder.detect_faces(bgr(image), 0.0)[:, 4].max() for image in given.sr])
    confidence = float(np.median(best))
    metric = with_params(Detection, network="retinaface-mobile", confidence=confidence)
    score = metric.score(given)
    assert score.per_image.tolist() == (best > confidence).tolist() and 0 < score.value < 1
    assert f"{confidence:g}" in metric.protocol(given) and score.value == (best > confidence).mean()
    with pytest.raises(MissingWeights, match="bench weights fetch retinaface-resnet50"):
        Detection().score(given)


def test_faces_are_aligned_as_facexlib_does_it(finder, store, monkeypatch, tmp_path):
    """By the points in the ground truth, for both pictures; those of a file give the same."""
    state = adaface_state()
    store("adaface-ir50", checkpoint(state))
    store("retinaface-resnet50", {})  # only its hash is asked for
    monkeypatch.setattr(identity, "detector", lambda name, device: finder)
    monkeypatch.setattr(identity, "SURE", 0.0)
    given, expected, lines = outputs(3), [], ["name,points"]
    for name, sr, hr in zip(given.names, given.sr, given.hr, strict=True):
        found, crops = finder.align_multi(bgr(hr), conf_threshold=0.0, limit=1)
        points = found[0, 5:]
        theirs = torch.from_numpy(crops[0][..., ::-1].copy()).permute(2, 0, 1)[None] / 255
        crop = identity.warped(sr, points.reshape(5, 2))
        ours = torch.from_numpy(crop.copy())[None] / 255
        assert not torch.equal(ours, theirs)
        expected.append(float((adaface_forward(state, ours) * adaface_forward(state, theirs)).sum()))
        lines.append(",".join([name, *map(repr, map(float, points))]))
    metric = with_params(Identity, network="adaface-ir50", align="detector")
    assert metric.score(given).per_image == pytest.approx(np.array(expected), rel=1e-4)
    assert "RetinaFace" in metric.protocol(given) and "retinaface-resnet50" in metric.required_weights()
    file = tmp_path / "points.csv"
    file.write_text("\n".join(lines[:-1]))  # the last face has none
    metric = with_params(Identity, network="adaface-ir50", align="points", points=str(file))
    score = metric.score(given)
    assert score.per_image[:2] == pytest.approx(np.array(expected[:2]), rel=1e-4) and np.isnan(score.per_image[2])
    file.write_text("a,1,2\nb,3,4")
    with pytest.raises(Unavailable, match="ten numbers"):
        with_params(Identity, network="adaface-ir50", align="points", points=str(file) + ".none").score(given)


def test_landmarks_are_facexlibs(store, tmp_path, monkeypatch):
    from facexlib.alignment import FAN, awing_arch, init_alignment_model

    class Small(FAN):
        """Its 99 maps by one convolution, none highest at the border, where facexlib's code fails."""

        def __init__(self, num_modules, num_landmarks, device):
            assert (num_modules, num_landmarks) == (4, 98)  # as the file has it
            torch.nn.Module.__init__(self)
            self.device, self.conv = device, torch.nn.Conv2d(3, 99, 9, 4, 4)

        def forward(self, x):
            return [self.conv(x) - 1e6 * F.pad(torch.zeros(60, 60), (2, 2, 2, 2), value=1.0)], []

    monkeypatch.setattr("facexlib.alignment.FAN", Small)
    (tmp_path / "own").mkdir()
    file = tmp_path / "own" / "alignment_WFLW_4HG.pth"
    torch.save({"state_dict": filled(Small(4, 98, device="cpu")).state_dict()}, file)
    store("awing-fan", file)
    theirs = init_alignment_model("awing_fan", device="cpu", model_rootpath=str(tmp_path / "own"))
    given = outputs(3)
    monkeypatch.setattr(np, "float", float, raising=False)  # the name that facexlib's code has for it
    pairs = [[theirs.get_landmarks(bgr(x)) for x in pair] for pair in zip(given.sr, given.hr, strict=True)]
    monkeypatch.delattr(np, "float")
    distances = np.array([np.hypot(*(a - b).T).mean() for a, b in pairs])
    score = Landmarks().score(given)
    assert score.per_image == pytest.approx(distances, rel=1e-6) and score.value > 0
    eyes = np.array([np.hypot(*(b[60] - b[72])) for _, b in pairs])
    assert score.extra["nme"] == pytest.approx((100 * distances / eyes)[eyes > 0].mean(), rel=1e-6)
    assert awing_arch.np is np
