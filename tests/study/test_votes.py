"""Votes: what they say, against counting and scipy; files that cannot be used."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from bench.reports import html
from made_reports import row

from bench.cli import main
from bench.study import score as scoring
from bench.study.votes import read_key, read_votes


@pytest.fixture
def study(run):
    assert main(["study", "make", str(run), "--count", "3", "--faces", "5", "--checks", "1", "--seed", "4"]) == 0
    return run / "study"


def vote(folder, person, order, faces=None, **changes):
    """A vote file that ranks every face in this order of methods, and passes the checks."""
    key = read_key(folder)
    codes = {label: code for code, label in key["methods"].items()}
    answers = [{"image": f, "ranking": [codes[m] for m in order]} for f in (key["faces"] if faces is None else faces)]
    answers += [{"image": c, "ranking": [best, "x", worst]} for c, (best, worst) in key["checks"].items()]
    file = folder / f"{person}.json"
    file.write_text(json.dumps({"study": key["study"], "person": person, "answers": answers} | changes))
    return file


def test_the_best_by_the_metric_take_part_and_the_page_does_not_name_them(run, study):
    key = read_key(study)
    assert list(key["methods"].values()) == ["edge_net", "<b>bold</b>", "lanczos"], "by NIMA, the higher the better"
    page = (study / "page/index.html").read_text()
    assert not any(name in page for name in ("edge_net", "lanczos", "bold", "k</b>")) and len(key["faces"]) == 5
    assert main(["study", "make", str(run), "--by", "swd", "--count", "2", "--out", str(run / "other")]) == 0
    assert list(read_key(run / "other")["methods"].values()) == ["bicubic", "lanczos"], "by SWD, the lower the better"


def with_rows(run, rows, **record):
    table = pd.concat([pd.read_csv(run / "results.csv"), pd.DataFrame(rows)])
    table.to_csv(run / "results.csv", index=False)
    saved = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(saved | record))


@pytest.mark.parametrize("metric", ["consistency", "steady[k=2]"])
def test_who_ignores_the_input_is_not_asked_about_for_its_consistency(run, capsys, metric):
    """The rule of reports; of a metric that only the record knows, too."""
    parts = ("lr_psnr", "lr_floor") if metric == "consistency" else ("seen", "least")
    rows, seen = [], {"lanczos": 19.0, "bicubic": 30.0, "edge_net": 31.0, "<b>bold</b>": 29.0}
    for method, value in {"lanczos": 0.1, "bicubic": 8.0, "edge_net": 6.0, "<b>bold</b>": 9.0}.items():
        rows += [row(method, "real", metric, value, direction="lower")]
        rows += [
            row(method, "real", f"{metric}.{parts[0]}", seen[method]),
            row(method, "real", f"{metric}.{parts[1]}", 24.0),
        ]
        rows += [row(method, "noise", f"{metric}.{parts[0]}", 1.0)]  # of another condition
    with_rows(run, rows, metric_facts={"steady": {"guard": parts}})
    assert main(["study", "make", str(run), "--by", metric, "--count", "2"]) == 0
    assert set(read_key(run / "study")["methods"].values()) == {"edge_net", "bicubic"}
    assert f"not among the best by {metric}, since below its floor: lanczos;" in capsys.readouterr().err
    assert main(["study", "make", str(run), "--methods", "lanczos,bicubic", "--out", str(run / "b")]) == 0, "asked for"


def test_a_method_of_several_seeds_takes_part_by_its_mean(run):
    with_rows(
        run, [row("edge_net", "real", "nima", 2.0, seed=1)]
    )  # its mean is near 3.5, its last seed the worst of all
    assert main(["study", "make", str(run), "--count", "3"]) == 0
    assert set(read_key(run / "study")["methods"].values()) == {"<b>bold</b>", "edge_net", "lanczos"}


def test_a_study_without_its_metric_or_methods_says_which_there_are(run, capsys):
    assert main(["study", "make", str(run), "--by", "musiq"]) == 2
    assert "no values of musiq on real" in (said := capsys.readouterr().err) and "nima, swd" in said
    assert main(["study", "make", str(run), "--methods", "bicubic,nobody"]) == 2
    assert "no method 'nobody'" in capsys.readouterr().err


def test_mean_ranks_pairs_and_agreement_are_those_of_counting(study):
    orders = [
        ("edge_net", "<b>bold</b>", "lanczos"),
        ("edge_net", "lanczos", "<b>bold</b>"),
        ("lanczos", "edge_net", "<b>bold</b>"),
    ]
    votes = read_votes([vote(study, f"p{i}", order) for i, order in enumerate(orders)], read_key(study))
    found = scoring.score(votes, None, "real")
    assert {m["method"]: m["mor"] for m in found["methods"]} == pytest.approx(
        {"edge_net": 4 / 3, "lanczos": 2.0, "<b>bold</b>": 8 / 3}
    )
    ranks = np.array([[order.index(m) + 1 for m in votes.methods] for order in orders])
    chi, _ = scipy.stats.friedmanchisquare(*ranks.T)  # W = chi / (m (k - 1))
    assert found["agreement"]["within_faces"] == pytest.approx(chi / (3 * 2)) == found["agreement"]["of_means"]
    assert found["people"] == 3 and found["rankings"] == 15


def test_w_is_one_for_one_opinion_and_corrected_for_ties():
    assert scoring.kendall_w(np.tile([1, 2, 3, 4], (5, 1))) == pytest.approx(1)
    assert scoring.kendall_w(np.array([[1, 2.5, 2.5], [1, 2.5, 2.5]])) == pytest.approx(1), "ties agreed upon"
    assert scoring.kendall_w(np.array([[1, 2, 3], [3, 2, 1]])) == 0


def test_the_interval_covers_what_other_people_say_of_other_faces():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(60):
        taste = rng.normal(0, 0.5, (12, 1, 3)) + rng.normal(0, 0.5, (1, 12, 3))
        noise = rng.normal(0, 1, (12, 12, 3))
        ranks = scipy.stats.rankdata(taste + noise, axis=2)  # three methods alike, so 2 is the mean rank of each
        low, high = scoring.interval(ranks)
        inside += int(low[0] <= 2 <= high[0])
    assert inside >= 54, "at least 90 %, where the interval over rankings alone covers about 60 %"


def test_metrics_that_order_as_people_do_correlate(run, study):
    file = vote(study, "anna", ("edge_net", "<b>bold</b>", "lanczos"))
    record = json.loads((run / "run.json").read_text())
    votes = read_votes([file], read_key(study))
    found = {c["metric"]: c for c in scoring.score(votes, run, "real", record)["correlations"]}
    assert found["nima"]["methods"] == pytest.approx(1) and found["nima"]["within_faces"] == pytest.approx(1)
    assert found["swd"]["methods"] == pytest.approx(-1), "lower is better, and it prefers the worst"


def test_bad_and_partial_votes_are_named_in_a_line_each_and_the_others_count(run, study, capsys):
    key = read_key(study)
    good = vote(study, "anna", ("edge_net", "<b>bold</b>", "lanczos"))
    part = vote(study, "ben", ("edge_net", "<b>bold</b>", "lanczos"), key["faces"][:2])
    other = vote(study, "carl", ("edge_net", "<b>bold</b>", "lanczos"), study="another")
    asleep = vote(study, "dora", ("edge_net", "<b>bold</b>", "lanczos"))
    asleep.write_text(
        asleep.read_text().replace(f'["{key["checks"] and next(iter(key["checks"].values()))[0]}"', '["y"')
    )
    twice = study / "twice.json"
    twice.write_text(good.read_text())
    wrong = vote(study, "emil", ("edge_net",))
    broken = study / "broken.json"
    broken.write_text("{")
    files = [good, part, other, asleep, twice, wrong, broken, study / "absent.json"]
    assert main(["study", "score", *map(str, files), "--run", str(run)]) == 1
    out, said = capsys.readouterr()
    for text in ("2 of 5 faces ranked", "votes of another study", "1 of 1 attention checks failed", "anna voted in",
                 "is no ranking of this study's 3 methods", "not JSON", "No such file"):  # fmt: skip
        assert sum(text in line for line in said.splitlines()) == 1, (text, said)
    assert "2 people, 5 faces, 7 rankings" in out
    assert json.loads((run / "study.json").read_text())["methods"][0]["method"] == "edge_net"
    assert main(["study", "score", str(broken), "--run", str(run)]) == 2
    (report,) = html.render([run], run / "report.html")
    said = report.read_text().partition('id="people"')[2].partition("<h2")[0]
    assert "2 people, 5 faces, 7 rankings" in said and "<th>edge_net</th><td>1.00</td>" in said
    assert main(["study", "score", str(good), str(asleep), "--run", str(run)]) == 0, "no fault of a file"
    (study / "attention").mkdir()
    named = broken.rename(study / "attention" / "x.json")
    assert main(["study", "score", str(good), str(named), "--run", str(run)]) == 1
