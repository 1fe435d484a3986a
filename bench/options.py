"""The options of every command, by families, and how a command line is read. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import __version__
from bench.commands.list import KINDS
from bench.grid.settings import CONDITIONS, PRESETS, duration, seeds

Command = Callable[..., argparse.ArgumentParser]  # (name, text, trains=...) -> the parser of a new command


PLACES = {"data": "paths", "study": "paths", "weights": "names"}  # of commands that take any number


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options. argparse fills optional places (IN, PATH) with nothing where an option stands before; here they count."""
    options, rest = parser().parse_known_args(arguments)
    paths = [text for text in rest if not text.startswith("-")]
    if options.command == "degrade" and options.input is None and len(paths) == len(rest) == 2:
        options.input, options.output = rest
        rest = []
    if (places := PLACES.get(options.command)) and not getattr(options, places) and len(paths) == len(rest):
        setattr(options, places, rest)
        rest = []
    if rest:
        return parser().parse_args(arguments)  # which refuses the rest
    if config := vars(options).pop("config", None):
        from bench.grid import reopen  # `bench list` starts without it

        options = parser(reopen.options(Path(config))).parse_args(arguments)
        del options.config
    return options


class _Parser(argparse.ArgumentParser):
    """Answers a wrong command line in one line."""

    def error(self, message: str) -> Any:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser(config: Mapping[str, Any] | None = None) -> argparse.ArgumentParser:
    """Every command and option. ``config``: what `bench run` takes where an option is not given."""
    top = _Parser(
        prog="bench", description="Benchmark harness for real-world face super-resolution.", allow_abbrev=False
    )
    top.add_argument("--version", action="version", version=f"face-sr-bench {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, *, trains: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help="a plugin file of your own")
        if trains:
            _data_options(sub)
            _training_options(sub)
        return sub

    _grid(command, config or {})
    _lists(command)
    _models(command)
    _measuring(command)
    _reports(command)
    _studies(command)
    _kept(command)
    _plugins(command)
    _data(command)
    return top


def _grid(command: Command, config: Mapping[str, Any]) -> None:
    """The grid of a run, and what became of it."""
    run = command("run", "train, upscale, measure and report: the whole grid", trains=True)
    run.add_argument(
        "--reproduce",
        default="",
        metavar="NAME",
        help="a paper's table: its methods, conditions and metrics where not given",
    )
    run.add_argument(
        "--pairs",
        nargs=2,
        metavar=("LR", "HR"),
        help="real LR to test on that has ground truth: folders of the same names",
    )
    run.add_argument("--config", metavar="FILE", help="take options from a .toml file, or from the run.json of a run")
    run.add_argument("--methods", default="all", help="names with options in brackets, comma-separated; default: all")
    run.add_argument(
        "--degradations", default="", help="train every method on each of these; default: each method's own"
    )
    run.add_argument(
        "--conditions", default=",".join(CONDITIONS), help="degradations to test on, and real; default: %(default)s"
    )
    run.add_argument("--metrics", default="", help="names; default: those that `bench list metrics` marks with *")
    _reference_option(run, "the HR training faces")
    run.add_argument("--out", default="bench-run", metavar="DIR", help="the run's folder; default: %(default)s")
    place = run.add_mutually_exclusive_group()
    place.add_argument(
        "--jobs", type=at_least(1), metavar="N", help="work in N processes, one GPU each where there are GPUs"
    )
    place.add_argument(
        "--cluster",
        metavar="NAME[...]",
        help="work on a cluster: slurm[partition=gpu,gpus=1,jobs=16] and others (`bench list clusters`), tcp://HOST:PORT",
    )
    run.add_argument(
        "--isolate",
        choices=("auto", "always", "never"),
        help="work in a process of its own: auto, where a plugin of others takes part (the default)",
    )
    run.add_argument(
        "--time-limit", type=duration, metavar="TIME", help="of one model or cell, which fails then: 90s, 2h"
    )
    again = run.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on from what is there (the default)")
    again.add_argument("--fresh", action="store_true", help="compute everything again")

    status = command("status", "what the run in a folder is doing, or how it ended")
    status.add_argument("out", metavar="OUT")
    status.add_argument("--json", action="store_true", dest="as_json")
    run.set_defaults(**config)


def _lists(command: Command) -> None:
    """What there is."""
    show = command("list", "names and one line each")
    show.add_argument("what", nargs="?", choices=KINDS, help="default: all of them")
    show.add_argument("--json", action="store_true", dest="as_json")
    info = command("info", "paper, parameters, variants and size of a plugin")
    info.add_argument("name", help="with options in brackets, if you like")
    info.add_argument("--preset", default="paper", choices=PRESETS)
    info.add_argument("--json", action="store_true", dest="as_json")


def _models(command: Command) -> None:
    """One method or degradation, on its own."""
    train = command("train", "train one method (and the degradation that it needs)", trains=True)
    train.add_argument("method")
    train.add_argument("--out", required=True, metavar="CKPT", help="file for the weights")
    infer = command("infer", "upscale images with a trained method")
    infer.add_argument("method")
    infer.add_argument("--weights", metavar="CKPT", help="weights that `bench train` or `bench run` wrote")
    infer.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="bf16: faster, 8 bits of mantissa")
    degrade = command("degrade", "degrade images")
    degrade.add_argument("name")
    degrade.add_argument("--weights", metavar="CKPT", help="weights of a degradation that is trained")
    for sub in (infer, degrade):
        what = "what it has learnt (kernels, noise), or " if sub is degrade else ""
        sub.add_argument("--show", metavar="PNG", help=f"write a picture of {what}the paper's figure, of images IN")
    degrade.add_argument("--seed", type=at_least(0), default=0)
    for sub in (infer, degrade):
        sub.add_argument(
            "input", metavar="IN", nargs="?" if sub is degrade else None, help="an image or a folder of images"
        )
        sub.add_argument(
            "output", metavar="OUT", nargs="?" if sub is degrade else None, help="a folder for the results"
        )
        sub.add_argument("--device", default="auto")


