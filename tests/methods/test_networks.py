"""The papers' networks, written out once more with plain functions on the same weights."""

import pytest
import torch
import torch.nn.functional as F
from bench.degradations.degradation_gan_nets import DegradationGenerator
from bench.degradations.high_to_low_nets import HighToLowGenerator, noise_plane
from bench.methods.low_to_high_nets import LowToHighGenerator
from bench.methods.smooth_features_nets import RCA, RCABP, ChannelAttention, DenseBlock, FeatureExtractor
from torch import nn

from bench.kit.blocks import ResidualBlock, ResidualCritic
from bench.kit.critics import SRGANCritic

pytestmark = pytest.mark.usefixtures("one_thread")


def lively(net):
    """In eval mode, with statistics and slopes that are not 1 and 0, so that leaving a layer out shows."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight, 1, 0.3)
            nn.init.normal_(module.bias)
    return net.eval()


def norm(x, bn):
    shape = (1, -1, 1, 1)
    scaled = (x - bn.running_mean.view(shape)) / (bn.running_var.view(shape) + bn.eps).sqrt()
    return scaled * bn.weight.view(shape) + bn.bias.view(shape)


def conv(x, layer, stride=1):
    return F.conv2d(x, layer.weight, layer.bias, stride, layer.kernel_size[0] // 2)


def close(a, b):
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-4, rtol=1e-3) and a.std() > 1e-4


def residual(x, block):
    """Pre-activation: batch norm, ReLU, conv3, twice, and the input."""
    bn1, _, conv1, bn2, _, conv2 = block.body
    return x + conv(norm(conv(norm(x, bn1).relu(), conv1), bn2).relu(), conv2)


@torch.no_grad()
def test_bulats_blocks_and_generators():
    block, x = lively(ResidualBlock(4)), torch.randn(2, 4, 6, 5)
    assert close(block(x), residual(x, block))
    low, hr, z = lively(HighToLowGenerator(4, 3, 32, 4)), torch.randn(2, 3, 32, 32), torch.randn(2, 3)
    x = conv(torch.cat([hr, (z @ low.noise.weight.T + low.noise.bias).view(2, 1, 32, 32)], 1), low.enter)
    for index, group in enumerate(low.groups):
        x = residual(residual(x, group[0]), group[1])
        x = (
            x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))
            if index < 4
            else F.pixel_shuffle(conv(x, group[2]), 2)
        )
    bn, _, last, _ = low.leave
    assert close(low(hr, z), conv(norm(x, bn).relu(), last).tanh())
    high, lr = lively(LowToHighGenerator((6, 4, 3), (3, 2, 1), 4)), torch.randn(2, 3, 8, 8)
    layers = list(high.layers)
    x = conv(lr, layers[0])
    for index, group in ((1, layers[1]), (2, layers[4]), (3, layers[7])):
        if index > 1:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = conv(x, layers[3 * index - 3])
        before = x
        for block in group.blocks:
            x = residual(x, block)
        x = before + x  # the skip over the group
    assert close(high(lr), conv(norm(x, layers[8]).relu(), layers[10]).tanh())


@torch.no_grad()
def test_noise_for_other_sizes_is_resized_bilinearly():
    layer, z = nn.Linear(3, 16), torch.randn(2, 3)
    plane = layer(z).view(2, 1, 4, 4)
    wide = noise_plane(layer, z, 4, torch.zeros(2, 3, 4, 7))
    centre = (torch.arange(7) + 0.5) * 4 / 7 - 0.5
    left = centre.clamp(0, 3).floor().long().clamp(max=2)
    share = centre.clamp(0, 3) - left
    assert close(wide, plane[..., left] * (1 - share) + plane[..., left + 1] * share)


@torch.no_grad()
@pytest.mark.parametrize("pools", [2, 4])
def test_bulats_critic(pools):
    critic, x = ResidualCritic(4, pools, normalize=False).eval(), torch.randn(2, 3, 32, 32)
    y = x
    for index, block in enumerate(critic.blocks):
        inner = y if index == 0 else y.relu()  # raw pixels are not activated
        skip = y if index else F.conv2d(y, block.skip.weight, block.skip.bias)
        y = conv(conv(inner, block.conv1).relu(), block.conv2) + skip
        if index >= 6 - pools:  # the last ones halve, by maxima
            y = y.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax((3, 5))
    assert close(critic(x), y.relu().sum((2, 3)) @ critic.linear.weight.T + critic.linear.bias)


def prelu(x, layer):
    return torch.where(x > 0, x, layer.weight.view(1, -1, 1, 1) * x)


def layered(x, block, stride=1):
    """conv, batch norm, PReLU."""
    return prelu(norm(conv(x, block[0], stride), block[1]), block[2])


def attention(x, module):
    _, down, slope, up, _ = module.gate
    return x * torch.sigmoid(conv(prelu(conv(x.mean((2, 3), keepdim=True), down), slope), up))


def rca(x, block):
    y = x
    for layer in list(block.body)[:3]:
        y = layered(y, layer)
    return x + attention(y, block.body[3])


def rcabp(x, block):
    plain = attended = x
    for a, b in zip(block.plain, block.attended, strict=True):
        plain, attended = layered(plain, a), layered(attended, b)
    return plain + attention(attended, block.attention)


@torch.no_grad()
def test_goswamis_blocks_and_feature_extractor():
    x = torch.randn(2, 8, 6, 6)
    for make, written in (
        (lambda: ChannelAttention(8), attention),
        (lambda: RCA(8), rca),
        (lambda: RCABP(8, 8), rcabp),
    ):
        net = lively(make())
        assert close(net(x), written(x, net))
    dense = lively(DenseBlock(8, 2))
    first = rcabp(rca(x, dense.pairs[0][0]), dense.pairs[0][1])
    both = torch.cat([x, first], 1)
    second = rcabp(rca(both, dense.pairs[1][0]), dense.pairs[1][1])
    assert close(dense(x), x + 0.2 * second)
    f, lr = lively(FeatureExtractor(8)), torch.randn(2, 3, 16, 16)
    y, maps = prelu(conv(lr, f.enter[0]), f.enter[1]), []
    for block in f.down:
        y = layered(rca(y, block[0]), block[1], 2)
        maps.append(y)
    for block, skip in zip(f.up, (maps[2], maps[1]), strict=True):
        y = rca(y, block[0]).repeat_interleave(2, 2).repeat_interleave(2, 3)
        y = skip + 0.2 * layered(y, block[2])
    assert close(f(lr), prelu(conv(y, f.leave[0]), f.leave[1])) and y.shape[-1] == 4


@torch.no_grad()
def test_goswamis_degradation_generator():
    net, x, z = lively(DegradationGenerator(4, 3)), torch.randn(2, 3, 16, 16), torch.randn(2, 3)
    y = conv(torch.cat([x, z[:, :, None, None].expand(2, 3, 16, 16)], 1), net.enter)
    skips = []
    for block in net.down:
        skips.append(y)
        y = conv(residual(y, block[0]), block[1], 2)
    for block in net.up:
        y = residual(y, block[0]).repeat_interleave(2, 2).repeat_interleave(2, 3)
        y = skips.pop() + 0.2 * conv(y, block[2])
    assert close(net(x, z), conv(y, net.leave))


@torch.no_grad()
def test_srgans_critic():
    net, x = SRGANCritic(32, 4).eval(), torch.randn(2, 3, 32, 32)
    leaky = lambda v: torch.where(v > 0, v, 0.2 * v)
    layers = [m for m in net.features if isinstance(m, nn.Conv2d | nn.GroupNorm)]
    y = leaky(conv(x, layers[0]))
    for index in range(1, 8):  # every second halves
        convolution, group = layers[2 * index - 1], layers[2 * index]
        y = leaky(F.group_norm(conv(y, convolution, 2 if index % 2 else 1), 4, group.weight, group.bias))
    a, _, b = net.dense
    assert close(net(x), leaky(y.flatten(1) @ a.weight.T + a.bias) @ b.weight.T + b.bias)
