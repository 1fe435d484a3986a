import pytest

from bench.testing import conforms


@pytest.mark.parametrize(("kind", "name"), [("methods", "sharpen"), ("degradations", "motion")])
def test_the_plugins_conform(kind, name):
    conforms(name, kind=kind)
