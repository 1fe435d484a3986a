"""``bench run``: train, upscale, measure and report, the whole grid."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from bench import plugins
from bench.cluster.engines import cluster_of
from bench.errors import UsageError
from bench.grid import reproductions
from bench.grid.run import Run
from bench.grid.settings import Settings


def command(line: str, resume: bool, jobs: int | None = None, cluster: str | None = None, **options: Any) -> int:
    """The exit code of the contract. ``resume`` is the default and needs no work."""
    settings = reproduced(Settings(**options))
    if jobs is None and cluster is None:
        return Run(settings, line).go()
    place = cluster_of(cluster or f"local[jobs={jobs}]")
    from bench.cluster import pool  # Dask is an extra

    return pool.run_on(place, settings, line)


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
