"""Numbers that a cell stores beside its text: the notebook keeps them, a reader sees the text."""

import json

import measure
import nbformat
import pytest
import run
import torch

from lib.live import VALUES, Values

CELL = """
import sys
sys.path.insert(0, {root!r})
from lib import live
live.Values("a 0.12\\nb 3", {{"a": (0.1234,), "b": [3]}})
"""


def test_numbers_are_kept_as_the_text_shows_them():
    shown = Values("a -0.12", {"a": (-0.1234, torch.tensor(0.5)), "b": {"x": 3}.values()})
    bundle = shown._repr_mimebundle_(include=None, exclude=None)
    assert bundle == {"text/plain": "a -0.12", VALUES: {"a": [-0.12, 0.5], "b": [3.0]}}
    assert repr(shown) == "a -0.12"
    assert Values("", {"a": [0.1234]}, digits=3)._repr_mimebundle_()[VALUES] == {"a": [0.123]}


def test_a_notebook_keeps_text_and_numbers_and_the_tool_reads_them(tmp_path, monkeypatch):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(CELL.format(root=str(run.ROOT)), id="shown")]
    )
    run.execute(notebook, tmp_path)
    text = run.text_of(run.canonical(notebook))
    output = json.loads(text)["cells"][0]["outputs"][0]
    assert "".join(output["data"]["text/plain"]) == "a 0.12\nb 3"
    (tmp_path / "full_scale").mkdir()
    (tmp_path / "full_scale/page.ipynb").write_text(text)
    monkeypatch.setattr(measure, "ROOT", tmp_path)
    assert measure.headlines() == {"a": [0.12], "b": [3.0]}


def test_storing_an_entry_leaves_the_others_as_they_are(tmp_path):
    place = tmp_path / "measured.json"
    place.write_text('{"one": [1, 2], "two": {"x": 0.5}}\n')
    measure.store("two", [3], place)
    measure.store("three", "é", place)
    assert json.loads(place.read_text()) == {"one": [1, 2], "two": [3], "three": "é"}


def test_an_unknown_entry_is_refused_before_anything_is_measured(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["measure.py", "sharpness", "nonsense"])
    with pytest.raises(SystemExit):
        measure.main()
    assert "no entry is called nonsense" in capsys.readouterr().err
