import numpy as np
import torch
from bench.degradations.conditions import Bicubic

from bench.core.image import to_float, upsample
from bench.faces.procedural import portrait


def test_faces_repeat_with_the_seed_and_begin_alike_in_larger_sets():
    few, people = portrait.faces(3, 2, seed=5)
    more, _ = portrait.faces(4, 2, seed=5)
    assert few.shape == (6, 3, 64, 64) and few.dtype == np.uint8 and people.tolist() == [0, 0, 1, 1, 2, 2]
    assert (few == more[:6]).all()
    assert (few != portrait.faces(3, 2, seed=6)[0]).any()


def test_faces_do_not_depend_on_the_number_of_threads():
    threads, seen = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            seen.append(portrait.faces(2, 1, seed=3)[0].tobytes())
    finally:
        torch.set_num_threads(threads)
    assert seen[0] == seen[1]


def test_faces_come_in_other_sizes():
    images, _ = portrait.faces(1, 2, size=128, seed=4)
    assert images.shape == (2, 3, 128, 128) and images.std() > 20


def test_a_persons_pictures_differ_but_less_than_people_do():
    images, people = portrait.faces(12, 3, size=32)
    colour = images[:, :, 10:24, 8:24].mean((2, 3))  # skin and hair: what light and background change least
    distance = np.linalg.norm(colour[:, None] - colour[None], axis=2)
    same = (people[:, None] == people) & ~np.eye(len(people), dtype=bool)
    assert 0 < distance[same].mean() < 0.75 * distance[people[:, None] != people].mean()


def test_faces_have_detail_that_bicubic_loses():
    hr = to_float(torch.from_numpy(portrait.faces(8, 1)[0]))
    lost = (upsample(Bicubic().infer(hr), 4) - hr).square().mean().sqrt().item() * 255
    assert 5 < lost < 25


def test_wild_degrades_each_face_by_its_own_draw():
    hr, _ = portrait.faces(6, 1)
    lr = portrait.wild(hr, seed=1)
    assert (
        lr.shape == (6, 3, 16, 16)
        and (lr == portrait.wild(hr, seed=1)).all()
        and (lr != portrait.wild(hr, seed=2)).any()
    )
    assert (portrait.wild(hr[:3], seed=1) == lr[:3]).all()


def test_wild_is_no_plain_downsampling():
    hr, _ = portrait.faces(8, 1)
    bicubic = Bicubic().infer(to_float(torch.from_numpy(hr))).numpy()
    difference = np.abs(portrait.wild(hr) / 255 - bicubic).mean((1, 2, 3))
    assert (difference > 0.01).all() and difference.std() > 0.005  # each face differs, by its own amount


def test_wild_noise_grows_with_the_signal():
    dark, bright = np.full((60, 3, 64, 64), 40, np.uint8), np.full((60, 3, 64, 64), 150, np.uint8)
    linear = lambda x: (portrait.wild(x).astype(float) / 255) ** 2.2
    spread = [np.median(linear(x).mean(1).std((1, 2))) for x in (dark, bright)]
    assert spread[1] > 1.5 * spread[0]
