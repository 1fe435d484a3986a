"""The classes that the authors' guide shows are plugins that work."""

import re
from pathlib import Path

import pytest

from bench import plugins
from bench.testing import conforms

PAGE = Path(__file__).parents[2] / "docs" / "authors.md"
BLOCKS = [b for b in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S) if "bench.Method" in b]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("index", range(2))
def test_what_the_guide_shows_conforms(index, monkeypatch, tmp_path):
    assert len(BLOCKS) == 2
    file = tmp_path / f"shown{index}.py"
    file.write_text(BLOCKS[index])
    monkeypatch.setattr(plugins, "_local", [])
    plugins.use(file)
    found = conforms(["small", "adversarial"][index])
    plugins.catalogue.cache_clear()
    done = {f.check for f in found if f.status == "ok"}
    assert {"trains", "resumed equals uninterrupted", "its quick preset is quick"} <= done
