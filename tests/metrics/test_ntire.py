"""NTIRE 2025's score: its arithmetic from stub terms, its gate, and what it asks for."""

import numpy as np
import pytest
from bench.metrics.distribution import Fid
from bench.metrics.identity import Identity
from bench.metrics.ntire import NtireFace
from scored import outputs, with_params

from bench import weights
from bench.api.metric import Score
from bench.api.reference import Reference
from bench.errors import MissingWeights, Unavailable
from bench.kit import iqa

pytestmark = pytest.mark.usefixtures("no_network", "store")
VALUES = {"clipiqa": 0.7, "maniqa": 0.6, "musiq": 72.0, "qalign": 4.1, "niqe": 3.8}


@pytest.fixture
def stubs(monkeypatch):
    """Each measure gives a value of its own for a face; stubs(fid=, similarity=) sets the others."""

    def stub(name, *_):
        return lambda image: image.mean((1, 2, 3)) * 0.1 + VALUES[name]

    def put(fid=41.0, similarity=(0.9, 0.7, 0.55, 0.4)):
        monkeypatch.setattr(iqa, "create", stub)
        monkeypatch.setattr(iqa, "files_of", lambda name: ())
        monkeypatch.setattr(weights, "file_hash", lambda name: "0" * 16)
        monkeypatch.setattr(Fid, "score", lambda self, given: Score(fid))
        given = np.array(similarity)
        monkeypatch.setattr(Identity, "score", lambda self, _: Score(float(np.nanmean(given)), per_image=given))
        made = outputs(min(len(given), 4), 32)
        made.reference_hr = Reference("faces of FFHQ", made.reference_hr)
        return made

    return put


def test_the_sum_is_the_challenges(stubs):
    given = stubs()
    light = 0.1 * np.mean([image.mean() / 255 for image in given.sr])
    expected = (0.7 + light) + (0.6 + light) + (72 + light) / 100 + (4.1 + light) / 5 + (10 - 3.8 - light) / 10 + 0.59
    score = NtireFace().score(given)
    assert score.value == pytest.approx(expected, rel=1e-6)
    terms = {k: v for k, v in score.extra.items() if k != "similarity"}
    assert sum(terms.values()) == pytest.approx(score.value) and len(terms) == 6
    assert terms["musiq"] == pytest.approx((72 + light) / 100, rel=1e-6) and terms["fid"] == pytest.approx(0.59)
    assert "passes" not in score.extra and "no gate" in NtireFace().protocol(given)
    worse = NtireFace().score(stubs(fid=250.0))
    assert worse.extra["fid"] == 0 and worse.value == pytest.approx(expected - 0.59, rel=1e-6)


@pytest.mark.parametrize(
    ("faces", "below"), [("wider", 0), ("webphoto", 0), ("celeba", 1), ("lfw", 2), ("celebchild", 2)]
)  # fmt: skip
def test_the_gate_counts_faces_below_the_sets_threshold(stubs, faces, below):
    score = with_params(NtireFace, faces=faces).score(stubs())
    assert score.extra["below"] == below and score.extra["passes"] == (below == 0)
    assert score.extra["similarity"] == pytest.approx(0.6375)


def test_ten_faces_of_450_may_fail(stubs):
    for failing, passes in ((10, 1), (11, 0)):
        similarity = [0.1] * failing + [0.9] * (450 - failing)
        assert with_params(NtireFace, faces="lfw").score(stubs(similarity=similarity)).extra["passes"] == passes
    half = [0.1] * 4 + [0.9] * 96  # 2.2 of 100 may
    assert with_params(NtireFace, faces="lfw").score(stubs(similarity=half)).extra["passes"] == 0


def test_fid_is_against_ffhq_or_there_is_no_score(stubs):
    given = stubs()
    for other in (Reference("HR training faces", given.reference_hr.images), given.reference_hr.images):
        given.reference_hr = other
        with pytest.raises(Unavailable, match="--reference ffhq-512"):
            NtireFace().score(given)


def test_what_is_missing_names_its_command():
    given = outputs(2, 32)
    given.reference_hr = Reference("faces of ffhq", given.reference_hr)
    with pytest.raises(MissingWeights, match="bench weights fetch adaface-ir50"):
        NtireFace().score(given)
    with pytest.raises(MissingWeights, match="bench weights fetch pyiqa:clipiqa"):
        NtireFace().required_weights()
