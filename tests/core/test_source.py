"""The code that a key covers: over files that a plugin imports in any way, and no more than it reaches."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import plugins
from bench.core.imports import import_file
from bench.core.source import reach
from bench.core.spec import parse
from bench.grid.resolve import TRAINING, of_training, parameters

NET = "class Net:\n    size = 1\n"
# How the plugin gets Net, and the files around it: the last one is edited.
WAYS = {
    "from a file beside it": ("from nets import Net", {"nets.py": NET}),
    "relatively": ("from .nets import Net", {"nets.py": NET}),
    "a module": ("import nets\nNet = nets.Net", {"nets.py": NET}),
    "a module under another name": ("import nets as n\nNet = n.Net", {"nets.py": NET}),
    "a module of a package": ("import parts.nets\nNet = parts.nets.Net", {"parts/__init__.py": "", "parts/nets.py": NET}),
    "through a re-export": ("from parts import Net", {"parts/__init__.py": "from .deep import Net", "parts/deep.py": NET}),
    "through two": ("from parts import Net", {"parts/__init__.py": "from parts.more import *",
                                              "parts/more.py": "from .deep import Net", "parts/deep.py": NET}),
    "from its own package": ("from mypkg.nets import Net", {"__init__.py": "", "nets.py": NET}),
    "from the level above": ("from ..shared import Net", {"__init__.py": "", "../__init__.py": "", "../shared.py": NET}),
    "from above, without a package": ("from ..shared import Net", {"../shared.py": NET}),
    "inside a function": ("def make():\n    from nets import Net\n    return Net()\nNet = make", {"nets.py": NET}),
    "by a name for import_module": ("import importlib\nNet = importlib.import_module('.nets', __package__).Net",
                                    {"nets.py": NET}),
    "by a computed name": ("import importlib\nNet = importlib.import_module('.' + 'ne' + 'ts', __package__).Net",
                           {"nets.py": NET}),
    "by its path": ("import importlib.util as u\nfrom pathlib import Path\n"
                    "spec = u.spec_from_file_location('other', Path(__file__).parent / 'nets.py')\n"
                    "made = u.module_from_spec(spec)\nspec.loader.exec_module(made)\nNet = made.Net", {"nets.py": NET}),
    "by runpy": ("import runpy\nfrom pathlib import Path\n"
                 "Net = runpy.run_path(str(Path(__file__).with_name('nets.py')))['Net']", {"nets.py": NET}),
    "by exec": ("from pathlib import Path\nexec((Path(__file__).parent / 'nets.py').read_text())", {"nets.py": NET}),
    "from a file of data": ("from pathlib import Path\ndef Net():\n    return Path(__file__).with_name('nets.txt').read_text()",
                            {"nets.txt": NET}),
    "patched at import": ("import patch\nfrom nets import Net", {"nets.py": NET, "patch.py": "import nets\nnets.Net.size = 3\n"}),
}  # fmt: skip
PLUGIN = """
{way}


class Mine:
    def build(self):
        self.net = Net()

    def infer(self, lr):
        return lr
"""


def lay(folder: Path, way: str) -> tuple[Path, Path]:
    """A plugin of this kind: its file and the one to edit."""
    text, files = WAYS[way]
    home = folder / "above" / "mypkg"
    home.mkdir(parents=True)
    for name, content in files.items():
        file = (home / name).resolve()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (home / "mine.py").write_text(PLUGIN.format(way=text))
    return home / "mine.py", file


@pytest.mark.parametrize("way", WAYS)
def test_an_edit_of_what_a_plugin_imports_changes_its_key(tmp_path, way):
    plugin, file = lay(tmp_path, way)
    module = import_file(plugin)
    made = module.Mine()
    made.build()
    assert made.net is not None
    before = reach(plugin, "Mine").hashes()
    file.write_text(file.read_text().replace("size = ", "size = 1 + "))
    assert reach(plugin, "Mine").hashes() != before


def test_files_of_one_name_beside_two_plugins_do_not_clash(tmp_path):
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "nets.py").write_text(f"WHICH = {name!r}\n")
        (tmp_path / name / "plugin.py").write_text("import nets\nfrom nets import WHICH\nassert nets.WHICH == WHICH\n")
        found.append(import_file(tmp_path / name / "plugin.py").WHICH)
    assert found == ["one", "two"] and "nets" not in sys.modules


def test_a_plugin_that_is_called_as_a_library_still_gets_the_library(tmp_path):
    (tmp_path / "numpy.py").write_text("import numpy\nVALUE = numpy.ones(1)[0]\n")
    assert import_file(tmp_path / "numpy.py").VALUE == 1


def test_a_relative_import_beyond_the_disk_is_an_error_not_a_hang(tmp_path):
    (tmp_path / "mine.py").write_text(f"from {'.' * 40}x import y\n")
    with pytest.raises(ImportError):
        import_file(tmp_path / "mine.py")


def test_the_key_is_the_same_in_another_process(tmp_path):
    plugin, _ = lay(tmp_path, "by a computed name")
    code = (
        f"from pathlib import Path; from bench.core.imports import import_file; from bench.core.source import reach; \
p = Path({str(plugin)!r}); import_file(p); print(reach(p, 'Mine').hashes())"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in "ab"
    }
    import_file(plugin)
    assert outputs == {f"{reach(plugin, 'Mine').hashes()}\n"}


@pytest.mark.parametrize(
    ("kind", "name", "idle"),
    [
        ("degradations", "flow-field", {"disturb"}),
        ("degradations", "jpeg-kernel", {"jpeg", "probability", "sigma", "together"}),
        ("methods", "esrgan-jpeg-kernel", {"tile", "overlap"}),
        ("methods", "esrgan", {"alpha", "tile", "overlap"}),
        ("methods", "edsr", {"self_ensemble", "tile", "overlap"}),
        ("methods", "rdn", {"tile", "overlap"}),
        ("methods", "srgan", {"tile", "overlap"}),
        ("methods", "wavelet-srnet", {"tile", "overlap"}),
        ("methods", "selfsr", set()),
        ("methods", "smooth-features", set()),
    ],
)
def test_options_of_inference_do_not_train_again(kind, name, idle):
    cls = plugins.load(kind, name)
    params = parameters(cls, parse(name), "quick")
    entered = {k.removeprefix("option ") for k in of_training(kind, name, cls, params, 4) if k.startswith("option ")}
    assert set(vars(params)) - entered == idle


TAKES = """
from dataclasses import asdict, dataclass, fields
import torch
{above}


