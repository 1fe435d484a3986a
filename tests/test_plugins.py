from types import SimpleNamespace

import pytest

from bench import hookimpl, plugins
from bench.errors import UsageError
from bench.grid.resolve import expand


def collect(**hooks):
    catalogue = plugins.Catalogue()
    module = SimpleNamespace(**{f"bench_{kind}": hookimpl(function) for kind, function in hooks.items()})
    catalogue.collect(module, "theirs")
    return catalogue


def test_built_in_plugins_can_all_be_imported():
    for kind in plugins.KINDS:
        for name in plugins.names(kind):
            assert plugins.load(kind, name)


def test_two_plugins_of_one_name_are_a_named_problem_and_the_first_stays():
    catalogue = collect(methods=lambda: {"x": ("a:B", "one")})
    catalogue.collect(
        SimpleNamespace(bench_methods=hookimpl(lambda: {"x": ("c:D", "two"), "y": ("c:E", "")})), "others"
    )
    assert catalogue.entries["methods"]["x"].target == "a:B" and "y" in catalogue.entries["methods"]
    assert "'x' is already defined by theirs" in catalogue.problems[0]


def test_a_hook_that_raises_is_a_problem_not_an_end():
    catalogue = collect(methods=lambda: 1 / 0)
    assert "ZeroDivisionError" in catalogue.problems[0] and "\n" not in catalogue.problems[0]


def test_all_methods_are_those_of_a_file_too_that_does_not_import(tmp_path):
    """So that a table of all methods is not short of one with exit code 0."""
    bad = tmp_path / "my_bad.py"
    bad.write_text("import no_such_module_at_all\n")
    plugins.use(bad)
    try:
        assert expand("methods", "all")[-1].name == "my-bad" and "my-bad" not in {
            s.name for s in expand("degradations", "all")
        }
    finally:
        plugins.only()


def test_a_file_that_does_not_import_leaves_the_others_working(tmp_path, bench):
    bad, good = tmp_path / "bad.py", tmp_path / "good.py"
    bad.write_text("import no_such_module_at_all\n")
    good.write_text("import bench\n\nclass MyNet(bench.Method):\n    def infer(self, lr):\n        return lr\n")
    code, out, err = bench("list", "methods", "--plugin", bad, "--plugin", good)
    assert code == 0 and "my-net" in out and "bad.py: ModuleNotFoundError" in err and len(err.splitlines()) == 1


def test_a_lazy_target_that_lacks_a_member_is_named(monkeypatch):
    entry = plugins.Entry("odd", "", "bench.errors:BenchError", "theirs")
    monkeypatch.setitem(plugins.catalogue().entries["methods"], "odd", entry)
    with pytest.raises(UsageError, match=r"'odd'.*lacks infer"):
        plugins.load("methods", "odd")


def test_class_names_become_plugin_names():
    assert [plugins.kebab(n) for n in ("EdgeNet", "SRGAN", "Tiny")] == ["edge-net", "srgan", "tiny"]


def test_missing_plugin_files_are_errors(bench):
    code, _, err = bench("list", "--plugin", "nowhere.py")
    assert code == 2 and "nowhere.py: no such file" in err
