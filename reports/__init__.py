"""The reports: how results are shown."""

import bench


@bench.hookimpl
def bench_reports():
    """Name: (module:function of (runs, out, layout) -> files written, one line)."""
    return {
        "html": (
            f"{__name__}.html:render",
            "one self-contained page: tables, faces, curves, how every number was made",
        ),
        "latex": (f"{__name__}.latex:latex", "tables that paste into a paper, a methods paragraph, a bibliography"),
        "figures": (f"{__name__}.plots:figures", "the paper's figures as PDF, PNG and SVG; needs matplotlib"),
        "leaderboard": (f"{__name__}.leaderboard:leaderboard", "a static page over many runs; see `bench leaderboard`"),
        "csv": (f"{__name__}.text:csv", "the tables as one CSV file"),
        "md": (f"{__name__}.text:markdown", "the tables as Markdown"),
    }
