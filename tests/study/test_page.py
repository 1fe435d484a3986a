"""The study's page in a browser: ranked by keys and by drag, reloaded, exported, scored."""

import json

from bench.cli import main
from bench.study.votes import read_key

ORDER = "[...document.querySelectorAll('li')].map((card) => card.dataset.code)"


def test_people_rank_by_keys_and_by_drag_come_back_and_save_what_scores(run, visit, tmp_path):
    assert main(["study", "make", str(run), "--count", "3", "--faces", "3", "--checks", "1"]) == 0
    study = run / "study"
    key, address = read_key(study), f"file://{study}/page/index.html?person=anna"
    rank = {code: list(key["methods"].values()).index(label) for code, label in key["methods"].items()}
    rank |= {code: place for best, worst in key["checks"].values() for code, place in ((best, -1), (worst, 9))}
    page = visit(address)
    shown = page.evaluate(ORDER)
    assert page.is_disabled("#next"), "an order that nobody looked at is no answer"

    def by_keys():
        for place, code in enumerate(sorted(page.evaluate(ORDER), key=lambda c: rank.get(c, 5))):
            page.focus(f"li[data-code='{code}']")
            page.keyboard.press(str(place + 1))
        if page.is_disabled("#next"):
            page.click("#fits")

    by_keys()
    page.focus("li")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(ORDER) == sorted(shown, key=lambda c: rank.get(c, 5))
    page.keyboard.press("Enter")
    before = page.evaluate(ORDER)
    first, last = (page.locator("li img").nth(i).bounding_box() for i in (0, 2))
    page.mouse.move(first["x"] + 20, first["y"] + 20)
    page.mouse.down()
    page.mouse.move(last["x"] + 10, last["y"] + 20, steps=6)
    page.mouse.up()
    assert page.evaluate(ORDER) == [*before[1:], before[0]], "the first was dragged to the end"
    page.wait_for_timeout(300)  # a browser writes what it keeps a little later
    page.reload()
    assert page.evaluate(ORDER) == [*before[1:], before[0]] and "1 of 4" in page.inner_text("#where")
    for _ in range(3):
        by_keys()
        page.click("#next")
    with page.expect_download() as waiting:
        page.click("#save")
    file = tmp_path / "votes.json"
    waiting.value.save_as(file)
    votes = json.loads(file.read_text())
    assert votes["person"] == "anna" and votes["answers"][0]["shown"] == shown and len(votes["answers"]) == 4
    assert votes["answers"][1]["shown"] == before, "not the order that was kept over the reload"
    assert main(["study", "score", str(file), "--run", str(run)]) == 0
    found = json.loads((run / "study.json").read_text())
    assert [m["method"] for m in found["methods"]] == list(key["methods"].values()) and found["rankings"] == 3


def test_everyone_sees_another_order_and_the_same_person_the_same(run, visit):
    assert main(["study", "make", str(run), "--count", "4", "--faces", "4", "--checks", "0"]) == 0
    address = f"file://{run}/study/page/index.html?person="
    orders = [tuple(visit(address + who).evaluate(ORDER)) for who in ("a", "b", "c", "d", "a")]
    assert len(set(orders)) > 1 and orders[0] == orders[-1]
    phone = visit(address + "e", width=390, height=800)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
