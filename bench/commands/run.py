"""``bench run``: train, upscale, measure and report, the whole grid."""

from __future__ import annotations

import dataclasses
import os
import sys
from functools import partial
from typing import Any

from bench import plugins
from bench.cluster import isolated
from bench.cluster.engines import cluster_of
from bench.errors import UsageError
from bench.grid import reproductions
from bench.grid.run import Run
from bench.grid.settings import Settings


def command(
    line: str,
    resume: bool,
    jobs: int | None = None,
    cluster: str | None = None,
    isolate: str | None = None,
    time_limit: float | None = None,
    **options: Any,
) -> int:
    """The exit code of the contract. ``resume`` is the default and needs no work."""
    settings = reproduced(Settings(**options))
    way = isolate or os.environ.get("BENCH_ISOLATE", "auto")
    if way not in isolated.WAYS:
        raise UsageError(f"BENCH_ISOLATE={way}: one of {', '.join(isolated.WAYS)}")
    if jobs is None and cluster is None:
        return planned(settings, line).go(isolated.executor(way, time_limit))
    place = cluster_of(cluster or f"local[jobs={jobs}]")
    from bench.cluster import pool  # Dask is an extra

    return pool.run_on(place, partial(planned, line=line), settings, way, time_limit)


def planned(settings: Settings, line: str, **where: Any) -> Run:
    """The run, with a warning for each plugin that is not as it should be and that no failure names."""
    said = ""
    try:
        run = Run(settings, line, **where)
        said = " ".join(lost.reason for lost in run.plan.lost)
        return run
    except UsageError as error:
        said = str(error)
        raise
    finally:
        for problem in plugins.catalogue().problems:
            if problem not in said:
                print(f"warning: {problem}", file=sys.stderr)


def reproduced(settings: Settings) -> Settings:
    """With a table's methods, conditions and metrics where the command names none. Missing rows are said, one a line."""
    if not settings.reproduce:
        return settings
    table = reproductions.named(settings.reproduce)
    methods, missing = reproductions.split(table, plugins.names("methods"))
    if settings.methods != Settings.methods:
        methods = settings.methods
    if not methods:
        raise UsageError(f"--reproduce {table.name}: none of its methods is installed")
    if not settings.quiet:
        print(f"{table.paper}, {table.table}: {table.faces}", file=sys.stderr)
        for text in missing:
            print(f"not reproduced: {text}", file=sys.stderr)
    conditions, metrics = (
        getattr(table if getattr(settings, name) == getattr(Settings, name) else settings, name)
        for name in ("conditions", "metrics")
    )
    return dataclasses.replace(
        settings, methods=methods, conditions=conditions, metrics=metrics, missing=tuple(missing)
    )
