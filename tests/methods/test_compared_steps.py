"""One step of each stage of the systems that the papers compare with, against their equations written out anew."""

import copy
from types import SimpleNamespace

import pytest
import torch
import torchvision
from bench.degradations.conditions import Bicubic
from bench.methods.cyclegan_sr import CycleGANSR
from bench.methods.edsr import EDSR
from bench.methods.esrgan import ESRGAN
from bench.methods.rdn import RDN
from bench.methods.srgan import SRGAN
from bench.methods.wavelet_srnet import WaveletSRNet
from published_files import edsr_state
from small_training import few_faces, gain_by_heart, train
from test_compared_nets import SMALL
from watched import agree, batches, fed, same, signed, watched

from bench.core.image import downsample, upsample
from bench.core.spec import override, parse
from bench.grid import resolve

pytestmark = pytest.mark.usefixtures("one_thread")


def build(cls, hr_size=32, **options):
    torch.manual_seed(0)
    params = override(cls.Params(), {**SMALL[cls], "batch": 2, **options}, "test")
    return cls(params, hr_size=hr_size, degradation=Bicubic())


def low(hr):
    """The LR that a step is given: bicubic, as a file holds it."""
    return (downsample(hr, 4).clamp(0, 1) * 255).round() / 255


def rates(stage, name="net"):
    found = []
    for _ in range(stage.steps):
        found.append(stage.optimizers[name].param_groups[0]["lr"])
        stage.optimizers[name].step()
        stage.schedulers[name].step()
    return found


def by_name(module):
    return {stage.name: stage for stage in module.stages()}


@pytest.fixture
def vgg19(store):
    """VGG19's feature layers with random weights of a size that keeps features near 1, which the store holds."""
    torch.manual_seed(1)
    layers = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"])
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    store("vgg19", {f"features.{k}": v for k, v in layers.state_dict().items()})
    return layers


def normalised(x):
    return torchvision.transforms.functional.normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@torch.no_grad()
def decide(critic, images):
    """Verdicts about 0 that differ, so that their gradient counts beside that of pixels."""
    critic.eval().dense[-1].weight.mul_(1000)
    critic.dense[-1].bias.sub_(critic(images).mean())


def no(probability):
    """-log(1 - sigmoid(x))"""
    return -torch.log(1 - torch.sigmoid(probability))


def yes(probability):
    return -torch.log(torch.sigmoid(probability))


# ---------------------------------------------------------------- pixels


@pytest.mark.parametrize("cls", [EDSR, RDN])
def test_edsr_and_rdn_minimise_l1_of_what_they_make_of_the_lr(cls):
    model, (batch,) = build(cls, turns=False), batches(1)
    seen = fed(model.net)
    (stage,) = model.stages()
    (event,) = watched(model, stage, [batch])
    assert len(seen) == 1 and same(seen[0], low(batch.hr))
    twin = copy.deepcopy(model)
    agree(event, twin, lambda: (twin.net(low(batch.hr)) - batch.hr).abs().mean())
    assert {n.partition(".")[0] for n in event.moved} == {"net"}


@pytest.mark.parametrize("cls", [EDSR, RDN, ESRGAN])
def test_patches_are_pieces_of_the_faces_turned_and_mirrored(cls):
    torch.manual_seed(0)
    hr = torch.rand(16, 3, 32, 32)
    upright, turned = build(cls, turns=False, patch=4).patches(hr), build(cls, turns=True, patch=4).patches(hr)
    assert upright.shape == turned.shape == (16, 3, 16, 16)
    ways = set()
    for face, straight, patch in zip(hr, upright, turned, strict=True):
        windows = face.unfold(1, 16, 1).unfold(2, 16, 1).flatten(1, 2).transpose(0, 1)
        is_piece = lambda x, w=windows: (w == x).flatten(1).all(1).any()
        assert is_piece(straight)
        found = [
            (q, m) for q in range(4) for m in (False, True)
            if is_piece(torch.rot90(patch, q, (1, 2)).flip(2) if m else torch.rot90(patch, q, (1, 2)))
        ]  # fmt: skip
        assert len(found) == 1
        ways |= set(found)
    assert len(ways) > 4
    assert torch.equal(build(cls, turns=False).patches(hr), hr), "a face that is no larger than a patch is used whole"


@pytest.mark.parametrize("cls", [SRGAN, EDSR, RDN, ESRGAN])
def test_a_patchs_lr_is_made_of_the_patch(cls):
    model, (batch,) = build(cls, patch=4, turns=True), batches(1)
    hr, lr, fake = model.eval().pair(batch, SimpleNamespace(images=lambda **_: None))
    assert hr.shape == fake.shape == (3, 3, 16, 16) and same(lr, low(hr)) and same(fake, model.net(lr))


