"""The networks of the systems that the papers compare with, written out once more on the same weights; their defaults."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from bench.methods.cyclegan_sr import CycleGANSR
from bench.methods.edsr import EDSR
from bench.methods.esrgan import ESRGAN
from bench.methods.esrgan_nets import RRDBNet
from bench.methods.rdn import RDN
from bench.methods.srgan import SRGAN, SRResNet
from bench.methods.wavelet_srnet import WaveletSRNet
from bench.methods.wavelet_srnet_nets import WaveletNet
from test_compared_nets import build
from test_networks import close, conv, lively, norm
from torch import nn

from bench.core.spec import override
from bench.errors import UsageError
from bench.kit.cyclegan import PatchGAN, ResidualBlock, TranslationResNet
from bench.kit.patches import crops, turned
from bench.kit.schedules import stepped

pytestmark = pytest.mark.usefixtures("one_thread")

DEFAULTS = {  # what the papers print, of Huang 2017 what the authors' code sets
    SRGAN: {"width": 64, "blocks": 16, "patch": 24, "batch": 16, "mse_lr": 1e-4, "mse_steps": 1_000_000, "lr": 1e-4,
            "steps": 200_000, "adversarial": 1e-3, "variation": 0.0, "turns": False, "warm": 0, "start": "random"},
    EDSR: {"width": 256, "blocks": 32, "scaling": 0.1, "patch": 48, "batch": 16, "lr": 1e-4, "turns": True,
           "self_ensemble": False, "warm": 0, "start": "random"},
    RDN: {"width": 64, "blocks": 16, "convs": 8, "growth": 64, "patch": 32, "batch": 16, "lr": 1e-4, "turns": True, "warm": 0,
          "start": "random"},
    ESRGAN: {"width": 64, "blocks": 23, "growth": 32, "patch": 32, "batch": 16, "l1_lr": 2e-4, "lr": 1e-4, "pixel": 0.01,
             "adversarial": 0.005, "feature": 1.0, "feature_loss": "vgg19", "turns": True, "l1_warm": 0, "start": "random"},
    CycleGANSR: {"width": 64, "blocks": 6, "critic_width": 64, "cycle": 10.0, "identity": 0.0, "history": 50, "lr": 2e-4,
                 "batch": 1},
    WaveletSRNet: {"widths": (64, 128, 256, 512, 1024), "blocks": 2, "subnet": 32, "average": 0.01, "detail": 0.99,
                   "texture": 1.0, "image": 0.1, "alpha": 1.2, "margin": 0.0, "lr": 2e-4, "decay": 5e-4, "batch": 64,
                   "skip": False},
}  # fmt: skip


@pytest.mark.parametrize("cls", DEFAULTS, ids=lambda c: c.__name__)
def test_defaults_are_the_papers(cls):
    params = cls.Params()
    assert {k: getattr(params, k) for k in DEFAULTS[cls]} == DEFAULTS[cls]


def test_the_baseline_of_edsr_scales_no_residuals():
    """Section 3.2 and Table 1."""
    baseline = override(EDSR.Params(), EDSR.variants["baseline"], "")
    assert (baseline.width, baseline.blocks, baseline.scaling, baseline.self_ensemble) == (64, 16, 1.0, False)
    assert override(EDSR.Params(), EDSR.variants["edsr+"], "") == replace(EDSR.Params(), self_ensemble=True)


@pytest.mark.parametrize("cls", [SRGAN, ESRGAN])
def test_critics_have_batch_norm_and_the_size_of_a_patch(cls):
    """32 px of a face of 64: four strides leave 2x2."""
    critic = build(cls, hr_size=64, patch=8).critic
    assert sum(isinstance(m, nn.BatchNorm2d) for m in critic.modules()) == 7
    assert critic.dense[0].in_features == 8 * 2 * 2 * 2


def test_cyclegans_critics_see_70_px_of_large_faces():
    """Three layers of stride 2 from faces of 24 px on."""
    strides = lambda size: [
        m.stride[0] for m in build(CycleGANSR, hr_size=size).critic.modules() if isinstance(m, nn.Conv2d)
    ]
    assert strides(64) == [2, 2, 2, 1, 1] and strides(16) == [2, 2, 1, 1]


# ---------------------------------------------------------------- layers


@torch.no_grad()
def test_srresnet():
    net, x = lively(SRResNet(6, 2, 4)), torch.rand(2, 3, 7, 5)
    for module in net.modules():
        if isinstance(module, nn.PReLU):
            module.weight.uniform_(-0.5, 0.5)
    activated = lambda v, layer: torch.where(v > 0, v, layer.weight * v)
    shallow = y = activated(conv(x, net.first[0]), net.first[1])
    for block in net.blocks:
        one, norm_one, activation, two, norm_two = block.body
        y = y + norm(conv(activated(norm(conv(y, one), norm_one), activation), two), norm_two)
    y = shallow + norm(conv(y, net.merge[0]), net.merge[1])
    for layer, _, activation in (net.up[:3], net.up[3:]):
        y = activated(F.pixel_shuffle(conv(y, layer), 2), activation)
    assert close(net(x), conv(y, net.last))


@torch.no_grad()
def test_wavelet_net():
    net, x = lively(WaveletNet((4, 6), 2, 2, 2)), torch.rand(2, 3, 6, 5)

    def grouped(v, layer, groups):
        bias = layer.bias.chunk(groups) if layer.bias is not None else [None] * groups
        parts = zip(v.chunk(groups, 1), layer.weight.chunk(groups), bias, strict=True)
        return torch.cat([F.conv2d(a, w, b, padding=w.shape[-1] // 2) for a, w, b in parts], 1)

    def block(v, b, read=1, groups=1):
        one, norm_one, _, two = b.body
        aside = grouped(v, b.expand, read) if v.shape[1] != one.out_channels else v
        return norm(grouped(norm(grouped(v, one, read), norm_one).relu(), two, groups) + aside, b.norm).relu()

    y = norm(conv(x, net.first[0]), net.first[1]).relu()
    for b in net.embed:
        y = block(y, b)
    found = [
        grouped(block(block(y, one, 1, count), two, count, count), last, count)
        for (one, two, last), count in zip(net.predict, (1, 3, 12), strict=True)
    ]
    assert [f.shape[1] // 3 for f in found] == [1, 3, 12]
    assert close(net(x), torch.cat(found, 1).reshape(2, 16, 3, 6, 5))


def test_wavelet_net_starts_as_the_released_code_does():
    torch.manual_seed(0)
    net = WaveletNet((32, 128), 1, 8, 1)
    for layer in (net.first[0], net.embed[1].body[0], net.embed[1].expand):
        outputs, _, side, _ = layer.weight.shape
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (side**2 * outputs)), rel=0.15)
    assert not net.predict[0][-1].bias.any()


def test_a_bilinear_start_asks_for_three_channels():
    with pytest.raises(UsageError, match="has 2 channels: raise width"):
        build(EDSR, width=2, start="bilinear").start()


def test_dense_blocks_start_small():
    torch.manual_seed(0)
    layer = RRDBNet(32, 1, 16).trunk[0].blocks[0].convs[2]
    assert layer.weight.std().item() == pytest.approx(0.1 * math.sqrt(2 / (9 * layer.in_channels)), rel=0.1)
    assert not layer.bias.any()


def instance(x):
    return (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()


def mirrored(x, layer):
    return F.conv2d(F.pad(x, [layer.kernel_size[0] // 2] * 4, mode="reflect"), layer.weight, layer.bias)


@torch.no_grad()
def test_cyclegans_generator():
    torch.manual_seed(0)
    net, x = TranslationResNet(4, 2), torch.rand(2, 3, 16, 12) * 2 - 1
    nn.init.normal_(net.body[-2].weight)
    first, *downs, up_one, up_two, last = [m for m in net.body if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    y = instance(mirrored(x, first)).relu()
    for layer in downs:
        y = instance(F.conv2d(y, layer.weight, layer.bias, 2, 1)).relu()
    for block in (m for m in net.body if isinstance(m, ResidualBlock)):
        y = y + instance(mirrored(instance(mirrored(y, block.body[0])).relu(), block.body[3]))
    for layer in (up_one, up_two):  # a convolution of what zeros have spread
        spread = y.new_zeros(*y.shape[:2], 2 * y.shape[2], 2 * y.shape[3])
        spread[..., ::2, ::2] = y
        y = instance(F.conv2d(spread, layer.weight.transpose(0, 1).flip(2, 3), layer.bias, padding=1)).relu()
    assert close(net(x), mirrored(y, last).tanh())


@torch.no_grad()
def test_cyclegans_critic():
    torch.manual_seed(0)
    net, y = PatchGAN(4), torch.rand(2, 3, 64, 48) * 2 - 1
    wanted, leaky = net(y), lambda v: torch.where(v > 0, v, 0.2 * v)
    first, *inner, last = [m for m in net.body if isinstance(m, nn.Conv2d)]
    y = leaky(F.conv2d(y, first.weight, first.bias, 2, 1))
    for layer, stride in zip(inner, (2, 2, 1), strict=True):
        y = leaky(instance(F.conv2d(y, layer.weight, layer.bias, stride, 1)))
    assert close(wanted, F.conv2d(y, last.weight, last.bias, 1, 1))


def test_wavelet_srnets_tiles_overlap_as_far_as_it_looks():
    """At the paper's depth: how far from an LR pixel its coefficients still change; all weights positive, no norms."""
    p = WaveletSRNet.Params()
    net = WaveletNet((1,) * len(p.widths), p.blocks, 1, 1).eval().double()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    lr = torch.full((1, 3, 1, 81), 0.5, dtype=torch.float64, requires_grad=True)
    net(lr)[..., 40].sum().backward()
    assert lr.grad.abs().sum((0, 1, 2)).nonzero().flatten().tolist() == [*range(40 - p.overlap, 40 + p.overlap + 1)]


# ---------------------------------------------------------------- patches and rates


def test_each_face_is_cropped_and_turned_by_itself():
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    found = crops(torch.stack([rows, columns]).expand(200, -1, -1, -1), 16)
    tops, lefts = found[:, 0, 0, 0].int().tolist(), found[:, 1, 0, 0].int().tolist()
    assert set(tops) == {*range(5)} and set(lefts) == {*range(9)}, "every place, both borders too"
    assert len(set(zip(tops, lefts, strict=True))) > 40, "rows and columns are drawn apart"
    corners = turned(torch.arange(4.0).view(1, 1, 2, 2).expand(64, -1, -1, -1)).flatten(1)
    assert len(corners.unique(dim=0)) == 8


def test_a_rate_rises_to_its_full_height_before_it_falls():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    schedule, rates = stepped(optimizer, 8, (0.5, 0.75), warm=3), []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 0.5, 0.5, 0.25, 0.25])
