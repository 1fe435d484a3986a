"""The networks of the systems that the papers compare with: sizes, layers, checkpoints, any size of LR."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bench.methods.checkpoints import in_order
from bench.methods.cyclegan_sr import CycleGANSR
from bench.methods.edsr import EDSR, EDSRNet
from bench.methods.esrgan import ESRGAN
from bench.methods.rdn import RDN, RDNet
from bench.methods.srgan import SRGAN, SRResNet
from bench.methods.wavelet_srnet import WaveletSRNet
from bench.methods.wavelet_srnet_nets import WaveletNet, decompose, packet_kernels, reconstruct
from published_files import edsr_forward, edsr_state, rdn_forward, rdn_state

from bench.core.spec import override
from bench.errors import UsageError
from bench.kit.critics import SRGANCritic

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {
    SRGAN: {"width": 6, "blocks": 1, "critic_width": 2, "content": "mse"},
    EDSR: {"width": 6, "blocks": 1},
    RDN: {"width": 6, "blocks": 2, "convs": 2, "growth": 4},
    ESRGAN: {"width": 6, "blocks": 1, "growth": 4, "critic_width": 2, "feature_loss": "none"},
    WaveletSRNet: {"widths": (4, 6), "blocks": 1, "subnet": 2},
    CycleGANSR: {"width": 4, "blocks": 1, "critic_width": 2},
}


def build(cls, scale=4, hr_size=32, **options):
    return cls(override(cls.Params(), {**SMALL[cls], **options}, "test"), scale=scale, hr_size=hr_size).eval()


def test_the_papers_sizes():
    """The figures that papers print, to their last digit, within 2 % of the longer ones."""
    with torch.device("meta"):
        millions = {name: cls().parameter_count() / 1e6 for name, cls in
                    {"srgan": SRGAN, "edsr": EDSR, "rdn": RDN, "esrgan": ESRGAN, "cyclegan-sr": CycleGANSR}.items()}  # fmt: skip
        baseline = EDSR(override(EDSR.Params(), EDSR.variants["baseline"], "")).parameter_count() / 1e6
    assert millions["edsr"] == pytest.approx(43.1, rel=0.02) and millions["rdn"] == pytest.approx(22.3, rel=0.02)
    assert millions["esrgan"] == pytest.approx(16.7, rel=0.02)
    assert round(baseline, 1) == 1.5 and round(millions["srgan"], 1) == 1.5  # Lim 2017, Table 1


def test_the_docstrings_sizes():
    conv = lambda inputs, outputs, kernel=3: outputs * (inputs * kernel**2 + 1)
    count = lambda net: sum(p.numel() for p in net.parameters())
    with torch.device("meta"):
        ends, ups = conv(3, 256) + conv(256, 3), 2 * conv(256, 1024)
        assert count(EDSRNet(256, 32, 0.1, 4)) == 65 * conv(256, 256) + ends + ups == 43_089_923
        normed = 64 * 64 * 9 + 2 * 64  # a convolution without bias, a batch norm's two numbers
        ends, ups = conv(3, 64, 9) + 1 + conv(64, 3, 9), 2 * (conv(64, 256) + 1)
        assert count(SRResNet(64, 16, 4)) == 16 * (2 * normed + 1) + normed + ends + ups == 1_547_350
        block = sum(conv(64 * c, 64) for c in range(1, 9)) + conv(64 * 9, 64, 1)
        ends = conv(3, 64) + 2 * conv(64, 64) + conv(64 * 16, 64, 1) + 2 * conv(64, 256) + conv(64, 3)
        assert count(RDNet(64, 16, 8, 64, 4)) == 16 * block + ends == 22_271_107
        widths = [3, 64, 64, 128, 128, 256, 256, 512, 512]
        convs = conv(3, 64) + sum(a * b * 9 + 2 * b for a, b in pairwise(widths[1:]))
        for side, known in ((128, 38_243_713), (96, 23_563_649), (64, 13_077_889)):
            dense = conv(512 * (side // 16) ** 2, 1024, 1) + conv(1024, 1, 1)
            assert count(SRGANCritic(side, 64, "batch")) == convs + dense == known
        assert count(WaveletNet((64, 128, 256, 512, 1024), 2, 32, 2)) == wavelet_count(64, 32, 2) == 51_071_344


def wavelet_count(width, subnet, levels):
    """Convolutions have no bias but the last ones; two batch norms a block; conv1 where channels change."""

    def block(inputs, outputs, read=1, groups=1):
        expand = inputs * outputs // read if inputs != outputs else 0
        return 9 * inputs * outputs // read + 9 * outputs * outputs // groups + 4 * outputs + expand

    total, inputs = 27 * width + 2 * width, width
    for outputs in (width * 2**i for i in range(5)):
        total, inputs = total + block(inputs, outputs) + block(outputs, outputs), outputs
    for level in range(levels + 1):
        g = 4**level - 4 ** (level - 1) if level else 1
        total += (
            block(inputs, subnet * g, 1, g) + block(subnet * g, 2 * subnet * g, g, g) + 3 * g * (2 * subnet * 9 + 1)
        )
    return total


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("cls", SMALL, ids=lambda c: c.__name__)
def test_any_size_and_scale_fit(cls, scale):
    lr = torch.rand(2, 3, 11, 9)
    sr = build(cls, scale).infer(lr)
    assert sr.shape == (2, 3, 11 * scale, 9 * scale) and sr.min() >= 0 and sr.max() <= 1


@pytest.mark.parametrize(("cls", "overlap"), [(EDSR, 7), (WaveletSRNet, 10)])
def test_tiles_give_what_the_whole_gives(cls, overlap):
    torch.manual_seed(0)
    whole, parts = build(cls, tile=64), build(cls, tile=2 * overlap + 4, overlap=overlap)
    parts.load_state_dict(whole.state_dict())
    lr = torch.rand(1, 3, 30, 26)
    assert torch.allclose(whole.infer(lr), parts.infer(lr), atol=1e-5)


# ---------------------------------------------------------------- published checkpoints


@pytest.mark.parametrize("layout", ["pytorch", "basicsr"])
def test_edsr_checkpoints_give_what_their_network_gives(tmp_path, layout):
    state = edsr_state(layout)
    torch.save(state, tmp_path / "net.pt")
    net, lr = EDSRNet(8, 2, 0.1, 4), torch.rand(2, 3, 9, 7)
    net.load_state_dict(in_order(tmp_path / "net.pt", net))
    expected = edsr_forward(layout, state, lr)
    assert torch.allclose(net(lr), expected, atol=1e-4) and expected.std() > 0.05


def test_rdn_checkpoints_give_what_their_network_gives(tmp_path):
    state = rdn_state()
    torch.save(state, tmp_path / "net.pt")
    net, lr = RDNet(6, 2, 3, 4, 4), torch.rand(2, 3, 9, 7)
    net.load_state_dict(in_order(tmp_path / "net.pt", net))
    expected = rdn_forward(state, lr)
    assert torch.allclose(net(lr), expected, atol=1e-4) and expected.std() > 0.05


def test_averaged_weights_go_before_plain_ones(tmp_path):
    plain, averaged = (edsr_state("basicsr", seed=seed)["params"] for seed in (0, 1))
    torch.save({"params": plain, "params_ema": averaged}, tmp_path / "net.pt")
    found = in_order(tmp_path / "net.pt", EDSRNet(8, 2, 0.1, 4))
    assert torch.equal(found["first.weight"], averaged["conv_first.weight"])


def test_a_network_of_another_scale_starts_all_but_its_upsampling(tmp_path):
    state = edsr_state("pytorch", ups=1)
    torch.save(state, tmp_path / "x2.pt")
    net = EDSRNet(8, 2, 0.1, 4)
    found = in_order(tmp_path / "x2.pt", net)
    assert {k.partition(".")[0] for k in found} == {"first", "blocks", "merge"}
    assert torch.equal(found["merge.bias"], state["body.2.bias"])


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_network_of_more_or_fewer_blocks_is_not_one_of_another_scale(tmp_path, blocks):
    """All of EDSR's inner layers have one shape: those of three blocks begin as two blocks and the layer after them do."""
    torch.save(edsr_state("pytorch", blocks=blocks), tmp_path / "net.pt")
    with pytest.raises(UsageError, match="do not fit"):
        in_order(tmp_path / "net.pt", EDSRNet(8, 2, 0.1, 4))


