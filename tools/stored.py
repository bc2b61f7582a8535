"""What takes too long for a page is measured once and stored in lib/data/measured.json, from where
`lib.data.measured` reads it.
"""

import json
from pathlib import Path

PLACE = Path(__file__).parents[1] / "lib" / "measured.json"


def store(name: str, value: object) -> None:
    """Put the value in the place of the entry; the others stay."""
    PLACE.write_text(json.dumps(json.loads(PLACE.read_text()) | {name: value}) + "\n")
