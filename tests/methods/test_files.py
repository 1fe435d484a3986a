"""Networks of others: ONNX graphs, TorchScript, state dicts with a builder, CodeFormer; against the network itself."""

import numpy as np
import pandas as pd
import pytest
import torch
from bench.methods.files import Onnx, TorchScript
from bench.methods.pretrained import Pretrained
from torch import nn

from bench.core.image import resize
from bench.errors import UsageError

pytestmark = pytest.mark.usefixtures("one_thread")
LR = torch.rand(3, 3, 8, 10, generator=torch.Generator().manual_seed(0))

NET = """
import torch
from torch import nn
from parts import enlarge

class Net(nn.Module):
    def __init__(self, width=4, scale=4, kind="plain"):
        super().__init__()
        assert kind in ("plain", "keeps")
        self.scale, self.body = scale, nn.Conv2d(3, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 3, 1)

    def forward(self, x):
        return enlarge(self.tail(torch.tanh(self.body(x))), self.scale)
"""
PARTS = "import torch\n\ndef enlarge(x, scale):\n    return torch.nn.functional.interpolate(x, scale_factor=scale)\n"


class Net(nn.Module):
    """The same, here: what a file's output is compared with."""

    def __init__(self, width=4, scale=4):
        super().__init__()
        torch.manual_seed(0)
        self.scale, self.body, self.tail = scale, nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 1)

    def forward(self, x):
        return torch.nn.functional.interpolate(self.tail(torch.tanh(self.body(x))), scale_factor=self.scale)


@pytest.fixture
def builder(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "parts.py").write_text(PARTS)
    return f"{tmp_path / 'net.py'}:Net"


def method(cls, scale=None, **options):
    params = cls.Params(**options)
    cls.fingerprint(params, 4)
    return cls(params, scale=scale or cls.scales_for(params)[0]).eval()


def script(path, net):
    torch.jit.trace(net, torch.rand(1, 3, 8, 8)).save(str(path))
    return str(path)


