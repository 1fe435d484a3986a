from dataclasses import dataclass
from typing import Literal

import pytest

from bench.api.training import Augment
from bench.core.spec import convert, override, parse, parse_list
from bench.errors import UsageError


@dataclass(frozen=True)
class Params:
    width: int = 64
    lr: float = 1e-4
    gan: Literal["hinge", "wgan-gp"] = "hinge"
    clip: float | None = None
    grow: tuple[int, ...] = (1, 2)
    robust: bool = True
    augment: Augment = Augment()


def test_the_order_of_options_does_not_matter():
    assert parse("m[b=2,a=1]") == parse(" m[a=1, b=2] ")
    assert str(parse("m[z=d[q=2,p=1],a=1]")) == "m[a=1,z=d[p=1,q=2]]"


def test_a_path_may_have_brackets_inside():
    path = "/runs/a/checkpoints/d[q=2,p=1].pt"
    assert dict(parse(f"m[weights={path},z=d[q=2,p=1]]").options) == {"weights": path, "z": "d[p=1,q=2]"}


def test_lists_split_outside_brackets_only_and_drop_repeats():
    assert [str(s) for s in parse_list("a,b[x=1,y=2],a")] == ["a", "b[x=1,y=2]"]


@pytest.mark.parametrize("text", ["m[", "m[a]", "m]a", "m[a=1,a=2]", "[a=1]", "m[a=]"])
def test_bad_brackets_are_named(text):
    with pytest.raises(UsageError):
        parse_list(text)


def test_values_take_the_type_of_their_field():
    options = {"width": "32", "lr": "2e-4", "gan": "wgan-gp", "clip": "none", "grow": "5+6+7", "robust": "no"}
    params = override(Params(), {**options, "augment.rotate": "5"}, "m")
    assert params == Params(32, 2e-4, "wgan-gp", None, (5, 6, 7), False, Augment(rotate=5.0))


def test_a_whole_number_may_be_written_with_an_exponent():
    assert override(Params(), {"width": "2e3"}, "m").width == 2000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"widht": "3"}, "did you mean 'width'"),
        ({"width": "3.5"}, "width=3.5 is not a whole number"),
        ({"gan": "lsgan"}, "not one of hinge, wgan-gp"),
        ({"robust": "maybe"}, "not true or false"),
        ({"augment.rotat": "1"}, "did you mean 'rotate'"),
    ],
)
def test_a_wrong_option_says_what_would_be_right(options, words):
    with pytest.raises(UsageError, match=words):
        override(Params(), options, "m")


def test_quotes_keep_commas_and_brackets_and_are_dropped_where_not_needed():
    command = 'run.py --sizes [1,2] --say "a, b" {lr}'
    text = 'x[command="run.py --sizes [1,2] --say \\"a, b\\" {lr}",timeout=3]'
    spec = parse_list(f"bicubic,{text}")[1]
    assert convert(spec.get("command"), str, "") == command and parse(str(spec)) == spec
    assert parse('x[command="run"]') == parse("x[command=run]")
    assert convert(parse('x[env="A=1,2"+B=3]').get("env"), tuple[str, ...], "") == ("A=1,2", "B=3")


def test_a_label_stands_before_the_name():
    spec = parse("mine=net[width=3]")
    assert (spec.label, spec.name, str(spec)) == ("mine", "net", "net[width=3]")
    with pytest.raises(UsageError, match="only --methods"):
        parse_list("a=noise")
