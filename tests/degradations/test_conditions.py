import io

import numpy as np
import pytest
import torch
from bench.degradations.conditions import Bicubic, Bilinear, Blur, Jpeg, Noise, blur, box, gaussian
from PIL import Image
from scipy import ndimage
from smooth import smooth_images

from bench.core.spec import override

# Grey levels 64-191, so that nothing is clamped.
HR = (torch.from_numpy(smooth_images(3, 64)) // 2 + 64) / 255


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("cls", "filter"), [(Bicubic, Image.BICUBIC), (Bilinear, Image.BILINEAR)])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_downsampling_is_pillows(cls, filter, scale):
    model = cls(cls.Params(**({"edges": "torch"} if cls is Bicubic else {})), scale=scale)
    for image, ours in zip(HR.flatten(0, 1).numpy(), model.infer(HR).flatten(0, 1).numpy(), strict=True):
        theirs = np.asarray(Image.fromarray(image).resize((64 // scale, 64 // scale), filter))  # in floats
        assert np.abs(theirs - ours).max() < 1e-5


def test_scale_1_leaves_the_image_as_it_is():
    assert torch.equal(Bicubic(scale=1).infer(HR), HR)


def test_noise_has_its_standard_deviation_and_follows_the_seed():
    grey = torch.full((4, 3, 128, 128), 0.5)
    first, again, other = (Noise().infer(grey, generator(s)) for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert (first - 0.5).std().item() * 255 == pytest.approx(8, rel=0.03)


def test_jpeg_is_libjpegs_at_the_same_quality():
    clean = Bicubic().infer(HR[:1])[0]
    file = io.BytesIO()
    Image.fromarray((clean * 255).round().byte().numpy().transpose(1, 2, 0)).save(file, "JPEG", quality=30)
    expected = np.asarray(Image.open(file)).transpose(2, 0, 1)
    assert (Jpeg().infer(HR[:1])[0] * 255).round().numpy().astype(np.uint8).tolist() == expected.tolist()


def test_box_blur_against_a_loop_over_pixels():
    for side in (2, 3, 6):
        kernel = box(torch.tensor([side]), 6)
        assert kernel.sum().item() == pytest.approx(1)
        image = HR[:1].double()
        ours = blur(image, kernel.double())[0, 0, 30, 30].item()
        w = kernel[0].double()
        patch = image[0, 0, 27:34, 27:34]
        assert ours == pytest.approx((w[:, None] * w[None] * patch).sum().item())
        assert (w > 0).sum() == (side if side % 2 else side + 1)


def test_a_blur_of_random_size_is_stochastic_and_a_gaussian_is_not():
    boxes = Blur(override(Blur.Params(), {"kind": "box"}, ""))
    assert boxes.stochastic and not Blur().stochastic
    many = HR[:1].expand(32, -1, -1, -1)
    assert len({x.sum().item() for x in boxes.infer(many, generator()).flatten(1).square()}) > 2


@pytest.mark.parametrize("cls", [Bicubic, Bilinear, Noise, Jpeg, Blur])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_each_condition_works_at_each_scale(cls, scale):
    lr = cls(scale=scale).infer(HR, generator())
    assert lr.shape == (3, 3, 64 // scale, 64 // scale) and lr.min() >= 0 and lr.max() <= 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("degradation", [Noise(), Blur(override(Blur.Params(), {"kind": "box"}, ""))])
def test_a_generator_of_the_cpu_gives_a_gpu_the_same_degradation(degradation):
    there = degradation.infer(HR.cuda(), generator())
    assert torch.allclose(there.cpu(), degradation.infer(HR, generator()), atol=1e-4)


def test_gaussian_blur_is_scipys():
    image = HR[:1].double()
    kernel = gaussian(2.0).double()
    ours = blur(image, kernel)[0, 1].numpy()
    theirs = ndimage.gaussian_filter(image[0, 1].numpy(), 2.0, truncate=3.0, mode="mirror")
    assert np.abs(ours - theirs).max() < 1e-6
    made = Blur(override(Blur.Params(), {"sigma": 2.0}, "")).infer(HR[:1])
    assert torch.allclose(made, Bicubic().infer(torch.from_numpy(np.stack([ndimage.gaussian_filter(
        c, 2.0, truncate=3.0, mode="mirror") for c in HR[0].numpy()]))[None]), atol=1e-5)  # fmt: skip


def test_a_boxs_side_is_drawn_for_each_face_from_the_whole_range():
    """An impulse's centre keeps 1 / side^2 of it (for even sides too, whose ends are half weights)."""
    image = torch.zeros(300, 3, 13, 13)
    image[..., 6, 6] = 1
    made = Blur(override(Blur.Params(), {"kind": "box", "resize": "bilinear"}, ""), scale=1)
    sides = (1 / made.infer(image, generator())[:, 0, 6, 6].sqrt()).round().int().tolist()
    assert {s: sides.count(s) > 30 for s in set(sides)} == dict.fromkeys(range(2, 7), True)
