import json
import os
import pickle

import pandas as pd
import pytest
import torch
from bench.methods.checkpoints import recognise
from bench.methods.pretrained import Pretrained
from rrdb_files import rrdb_file
from spandrel import ModelLoader

from bench.core.image import read_image, resize, to_float
from bench.errors import UsageError

pytestmark = pytest.mark.usefixtures("one_thread")


def method(path, scale=None, **options):
    params = Pretrained.Params(weights=str(path), **options)
    return Pretrained(params, scale=scale or Pretrained.scales_for(params)[0]).eval()


@pytest.fixture
def run(bench, folders, tmp_path):
    """bench run of these methods on 8x8 LR: run(METHODS) -> (code, errors, results)."""
    hr, lr = folders

    def call(methods):
        out = tmp_path / "out"
        code, _, err = bench("run", "--methods", methods, "--hr", hr, "--lr", lr, "--conditions", "bicubic,real",
                             "--metrics", "psnr", "--device", "cpu", "--out", out)  # fmt: skip
        return code, err, pd.read_parquet(out / "results.parquet") if (out / "results.parquet").exists() else None

    return call


def swinir_file(path, scale=2):
    from spandrel.architectures.SwinIR import SwinIR

    torch.manual_seed(0)
    net = SwinIR(img_size=16, window_size=8, depths=(2,), embed_dim=12, num_heads=(2,), mlp_ratio=2, upscale=scale,
                 upsampler="pixelshuffledirect", resi_connection="1conv")  # fmt: skip
    torch.save({"params": net.state_dict()}, path)
    return path


def test_a_checkpoint_becomes_a_row_named_by_its_file(run, tmp_path):
    path = rrdb_file(tmp_path / "my_net.pth", "later", blocks=1)
    code, err, rows = run(f"bicubic,pretrained[weights={path}]")
    assert code == 0, err
    found = rows[(rows.method == "pretrained") & (rows.metric == "psnr") & (rows.image == "") & (rows.status == "ok")]
    assert list(found.variant) == ["weights=my_net"] and list(found.condition) == ["bicubic"]
    out = tmp_path / "out"
    sr = read_image(out / "images" / "pretrained[weights=my_net]" / "real" / "test00.png")
    lr = to_float(torch.from_numpy(read_image(out / "images" / "lr" / "real" / "test00.png")))[None]
    expected = ModelLoader().load_from_file(path)(lr)[0]
    assert (torch.from_numpy(sr) / 255 - expected).abs().max() < 1 / 255
    tables = "".join(file.read_text() for file in (out / "tables").iterdir())
    assert "net" in tables and str(tmp_path) not in tables and "my_net" in (out / "report.html").read_text()


def test_files_of_one_name_are_told_apart_by_their_folders(run, tmp_path):
    for index, folder in enumerate(("first", "second")):
        (tmp_path / folder).mkdir()
        rrdb_file(tmp_path / folder / "net_g.pth", "later", blocks=1, seed=index)
    both = ",".join(f"pretrained[weights={tmp_path / folder}/net_g.pth]" for folder in ("first", "second"))
    code, err, rows = run(both)
    assert code == 0, err
    assert set(rows.variant) == {"weights=first/net_g", "weights=second/net_g"}
    assert rows[(rows.image == "") & (rows.condition == "bicubic")].value.nunique() == 2


def test_another_content_of_the_same_file_is_computed_again(run, tmp_path):
    path = rrdb_file(tmp_path / "net.pth", "basicsr", blocks=1, seed=0)
    value = lambda rows: rows[(rows.image == "") & (rows.condition == "bicubic")].value.item()
    name = f"pretrained[weights={path}]"
    first = value(run(name)[2])
    assert "nothing to compute" in run(name)[1]
    os.utime(path)  # touched, not changed
    assert "nothing to compute" in run(name)[1]
    rrdb_file(path, "basicsr", blocks=1, seed=1)
    _, err, rows = run(name)
    assert "nothing to compute" not in err and value(rows) != first


