"""The deliberate errors of tests/mutants.py can be put in, and the tests that are to notice them exist."""

from mutants import ERRORS, ROOT, SHARE, Error


def stands(error: Error) -> bool:
    test, _, name = error.test.partition("::")
    text = (ROOT / test).read_text(encoding="utf-8") if (ROOT / test).is_file() else ""
    place = (ROOT / error.file).read_text(encoding="utf-8").count(error.right) == 1 and error.right != error.wrong
    return place and (f"def {name.partition('[')[0]}(" in text if name else bool(text))


def test_errors_have_their_place_and_their_test():
    """But for one in twenty, so that who changes a line need not look here at once."""
    lost = [error for error in ERRORS if not stands(error)]
    assert len(lost) <= (1 - SHARE) * len(ERRORS), lost
