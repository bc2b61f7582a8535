"""Real data sets: looked for in the folder named by BOOK_DATA, else downloaded once into the user's
cache and verified.
"""

import gzip
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

MNIST = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
MNIST_FILES = {  # train-images-idx3-ubyte.gz and so on: sha256
    "train-images-idx3": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def given(name: str) -> Path | None:
    """The file in the folder that the environment variable BOOK_DATA names, if it is there."""
    folder = os.environ.get("BOOK_DATA")
    return Path(folder) / name if folder and (Path(folder) / name).exists() else None


def file(
    name: str,
    sha256: str,
    addresses: Sequence[str],
    edited: tuple[str, Callable[[bytes], bytes]] | None = None,
) -> Path:
    """The path of a data file, whose content is verified before anything is used.

    name: its place below the folder BOOK_DATA and below the cache,
        "mnist/train-images-idx3-ubyte.gz", say.
    sha256: of the file.
    addresses: where it can be had, tried in turn with a progress bar.
    edited: where only a changed copy may be kept, the sha256 of what is downloaded and the function
        that changes it.
    Raises OSError that names what failed and where to put the file by hand.
    """
    import pooch  # only who asks for real sets needs it

    cached = Path(pooch.os_cache("opening-deep-networks")) / name
    if (there := given(name)) is not None:
        if pooch.file_hash(str(there)) != sha256:
            raise OSError(
                f"{there}: expected a file with the sha256 {sha256}; this one is another or broken"
            )
        return there
    if cached.exists() and pooch.file_hash(str(cached)) == sha256:
        return cached
    failed = []
    for address in addresses:
        try:
            if edited is None:
                place = {"fname": cached.name, "path": cached.parent}
                return Path(pooch.retrieve(address, sha256, **place, progressbar=True))
            official, change = edited
            with TemporaryDirectory() as folder:
                fetched = pooch.retrieve(address, official, path=folder, progressbar=True)
                content = change(Path(fetched).read_bytes())
            cached.parent.mkdir(parents=True, exist_ok=True)
            cached.write_bytes(content)
            return file(name, sha256, ())
        except Exception as error:  # each library below pooch has errors of its own
            failed.append(f"{address} ({type(error).__name__}: {error})")
    raise OSError(
        f"{name} could not be downloaded from {', '.join(failed)}. Put it at {cached} by hand, or "
        f"name by the environment variable BOOK_DATA the folder that holds {name}"
    )


def idx(path: Path) -> Tensor:
    """The array of bytes in a gzip file of the IDX format: two zeros, type 8, the number of
    dimensions, each as four bytes, the values.
    """
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\0\0\x08":
        raise OSError(f"{path}: expected an IDX file of bytes")
    dimensions = np.frombuffer(content, ">u4", content[3], 4).tolist()
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    return torch.tensor(values.reshape(dimensions))


def mnist_arrays() -> list[Tensor]:
    """Training images (60000, 28, 28), training labels, test images (10000, 28, 28) and test labels
    of MNIST, as bytes.
    """
    files = {f"{name}-ubyte.gz": sha256 for name, sha256 in MNIST_FILES.items()}
    return [
        idx(file(f"mnist/{name}", sha256, [folder + name for folder in MNIST]))
        for name, sha256 in files.items()
    ]
