"""Quality without a reference, against pyiqa on the same files: networks and statistics with random content."""

import itertools
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from bench.metrics.mobilenet import nima_tid2013
from bench.metrics.naturalness import Brisque, Niqe, Nrqm, Pi, Piqe
from bench.metrics.noreference import Musiq, Nima, TopiqFace
from PIL import Image
from scored import agrees, outputs, with_params

from bench.api.metric import Outputs
from bench.core.image import resize
from bench.errors import Unavailable, UsageError
from bench.faces.procedural import portrait

pytestmark = pytest.mark.usefixtures("no_network")


def test_nima_agrees_with_pyiqa_and_downloads_nothing(store):
    from pyiqa.archs import nima_arch

    create = nima_arch.timm.create_model
    torch.manual_seed(2)
    with patch.object(nima_arch.timm, "create_model", lambda name, **o: create(name, **{**o, "pretrained": False})):
        theirs = nima_arch.NIMA("inception_resnet_v2", pretrained=False).eval()
    store("nima-ava", {"params": theirs.state_dict()})
    agrees(Nima(), outputs(2), theirs, rel=1e-4)


@pytest.mark.parametrize(("data", "classes", "size"), [("koniq", 1, 64), ("ava", 10, 128)])
def test_musiq_agrees_with_pyiqa(store, data, classes, size):
    from pyiqa.archs.musiq_arch import MUSIQ

    torch.manual_seed(2)
    theirs = MUSIQ(num_class=classes, pretrained=False).eval()
    store(f"musiq-{data}", theirs.state_dict())
    agrees(with_params(Musiq, data=data), outputs(2, size), theirs, rel=1e-4)


def test_topiq_face_agrees_with_pyiqa_without_its_detector(store):
    from pyiqa.archs import topiq_arch

    torch.manual_seed(2)
    with patch.object(topiq_arch, "FaceRestoreHelper"):
        theirs = topiq_arch.CFANet("resnet50", "topiq_nr_cgfiqa_res50", backbone_pretrain=False, use_ref=False,
                                   pretrained=False, test_img_size=512, align_crop_face=False).eval()  # fmt: skip
    store("topiq-face", {"params": theirs.state_dict()})
    agrees(TopiqFace(), outputs(2), theirs, rel=1e-4)


