"""The reports: how results are shown."""

import bench


@bench.hookimpl
def bench_reports():
    """Name: (module:function of (runs, out) -> files written, one line)."""
    return {
        "html": (
            f"{__name__}.html:render",
            "one self-contained page: tables, faces, curves, how every number was made",
        ),
        "latex": (f"{__name__}.text:latex", "a booktabs table for each condition"),
        "csv": (f"{__name__}.text:csv", "the tables as one CSV file"),
        "md": (f"{__name__}.text:markdown", "the tables as Markdown"),
    }
