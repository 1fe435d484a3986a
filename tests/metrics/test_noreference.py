"""Quality without a reference, against pyiqa on the same files: networks and statistics with random content."""

from unittest.mock import patch

import numpy as np
import pytest
import scipy.io
import torch
from bench.metrics.naturalness import Brisque, Niqe, Nrqm, Pi, Piqe
from bench.metrics.noreference import Musiq, Nima, TopiqFace
from scored import agrees, outputs, with_params

from bench.api.metric import Outputs
from bench.errors import Unavailable

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