def natural_statistics(store, tmp_path):
    """NIQE's and NRQM's files with random content of their layout."""
    rng = np.random.default_rng(0)
    root = rng.normal(0, 1, (36, 36))
    scipy.io.savemat(tmp_path / "niqe.mat", {"mu_prisparam": rng.random((1, 36)), "cov_prisparam": root @ root.T})
    forests = np.empty((1, 3), dtype=object)
    for index, features in enumerate((18, 45, 75)):
        nodes = {"ldau": [[2], [0], [0]], "rdau": [[3], [0], [0]], "a": [[0]], "b": [[0]], "threshold": [[0.7], [0], [0]],
                 "prediction": rng.random((3, 1)), "attribute": [[features // 2], [1], [1]]}  # fmt: skip
        forests[0, index] = {k: np.array(v) for k, v in nodes.items()}
    scipy.io.savemat(tmp_path / "nrqm.mat", {"model": {"linear": rng.random((4, 1)), "rf": forests}})
    return [store(name, tmp_path / f"{name}.mat") for name in ("niqe", "nrqm")]


def test_niqe_nrqm_and_pi_agree_with_pyiqa(store, tmp_path):
    from pyiqa.archs import niqe_arch, nrqm_arch

    niqe, nrqm = natural_statistics(store, tmp_path)
    given = outputs(2, 104)
    agrees(Niqe(), given, niqe_arch.NIQE(color_space="ycbcr", pretrained_model_path=str(niqe)))
    for color, space in (("gray", "yiq"), ("ycbcr", "ycbcr")):
        theirs = niqe_arch.NIQE(color_space=space, crop_border=4, pretrained_model_path=str(niqe))
        score = agrees(metric := with_params(Niqe, color=color, border=4), given, theirs)
        assert score.value != Niqe().score(given).value and "border 4" in metric.protocol(given)
    agrees(Nrqm(), given, nrqm_arch.NRQM(pretrained_model_path=str(nrqm)))
    with patch.object(niqe_arch, "load_file_from_url", lambda _: niqe), \
         patch.object(nrqm_arch, "load_file_from_url", lambda _: nrqm):  # fmt: skip
        agrees(Pi(), given, nrqm_arch.PI())


def test_niqe_needs_a_block_and_says_what_measures_smaller_faces(store, tmp_path):
    natural_statistics(store, tmp_path)
    given = outputs(3)
    with pytest.raises(Unavailable, match=r"64x64 px are smaller than 96 px.*niqe\[block=16\]"):
        Niqe().score(given)
    with pytest.raises(Unavailable, match="104 px"):
        Pi().score(given)
    small = with_params(Niqe, block=16)
    assert small.score(given).value > 0 and "not comparable" in small.protocol(given)
    assert "covariance is 0" in Niqe().protocol(outputs(1, 128)) and Nrqm().score(given).value > 0


def test_brisque_and_piqe_agree_with_pyiqa_and_leave_flat_faces_out(store):
    from pyiqa.archs.brisque_arch import BRISQUE
    from pyiqa.archs.piqe_arch import PIQE

    torch.manual_seed(0)
    file = store("brisque", (torch.randn(50, dtype=torch.float64), torch.randn(50, 36, dtype=torch.float64)))
    given = outputs(4)
    score = agrees(Brisque(), given, BRISQUE(pretrained_model_path=str(file)))
    agrees(Piqe(), given, PIQE())
    for image in given.sr[:2]:
        image[:] = 0
    for metric in (Brisque(), Piqe()):
        flat = metric.score(given)
        assert np.isnan(flat.per_image[:2]).all() and flat.value == pytest.approx(flat.per_image[2:].mean())
    assert Brisque().score(given).per_image[2:] == pytest.approx(score.per_image[2:], rel=1e-6)
    black = Outputs(sr=given.sr[:2], names=["a", "b"], cache=given.cache)
    with pytest.raises(Unavailable, match="no face can be measured"):
        Brisque().score(black)


def niqe_by_its_paper(grey, mean, covariance, block=96):
    """NIQE of (H, W) luma as Mittal's code has it, step by step in numpy; two scales, 18 features of each block."""
    from scipy.ndimage import correlate
    from scipy.special import gamma

    shapes = np.arange(0.2, 10.001, 0.001)
    ratios = gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))
    line = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    window = np.outer(line, line) / line.sum() ** 2

    def fitted(x):  # an asymmetric generalised Gaussian: shape, left and right scale
        left, right = (np.sqrt(np.mean(x[side] ** 2)) for side in (x < 0, x > 0))
        seen = np.mean(np.abs(x)) ** 2 / np.mean(x**2)
        gain = left / right
        wanted = seen * (gain**3 + 1) * (gain + 1) / (gain**2 + 1) ** 2
        alpha = shapes[np.argmin((ratios - wanted) ** 2)]
        scale = np.sqrt(gamma(1 / alpha) / gamma(3 / alpha))
        return alpha, left * scale, right * scale

    features = []
    for scale in (1, 2):
        local = correlate(grey, window, mode="nearest")
        normal = (grey - local) / (np.sqrt(np.abs(correlate(grey**2, window, mode="nearest") - local**2)) + 1)
        side = block // scale
        rows = []
        for top in range(0, grey.shape[0] // side * side, side):
            for start in range(0, grey.shape[1] // side * side, side):
                x = normal[top : top + side, start : start + side]
                alpha, left, right = fitted(x)
                row = [alpha, (left + right) / 2]
                for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
                    alpha, left, right = fitted(x * np.roll(x, shift, (0, 1)))
                    row += [alpha, (right - left) * gamma(2 / alpha) / gamma(1 / alpha), left, right]
                rows.append(row)
        features.append(np.array(rows))
        half = resize(torch.from_numpy(grey)[None, None] / 255, (grey.shape[0] // 2, grey.shape[1] // 2))
        grey = half[0, 0].numpy() * 255
    found = np.concatenate(features, 1)
    away = found.mean(0) - mean
    return float(np.sqrt(away @ np.linalg.pinv((np.cov(found.T) + covariance) / 2) @ away))


def test_niqe_with_its_own_parameters_is_that_of_the_paper(store):
    file = Path(__file__).parents[3] / "shared" / "weights" / "niqe_modelparameters.mat"
    if not file.exists():
        pytest.skip("needs NIQE's parameters in ../shared/weights")
    store("niqe", file)
    saved = scipy.io.loadmat(file)
    faces = portrait.faces(2, 1, size=192)[0]
    noisy = (faces[0] + np.random.default_rng(0).normal(0, 12, faces[0].shape)).clip(0, 255).astype(np.uint8)
    given = Outputs(sr=[*faces, noisy], names=["a", "b", "noisy"])
    for color, (gain, floor) in {"ycbcr": (219, 16), "gray": (255, 0)}.items():
        values = with_params(Niqe, color=color).score(given).per_image
        for image, value in zip(given.sr, values, strict=True):
            grey = np.round(np.tensordot([0.299, 0.587, 0.114], image / 255, 1) * gain + floor)
            expected = niqe_by_its_paper(grey, saved["mu_prisparam"].ravel(), saved["cov_prisparam"])
            assert value == pytest.approx(expected, rel=2e-3), color


def keras_mobilenet(file, width=4):
    """A file as Keras saves it: the layers of MobileNet at a small width, random, and NIMA's ten classes."""
    rng, widths = np.random.default_rng(0), [width * w for w in (2, 4, 4, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32)]
    layers = {"conv1": {"kernel": (3, 3, 3, width)}, "conv1_bn": width}
    for number, (narrow, wide) in enumerate(itertools.pairwise([width, *widths]), 1):
        layers |= {f"conv_dw_{number}": {"depthwise_kernel": (3, 3, narrow, 1)}, f"conv_dw_{number}_bn": narrow,
                   f"conv_pw_{number}": {"kernel": (1, 1, narrow, wide)}, f"conv_pw_{number}_bn": wide}  # fmt: skip
    layers["dense_1"] = {"kernel": (widths[-1], 10), "bias": (10,)}
    arrays = {}
    for name, shapes in layers.items():
        if isinstance(shapes, int):
            given = {"gamma": rng.uniform(0.8, 1.2, shapes), "beta": rng.normal(0, 0.3, shapes),
                     "moving_mean": rng.normal(0, 0.1, shapes), "moving_variance": rng.uniform(0.5, 1.5, shapes)}  # fmt: skip
        else:
            given = {
                k: rng.normal(0, (2 / max(1, np.prod(s[:3]) if "depth" not in k else 9)) ** 0.5, s)
                for k, s in shapes.items()
            }
        arrays[name] = {k: np.float32(v) for k, v in given.items()}
    with h5py.File(file, "w") as saved:
        for name, given in arrays.items():
            for key, value in given.items():
                saved[f"{name}/{name}/{key}:0"] = value
        saved["dropout_1/empty"] = np.zeros(0)
    return arrays


def keras_forward(arrays, image):
    """(3, H, W) uint8 -> the mean score, as Keras computes it: Pillow's nearest, x / 127.5 - 1, TensorFlow's padding."""
    small = Image.fromarray(image.transpose(1, 2, 0)).resize((224, 224), Image.Resampling.NEAREST)
    x = torch.from_numpy(np.float32(small)).permute(2, 0, 1)[None] / 127.5 - 1

    def norm(name, x):
        a = {k: torch.from_numpy(v).view(1, -1, 1, 1) for k, v in arrays[name].items()}
        return ((x - a["moving_mean"]) / (a["moving_variance"] + 1e-3).sqrt() * a["gamma"] + a["beta"]).clamp(0, 6)

    def conv(x, kernel, stride, groups=1):
        size = x.shape[-1]
        total = max((-(-size // stride) - 1) * stride + kernel.shape[-1] - size, 0)  # TensorFlow's SAME
        before, after = total // 2, total - total // 2
        return torch.nn.functional.conv2d(
            torch.nn.functional.pad(x, (before, after) * 2), kernel, stride=stride, groups=groups
        )

    x = norm("conv1_bn", conv(x, torch.from_numpy(arrays["conv1"]["kernel"].transpose(3, 2, 0, 1).copy()), 2))
    for number in range(1, 14):
        kernel = torch.from_numpy(arrays[f"conv_dw_{number}"]["depthwise_kernel"].transpose(2, 3, 0, 1).copy())
        stride = 2 if number in (2, 4, 6, 12) else 1
        x = norm(f"conv_dw_{number}_bn", conv(x, kernel, stride, len(kernel)))
        kernel = torch.from_numpy(arrays[f"conv_pw_{number}"]["kernel"].transpose(3, 2, 0, 1).copy())
        x = norm(f"conv_pw_{number}_bn", conv(x, kernel, 1))
    logits = x.mean((2, 3)).numpy()[0] @ arrays["dense_1"]["kernel"] + arrays["dense_1"]["bias"]
    shares = np.exp(logits - logits.max())
    return float((shares / shares.sum()) @ np.arange(1, 11))


def test_nima_on_tid2013_is_keras_mobilenet(store, tmp_path):
    file = tmp_path / "weights_mobilenet_technical_0.11.hdf5"
    arrays = keras_mobilenet(file)
    store("nima-tid2013", file)
    given, metric = outputs(3, 96), with_params(Nima, data="tid2013")
    score = metric.score(given)
    assert score.per_image == pytest.approx([keras_forward(arrays, image) for image in given.sr], rel=1e-4)
    assert (
        np.ptp(score.per_image) > 1e-4 and "TID2013" in metric.protocol(given) and "AVA" not in metric.protocol(given)
    )
    assert metric.required_weights() == ("nima-tid2013",)
    for content in (b"no file of Keras", None):
        if content:
            file.write_bytes(content)
        else:
            h5py.File(file, "w").close()
        with pytest.raises(UsageError, match=r"Keras' weights|MobileNet"):
            nima_tid2013(file)
