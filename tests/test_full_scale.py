"""The pages on the real data sets: the numbers collected from them are theirs, and with the data at
hand they run again.
"""

import json
from pathlib import Path

import headlines
import pytest

from lib import data

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "full_scale").glob("*.ipynb"))


@pytest.mark.parametrize("name", headlines.FOUND)
def test_a_headline_is_what_its_page_printed(name):
    assert data.measured("headlines")[name] == headlines.headlines()[name], (
        "run python tools/headlines.py"
    )


def test_the_published_numbers_are_found_again():
    measured = data.measured("headlines")
    assert measured["COMPAS, first group"][3:5] == [44.85, 27.99] and measured[
        "COMPAS, second group"
    ][3:5] == [23.45, 47.72]
    assert measured["WEAT"][::2] == measured["WEAT"][1::2] and len(measured["WEAT"]) == 20
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
