import numpy as np

from bench import synth
from bench.degradations.conditions import Bicubic
from bench.image import to_float


def test_faces_repeat_with_the_seed_and_begin_alike_in_larger_sets():
    few, people = synth.faces(3, 2, seed=5)
    more, _ = synth.faces(4, 2, seed=5)
    assert few.shape == (6, 3, 64, 64) and few.dtype == np.uint8 and people.tolist() == [0, 0, 1, 1, 2, 2]
    assert (few == more[:6]).all()
    assert (few != synth.faces(3, 2, seed=6)[0]).any()


def test_a_persons_pictures_differ_but_less_than_people_do():
    images, people = synth.faces(12, 3, size=32)
    colour = images[:, :, 10:24, 8:24].mean((2, 3))  # skin and hair: what light and background change least
    distance = np.linalg.norm(colour[:, None] - colour[None], axis=2)
    same = (people[:, None] == people) & ~np.eye(len(people), dtype=bool)
    assert 0 < distance[same].mean() < 0.75 * distance[people[:, None] != people].mean()


def test_faces_have_detail_that_bicubic_loses():
    import torch

    from bench.image import upsample

    hr = to_float(torch.from_numpy(synth.faces(8, 1)[0]))
    lost = (upsample(Bicubic().infer(hr), 4) - hr).square().mean().sqrt().item() * 255
    assert 5 < lost < 25


def test_wild_degrades_each_face_by_its_own_draw():
    hr, _ = synth.faces(6, 1)
    lr = synth.wild(hr, seed=1)
    assert lr.shape == (6, 3, 16, 16) and (lr == synth.wild(hr, seed=1)).all() and (lr != synth.wild(hr, seed=2)).any()
    assert (synth.wild(hr[:3], seed=1) == lr[:3]).all()


def test_wild_noise_grows_with_the_signal():
    dark, bright = np.full((60, 3, 64, 64), 40, np.uint8), np.full((60, 3, 64, 64), 150, np.uint8)
    linear = lambda x: (synth.wild(x).astype(float) / 255) ** 2.2  # noqa: E731
    spread = [np.median(linear(x).mean(1).std((1, 2))) for x in (dark, bright)]
    assert spread[1] > 1.5 * spread[0]
