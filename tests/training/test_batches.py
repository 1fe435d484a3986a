"""What a step is given: whole faces or patches, augmented with their detail and noise kept."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bench.degradations.conditions import Bicubic
from bench.degradations.high_to_low import HighToLow
from bench.methods.esrgan_jpeg_kernel import ESRGANJpegKernel
from bench.methods.low_to_high import LowToHigh
from PIL import Image
from smooth import smooth_images

from bench.api.model import Method
from bench.api.training import Augment, Stage, View
from bench.core.image import read_image
from bench.core.spec import override
from bench.errors import UsageError
from bench.faces.faceset import Data, FaceSet
from bench.training.augment import augmented
from bench.training.loop import fit
from bench.training.sampler import Sampler, samplers
from bench.training.settings import TrainSettings

CPU = torch.device("cpu")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def mixed(sizes=(12, 20, 16, 96)):
    return FaceSet.of([smooth_images(1, s, s)[0] for s in sizes], [str(s) for s in sizes], "lr")


def test_whole_faces_are_resized_and_none_is_cropped():
    """Against Pillow's antialiased cubic filter, away from the border, where MATLAB's edges differ."""
    faces, said = mixed(), []
    drawn = Sampler(faces, View(16), CPU, said.append).draw(200, Augment(flip=False), rng())
    for image in faces.images():
        whole = np.stack([np.asarray(Image.fromarray(plane.astype(np.float32)).resize((16, 16), Image.BICUBIC))
                          for plane in image])[:, 3:-3, 3:-3]  # fmt: skip
        apart = (drawn[..., 3:-3, 3:-3] * 255 - torch.from_numpy(whole).clamp(0, 255)).abs().amax((1, 2, 3))
        assert (apart < 0.51).any(), f"the face of {image.shape[-1]} px, as a whole"
    assert said == ["1 of 4 faces of lr are smaller than 16 px and are enlarged to it"]


def test_faces_of_the_right_size_are_left_alone_and_drawn_evenly():
    faces = FaceSet.of(list(smooth_images(5, 16)), list("abcde"), "lr")
    drawn = Sampler(faces, View(16), CPU, pytest.fail).draw(500, Augment(flip=False), rng())
    counts = [
        (drawn == face / 255).flatten(1).all(1).sum().item() for face in torch.from_numpy(np.stack(faces.images()))
    ]
    assert sum(counts) == 500 and min(counts) > 60


def test_plugins_say_what_they_see():
    low = HighToLow(override(HighToLow.Params(), {"width": 4, "critic_width": 4}, ""))
    high = LowToHigh(override(LowToHigh.Params(), {"widths": (4, 4, 4), "blocks": (1, 1, 1), "critic_width": 4}, ""))
    assert low.views() == high.views() == {"hr": View(64), "lr_real": View(16)}
    small = override(ESRGANJpegKernel.Params(), {"width": 8, "blocks": 1, "growth": 4, "critic_width": 4}, "")
    assert ESRGANJpegKernel(small).views()["hr"] == View(64, whole=False)


def test_real_lr_of_any_size_comes_at_lr_size():
    hr = FaceSet.of(list(smooth_images(4, 64)), list("abcd"), "hr")
    low = HighToLow(override(HighToLow.Params(), {"width": 4, "critic_width": 4}, ""))
    _, real = samplers(low, Data(hr, hr, mixed()), CPU, lambda _: None)
    assert real.draw(9, Augment(), rng()).shape == (9, 3, 16, 16)
    with pytest.raises(UsageError, match="no face has 100 px"):
        Sampler(hr, View(100, whole=False), CPU)


def laplacian_energy(images):
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    inside = images[..., 8:-8, 8:-8].flatten(0, 1)[:, None]
    return F.conv2d(inside, kernel).square().mean().item()


EVERYTHING = Augment(zoom=0.1, rotate=10.0)


def test_augmentation_keeps_the_energy_of_real_faces(faces):
    files = sorted((faces / "hr64" / "train").glob("*.png"))[:60]
    images = torch.from_numpy(np.stack([read_image(f) for f in files]))
    for change in (EVERYTHING, Augment(rotate=10.0), Augment(zoom=0.1)):
        share = laplacian_energy(augmented(images, change, rng())) / laplacian_energy(images / 255)
        assert 0.95 < share < 1.1, (change, share)


def test_augmentation_keeps_noise():
    noise = (128 + 20 * torch.randn(100, 3, 48, 48, generator=rng())).clamp(0, 255).byte()
    out = augmented(noise, EVERYTHING, rng(1))
    assert 0.95 < out.var().item() / (noise / 255).var().item() < 1.1


def test_augmentation_turns_and_zooms_about_the_centre():
    """A soft spot right of the centre: after +-10 degrees and 0.9 to 1.1 it is where geometry says, on both sides."""
    line = torch.arange(41.0) - 20
    spot = torch.exp(-((line - 12) ** 2 + line[:, None] ** 2) / 4)
    out = augmented(
        (255 * spot).round().byte().expand(60, 3, 41, 41), Augment(flip=False, zoom=0.1, rotate=10.0), rng()
    )[:, 0]
    shown, out = out, out / out.sum((1, 2), keepdim=True)
    found = torch.stack([(out.sum(1) * line).sum(1), (out.sum(2) * line).sum(1)])
    radius, angle = np.hypot(*found.numpy()), np.degrees(np.arctan2(*found.numpy()[::-1]))
    assert 10.7 < radius.min() < 11.2 and 12.8 < radius.max() < 13.3
    assert -10.2 < angle.min() < -7 and 7 < angle.max() < 10.2
    for image, (x, y) in zip(shown, found.T, strict=True):  # the spot itself, zoomed
        squares = (line - x) ** 2 + (line[:, None] - y) ** 2
        expected = torch.exp(-squares / 4 / ((x**2 + y**2) / 12**2))
        assert (image - expected).abs().max() < 0.02


def test_real_lr_is_mirrored_at_most(tmp_path):
    """With all of Bulat's changes, what High-to-Low's step gets as real LR are pixels of the faces, perhaps mirrored."""

    class Looks(Method):
        needs = ("lr_real",)

        def build(self):
            self.net = torch.nn.Conv2d(3, 3, 1)
            self.seen = []

        def stages(self):
            every = Augment(zoom=0.1, rotate=10.0, jitter=0.1)
            optimizers = {"net": torch.optim.SGD(self.net.parameters(), 0.1)}
            return [Stage("look", 8, self.step, optimizers, batch_size=8, augment=every)]

        def step(self, batch, run):
            self.seen.append(batch)
            run.minimize(self.net(batch.hr).mean(), "net")

    hr = FaceSet.of(list(smooth_images(4, 64)), list("abcd"), "hr")
    real = FaceSet.of(list(smooth_images(3, 16, 5)), list("abc"), "lr")
    model = Looks(degradation=Bicubic())
    fit(
        lambda: model,
        Data(hr, hr, real),
        TrainSettings("cpu", precision="fp32"),
        checkpoint=tmp_path / "part.pt",
        quiet=True,
    )
    known = torch.from_numpy(np.stack(real.images())) / 255
    known = torch.cat([known, known.flip(-1)])
    shown = torch.cat([b.lr_real for b in model.seen])
    which = (shown[:, None] == known).flatten(2).all(2)
    assert which.any(1).all() and which.any(0).all(), "each as it is, and mirrored"
    originals = torch.from_numpy(np.stack(hr.images())) / 255
    changed = torch.cat([b.hr for b in model.seen])
    assert not (changed[:, None] == originals).flatten(2).all(2).any(), "HR is changed"


def test_patches_are_drawn_from_each_face_alike():
    """Nine faces of one size and one of another: a tenth of the patches comes from that one."""
    images = [np.full((3, 16, 20), 50, np.uint8)] * 9 + [np.full((3, 24, 20), 200, np.uint8)]
    drawn = Sampler(FaceSet.of(images, list("abcdefghij")), View(16, whole=False), CPU).draw(
        1000, Augment(flip=False), rng()
    )
    assert 60 < (drawn.flatten(1).mean(1) > 0.5).sum() < 140


def test_faces_that_are_turned_are_mirrored_half_of_the_time():
    face = torch.zeros(400, 3, 32, 32, dtype=torch.uint8)
    face[..., :12] = 255
    right = augmented(face, Augment(rotate=5.0, zoom=0.05), rng())[..., 22:].mean((1, 2, 3)) > 0.5
    assert 150 < right.sum() < 250
    never = augmented(face, Augment(flip=False, rotate=5.0), rng())[..., 22:].mean((1, 2, 3)) > 0.5
    assert not never.any()
