"""Collect what the book measured for each headline number of the slides, from the outputs of its
executed notebooks.

python tools/headlines.py      writes the entry "headlines" of lib/data/measured.json; run it after
`make run`
"""

import json
import re
from pathlib import Path

from stored import store

ROOT = Path(__file__).parents[1]
NUMBER = r"([-+]?\d+(?:[.,]\d+)*)"
# name: the notebook, the cell, and what stands in its output, with a group for each number
FOUND = {
    "AOPC of LRP, zB": (
        "full_scale/mnist",
        "table",
        rf"LRP ε, γ, zᴮ +{NUMBER} +\[ *{NUMBER}, *{NUMBER}\]",
    ),
    "AOPC of sensitivity": (
        "full_scale/mnist",
        "table",
        rf"sensitivity +{NUMBER} +\[ *{NUMBER}, *{NUMBER}\]",
    ),
    "AOPC of random": (
        "full_scale/mnist",
        "table",
        rf"random +{NUMBER} +\[ *{NUMBER}, *{NUMBER}\]",
    ),
    "network on newsgroups": (
        "full_scale/newsgroups",
        "network-accuracy",
        rf"whole messages {NUMBER}, bare {NUMBER}",
    ),
    "SVM on newsgroups": (
        "full_scale/newsgroups",
        "svm",
        rf"whole messages {NUMBER}, bare {NUMBER}",
    ),
    "scores for sci.med": (
        "full_scale/newsgroups",
        "message-scores",
        rf"network {NUMBER}, SVM {NUMBER}",
    ),
    "deleting by LRP": (
        "full_scale/newsgroups",
        "deleting-table",
        rf"correct +LRP .*: {NUMBER} \[{NUMBER}, {NUMBER}\]",
    ),
    "deleting by sensitivity": (
        "full_scale/newsgroups",
        "deleting-table",
        rf"correct +sensitivity .*: {NUMBER} \[{NUMBER}, {NUMBER}\]",
    ),
    "cost on VGG16": (
        "full_scale/photos",
        "cost",
        rf"epsilon: less than {NUMBER} [\s\S]*plus: less than {NUMBER}",
    ),
    "COMPAS, first group": (
        "full_scale/fairness",
        "rates-table",
        rf"African-American +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER}",
    ),
    "COMPAS, second group": (
        "full_scale/fairness",
        "rates-table",
        rf"Caucasian +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER}",
    ),
    "WEAT": ("full_scale/fairness", "weat", rf"^ *\d+ .* {NUMBER} +{NUMBER}  .*$"),
    "ELBO": ("full_scale/generators", "elbo", rf"ELBO {NUMBER} "),
    "Fréchet distance of the GAN": (
        "full_scale/generators",
        "judge",
        rf"GAN +{NUMBER} +{NUMBER} +{NUMBER}",
    ),
    "Fréchet distance of the VAE": (
        "full_scale/generators",
        "judge",
        rf"VAE +{NUMBER} +{NUMBER} +{NUMBER}",
    ),
    "calibration, single": (
        "full_scale/uncertainty",
        "table",
        rf"single  +{NUMBER} +{NUMBER} +{NUMBER}",
    ),
    "calibration, ensemble of 15": (
        "full_scale/uncertainty",
        "table",
        rf"ensemble of 15  +{NUMBER} +{NUMBER} +{NUMBER}",
    ),
    "calibration, temperature": (
        "full_scale/uncertainty",
        "table",
        rf"single, temperature +{NUMBER} +{NUMBER} +{NUMBER}",
    ),
}


def output_of(notebook: str, cell: str) -> str:
    """What the cell printed."""
    cells = json.loads((ROOT / f"{notebook}.ipynb").read_text())["cells"]
    outputs = next(c["outputs"] for c in cells if c["id"] == cell)
    return "".join("".join(output.get("text", "")) for output in outputs)


def headlines() -> dict[str, list[float]]:
    """The numbers of each entry of FOUND; of several matches all numbers, one after the other."""
    result = {}
    for name, (notebook, cell, pattern) in FOUND.items():
        matches = re.findall(pattern, output_of(notebook, cell), re.MULTILINE)
        if not matches:
            raise SystemExit(f"{notebook}, cell {cell}: {pattern!r} is not in its output")
        result[name] = [
            float(number.replace(",", ""))
            for match in matches
            for number in (match if isinstance(match, tuple) else (match,))
        ]
    return result


if __name__ == "__main__":
    store("headlines", headlines())
