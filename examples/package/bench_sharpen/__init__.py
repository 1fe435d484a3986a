"""What this package offers, by name: nothing is imported before it is used."""

from bench.hookspecs import hookimpl


@hookimpl
def bench_methods():
    return {"sharpen": (f"{__name__}.plugins:Sharpen", "bicubic upsampling and unsharp masking")}


@hookimpl
def bench_degradations():
    return {"motion": (f"{__name__}.plugins:Motion", "motion blur of random direction, then bicubic downsampling")}
