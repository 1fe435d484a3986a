"""What a class says of itself, read without importing it, is what importing it would give."""

import importlib
import sys

import pytest

from bench import plugins
from bench.core.literals import COMPUTED, literals

FILES = {
    "outside/__init__.py": "",
    "outside/base.py": "class Base:\n    title, decimals = 'T', 4\n    table: str = 'own'\n",
    "outside/deep/__init__.py": "",
    "outside/deep/mine.py": """
import bench
import bench.api
import outside.base
import outside.base as renamed
from bench import api
from .. import base
from ..base import Base as Other

PLACES = 1 + 0
NAMES = {"": "IQA"}
TWICE = "a"
TWICE = "b"


class FromFile(Other): ...
class FromPackage(base.Base): ...
class FromModule(outside.base.Base): ...
class FromName(renamed.Base): ...
class PublicDotted(bench.api.Metric): ...
class PublicModule(api.Metric): ...
class Public(bench.Metric): ...
class Constant(Other):
    parts = NAMES
    paper = headlines = ("x",)
class Computed(Other):
    decimals = PLACES
    paper = TWICE
    @property
    def title(self): return "later"
""",
}


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("outside.deep.mine")
    sys.path.remove(str(folder))


@pytest.mark.parametrize(
    "name", ["FromFile", "FromPackage", "FromModule", "FromName", "PublicDotted", "PublicModule", "Public", "Constant"]
)
def test_plain_values_are_those_of_the_class(outside, name):
    read, cls = literals(outside.__name__, name), getattr(outside, name)
    told = {key: getattr(cls, key) for key in plugins.LISTED if hasattr(cls, key)}
    assert told and {key: read.get(key) for key in told} == told


def test_what_is_computed_is_told_apart(outside):
    read = literals(outside.__name__, "Computed")
    assert [read[key] is COMPUTED for key in ("decimals", "paper", "title", "table")] == [True, True, True, False]


def test_a_computed_fact_is_asked_of_the_class(outside, monkeypatch):
    target = f"{outside.__name__}:Computed"
    monkeypatch.setattr(plugins, "load", lambda kind, name: outside.Computed)
    monkeypatch.setitem(plugins.catalogue().entries["metrics"], "odd", plugins.Entry("odd", "", target, "theirs"))
    found = plugins.facts("metrics", "odd")
    assert (found["decimals"], found["paper"], found["table"]) == (1, "b", "own")


@pytest.mark.parametrize("kind", ["methods", "degradations", "metrics"])
def test_built_in_plugins_are_read_as_they_are(kind):
    for name in plugins.names(kind):
        cls, read = plugins.load(kind, name), plugins.facts(kind, name)
        assert {key: read[key] for key in plugins.LISTED if key in read} == {
            key: getattr(cls, key) for key in plugins.LISTED if hasattr(cls, key)
        }


def test_no_built_in_plugin_must_be_imported_to_be_listed():
    for kind in ("methods", "degradations", "metrics"):
        for entry in plugins.catalogue().entries[kind].values():
            read = literals(*entry.target.split(":"))
            assert not [key for key in plugins.LISTED if read.get(key) is COMPUTED], entry.name
