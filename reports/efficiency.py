"""The cost of each method at inference: what is counted, from the results, and what was timed, from run.json."""

from __future__ import annotations

from typing import Any

from bench.core.results import split

from .rows import competitor
from .tabular import Cell, Column, Row, Table

HEADS = ("Parameters", "Multiply-adds", "Memory", "Faces a second")


def cost_table(rows: list[dict[str, Any]], records: list[dict[str, Any]]) -> list[Table]:
    """One table of all methods, or none where the metric was not asked for."""
    kept = [r for r in rows if split(r["metric"])[0] == "cost" and r["method"]]
    if not any(r["status"] == "ok" for r in kept):
        return []
    table = Table("", [Column(head, "", "cost") for head in HEADS], title="Cost of inference, one face", kind="cost")
    timed: list[str] = []
    for key in dict.fromkeys(map(competitor, kept)):
        mine = {split(r["metric"])[2]: r for r in kept if competitor(r) == key}
        run, _, method, variant, degradation = key
        label = f"{method} ({variant})" if variant and "[" not in method else method
        if mine[""]["status"] != "ok":
            reason = " ".join(str(mine[""]["reason"]).split())
            cells = [Cell("—", status=mine[""]["status"], reason=reason)] * len(HEADS)
        else:
            units = (("parameters", ""), ("", ""), ("memory", "B"))
            cells = [Cell(si(float(mine[p]["value"]), unit), float(mine[p]["value"]), n=1, protocol=mine[p]["protocol"])
                     for p, unit in units if p in mine]  # fmt: skip
            record = next((r for r in records if run in ("", r["run"])), {"methods": [], "device": ""})
            speed = measured(record, method, variant, degradation)
            cells.append(speed)
            if speed.value is not None and speed.protocol not in timed:
                timed.append(speed.protocol)
        table.rows.append(Row(label, degradation, cells, run, key))
    table.remark = "Multiply-adds of convolutions, matrix products and attention; resampling is not counted."
    if timed:
        table.remark += f" Faces a second {'; '.join(timed)}: no two runs measure the same, so it is kept in run.json."
    return [table]


def measured(record: dict[str, Any], method: str, variant: str, degradation: str) -> Cell:
    """A method's faces a second, as its run timed it."""
    for model in record["methods"]:
        names = (model.get("name", model["label"]), model.get("variant", ""), model["degradation"])
        found = next((v for k, v in model.get("measured", {}).items() if split(k)[0] == "cost"), None)
        if names == (method, variant, degradation) and found:
            speed = float(found["faces_per_second"])
            text = f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"
            return Cell(text, speed, n=1, protocol=f"on {record['device']}, in batches of {found['batch']:.0f}")
    return Cell("—", status="missing", reason="its run has no run.json that says")


def si(value: float, unit: str = "") -> str:
    """1234567 as 1.23 M."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.0f} {unit}".strip()