def test_weights_that_are_not_finite_or_no_weights_are_refused(tmp_path):
    params = override(EDSR.Params(), {"width": 8, "blocks": 2, "init": str(tmp_path / "net.pt")}, "")
    for change, said in ((lambda v: v * float("nan"), "merge.weight holds values that are not finite"),
                         (lambda v: v.int(), "merge.weight is of torch.int32, which no weight is")):  # fmt: skip
        state = edsr_state("pytorch")
        torch.save({**state, "body.2.weight": change(state["body.2.weight"])}, tmp_path / "net.pt")
        with pytest.raises(UsageError, match=rf"net\.pt: {said}"):
            EDSR.fingerprint(params, 4)


def test_a_file_that_does_not_fit_is_refused_before_any_work_in_a_line(tmp_path):
    torch.save(edsr_state("basicsr", width=6), tmp_path / "net.pt")
    given = lambda cls, path: override(cls.Params(), {"init": str(path)}, "")
    for cls in (EDSR, RDN, SRGAN):
        with pytest.raises(UsageError, match=r"net\.pt: 18 tensors that do not fit") as error:
            cls.fingerprint(given(cls, tmp_path / "net.pt"), 4)
        assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="neither none, nor a name"):
        EDSR.fingerprint(given(EDSR, tmp_path / "no-such-file.pt"), 4)
    fits = override(EDSR.Params(), {"width": 6, "blocks": 2, "init": str(tmp_path / "net.pt")}, "")
    first = EDSR.fingerprint(fits, 4)
    torch.save(edsr_state("basicsr", width=6, seed=1), tmp_path / "net.pt")
    assert len(first) == 16 and EDSR.fingerprint(fits, 4) != first, "another content is another model"


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize("cls", [EDSR, RDN, SRGAN, ESRGAN])
def test_a_bilinear_start_is_bilinear_interpolation(cls):
    torch.manual_seed(0)
    method, lr = build(cls, start="bilinear"), torch.rand(2, 3, 12, 10)
    method.start()
    expected = F.interpolate(F.interpolate(lr, scale_factor=2, mode="bilinear"), scale_factor=2, mode="bilinear")
    inner = (..., slice(8, -8), slice(8, -8))  # zeros beyond the borders darken them
    assert torch.allclose(method.infer(lr)[inner], expected[inner], atol=1e-5)
    random, before = build(cls), build(cls)
    before.load_state_dict(random.state_dict())
    random.start()
    assert torch.equal(random.infer(lr), before.infer(lr)), "only where it is asked for"


