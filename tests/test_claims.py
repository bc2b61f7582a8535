"""Every claim that a page names is recomputed by a test of its wing, under seeds of its own."""

import json

import pytest
from conftest import ROOT

PAGES = sorted([*ROOT.glob("chapters/*.ipynb"), *ROOT.glob("full_scale/*.ipynb")])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_claim_has_its_test(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    claims = [claim for cell in cells for claim in cell["metadata"].get("claims", [])]
    assert len(claims) == len(set(claims)), "a claim is named twice"
    tests = ROOT / "tests" / path.stem / "test_claims.py"
    written = tests.read_text(encoding="utf-8") if tests.exists() else ""
    missing = [c for c in claims if f"def test_{c.replace('-', '_')}(" not in written]
    assert not missing, f"without a test in {tests.relative_to(ROOT)}: {missing}"
