"""What a committed notebook shows of the promises of this book: energy stated, pictures described,
nothing asked of a server.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

#: The folder of the chapters; not there where only lib was installed, as in Colab.
CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
# The sentence in the head of a page; tools/status.py writes the numbers into it.
STATED = re.compile(
    r"runs in about (\d+) (second|minute)s?\b(?P<where>.*?) at ([\d.]+) W this is ([\d.]+) Wh",
    re.DOTALL,
)
_ADDRESS = r"""["'(]?\s*(?:https?:)?//"""
_ASKS = re.compile(
    rf"<(?!a\b)\w+\b[^>]*\b(?:src|srcset|href|action|data)\s*=\s*{_ADDRESS}"
    rf"|@import|\burl\(\s*{_ADDRESS}"
    r"|\b(?:fetch|importScripts|sendBeacon)\s*\(|\bXMLHttpRequest\b|\bWebSocket\b|\bEventSource\b",
    re.IGNORECASE,
)
# a thumbnail of a control is named by the words below it
_PICTURE = re.compile(r'<(?:img|canvas)\b(?! class="live-thumb)[^>]*>')
_KEEPS = re.compile(r"\bdocument\.cookie\b|\blocalStorage\b|\bsessionStorage\b|\bindexedDB\b")


@dataclass(frozen=True)
class Promises:
    """What a notebook shows.

    seconds, watts, watt_hours: what its head states (None if nothing).
    pictures, described: how many, and how many of them in at least six words.
    requests: places where an output would ask a server.
    kept: places where it would store something of the reader.
    """

    seconds: float | None
    watts: float | None
    watt_hours: float | None
    pictures: int
    described: int
    requests: int
    kept: int


def promises(path: Path | str) -> Promises:
    """Count in a committed notebook; links to follow are no requests.

    Raises OSError if there is no such file.

    >>> if CHAPTERS.is_dir():  # not there where only lib was installed
    ...     print(promises(CHAPTERS / "lrp.ipynb").requests)
    0
    """
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    seconds, watts, watt_hours = _stated("".join(cells[0]["source"]))
    descriptions: list[str] = []
    requests = kept = 0
    for cell in cells:
        for output in cell.get("outputs", []):
            data = {kind: "".join(value) for kind, value in output.get("data", {}).items()}
            active = (
                data.get("text/html", "")
                + data.get("image/svg+xml", "")
                + data.get("application/javascript", "")
            )
            requests += len(_ASKS.findall(active))
            kept += len(_KEEPS.findall(active))
            descriptions += [_alt(tag) for tag in _PICTURE.findall(active)]
            if "image/png" in data and not active:
                descriptions.append(
                    cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
                )
    described = sum(len(re.findall(r"\w+", words)) >= 6 for words in descriptions)
    return Promises(seconds, watts, watt_hours, len(descriptions), described, requests, kept)


def _stated(head: str) -> tuple[float, float, float] | tuple[None, None, None]:
    """Seconds, watts and watt-hours that the head of a notebook states, or three times None."""
    found = STATED.search(head)
    if found is None:
        return None, None, None
    count, unit, _, watts, energy = found.groups()
    return int(count) * {"second": 1.0, "minute": 60.0}[unit], float(watts), float(energy)


def _alt(tag: str) -> str:
    found = re.search(r'\b(?:alt|aria-label)="([^"]*)"', tag)
    return found.group(1) if found else ""