def test_self_ensemble_is_the_mean_over_eight_ways(one_thread):
    torch.manual_seed(0)
    plain, method = build(EDSR), build(EDSR, self_ensemble=True)
    method.load_state_dict(plain.state_dict())
    lr = torch.rand(1, 3, 8, 5)
    assert torch.allclose(plain.infer(lr), plain.net(lr).clamp(0, 1)), "only where it is asked for"
    outputs = []
    for quarters in range(4):
        for mirror in (False, True):
            image = np.rot90(lr.numpy(), quarters, (2, 3))
            image = image[:, :, ::-1] if mirror else image  # upside down: mirrored another way than in the kit
            found = plain.net(torch.from_numpy(image.copy())).detach().numpy()
            found = found[:, :, ::-1] if mirror else found
            outputs.append(np.rot90(found, -quarters, (2, 3)))
    assert np.allclose(method.infer(lr).detach().numpy(), np.mean(outputs, 0).clip(0, 1), atol=1e-5)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_packets_are_those_of_repeated_haar_steps_and_invert(levels):
    """One level by hand: half of sums and differences of 2x2 neighbours; then of each band again."""
    images = torch.rand(2, 3, 16, 24, dtype=torch.float64)
    bands = [images]
    for _ in range(levels):
        split = []
        for x in bands:
            a, b, c, d = (x[..., i::2, j::2] for i in (0, 1) for j in (0, 1))
            split += [(a + b + c + d) / 2, (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]
        bands = split
    kernels = packet_kernels(levels).double()
    found = decompose(images, kernels)
    assert torch.allclose(found, torch.stack(bands, 1), atol=1e-6)
    assert torch.allclose(reconstruct(found, kernels), images, atol=1e-6)


def test_each_coefficient_has_a_subnet_of_its_own():
    """Nothing of one subnet reaches another's coefficients: only what embeds the LR is shared."""
    torch.manual_seed(0)
    net = WaveletNet((4,), 1, 2, 2).eval()
    lr = torch.rand(1, 3, 6, 6)
    for index, level in ((0, 0), (2, 1), (9, 2)):
        net.zero_grad()
        net(lr)[:, index].sum().backward()
        for depth, subnets in enumerate(net.predict):
            conv = subnets[-1].weight.grad
            touched = set() if conv is None else set((conv.flatten(1).abs().sum(1) > 0).nonzero().flatten().tolist())
            within = index - (4 ** (level - 1) if level else 0)
            assert touched <= (set(range(3 * within, 3 * within + 3)) if depth == level else set())
            for block, width in ((0, 2), (1, 4)):  # channels of a subnet's two blocks
                body = subnets[block].body[0].weight.grad
                reached = (
                    set() if body is None else set((body.flatten(1).abs().sum(1) > 0).nonzero().flatten().tolist())
                )
                own = set(range(width * within, width * within + width))
                assert reached <= (own if depth == level else set())