def _measuring(command: Command) -> None:
    """Images of other programs: measured, and what they are to restore."""
    score = command("score", "measure images that any program made")
    score.add_argument("sr", metavar="SR_DIR")
    score.add_argument("--hr", metavar="DIR", help="ground truth, the same file names")
    score.add_argument("--lr", metavar="DIR", help="the LR inputs, the same file names")
    _reference_option(score, "none")
    score.add_argument(
        "--scale", type=at_least(1), metavar="N", help="of the images over their LR; default: as --lr says, else 4"
    )
    score.add_argument("--metrics", default="")
    score.add_argument("--out", metavar="DIR", help="write results.csv and results.parquet there")
    score.add_argument("--device", default="auto")
    score.add_argument("--run", metavar="RUN", help="add the images to this finished run, as a row ...")
    score.add_argument("--condition", metavar="C", help="... under this condition of it ...")
    score.add_argument("--method", metavar="NAME", help="... with this name")
    export = command("lr", "write the LR faces of every condition, for another program to restore")
    export.add_argument("source", metavar="RUN_OR_DATA", help="a run's folder, or HR faces as for --hr, or `embedded`")
    export.add_argument("output", metavar="OUT", help="gets a folder of PNG files for each condition")
    export.add_argument("--lr", metavar="PATH", help="real LR faces, for the condition real")
    export.add_argument("--conditions", default=",".join(CONDITIONS), help="of DATA; default: %(default)s")
    export.add_argument("--scale", type=at_least(1), default=4)
    export.add_argument("--seed", type=at_least(0), default=0)
    export.add_argument("--preset", default="quick", choices=PRESETS, help="quick: at most 64 faces")
    export.add_argument("--device", default="auto")


