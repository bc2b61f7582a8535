"""The pages on the real data sets: the numbers collected from them are theirs, and with the data at
hand they run again.
"""

import json
import re
from pathlib import Path

import measure
import pytest

from lib import data, live

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "full_scale").glob("*.ipynb"))


def stored():
    """(page, name of a result, its numbers, the text beside them) in the outputs of the pages."""
    for page in PAGES:
        for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                for name, numbers in output.get("data", {}).get(live.VALUES, {}).items():
                    yield page.stem, name, numbers, "".join(output["data"]["text/plain"])


def test_the_headlines_are_what_the_pages_computed():
    found = {name: numbers for _, name, numbers, _ in stored()}
    assert found and data.measured("headlines") == measure.headlines() == found, (
        "run python tools/measure.py headlines"
    )


@pytest.mark.parametrize("page, name, numbers, text", list(stored()))
def test_a_page_shows_the_numbers_that_it_stores(page, name, numbers, text):
    text = re.sub(r"(?<=\d)\s(?=\d{3}\b)", "", text).replace("\u2212", "-")  # as tables write them
    shown = [float(n.replace(",", "")) for n in re.findall(r"[-+]?\d[\d,]*(?:\.\d+)?", text)]
    assert set(numbers) <= set(shown)


def test_each_page_of_results_stores_some_and_no_name_twice(tmp_path, monkeypatch):
    assert {page for page, *_ in stored()} == {page.stem for page in PAGES} - {"headlines"}
    (tmp_path / "full_scale").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"full_scale/{name}.ipynb").write_text(PAGES[0].read_text(encoding="utf-8"))
    monkeypatch.setattr(measure, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="b.ipynb, cell"):
        measure.headlines()


def test_the_published_numbers_are_found_again():
    measured = data.measured("headlines")
    assert measured["COMPAS, first group"][3:5] == [44.85, 27.99] and measured[
        "COMPAS, second group"
    ][3:5] == [23.45, 47.72]
    assert (
        measured["WEAT, here"] == measured["WEAT, published"] and len(measured["WEAT, here"]) == 10
    )
    assert (
        measured["network on newsgroups"][0] >= 0.8019
        and measured["SVM on newsgroups"][0] >= 0.8010
    )


def test_each_page_is_linked_from_a_chapter():
    chapters = (
        "".join(path.read_text() for path in (ROOT / "chapters").glob("*.ipynb"))
        + (ROOT / "intro.md").read_text()
    )
    missing = [page.stem for page in PAGES if f"full_scale/{page.stem}.ipynb" not in chapters]
    assert not missing, f"link them: {missing}"


def test_each_page_lists_its_energy_and_its_limitations():
    for page in PAGES:
        cells = json.loads(page.read_text())["cells"]
        text = "\n".join(
            "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
        )
        assert "Wh.*" in text and ("## Limitations" in text or page.stem == "headlines"), page.stem
