import contextlib
import json
import types

import numpy as np
import pytest
import torch
from bench.degradations import jpeg_kernel
from bench.degradations.conditions import Jpeg
from bench.degradations.jpeg_kernel import JpegKernel
from bench.degradations.kernels import significant
from scipy import io
from smooth import smooth_images

from bench.core.image import downsample, read_image, write_image
from bench.core.spec import override
from bench.errors import TrainingFailed
from bench.faces.faceset import FaceSet

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = "images=3,whole=0,kernelgan.width=8,kernelgan.iterations=12"
SIX = TINY.replace("images=3", "images=6")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """HR of 64 px; real LR of three sizes, grey with noise, so that eqs. 4-6 accept much of it."""
    root = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 2)):
        for what in ("hr", "lr"):
            (root / what / split).mkdir(parents=True)
        for index, image in enumerate(smooth_images(count, 64, count)):
            write_image(root / "hr" / split / f"{index}.png", image)
            side = (40, 44, 60)[index % 3]
            noisy = rng.normal(120, 9, (3, side, side + 4)).clip(0, 255).astype(np.uint8)
            write_image(root / "lr" / split / f"{index}.png", noisy)
    return root


@pytest.fixture
def measured(bench, sets, tmp_path):
    """Run under a jpeg-kernel with these options: measured(OPTIONS) -> (exit code, errors)."""

    def call(options, *more, lr=True, out="run", method="bicubic"):
        given = ["--hr", sets / "hr", *(["--lr", sets / "lr"] if lr else [])]
        condition = f"jpeg-kernel[{options}]" if options else "jpeg-kernel"
        code, _, err = bench("run", "--methods", method, "--conditions", condition, "--metrics", "psnr", *given,
                             "--out", tmp_path / out, *more)  # fmt: skip
        return code, err

    return call


def fitted(folder):
    """What the only model of a run's folder has learnt."""
    (file,) = (folder / "checkpoints").glob("*.pt")
    return file, torch.load(file, weights_only=True)["model"]["_extra_state"]


def test_pools_are_fitted_kept_shared_and_shown(measured, bench, tmp_path, monkeypatch):
    code, err = measured(TINY)
    assert code == 0, err
    file, pools = fitted(tmp_path / "run")
    assert pools["kernel"].shape == (3, 26, 26) and torch.allclose(pools["kernel"].sum((1, 2)), torch.ones(3))
    assert pools["noise"].shape[1:] in {(3, 32, 32), (3, 16, 16)} and 7 < 255 * pools["noise"].std() < 10

    picture = tmp_path / "pools.png"
    assert bench("degrade", "jpeg-kernel", "--weights", file, "--show", picture)[0] == 0
    assert read_image(picture).std() > 20

    def refuse(*_):
        raise AssertionError("kernels are estimated again")

    monkeypatch.setattr(jpeg_kernel, "KernelGAN", refuse)
    assert measured(f"{TINY},jpeg=none")[0] == 0  # other settings, the same kernels
    file, _ = fitted(tmp_path / "run")
    assert measured(f"kernel={file},noise={file}", lr=False, out="other")[0] == 0  # another run, without real LR
    assert fitted(tmp_path / "other")[1].keys() == pools.keys()
    assert all(torch.equal(fitted(tmp_path / "other")[1][name], pools[name]) for name in pools)
    code, err = measured(f"kernel={file}", out="x2", method="bicubic[scale=2]")
    assert code == 2 and "kernels of x4, not of x2" in err and err.count("\n") == 1