def test_rates_fall_where_the_papers_say():
    (edsr,) = build(EDSR, steps=6).stages()
    assert rates(edsr) == pytest.approx([1e-4] * 4 + [5e-5] * 2)  # 200k of 300k
    (rdn,) = build(RDN, steps=3).stages()
    assert rates(rdn) == pytest.approx([1e-4] * 3)
    srgan = by_name(build(SRGAN, mse_steps=4, steps=4))
    assert rates(srgan["mse"]) == pytest.approx([1e-4] * 4)
    assert rates(srgan["gan"], "critic") == pytest.approx([1e-4] * 2 + [1e-5] * 2)
    esrgan = by_name(build(ESRGAN, l1_steps=10, steps=8))
    assert rates(esrgan["l1"]) == pytest.approx([2e-4 / 2 ** (i // 2) for i in range(10)])
    assert rates(esrgan["gan"], "critic") == pytest.approx([1e-4 / 2**k for k in (0, 1, 2, 2, 3, 3, 4, 4)])
    (wavelet,) = build(WaveletSRNet, steps=3).stages()
    assert rates(wavelet) == pytest.approx([2e-4] * 3)
    (cycle,) = build(CycleGANSR, steps=4).stages()
    assert rates(cycle) == pytest.approx([2e-4, 2e-4, 2e-4, 1e-4])


def test_optimizers_are_the_papers():
    given = lambda stage: {
        n: (type(o), o.defaults["betas"], o.defaults["weight_decay"]) for n, o in stage.optimizers.items()
    }
    adam = lambda *betas, decay=0: (torch.optim.Adam, betas, decay)
    for cls in (EDSR, RDN):
        (stage,) = build(cls).stages()
        assert given(stage) == {"net": adam(0.9, 0.999)}
    for stage in build(SRGAN).stages() + build(ESRGAN).stages():
        assert set(given(stage).values()) == {adam(0.9, 0.999)}
    (stage,) = build(WaveletSRNet).stages()
    assert given(stage) == {"net": adam(0.9, 0.999, decay=5e-4)}
    (stage,) = build(CycleGANSR).stages()
    assert given(stage) == {"net": adam(0.5, 0.999), "critic": adam(0.5, 0.999)}


# ---------------------------------------------------------------- SRGAN


def test_srresnet_minimises_mse_between_minus_one_and_one():
    model, (batch,) = build(SRGAN), batches(1)
    (event,) = watched(model, by_name(model)["mse"], [batch])
    twin = copy.deepcopy(model)
    agree(event, twin, lambda: ((twin.net(low(batch.hr)) - signed(batch.hr)) ** 2).mean())
    assert torch.allclose(model.infer(low(batch.hr)), ((model.net(low(batch.hr)) + 1) / 2).clamp(0, 1), atol=1e-6)


def test_srgan_updates_its_critic_then_its_generator_by_equation_3():
    model, (batch,) = build(SRGAN, adversarial=0.7), batches(1)
    decide(model.critic, batch.hr)
    seen = fed(model.critic)
    critic, net = watched(model, by_name(model)["gan"], [batch])
    twin = copy.deepcopy(model)
    real, fake = signed(batch.hr), lambda: twin.net(low(batch.hr))
    agree(critic, twin, lambda: yes(twin.critic(real)).mean() + no(twin.critic(fake().detach())).mean())
    agree(net, twin, lambda: ((fake() - real) ** 2).mean() + 0.7 * yes(twin.critic(fake())).mean())
    assert (critic.name, net.name) == ("critic", "net") and same(seen[0], real)
    assert {n.partition(".")[0] for n in critic.moved} == {"critic"}
    assert {n.partition(".")[0] for n in net.moved} == {"net"}
    assert SRGAN.Params().adversarial == 1e-3


@pytest.mark.parametrize(("layer", "depth"), [("relu5_4", 36), ("relu2_2", 9)])
def test_the_content_loss_is_the_mse_of_rescaled_activations(vgg19, layer, depth):
    assert isinstance(vgg19[depth - 1], torch.nn.ReLU) and isinstance(vgg19[depth], torch.nn.MaxPool2d)
    model, (batch,) = build(SRGAN, content="vgg19", layer=layer, adversarial=0.0), batches(1)
    assert not hasattr(model, "critic")
    (event,) = watched(model, by_name(model)["gan"], [batch])
    twin, features = copy.deepcopy(model), lambda x: vgg19[:depth](normalised(x)) / 12.75
    agree(event, twin, lambda: ((features((twin.net(low(batch.hr)) + 1) / 2) - features(batch.hr)) ** 2).mean())


def test_total_variation_has_its_weight():
    model, (batch,) = build(SRGAN, adversarial=0.0, variation=0.3), batches(1)
    (event,) = watched(model, by_name(model)["gan"], [batch])
    twin = copy.deepcopy(model)

    def loss():
        fake = twin.net(low(batch.hr))
        steps = (fake[:, :, 1:] - fake[:, :, :-1]).square().sum() + (fake[..., 1:] - fake[..., :-1]).square().sum()
        return ((fake - signed(batch.hr)) ** 2).mean() + 0.3 * steps / len(fake)

    agree(event, twin, loss)


def test_srgan_variants_are_those_of_table_1():
    given = lambda name, preset="": resolve.parameters(SRGAN, parse(f"srgan[variant={name}]"), preset)
    assert given("srgan") == SRGAN.Params() and (given("srgan").content, given("srgan").layer) == ("vgg19", "relu5_4")
    assert [s.name for s in SRGAN(given("srresnet")).stages()] == ["mse"]
    assert [s.name for s in SRGAN(given("srresnet", "quick")).stages()] == ["mse"], "a preset adds no critic to it"
    plain = given("mse-vgg22")
    assert plain.variation == 2e-8 and given("srgan-vgg22").variation == 0, "section 3.4"
    for preset, steps in (("", 1_000_000), ("quick", SRGAN.quick["steps"])):
        params = given("mse-vgg22", preset)
        assert (params.mse_steps, params.steps, params.falls) == (0, steps, ()), "from the start, as SRResNet"
    assert (plain.content, plain.layer, plain.adversarial) == ("vgg19", "relu2_2", 0.0)
    assert SRGAN(plain).required_weights() == ("vgg19",) and SRGAN(given("srgan-mse")).required_weights() == ()


# ---------------------------------------------------------------- ESRGAN


def test_esrgan_minimises_equation_3_then_its_critic_equation_1(vgg19):
    model, (batch,) = (
        build(ESRGAN, feature_loss="vgg19", turns=False, adversarial=0.7, pixel=0.5, feature=3.0),
        batches(1),
    )
    decide(model.critic, batch.hr)
    stage = by_name(model)["gan"]
    net, critic = watched(model, stage, [batch])
    twin = copy.deepcopy(model)
    conv5_4 = lambda x: vgg19[:35](normalised(x))
    fake = lambda: twin.net(low(batch.hr))

    def verdicts(generator):
        real, made = twin.critic(batch.hr), twin.critic(fake() if generator else before)
        real = real.detach() if generator else real
        more_real, less_real = real - made.mean(), made - real.mean()
        if generator:
            return (no(more_real).mean() + yes(less_real).mean()) / 2
        return (yes(more_real).mean() + no(less_real).mean()) / 2

    def equation_3():
        content = (conv5_4(fake()) - conv5_4(batch.hr)).abs().mean()
        return 3 * content + 0.7 * verdicts(True) + 0.5 * (fake() - batch.hr).abs().mean()

    agree(net, twin, equation_3)
    before = fake().detach()  # by the generator as it was: the critic judges the same images
    agree(critic, twin, lambda: verdicts(False))
    assert (net.name, critic.name) == ("net", "critic")
    assert {n.partition(".")[0] for n in net.moved} == {"net"}


def test_alpha_interpolates_between_the_weights_of_both_stages(tmp_path):
    hr = torch.rand(4, 3, 32, 32)
    result = train(build(ESRGAN, l1_steps=2, steps=3, lr=0.01), hr, tmp_path)
    assert [s["name"] for s in result["stages"]] == ["l1", "gan"]
    state = result["model"]
    smooth, sharp = (
        {k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(part)} for part in ("psnr", "net")
    )
    first = train(build(ESRGAN, l1_steps=2, steps=0), hr, tmp_path / "psnr")["model"]
    assert all(torch.equal(v, first[f"net.{k}"]) for k, v in smooth.items()), "the first stage's weights are kept"
    assert any(not torch.equal(v, smooth[k]) for k, v in sharp.items())
    for alpha in (0.0, 0.25, 1.0):
        model, lr = build(ESRGAN, alpha=alpha).eval(), torch.rand(1, 3, 8, 8)
        model.load_state_dict(state)
        found = model.infer(lr)
        model.net.load_state_dict({k: (1 - alpha) * smooth[k] + alpha * v for k, v in sharp.items()})
        assert torch.allclose(found, model.net(lr).clamp(0, 1), atol=1e-6)
    assert model.parameter_count() == sum(v.numel() for v in sharp.values())
    plain = build(ESRGAN, alpha=0.5, steps=0).eval()
    assert torch.equal(plain.infer(lr), plain.net(lr).clamp(0, 1)), "without a GAN there is nothing between"


# ---------------------------------------------------------------- CycleGAN


def test_cyclegan_translates_enlarged_real_lr_and_hr_both_ways():
    model, (batch,) = build(CycleGANSR, identity=5.0), batches(1)
    seen = [fed(m) for m in (model.net, model.back)]
    (stage,) = model.stages()
    net, critic = watched(model, stage, [batch])
    a, b = signed(upsample(batch.lr_real, 4).clamp(0, 1)), signed(batch.hr)
    assert same(seen[0][0], a) and same(seen[1][0], b), "LR is enlarged to the size of HR first"
    twin = copy.deepcopy(model)

    def generators():
        to_b, to_a = twin.net(a), twin.back(b)
        gan = ((twin.critic(to_b) - 1) ** 2).mean() + ((twin.back_critic(to_a) - 1) ** 2).mean()
        cycle = (twin.back(to_b) - a).abs().mean() + (twin.net(to_a) - b).abs().mean()
        identity = (twin.net(b) - b).abs().mean() + (twin.back(a) - a).abs().mean()
        return gan + 10 * cycle + 5 * identity

    agree(net, twin, generators)
    twin.load_state_dict(net.state)
    to_b, to_a = twin.net(a).detach(), twin.back(b).detach()

    def critics():
        forth = ((twin.critic(b) - 1) ** 2).mean() + (twin.critic(to_b) ** 2).mean()
        back = ((twin.back_critic(a) - 1) ** 2).mean() + (twin.back_critic(to_a) ** 2).mean()
        return (forth + back) / 2

    agree(critic, twin, critics)
    assert (net.name, critic.name) == ("net", "critic")
    assert {n.partition(".")[0] for n in net.moved} == {"net", "back"}
    assert {n.partition(".")[0] for n in critic.moved} == {"critic", "back_critic"}
    assert CycleGANSR.Params().identity == 0 and model.history.size == 50
    assert same(model.infer(batch.lr_real), (model.net(a) + 1) / 2)


def test_its_critics_see_earlier_images_too():
    model = build(CycleGANSR, history=3).eval()
    (stage,) = model.stages()
    seen = fed(model.critic)
    for batch in batches(4):
        watched(model, stage, [batch])
    assert model.history.images.shape == (3, 3, 32, 32)
    made = torch.cat(seen[0::3])  # of each step: the generator's look at it, real, what the history gives
    given = torch.cat(seen[2::3])
    of = [(made == x).flatten(1).all(1).nonzero().flatten().tolist() for x in given]
    assert all(len(o) == 1 for o in of) and any(o[0] // 3 < i // 3 for i, o in enumerate(of))


# ---------------------------------------------------------------- Wavelet-SRNet


def test_wavelet_srnet_weighs_coefficients_texture_and_image():
    model, (batch,) = build(WaveletSRNet, alpha=1.3, margin=0.02), batches(1)
    seen = fed(model.net)
    (stage,) = model.stages()
    (event,) = watched(model, stage, [batch])
    assert same(seen[0], low(batch.hr))
    twin = copy.deepcopy(model)

    def haar(x):
        bands = [x]
        for _ in range(2):
            quarters = [[y[..., i::2, j::2] for i in (0, 1) for j in (0, 1)] for y in bands]
            bands = [
                z / 2 for a, b, c, d in quarters for z in (a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d)
            ]
        return bands

    def loss():
        found, wanted, faces = twin.net(low(batch.hr)).unbind(1), haar(batch.hr), len(batch.hr)
        errors = [((a - b) ** 2).sum() / (2 * faces) for a, b in zip(found, wanted, strict=True)]
        fades = [
            (1.3 * (b**2).sum(1) + 0.02 - (a**2).sum(1)).clamp(min=0)
            for a, b in zip(found[1:], wanted[1:], strict=True)
        ]
        image = sum(errors)  # an orthonormal transform keeps squared distances
        return 0.01 * errors[0] + 0.99 * sum(errors[1:]) + torch.stack(fades).mean() + 0.1 * image

    agree(event, twin, loss)
    p = WaveletSRNet.Params()
    assert (p.average, p.detail, p.texture, p.image, p.alpha, p.margin) == (0.01, 0.99, 1.0, 0.1, 1.2, 0.0)


def test_with_the_skip_training_starts_as_bicubic_enlargement():
    model, lr = build(WaveletSRNet, skip=True).eval(), torch.rand(2, 3, 8, 9)
    assert torch.allclose(model.infer(lr), upsample(lr, 4).clamp(0, 1), atol=1e-5)
    assert not torch.allclose(build(WaveletSRNet).eval().infer(lr), upsample(lr, 4).clamp(0, 1), atol=0.05)


# ---------------------------------------------------------------- training


STAGES = {
    SRGAN: ({"mse_steps": 2, "steps": 2}, ["mse", "gan"]),
    EDSR: ({"steps": 3}, ["l1"]),
    RDN: ({"steps": 3}, ["l1"]),
    ESRGAN: ({"l1_steps": 2, "steps": 2}, ["l1", "gan"]),
    WaveletSRNet: ({"steps": 3}, ["wavelets"]),
    CycleGANSR: ({"steps": 3}, ["cycle"]),
}


@pytest.mark.parametrize("cls", STAGES, ids=lambda c: c.__name__)
def test_every_stage_trains(cls, tmp_path):
    options, names = STAGES[cls]
    before = {k: v.clone() for k, v in build(cls, **options).state_dict().items() if isinstance(v, torch.Tensor)}
    result = train(build(cls, **options), torch.rand(6, 3, 32, 32), tmp_path, torch.rand(4, 3, 8, 8))
    assert [s["name"] for s in result["stages"]] == names
    assert all(k.startswith("net") or torch.equal(v, before[k]) or v.isfinite().all() for k, v in result["model"].items()
               if isinstance(v, torch.Tensor))  # fmt: skip
    assert not torch.equal(
        next(v for k, v in result["model"].items() if k.startswith("net")), next(iter(before.values()))
    )


@pytest.mark.parametrize("cls", [SRGAN, EDSR, RDN, ESRGAN], ids=lambda c: c.__name__)
def test_a_checkpoint_is_where_training_starts(cls, tmp_path):
    """In place of the first stage, where there are two."""
    wanted = build(cls, growth=32) if cls is ESRGAN else build(cls)
    with torch.no_grad():
        for p in wanted.net.parameters():
            p.add_(0.01)
    state = wanted.net.state_dict()
    if cls is ESRGAN:  # spandrel recognises it by the published names
        from rrdb_files import rrdb_file

        path = rrdb_file(tmp_path / "net.pth", "later", width=6, blocks=1)
        state = cls.released(path, wanted.net)
    else:
        path = tmp_path / "net.pth"
        torch.save({"state_dict": state}, path)
    more = {"growth": 32} if cls is ESRGAN else {}
    result = train(build(cls, init=str(path), lr=0.0, steps=1, **more), torch.rand(4, 3, 32, 32), tmp_path)
    assert len(result["stages"]) == 1
    kept = [k for k in state if "running" not in k and "tracked" not in k]
    assert kept and all(torch.equal(result["model"][f"net.{k}"], state[k]) for k in kept)


def test_a_x2_network_starts_a_x4_one(tmp_path):
    torch.save(edsr_state("basicsr", width=6, blocks=1, ups=1), tmp_path / "x2.pth")
    model = build(EDSR, init=str(tmp_path / "x2.pth"), lr=0.0, steps=1)
    up = model.net.up[0].weight.clone()
    result = train(model, torch.rand(4, 3, 32, 32), tmp_path)["model"]
    assert torch.equal(result["net.merge.weight"], torch.load(tmp_path / "x2.pth")["params"]["conv_after_body.weight"])
    assert torch.equal(result["net.up.0.weight"], up)


def test_missing_weights_are_named_before_any_work():
    asked = lambda cls, **options: build(cls, **options).required_weights()
    assert asked(ESRGAN, feature_loss="vgg19") == asked(SRGAN, content="vgg19") == ("vgg19",)
    assert asked(ESRGAN, init="rrdb-psnr-x4") == asked(EDSR, init="rrdb-psnr-x4") == ("rrdb-psnr-x4",)
    assert asked(EDSR) == asked(ESRGAN) == ()


def test_edsr_learns_few_faces_by_heart(faces, tmp_path):
    """3 dB above bicubic on what it was trained on: the quick preset's network, 32x32."""
    torch.manual_seed(0)
    params = override(EDSR.Params(), {**EDSR.quick, "steps": 120, "batch": 4, "lr": 2e-3}, "")
    gain = gain_by_heart(EDSR(params, hr_size=32, degradation=Bicubic()), few_faces(faces), tmp_path)
    assert gain > 3, gain