def _reports(command: Command) -> None:
    """Finished runs."""
    report = command("report", "render runs, together, as a page, tables or figures")
    report.add_argument("runs", nargs="+", metavar="RUN")
    report.add_argument("--format", default="html", help="a name that `bench list` shows; default: %(default)s")
    report.add_argument("--out", metavar="PATH", help="default: beside the first run's results")
    report.add_argument("--layout", metavar="FILE.toml", help="what follows, and more, from a file")
    report.add_argument("--methods", default="", help="these rows, in this order; shell patterns may stand for several")
    report.add_argument("--metrics", default="", help="these columns, in this order")
    report.add_argument("--conditions", default="", help="these tables")
    report.add_argument(
        "--tables", default="", help="of these kinds: results, ranks, consistency, degradations, cost, ..."
    )
    report.add_argument("--names", default="", metavar="NAME=SHOWN,…", help="what to call methods and metrics")
    report.add_argument("--decimals", default="", metavar="METRIC=N,…", help="how many decimals")
    report.add_argument(
        "--fit",
        choices=("none", "resize", "split"),
        help="latex: shrink wide tables to the width (default), or split by metrics",
    )
    report.add_argument("--columns", type=int, choices=(1, 2), help="latex, figures: columns of the paper to span")
    report.add_argument("--no-interval", action="store_true", help="without ± half the width of the 95 %% interval")
    report.add_argument(
        "--published", default="", metavar="PAPER", help="show published tables, too: all, bulat2018, ..."
    )
    compare = command("compare", "what changed between two runs, and whether it is significant")
    compare.add_argument("runs", nargs=2, metavar="RUN")
    compare.add_argument("--all", action="store_true", dest="all_values", help="values that are the same, too")
    compare.add_argument("--json", action="store_true", dest="as_json")
    board = command("leaderboard", "a static page over many runs, for a group's server")
    board.add_argument("runs", nargs="+", metavar="RUN")
    board.add_argument("--out", default="site", metavar="DIR", help="default: %(default)s")


def _studies(command: Command) -> None:
    """People's votes."""
    study = command("study", "ask people which method is best, and score their votes")
    study.add_argument("action", choices=("make", "score"))
    study.add_argument("paths", nargs="*", metavar="PATH", help="make: RUN; score: vote files, or folders of them")
    study.add_argument("--methods", default="", help="labels of the methods to compare; default: the best by --by")
    study.add_argument(
        "--by", default="nima", metavar="METRIC", help="make: the metric that chooses; default: %(default)s"
    )
    study.add_argument(
        "--count", type=at_least(2), default=5, metavar="K", help="make: how many methods; default: %(default)s"
    )
    study.add_argument(
        "--faces", type=at_least(1), default=20, metavar="N", help="make: how many faces; default: %(default)s"
    )
    study.add_argument("--condition", default="real", help="make: restored from which LR; default: %(default)s")
    study.add_argument(
        "--checks", type=at_least(0), default=2, metavar="N", help="make: attention checks; default: %(default)s"
    )
    study.add_argument("--seed", type=at_least(0), default=0)
    study.add_argument("--study", metavar="DIR", help="score: the study's folder; default: study/ in the run")
    study.add_argument("--run", metavar="RUN", help="score: the run that it belongs to; default: the folder around it")
    study.add_argument("--out", metavar="DIR", help="make: default study/ in the run")


def _kept(command: Command) -> None:
    """What lies in stores."""
    weights = command("weights", "pretrained files that metrics and losses need")
    weights.add_argument("action", choices=("list", "fetch", "add", "verify"))
    weights.add_argument("names", nargs="*", help="names (fetch, verify), or files and folders (add)")
    weights.add_argument("--json", action="store_true", dest="as_json")
    store = command("store", "what runs have kept: trained models, images, scores")
    store.add_argument("action", choices=("info", "verify", "gc"))
    store.add_argument("--store", metavar="DIR", help="default: $BENCH_STORE, else .bench")
    store.add_argument("--older-than", metavar="AGE", help="gc: not used for 12h, 30d, 8w")
    store.add_argument("--larger-than", metavar="SIZE", help="gc: of at least 500M, 2G")
    store.add_argument("--not-used-by", metavar="RUN", nargs="+", help="gc: that none of these finished runs needs")
    store.add_argument("--dry-run", action="store_true", help="gc: only say how much would go")
    store.add_argument("--json", action="store_true", dest="as_json")