def test_a_kill_during_estimation_loses_no_finished_group(measured, monkeypatch):
    whole, calls = jpeg_kernel.KernelGAN, []

    def dying(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(jpeg_kernel, "KernelGAN", dying)
    assert measured(SIX)[0] == 130
    assert len(calls) == 2
    assert measured(SIX)[0] == 0
    assert len(calls) == 3  # of two groups (crops of 40 and of 56 px) the second alone is estimated anew


def test_each_part_works_alone_and_needs_only_what_it_uses(measured, sets, tmp_path):
    assert measured("kernel=bicubic,noise=gaussian", lr=False)[0] == 0
    code, err = measured("kernel=bicubic", lr=False)
    assert code == 2 and "--lr" in err
    code, err = measured("kernel=bicubci,noise=none", lr=False)
    assert code == 2 and "kernel=bicubci: neither estimated, bicubic, nor a folder" in err and err.count("\n") == 1
    np.save(tmp_path / "k.npy", np.ones((4, 4)))
    assert measured(f"kernel={tmp_path},noise=none", lr=False, out="own")[0] == 0
    io.savemat(tmp_path / "k.mat", {"a": np.zeros(3)})
    code, err = measured(f"kernel={tmp_path},noise=none", lr=False, out="own")
    assert code == 2 and "k.mat: a kernel whose sum" in err


def test_faces_too_small_for_an_estimate_are_named_with_what_takes_its_place(bench, folders, tmp_path):
    hr, lr = folders  # LR of 8x8
    code, _, err = bench("run", "--methods", "bicubic", "--conditions", "jpeg-kernel", "--metrics", "psnr",
                         "--hr", hr, "--lr", lr, "--out", tmp_path / "run")  # fmt: skip
    assert code == 0
    for words in ("these have 8x8: bicubic downsampling instead", "no smooth areas to take noise from; Gaussian noise"):
        assert words in err and words in (tmp_path / "run" / "report.html").read_text()
    assert fitted(tmp_path / "run")[1].keys() == {"noise"}


def test_kernels_that_fell_apart_are_left_out_and_counted(measured, monkeypatch, tmp_path):
    class Estimates:
        """One kernel in a piece, and one in two."""

        def __init__(self, images, *_):
            self.iteration, self.count = 10**6, len(images)

        def kernels(self):
            one, two = torch.zeros(2, 13, 13)
            one[3:10, 3:10] = two[1:6, 1:6] = two[7:12, 7:12] = 1
            return torch.stack([one, two] * 3)[: self.count] + 1e-3 * torch.rand(self.count, 13, 13)

    monkeypatch.setattr(jpeg_kernel, "KernelGAN", Estimates)
    for options, words, count in (("images=6,whole=0.9", "left out", 3), ("images=6", "kept", 6)):
        code, err = measured(options, out=words)
        assert code == 0 and f"3 of 6 estimated kernels fell apart and are {words}" in err
        assert len(fitted(tmp_path / words)[1]["kernel"]) == count


def model(scale=4, **options):
    made = JpegKernel(override(JpegKernel.Params(), options, "test"), scale=scale)
    made.set_extra_state({"kernel": torch.ones(5, 7 * scale - 2, 7 * scale - 2) / (7 * scale - 2) ** 2,
                          "noise": torch.randn(9, 3, 16, 16) / 30})  # fmt: skip
    return made


def draws(model, hr, seed=0):
    return model.infer(hr, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_any_size_at_any_scale_and_all_randomness_from_the_generator(scale):
    made, hr = model(scale), torch.rand(3, 3, 40, 56)
    lr = draws(made, hr)
    assert lr.shape == (3, 3, 40 // scale, 56 // scale) and lr.min() >= 0 and lr.max() <= 1
    torch.manual_seed(5)
    assert torch.equal(lr, draws(made, hr)) and not torch.equal(lr, draws(made, hr, 1))


def test_jpeg_alone_is_the_jpeg_condition():
    made = JpegKernel(override(JpegKernel.Params(), {"kernel": "bicubic", "noise": "none", "probability": 1}, "test"))
    hr = torch.from_numpy(smooth_images(3, 64)) / 255
    assert torch.equal(draws(made, hr), Jpeg().infer(hr))


def test_jpeg_comes_with_its_probability():
    made = JpegKernel(
        override(JpegKernel.Params(), {"kernel": "bicubic", "noise": "none", "probability": 0.75}, "test")
    )
    hr = (torch.from_numpy(smooth_images(1, 32)) / 255).expand(400, -1, -1, -1)
    clean = downsample(hr, 4).clamp(0, 1)
    compressed = (draws(made, hr) - clean).abs().amax((1, 2, 3)) > 0
    assert 0.68 < compressed.float().mean() < 0.82


def test_kernel_noise_and_gaussian_noise_are_added_as_equation_2_says():
    hr = torch.full((6, 3, 64, 64), 0.5)
    lr = draws(model(jpeg="none"), hr) - 0.5
    pool = model(jpeg="none").noise
    assert (lr.std() - pool.std()).abs() < 0.2 * pool.std()
    lr = draws(
        JpegKernel(override(JpegKernel.Params(), {"kernel": "bicubic", "noise": "gaussian", "jpeg": "none"}, "")), hr
    )
    assert abs(255 * (lr - 0.5).std() - 8) < 0.5


def test_pools_go_where_the_model_is_also_after_a_resume():
    made = JpegKernel().to("meta")
    made.set_extra_state({"kernel": torch.ones(1, 26, 26), "noise": torch.zeros(1, 3, 16, 16)})
    assert made.kernel.device == made.noise.device == torch.device("meta")


@pytest.mark.parametrize("patch", [16, 4])
def test_patches_may_be_small(measured, patch):
    code, err = measured(f"kernel=bicubic,patch={patch},psi=none,mu=9,gamma=9")
    assert code == 0, err


def test_variants_are_the_rows_of_figure_6_and_the_test_protocol():
    params = {name: override(JpegKernel.Params(), options, name) for name, options in JpegKernel.variants.items()}
    assert params["realsr"].jpeg is None and params["realsr"].noise == "pool"
    assert (params["test"].noise, params["test"].sigma, params["test"].jpeg, params["test"].probability) == (
        "gaussian",
        8,
        30,
        1,
    )


def test_a_time_budget_stops_after_a_group(measured, tmp_path):
    assert measured(SIX, "--budget", "0.001s")[0] == 0
    assert len(fitted(tmp_path / "run")[1]["kernel"]) < 6
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings["budget"] == 0.001


# ---------------------------------------------------------------- directions and order


def one_tap(row, column, scale=4):
    """A pool of one kernel that takes a single HR pixel, (row, column) from the window's corner."""
    kernel = torch.zeros(1, 7 * scale - 2, 7 * scale - 2)
    kernel[0, row, column] = 1
    return kernel


def test_an_asymmetric_kernel_looks_the_way_it_is_written():
    """Tap (r, c) of 26 reads HR pixel 4 i + r - 11 (the window is centred on 4 i + 1.5): down and right, not flipped."""
    made, hr = model(noise="none", jpeg="none"), torch.rand(2, 3, 64, 64)
    made.noise = None
    for row, column in ((11, 11), (13, 10), (3, 20)):
        made.kernel = one_tap(row, column)
        lr = draws(made, hr)
        for y, x in ((5, 6), (8, 7)):
            assert torch.equal(lr[..., y, x], hr[..., 4 * y + row - 11, 4 * x + column - 11])


def test_each_face_has_its_own_kernel_and_noise():
    made, hr = model(jpeg="none"), torch.rand(1, 3, 64, 64).expand(40, -1, -1, -1)
    made.kernel, made.noise = torch.cat([one_tap(11, c) for c in (5, 11, 17)]), None
    assert len(draws(made, hr).unique(dim=0)) == 3
    made = model(jpeg="none")
    assert len(draws(made, hr).unique(dim=0)) == 9, "one of the nine patches of the pool, each the size of the LR"


def test_the_order_is_blur_downsampling_noise_jpeg(monkeypatch):
    steps = []

    def watch(name):
        function = getattr(jpeg_kernel, name)

        def call(*arguments):
            result = function(*arguments)
            steps.append((name, arguments[0], result))
            return result

        monkeypatch.setattr(jpeg_kernel, name, call)

    for name in ("downsample_with", "draw_noise", "jpeg"):
        watch(name)
    made, hr = model(probability=1.0), torch.rand(2, 3, 64, 64)
    lr = draws(made, hr)
    assert [name for name, _, _ in steps] == ["downsample_with", "draw_noise", "jpeg"]
    (_, blurred, low), (_, _, noise), (_, compressed, result) = steps
    assert torch.equal(blurred, hr), "the kernel works on HR"
    assert torch.equal(compressed, ((low + noise).clamp(0, 1) * 255).round().byte()), "noise is in what JPEG compresses"
    assert torch.equal(lr, result.float() / 255)


def test_estimates_are_centred_and_the_right_way_round(monkeypatch):
    """What the GAN finds comes to use unflipped: heavier below and right of its middle stays so, about a centred mass."""
    raw = torch.zeros(13, 13)
    raw[4:9, 4:9] = 1
    raw[8:11, 8:10] = 3

    class Estimates:
        def __init__(self, images, *_):
            self.iteration, self.count = 10**6, len(images)

        def kernels(self):
            return raw.expand(self.count, -1, -1)

    monkeypatch.setattr(jpeg_kernel, "KernelGAN", Estimates)
    said = []
    run = types.SimpleNamespace(seed=0, budget=None, device="cpu", note=said.append,
                                bar=lambda *_: contextlib.nullcontext(), remember=lambda parts, f: f())  # fmt: skip
    faces = FaceSet.of(list(smooth_images(5, 48)), list("abcde"), "lr")
    made = JpegKernel(override(JpegKernel.Params(), {"images": 3}, ""), scale=2)
    kernels = made.estimate(faces, run).double()
    assert said == ["kernels from 3 of 5 real LR faces"] and kernels.shape == (3, 14, 14)
    place = torch.arange(14.0, dtype=torch.float64) - 6.5
    one = kernels[0]
    means = [float((one.sum(axis) * place).sum()) for axis in (0, 1)]
    skews = [float((one.sum(axis) * place**3).sum()) for axis in (0, 1)]
    reference = significant(raw.double().numpy())
    line = np.arange(13.0)
    expected = [((line - (reference.sum(a) * line).sum()) ** 3 * reference.sum(a)).sum() for a in (0, 1)]
    assert np.allclose(means, 0, atol=0.05)
    assert np.sign(skews).tolist() == np.sign(expected).tolist() and np.allclose(skews, expected, rtol=0.25)


def test_pools_are_made_from_a_sample_and_the_report_says_so():
    noisy = (128 + 4 * torch.randn(60, 3, 64, 64, generator=torch.Generator().manual_seed(0))).round().byte().numpy()
    faces = FaceSet.of(list(noisy), [f"{i:02d}" for i in range(60)], "lr")
    for options, words in (({"noise_images": 20}, "of 32 px as eqs. 4-6 say, from 20 of 60 real LR faces"),
                           ({"noise_images": 0}, "of 32 px as eqs. 4-6 say, from 60 real LR faces")):  # fmt: skip
        said = []
        made = JpegKernel(override(JpegKernel.Params(), {"gamma": 9.0, **options}, ""))
        pool = made.collect_noise(faces, types.SimpleNamespace(note=said.append, seed=0))
        assert pool.shape[1:] == (3, 32, 32) and len(said) == 1 and words in said[0], said
        assert int(said[0].split()[0]) == len(pool)


def test_the_literal_variant_never_loosens():
    flat = [np.full((3, 40, 40), 90, np.uint8)] * 4
    faces = FaceSet.of(flat, list("abcd"), "lr")
    run = types.SimpleNamespace(note=lambda text: None, seed=0)
    literal = JpegKernel(override(JpegKernel.Params(), JpegKernel.variants["literal"], ""))
    with pytest.raises(TrainingFailed, match=r"0 noise patches of 32 px as eqs\. 4-6 say"):
        literal.collect_noise(faces, run)
    textured = [
        (90 + 30 * np.sign(np.random.default_rng(i).standard_normal((3, 40, 40)))).astype(np.uint8) for i in range(3)
    ]
    faces = FaceSet.of(textured, list("abc"), "lr")
    options = {**JpegKernel.variants["literal"], "gamma": 0.6}
    found = JpegKernel(override(JpegKernel.Params(), options, "")).collect_noise(faces, run)
    assert 0 < len(found) < 100 and found.shape[-1] == 32, "few, and of any variance, but the paper's"
    assert found.var() * 255**2 > 300
