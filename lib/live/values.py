"""A printed result that carries its numbers, so that no tool has to read them from the text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .tables import Table

#: The kind of output that holds the numbers of `Values`, beside the text that is shown.
VALUES = "application/vnd.opening-deep-networks.values+json"


@dataclass(frozen=True)
class Values:
    """A text to show as the result of a cell; with it the notebook stores numbers as data.

    `tools/measure.py` collects them from the stored outputs, by name; a page shows the text alone.

    text: what is shown, or a table.
    numbers: name of a result: its numbers.
    digits: decimals that are kept, as many as the text shows, so that other machines agree.

    >>> Values("accuracy 0.892", {"accuracy": [0.89157]}, digits=3)
    accuracy 0.892
    """

    text: str | Table
    numbers: Mapping[str, Iterable[float]]
    digits: int = 2

    def __repr__(self) -> str:
        return str(self.text)

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        rounded = {
            name: [round(float(number), self.digits) for number in numbers]
            for name, numbers in self.numbers.items()
        }
        shown = {"text/plain": str(self.text)}
        if isinstance(self.text, Table):
            shown = self.text._repr_mimebundle_()
        return shown | {VALUES: rounded}