def graph(path, net, shape=("n", 3, "h", "w")):
    """The network as an ONNX graph, written out by hand."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, f32 = onnx.helper, onnx.TensorProto.FLOAT
    values = {k: onnx.numpy_helper.from_array(v.detach().numpy(), k) for k, v in net.state_dict().items()}
    scales = onnx.numpy_helper.from_array(np.array([1, 1, net.scale, net.scale], np.float32), "scales")
    nodes = [
        helper.make_node("Conv", ["x", "body.weight", "body.bias"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "tail.weight", "tail.bias"], ["c"]),
        helper.make_node("Resize", ["c", "", "scales"], ["y"], mode="nearest", coordinate_transformation_mode="asymmetric",
                         nearest_mode="floor"),
    ]  # fmt: skip
    out = [None if isinstance(s, str) else s for s in shape]
    made = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", f32, list(shape))],
        [helper.make_tensor_value_info("y", f32, [out[0], 3, None, None])], [*values.values(), scales])  # fmt: skip
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return str(path)


@pytest.fixture(params=["onnx", "torchscript", "builder"])
def carried(request, builder, tmp_path):
    """carried(net, **options): the same network by each of the three ways."""

    def make(net, **options):
        if request.param == "onnx":
            return method(Onnx, weights=graph(tmp_path / "net.onnx", net), **options)
        if request.param == "torchscript":
            return method(TorchScript, weights=script(tmp_path / "net.pt", net), **options)
        torch.save({"params": {f"module.{k}": v for k, v in net.state_dict().items()}}, tmp_path / "x.pth")
        arguments = (f"width={net.body.out_channels}", f"scale={net.scale}", "kind=plain")
        return method(Pretrained, weights=str(tmp_path / "x.pth"), builder=builder, arguments=arguments, **options)

    return make


@pytest.mark.parametrize("scale", [2, 4])
def test_the_scale_is_read_and_the_output_is_the_networks(carried, scale):
    net = Net(scale=scale)
    found = carried(net)
    assert found.scale == scale
    with torch.inference_mode():
        torch.testing.assert_close(found.infer(LR), net(LR), atol=1e-5, rtol=0)


def test_range_and_order_of_colours_are_what_the_options_say(carried):
    net = Net()
    with torch.inference_mode():
        signed = (net(LR.flip(1) * 2 - 1).flip(1) + 1) / 2
        torch.testing.assert_close(carried(net, range="-1..1", bgr=True).infer(LR), signed, atol=1e-5, rtol=0)
        levels = net(LR * 255) / 255
        torch.testing.assert_close(carried(net, range="0..255").infer(LR), levels, atol=1e-5, rtol=0)


def test_a_network_of_one_size_gets_faces_of_that_size(carried):
    net = Net(scale=1)
    found = carried(net, size=40)
    assert found.scale == 4
    square = torch.nn.functional.pad(LR, (0, 0, 0, 2), mode="replicate")
    with torch.inference_mode():
        expected = resize(net(resize(square, 40).clamp(0, 1)), 40).clamp(0, 1)[..., :32, :40]
        torch.testing.assert_close(found.infer(LR), expected, atol=1e-5, rtol=0)


def test_a_graph_of_one_face_of_one_size_is_given_that(tmp_path):
    net = Net(scale=4)
    found = method(Onnx, weights=graph(tmp_path / "fixed.onnx", net, (1, 3, 16, 16)))
    with torch.inference_mode():
        expected = resize(net(resize(LR[..., :8], 16).clamp(0, 1)), 32).clamp(0, 1)
        torch.testing.assert_close(found.infer(LR[..., :8]), expected, atol=1e-5, rtol=0)
    with pytest.raises(UsageError, match=r"takes 16 px, not size=32"):
        Onnx.scales_for(Onnx.Params(weights=str(tmp_path / "fixed.onnx"), size=32))


def test_a_large_image_goes_in_tiles(carried):
    net, lr = Net(), torch.rand(1, 3, 40, 48)
    with torch.inference_mode():
        torch.testing.assert_close(carried(net, tile=24, overlap=4).infer(lr), net(lr), atol=1e-5, rtol=0)


def test_files_that_are_something_else_are_told_in_a_line(builder, tmp_path):
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk" * 100)
    pytest.importorskip("onnxruntime")
    for cls in (Onnx, TorchScript):
        for file, words in ((str(junk), "junk: no "), ("", "give the file"), ("/none", "no such file")):
            with pytest.raises(UsageError, match=words) as caught:
                cls.fingerprint(cls.Params(weights=file), 4)
            assert "\n" not in str(caught.value)
    torch.save(Net(width=5).state_dict(), tmp_path / "x.pth")
    for options, words in (
        ({"builder": builder}, "does not fit"),
        ({"builder": builder + "x"}, "AttributeError"),
        ({"builder": "net.py"}, "write FILE.py:NAME"),
        ({"builder": "none.py:Net"}, "no such file"),
        ({"builder": builder, "arguments": ("width",)}, "write KEY=VALUE"),
        ({"builder": builder, "arguments": ("widht=5",)}, "TypeError"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            method(Pretrained, weights=str(tmp_path / "x.pth"), **options)
        assert "\n" not in str(caught.value)


def test_what_a_builder_imports_is_part_of_the_key(builder, tmp_path):
    from bench.methods.builders import code_of

    before = code_of(builder)
    (tmp_path / "parts.py").write_text(PARTS + "\nMORE = 1\n")
    assert code_of(builder) != before


def test_they_are_rows_of_a_run(bench, folders, builder, tmp_path):
    torch.save(Net().state_dict(), tmp_path / "x.pth")
    net = script(tmp_path / "net.pt", Net())
    own = f"pretrained[weights={tmp_path / 'x.pth'},builder={builder},range=-1..1]"
    about = (
        "--hr",
        folders[0],
        "--conditions",
        "bicubic",
        "--metrics",
        "psnr",
        "--device",
        "cpu",
        "--out",
        tmp_path / "out",
    )
    code, _, err = bench("run", "--methods", f"bicubic,A=torchscript[weights={net},range=-1..1],B={own}", *about)
    assert code == 0, err
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet").set_index(["method", "image"]).value
    assert rows["A", ""] == pytest.approx(rows["B", ""]) != rows["bicubic", ""]


def test_codeformer_takes_its_fidelity_weight(tmp_path, monkeypatch):
    """The architecture with small blocks: loading and the call are ours, the network is spandrel_extra_arches'."""
    pytest.importorskip("spandrel_extra_arches")
    from bench.methods import pretrained

    class Small(nn.Module):
        def forward(self, x, weight=0.5):
            return x * weight, None

    class Found:
        scale, model = 1, Small()
        architecture = type("A", (), {"id": "CodeFormer", "name": "CodeFormer"})

    monkeypatch.setattr(pretrained, "model_in", lambda path: Found())
    (tmp_path / "w.pth").write_bytes(b"")
    found = pretrained.Pretrained(pretrained.Pretrained.Params(weights=str(tmp_path / "w.pth"), fidelity=0.25), scale=4)
    face = torch.rand(1, 3, 512, 512)
    torch.testing.assert_close(found.restore_face(face), ((face * 2 - 1) * 0.25 + 1) / 2)


def test_an_architecture_of_the_extra_is_recognised(tmp_path):
    """SRFormer, small and random, against the library's own network."""
    extra = pytest.importorskip("spandrel_extra_arches.architectures.SRFormer")
    torch.manual_seed(0)
    net = extra.SRFormer(img_size=16, embed_dim=12, depths=(2,), num_heads=(2,), window_size=8, mlp_ratio=2, upscale=2,
                         upsampler="pixelshuffledirect").eval()  # fmt: skip
    torch.save({"params": net.state_dict()}, tmp_path / "x.pth")
    found = method(Pretrained, weights=str(tmp_path / "x.pth"))
    assert found.scale == 2 and found.found.architecture.id == "SRFormer"
    lr = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(found.infer(lr), net(lr).clamp(0, 1), atol=1e-4, rtol=0)
