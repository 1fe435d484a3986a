"""The deliberate errors of tests/mutants.py can be put in, and the tests that are to notice them exist."""

import pytest
from mutants import ERRORS, ROOT


@pytest.mark.parametrize("file", sorted({e.file for e in ERRORS}))
def test_each_error_has_its_place_and_its_test(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    for error in ERRORS:
        if error.file == file:
            assert text.count(error.right) == 1 and error.right != error.wrong, error
            test, _, name = error.test.partition("::")
            assert (
                f"def {name.partition('[')[0]}(" in (ROOT / test).read_text(encoding="utf-8")
                if name
                else (ROOT / test).is_file()
            ), error
