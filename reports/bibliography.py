"""The bibliography of what a run used, made from the papers that plugins name, and from a few data sets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from bench.core.results import split

from .told import facts

CITED = re.compile(r"(?P<authors>[^:]+): (?P<title>.+?), ?(?P<venue>[^,]*?) ?(?P<year>(19|20)\d\d)$")
HARNESS = {
    "wilcoxon1945": "Wilcoxon: Individual comparisons by ranking methods, Biometrics Bulletin 1945",
    "holm1979": "Holm: A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979",
    "demsar2006": "Demsar: Statistical comparisons of classifiers over multiple data sets, JMLR 2006",
}
DATA = {  # what a folder's name or a source says of where its faces come from
    "celeba": "Liu, Luo, Wang, Tang: Deep learning face attributes in the wild, ICCV 2015",
    "ffhq": "Karras, Laine, Aila: A style-based generator architecture for generative adversarial networks, CVPR 2019",
    "wider": "Yang, Luo, Loy, Tang: WIDER FACE: A face detection benchmark, CVPR 2016",
    "helen": "Le, Brandt, Lin, Bourdev, Huang: Interactive facial feature localization, ECCV 2012",
    "lfw": "Huang, Ramesh, Berg, Learned-Miller: Labeled faces in the wild, University of Massachusetts 2007",
    "chokepoint": "Wong, Chen, Mau, Sanderson, Lovell: Patch-based probabilistic image quality assessment for face selection and improved video-based face recognition, CVPR Workshops 2011",  # noqa: E501
}


def papers(records: list[dict[str, Any]], metrics: Iterable[str], tested: bool) -> dict[str, list[str]]:
    """What was used, by its name -> the papers that it names. ``tested``: whether differences were tested."""
    found: dict[str, list[str]] = {}
    for record in records:
        for kind in ("methods", "degradations"):
            for model in record[kind]:
                found.setdefault(model.get("name", model["label"]), _named(kind, model.get("name", model["label"])))
        for condition in record["conditions"]:
            found.setdefault(condition, _named("degradations", condition.partition("[")[0]))
        sources = " ".join([str(record["data"].get("name", "")),
                            *(str(record["data"].get(w, {}).get("source", "")) for w in ("hr", "lr"))]).lower()  # fmt: skip
        found |= {name: [paper] for name, paper in DATA.items() if name in sources}
    for metric in metrics:
        found.setdefault(split(metric)[0], _named("metrics", split(metric)[0]))
    found |= {name: [paper] for name, paper in HARNESS.items()} if tested else {}
    return {name: cited for name, cited in found.items() if cited}


def _named(kind: str, name: str) -> list[str]:
    return [p.strip() for p in re.split(r";|(?<=\d{4}), and ", str(facts(kind, name).get("paper") or "")) if p.strip()]


def key_of(paper: str) -> str:
    """bulat2018learn, of "Bulat, Yang: To learn ..., ECCV 2018": author, year, first long word of the title."""
    match = CITED.match(paper)
    plain = unicodedata.normalize("NFKD", paper).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z]+", plain)
    if not match:
        return "".join(words[:3])
    title = re.findall(
        r"[a-z]+", unicodedata.normalize("NFKD", match["title"]).encode("ascii", "ignore").decode().lower()
    )
    return words[0] + match["year"] + next((w for w in title if len(w) > 3), "")


def entry(paper: str, escape: Callable[[str], str] = str) -> str:
    """One BibTeX entry; what does not read as authors, title, venue and year becomes a note."""
    match = CITED.match(paper)
    if not match:
        return f"@misc{{{key_of(paper)},\n  note = {{{escape(paper)}}}\n}}\n"
    authors = match["authors"].replace(" et al.", ", others")
    names = " and ".join(a.strip() for a in authors.split(","))
    fields = {"author": escape(names), "title": f"{{{escape(match['title'])}}}", "booktitle": escape(match["venue"]),
              "year": match["year"]}  # fmt: skip
    kind = "inproceedings" if match["venue"] else "misc"
    body = ",\n".join(f"  {k} = {{{v}}}" for k, v in fields.items() if v)
    return f"@{kind}{{{key_of(paper)},\n{body}\n}}\n"


def bibtex(found: dict[str, list[str]], escape: Callable[[str], str] = str) -> str:
    """references.bib: every paper once, by its key."""
    once = {key_of(paper): paper for cited in found.values() for paper in cited}
    return "\n".join(entry(once[key], escape) for key in sorted(once))


def cite(found: dict[str, list[str]], name: str) -> str:
    r"""``~\cite{...}`` for what has papers; nothing for what has none."""
    keys = [key_of(paper) for paper in found.get(name, [])]
    return rf"~\cite{{{','.join(keys)}}}" if keys else ""
