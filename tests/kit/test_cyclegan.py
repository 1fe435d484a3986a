import io

import pytest
import torch
from torch import nn

from bench.kit.cyclegan import (
    ImageHistory,
    PatchGAN,
    TranslationResNet,
    least_squares_critic,
    least_squares_generator,
    patch_layers,
    translation_losses,
)


def test_the_networks_are_of_the_published_size():
    """Counts by hand: kernel^2 * in * out + out of each layer of appendix 7.2; instance norm has no parameters."""
    ends = 49 * 3 * 64 + 64 + 49 * 64 * 3 + 3
    halves = 2 * (9 * 64 * 128 + 9 * 128 * 256) + 128 + 256 + 128 + 64
    block = 2 * (9 * 256 * 256 + 256)
    assert sum(p.numel() for p in TranslationResNet().parameters()) == ends + halves + 9 * block
    sides = [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1)]
    assert sum(p.numel() for p in PatchGAN().parameters()) == sum(16 * a * b + b for a, b in sides)


def test_the_generator_is_plain():
    """No residual to the input: what it makes of a face is tanh of what its layers say, about 0 at the start."""
    torch.manual_seed(0)
    net, x = TranslationResNet(8, 1), torch.rand(2, 3, 18, 13) * 2 - 1
    seen = []
    net.body[-2].register_forward_hook(lambda _, __, out: seen.append(out))
    assert torch.equal(net(x), seen[0].tanh()[..., :18, :13])
    assert net.body[0].weight.std().item() == pytest.approx(0.02, rel=0.1) and not net.body[0].bias.any()


@pytest.mark.parametrize(("layers", "patch", "size"), [(3, 70, 256), (2, 34, 128), (1, 16, 64)])
def test_a_critics_verdict_sees_a_patch(layers, patch, size):
    net, x = PatchGAN(2, layers), torch.zeros(1, 3, size, size, requires_grad=True)
    bare = nn.Sequential(*[m for m in net.body if not isinstance(m, nn.InstanceNorm2d)])
    out = bare(x)
    out[0, 0, out.shape[-2] // 2, out.shape[-1] // 2].backward()
    places = x.grad[0].any(0).nonzero()
    assert (places.amax(0) - places.amin(0) + 1).tolist() == [patch, patch]
    norms = [m for m in net.body if isinstance(m, nn.InstanceNorm2d)]
    assert len(norms) == layers and not any(m.affine for m in norms)


@pytest.mark.parametrize("size", [8, 12, 16, 24, 64])
def test_the_patch_fits_the_image(size):
    assert PatchGAN(2, patch_layers(size))(torch.rand(1, 3, size, size)).numel() >= 1
    assert patch_layers(64) == 3


def test_losses_are_least_squares():
    real, fake = torch.tensor([[0.5, 2.0]]), torch.tensor([[0.5, -1.0]])
    assert least_squares_critic(real, fake).item() == pytest.approx(((0.25 + 1) / 2 + (0.25 + 1) / 2) / 2)
    assert least_squares_generator(fake).item() == pytest.approx((0.25 + 4) / 2)


def test_the_generators_losses_go_both_ways():
    """With networks that multiply: forth by 2, back by 3, critics by 5 and 7; constant images a and b."""
    a, b = torch.full((2, 3, 4, 4), 0.1), torch.full((2, 3, 4, 4), 0.2)
    terms = translation_losses(lambda x: 2 * x, lambda x: 3 * x, lambda x: 5 * x, lambda x: 7 * x, a, b, 2 * a, 3 * b)
    assert terms["adversarial"].item() == pytest.approx((5 * 0.2 - 1) ** 2 + (7 * 0.6 - 1) ** 2, rel=1e-5)
    assert terms["cycle"].item() == pytest.approx(abs(6 * 0.1 - 0.1) + abs(6 * 0.2 - 0.2), rel=1e-5)
    assert terms["identity"].item() == pytest.approx(abs(2 * 0.2 - 0.2) + abs(3 * 0.1 - 0.1), rel=1e-5)


def test_without_a_history_images_are_shown_as_they_are():
    history, made = ImageHistory(0), torch.rand(2, 3, 4, 4, requires_grad=True)
    for _ in range(2):
        assert torch.equal(history(made), made) and not history(made).requires_grad and history.images is None


def test_the_history_shows_old_images_half_of_the_time_and_goes_on_after_a_resume():
    torch.manual_seed(0)
    history, shown = ImageHistory(5), []
    for step in range(200):  # image k is all k
        made = torch.arange(3 * step, 3 * step + 3.0).view(3, 1, 1, 1).requires_grad_()
        out = history(made)
        assert out.shape == made.shape and not out.requires_grad
        shown.append(out.flatten())
        if step == 100:
            file = io.BytesIO()
            torch.save(history.state_dict(), file)
            random = torch.get_rng_state()
    assert torch.equal(torch.cat(shown[:1]), torch.arange(3.0)), "the first come out as they are"
    late = torch.stack(shown[10:])
    fresh = late == torch.arange(30, 600.0).view(-1, 3)
    assert 0.4 < fresh.float().mean() < 0.6
    assert late.flatten().unique().numel() == late.numel(), "each comes out once"
    file.seek(0)
    again = ImageHistory(5)
    again.load_state_dict(torch.load(file, weights_only=True))
    torch.set_rng_state(random)
    later = [again(torch.arange(3 * k, 3 * k + 3.0).view(3, 1, 1, 1)).flatten() for k in range(101, 200)]
    assert torch.equal(torch.stack(later), torch.stack(shown[101:]))
