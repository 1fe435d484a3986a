"""The hooks of bench. A plugin implements the ones it wants; built-ins use the same."""

import pluggy

hookspec = pluggy.HookspecMarker("bench")
hookimpl = pluggy.HookimplMarker("bench")

# Each hook returns {name: entry}. An entry is a class, or ("package.module:Class", "one line about it"), which is
# imported only when it is used.


@hookspec
def bench_methods():
    """Super-resolution methods: subclasses of bench.Method."""


@hookspec
def bench_degradations():
    """Degradations, which are test conditions too: subclasses of bench.Degradation."""


@hookspec
def bench_metrics():
    """Metrics: subclasses of bench.Metric."""


@hookspec
def bench_reports():
    """Report formats: functions of (runs: list[Path], out: Path) that write ``out`` and return its path, or paths below it."""


@hookspec
def bench_clusters():
    """Places where tasks run (--cluster): subclasses of bench.cluster.engines.Cluster."""