class Payload:
    """Unpickled, it would make a file."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_code_in_a_file_does_not_run(run, tmp_path):
    target = tmp_path / "ran"
    torch.save({"params": Payload(target)}, tmp_path / "zip.pth")
    for protocol in (2, 4):
        (tmp_path / f"bare{protocol}.pth").write_bytes(pickle.dumps({"params": Payload(target)}, protocol))
    torch.save({"params": Payload(target)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.jit.script(torch.nn.Conv2d(3, 3, 1)).save(str(tmp_path / "program.pt"))
    for name in ("zip.pth", "bare2.pth", "bare4.pth", "old.pth", "program.pt"):
        code, err, rows = run(f"pretrained[weights={tmp_path / name}]")
        assert code == 2 and rows is None and not target.exists()
        reason = "not a checkpoint" if name == "bare4.pth" else "refused"
        assert err.count("\n") == 1 and name in err and reason in err, err
    code, err, _ = run(f"esrgan-jpeg-kernel[degradation=bicubic,init={tmp_path / 'zip.pth'}]")
    assert code == 2 and "refused" in err and not target.exists()


def test_files_that_are_no_checkpoints_are_refused_in_a_line(run, tmp_path):
    whole = rrdb_file(tmp_path / "net.pth", "later", blocks=1).read_bytes()
    files = {
        "absent.pth": None, "empty.pth": b"", "text.pth": b"<html>not found</html>", "cut.pth": whole[: len(whole) // 2],
        "half.safetensors": b"\x10\0\0\0\0\0\0\0{", "damaged.pth": whole[:2000] + b"\0" * 4000 + whole[6000:],
    }  # fmt: skip
    for name, content in files.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        code, err, rows = run(f"pretrained[weights={tmp_path / name}]")
        assert code == 2 and rows is None and err.count("\n") == 1 and name in err, (name, err)
    torch.save({"a.weight": torch.zeros(2)}, tmp_path / "unknown.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    for name, reason in (("unknown.pth", "no architecture"), ("list.pth", "no named tensors")):
        code, err, _ = run(f"pretrained[weights={tmp_path / name}]")
        assert code == 2 and err.count("\n") == 1 and reason in err
    assert run("pretrained")[0] == 2 and "weights=FILE" in run("pretrained")[1]


def test_scale_and_size_needs_are_read_from_the_file(tmp_path, bench):
    path = swinir_file(tmp_path / "swin.pth")
    m = method(path)
    theirs = ModelLoader().load_from_file(path)
    assert m.scale == theirs.scale == 2
    for side in ((8, 8), (11, 19), (3, 5)):  # windows of 8 px: padded and cropped
        lr = torch.rand(2, 3, *side)
        with torch.inference_mode():
            sr = m.infer(lr)
        assert sr.shape == (2, 3, 2 * side[0], 2 * side[1]) and torch.allclose(sr, theirs(lr), atol=1e-5)
    with pytest.raises(UsageError, match="x2 model, not x4"):
        method(path, scale=4)
    found = json.loads(bench("info", f"pretrained[weights={path}]", "--json")[1])
    assert found["scales"] == [2] and found["parameter_count"] == sum(p.numel() for p in theirs.model.parameters())


def test_safetensors_hold_the_same(tmp_path):
    from safetensors.torch import save_file

    path = rrdb_file(tmp_path / "net.pth", "later", blocks=1)
    save_file(torch.load(path), tmp_path / "net.safetensors")
    lr = torch.rand(1, 3, 7, 9)
    with torch.inference_mode():
        assert torch.equal(method(path).infer(lr), method(tmp_path / "net.safetensors").infer(lr))


def test_large_inputs_go_in_tiles_without_seams(tmp_path):
    path = rrdb_file(tmp_path / "net.pth", "later", blocks=1)  # looks 17 px of LR far
    lr = torch.rand(1, 3, 70, 45)
    with torch.inference_mode():
        whole, parts = method(path).infer(lr), method(path, tile=56, overlap=20).infer(lr)
    assert torch.allclose(whole, parts, atol=1e-5)


def test_restorers_of_faces_see_512_px_and_other_restorers_are_refused(tmp_path, monkeypatch):
    class Found:
        """What spandrel says of a face restorer that leaves faces as they are."""

        scale, purpose, input_channels, output_channels = 1, "FaceSR", 3, 3
        model = torch.nn.Identity()

        class architecture:
            id, name = "RestoreFormer", "RestoreFormer"

        def __call__(self, face):
            assert face.shape == (1, 3, 512, 512)
            return face

    monkeypatch.setattr("bench.methods.pretrained.recognise", lambda path: Found())
    path = tmp_path / "face.pth"
    path.write_bytes(b"1")
    m = method(path)
    assert m.scale == 4 and method(path, scale=8).scale == 8
    lr = torch.rand(2, 3, 6, 6).repeat_interleave(4, 2).repeat_interleave(4, 3)
    sr = m.infer(lr)
    assert sr.shape == (2, 3, 96, 96) and (sr - resize(lr, 96)).abs().mean() < 0.02
    assert m.infer(lr[..., :20]).shape == (2, 3, 96, 80)
    path.write_bytes(b"22")
    monkeypatch.setattr(Found, "purpose", "Restoration")
    with pytest.raises(UsageError, match="restoration at scale 1"):
        method(path)


def test_recognise_names_the_architecture(tmp_path):
    assert recognise(rrdb_file(tmp_path / "a.pth", "first", blocks=1)).architecture.id == "ESRGAN"
    assert recognise(swinir_file(tmp_path / "b.pth")).architecture.id == "SwinIR"


@pytest.mark.parametrize("make, side, multiple", [(rrdb_file, 8, 1), (swinir_file, 12, 16)])
def test_range_and_order_of_colours_of_a_recognised_network_are_what_the_options_say(tmp_path, make, side, multiple):
    """Against the network without spandrel's descriptor, which clamps to [0, 1]; what is no multiple is padded."""
    path = rrdb_file(tmp_path / "x.pth", "later", blocks=1) if make is rrdb_file else make(tmp_path / "x.pth")
    net, scale = ModelLoader().load_from_file(path).model.eval(), 4 if make is rrdb_file else 2
    lr = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(lr, (0, -side % multiple, 0, -side % multiple), mode="reflect")
    with torch.inference_mode():
        signed = (net(padded.flip(1) * 2 - 1).flip(1) + 1) / 2
        found = method(path, range="-1..1", bgr=True).infer(lr)
        torch.testing.assert_close(found, signed[..., : side * scale, : side * scale], atol=1e-5, rtol=0)
        swapped = method(path).infer(lr.flip(1)).flip(1)
        torch.testing.assert_close(method(path, bgr=True).infer(lr), swapped, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "option, words",
    [
        ("size=32", "size goes with builder="),
        ("arguments=a=1", "arguments goes with builder="),
        ("fidelity=0.9", "is CodeFormer's"),
    ],
)
def test_options_that_mean_nothing_to_a_network_are_refused(run, tmp_path, option, words):
    path = rrdb_file(tmp_path / "x.pth", "later", blocks=1)
    code, err, _ = run(f"bicubic,pretrained[weights={path},{option}]")
    assert code == 2 and words in err and err.count("\n") == 1, err