class Mine:
    @dataclass
    class Params:
        width: int = 1
        other: int = 2
        {inside}

    def build(self):
        {body}
    {member}
"""
# How a plugin uses its options, and whether all of them count as read.
USES = {
    "one by one": ({"body": "self.net = self.params.width"}, False),
    "by a name": ({"body": "p = self.params; self.net = p.width"}, False),
    "by one of two names": ({"body": "p, n = self.params, 1; self.net = p.width + n"}, False),
    "in a function": ({"body": "self.net = f(self.params)", "above": "def f(o): return o.width"}, False),
    "in a method": ({"body": "self.net = self.f(2, self.params)", "member": "def f(self, n, o): return o.width"}, False),
    "in a static method": ({"body": "self.f(o=self.params)", "member": "@staticmethod\n    def f(o): return o.width"}, False),
    "in a network": ({"body": "Net(self.params)", "above": "class Net:\n    def __init__(self, o): self.o = o.width"}, False),
    "by a constant name": ({"body": "getattr(self.params, 'width')"}, False),
    "as a dictionary": ({"body": "asdict(self.params)"}, True),
    "as a dictionary under a name": ({"body": "p, n = self.params, 1; asdict(p)"}, True),
    "as fields": ({"body": "p = self.params; [getattr(p, f.name) for f in fields(p)]"}, True),
    "by a computed name": ({"body": "getattr(self.params, 'wi' + 'dth')"}, True),
    "handed on and on": ({"body": "f(self.params)", "above": "def f(o): return g(o)\ndef g(q): return vars(q)"}, True),
    "handed to a method": ({"body": "self.f(self.params)", "member": "def f(self, o): return [o]"}, True),
    "kept by a network": ({"body": "Net(self.params)", "above": "class Net:\n    def __init__(self, o): self.o = o\n"
                                                                "    def __str__(self): return str(self.o)"}, True),
    "given back": ({"body": "asdict(self.f())", "member": "def f(self): return self.params"}, True),
    "in a text": ({"body": "self.net = f'{self.params}'"}, True),
    "later": ({"body": "self.late = lambda: asdict(self.params)"}, True),
    "by a library": ({"body": "torch.nn.Linear(self.params)"}, True),
    "by a decorated function": ({"body": "f(self.params)", "above": "@torch.compile\ndef f(o): return o.width"}, True),
    "by their own method": ({"body": "self.params.all()", "inside": "def all(self): return asdict(self)"}, True),
    "in a constructor": ({"body": "pass", "member": "def __init__(self, params=None): self.net = asdict(params)"}, True),
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_options_that_are_taken_whole_all_count(tmp_path, use):
    parts, whole = USES[use]
    (tmp_path / "mine.py").write_text(TAKES.format(**{"above": "", "inside": "", "body": "", "member": "", **parts}))
    found = reach(tmp_path / "mine.py", "Mine", ["build"])
    assert found.whole == whole and ("width" in found.attributes or whole)
    assert "other" not in found.attributes


# The parts of high-to-low's training have names that inference does not ask for: they enter by the training's key.
MODELS = [(k, n) for k in ("methods", "degradations") for n in plugins.names(k) if n != "high-to-low"]


@pytest.mark.parametrize(("kind", "name"), MODELS)
def test_training_reaches_no_more_than_the_model(kind, name):
    whole, training = plugins.source(kind, name).parts, plugins.source(kind, name, TRAINING).parts
    assert all(digests <= whole.get(file, set()) for file, digests in training.items())