def _plugins(command: Command) -> None:
    """For those who write plugins, and for shells."""
    new = command("new", "write a plugin file to start from, or a package")
    new.add_argument("kind", choices=("method", "degradation", "metric", "report"))
    new.add_argument("name")
    new.add_argument("--package", action="store_true", help="a folder with pyproject.toml, tests and a README")
    completion = command("completion", "print what a shell needs to complete commands and names")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    check = command("check", "test that a plugin keeps the interface")
    check.add_argument("name", metavar="PLUGIN", help="a plugin file, or a plugin's name with options in brackets")
    check.add_argument("--json", action="store_true", dest="as_json")
    check.add_argument("--time-limit", type=duration, default=600.0, metavar="TIME", help="of one check; default: 10m")


def _data(command: Command) -> None:
    """Face sets."""
    data = command("data", "make, crop or describe a face set")
    data.add_argument("action", choices=("make", "crop", "info", "stats"))
    data.add_argument(
        "paths", nargs="*", metavar="PATH", help="make: OUT; crop: IN OUT; info: PATH; stats: SET FILE.npz (or .pth)"
    )
    data.add_argument("--hr", metavar="PATH")
    data.add_argument("--lr", metavar="PATH")
    data.add_argument(
        "--dims", type=at_least(1), default=2048, help="stats: features of Inception; default: %(default)s"
    )
    data.add_argument("--device", default="auto")
    data.add_argument("--size", type=at_least(1, 8192), default=64, help="crop: side in pixels")
    data.add_argument("--strict", action="store_true")


def _reference_option(sub: argparse.ArgumentParser, default: str) -> None:
    sub.add_argument(
        "--reference",
        metavar="PATH",
        help="what sets are compared with (fid, kid, swd): a folder, a CSV list, a packed file, statistics that `bench data "
        f"stats`, pytorch-fid (.npz) or BasicSR (.pth) wrote, or ffhq-512; default: {default}",
    )


def at_least(least: int, most: int | None = None) -> Callable[[str], int]:
    """A whole number from ``least`` on, up to ``most``, as an option's type."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        if most is not None and value > most:
            raise argparse.ArgumentTypeError(f"{value} is more than {most}")
        return value

    number.__name__ = "whole number"
    return number


def _data_options(sub: argparse.ArgumentParser) -> None:
    text = "a folder (with train/ and test/, or split by file name), a CSV list or a packed file"
    sub.add_argument("--hr", metavar="PATH", help=f"HR faces: {text}; default: the embedded faces")
    sub.add_argument("--lr", metavar="PATH", help="real LR faces, unpaired: the same forms")
    sub.add_argument("--strict", action="store_true", help="stop at the first file that cannot be used")


def _training_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--preset", default="quick", choices=PRESETS, help="; ".join(f"{k}: {v}" for k, v in PRESETS.items())
    )
    sub.add_argument("--budget", type=duration, metavar="TIME", help="wall time for all training together: 90s, 3m, 1h")
    sub.add_argument(
        "--seeds",
        "--seed",
        type=seeds,
        default=(0,),
        metavar="N",
        help="of training: 0, or 0,1,2 or 0..4 for each; default: 0",
    )
    sub.add_argument(
        "--condition-seed",
        type=at_least(0),
        default=0,
        metavar="N",
        help="of test conditions and metrics; default: 0, for any --seed",
    )
    sub.add_argument(
        "--store",
        metavar="DIR",
        help="what runs share: trained models, images, scores; default: $BENCH_STORE, else .bench",
    )
    sub.add_argument("--device", default="auto", help="auto, cpu or cuda")
    sub.add_argument("--devices", type=at_least(1), default=1, metavar="N", help="GPUs of this machine to train on")
    sub.add_argument("--precision", default="auto", help="auto, bf16 or fp32")
    sub.add_argument("--compile", action="store_true", help="torch.compile the networks")
    sub.add_argument(
        "--checkpoint-every", type=at_least(0), default=0, metavar="STEPS", help="default: 50 (quick), 1000 (paper)"
    )
    sub.add_argument("--quiet", action="store_true", help="no progress")
