"""What the files NAME/test_equations.py share: every displayed equation of a chapter is recomputed,
every number in its prose is shown.

An equation is named by its cell, and by its place in the cell where there are several: "bias-text",
    "bias-text 2".
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
# chapter: equation: the test that recomputes it; printed at the end of a run
COVERED: dict[str, dict[str, str]] = {}


def cells(chapter: str) -> list[dict]:
    return json.loads((ROOT / "chapters" / f"{chapter}.ipynb").read_text())["cells"]


def equations(chapter: str) -> dict[str, str]:
    """The displayed equations of a chapter, by name."""
    found = {}
    for cell in cells(chapter):
        if cell["cell_type"] == "markdown":
            displayed = re.findall(r"\$\$(.*?)\$\$", "".join(cell["source"]), re.DOTALL)
            found |= {
                cell["id"] + (f" {k}" if k > 1 else ""): tex.strip()
                for k, tex in enumerate(displayed, start=1)
            }
    return found


GREEK = (
    "alpha beta gamma delta epsilon varepsilon eta theta kappa lambda mu pi phi rho sigma "
    "tau omega Sigma Delta ell"
).split()


def symbols(tex: str) -> set[str]:
    """The letters of an equation, Latin and Greek, without words and names of functions."""
    tex = re.sub(r"\\(?:text|mathrm|operatorname|begin|end)\s*\{[^}]*\}", " ", tex)
    greek = set(re.findall(r"\\(?:" + "|".join(GREEK) + r")(?![A-Za-z])", tex))
    return greek | set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", tex)))


def recomputes(chapter: str, *names: str) -> Callable:
    """Marks a test: it recomputes these equations on random input."""

    def mark(test: Callable) -> Callable:
        COVERED.setdefault(chapter, {}).update(dict.fromkeys(names, test.__name__))
        return test

    return mark


def check_covered(chapter: str) -> None:
    there, covered = equations(chapter), COVERED.get(chapter, {})
    missing = [f"{name}: {tex}" for name, tex in there.items() if name not in covered]
    assert not missing, "no test recomputes:\n" + "\n".join(missing)
    gone = sorted(set(covered) - set(there))
    assert not gone, f"these equations are no longer there: {gone}"


NUMBER = re.compile(r"(?<![\w.,–-])(\d[\d,]*\.\d+|\d+(?= %))(?![\w.]*\d)")


def check_numbers(chapter: str, explained: dict[str, str]) -> None:
    """Each number with decimals or a per cent sign in the prose is an output of the page, rounded,
    or is explained.

    explained: a number as it is written, and where it comes from: a published figure, a choice in
        the code, a sum of others.
    Numbers beside a citation in the same paragraph need no more explanation.
    """
    outputs, prose = "", []
    for cell in cells(chapter):
        if cell["cell_type"] == "code":
            outputs += "".join(cell["source"]) + "\n"
            for output in cell["outputs"]:
                outputs += (
                    "".join(output.get("text", ""))
                    + "".join(output.get("data", {}).get("text/html", ""))[:400_000]
                )
        else:
            prose += [
                (cell["id"], paragraph) for paragraph in "".join(cell["source"]).split("\n\n")
            ]
    outputs = re.sub(r'data:image[^"]+', "", outputs)
    shown = {
        float(number)
        for number in re.findall(r"\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", outputs))
    }
    strange, used = [], set()
    for where, paragraph in prose:
        if (
            "](../references.md#" in paragraph
            or "Wh.*" in paragraph
            or paragraph.lstrip().startswith("|")
        ):
            continue
        text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)", " ", paragraph, flags=re.DOTALL)
        for match in NUMBER.finditer(text):
            written = match[1]
            value, half = (
                float(written.replace(",", "")),
                0.5 * 10.0 ** -len(written.partition(".")[2]) + 1e-9,
            )
            if written in explained:
                used.add(written)
            elif not any(
                abs(number * factor - value) <= half for number in shown for factor in (1, 100)
            ):
                strange.append(
                    f"{where}: ...{text[max(0, match.start() - 40) : match.end() + 20]!r}"
                )
    assert not strange, "numbers that no output of the page shows:\n" + "\n".join(strange)
    assert used == set(explained), (
        f"explained, but no longer needed: {sorted(set(explained) - used)}"
    )
