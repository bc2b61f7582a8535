"""A published network that hears the pitch of a sound."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

RATE = 16_000  # samples in a second
FRAME = 1024  # samples, 64 ms


class PitchNetwork(nn.Module):
    """Frames (N, 1024) of a sound at 16 kHz to logits (N, 360), one for each 20 cents from 31.7 to
    2,006 Hz: the smallest network of CREPE (Kim et al., 2018; MIT).

    `prepare` cuts a sound into such frames, `hertz` are the pitches of its classes, `pitch` reads
    one from the scores. `.sigmoid()` of a score is how sure the network is.

    >>> from lib import models
    >>> network = models.pretrained("pitch")
    >>> tone = (440 * 2 * torch.pi * torch.arange(1024) / 16_000).sin()
    >>> round(network.pitch(network(network.prepare(tone)[2:3])).item() / 10)  # 440 Hz
    44
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 128, 16, 16, 16, 32, 64)
        stages = (
            self._stage(inputs, outputs, *((1, 64, (31, 32)) if k else (4, 512, (254, 254))))
            for k, (inputs, outputs) in enumerate(zip(widths, widths[1:]))
        )
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(256, 360)

    @staticmethod
    def _stage(
        inputs: int, outputs: int, stride: int, kernel: int, around: tuple[int, int]
    ) -> nn.Sequential:
        return nn.Sequential(
            OrderedDict[str, nn.Module](
                padding=nn.ZeroPad1d(around),
                convolution=nn.Conv1d(inputs, outputs, kernel, stride),
                activation=nn.ReLU(),
                norm=nn.BatchNorm1d(outputs, eps=1e-3),
                pooling=nn.MaxPool1d(2),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        heard = self.stages(x[:, None])  # (N, 64, 4)
        return self.classifier(heard.transpose(1, 2).flatten(1))

    @property
    def hertz(self) -> Tensor:
        """The pitch of each class in Hz, (360,)."""
        return self._hertz(torch.arange(360.0, device=self.classifier.weight.device))

    def prepare(self, sound: Tensor, hop: int = 160) -> Tensor:
        """Frames (1 + S // hop, 1024) around each hop-th sample, each with mean 0 and variance 1.

        sound: float (S,), at 16,000 samples in a second; beyond its ends there is silence.
        hop: samples from frame to frame, 160 for 10 ms.
        Raises ValueError if the sound has another shape or the hop is below 1.
        """
        if sound.dim() != 1 or not sound.is_floating_point() or not len(sound):
            raise ValueError(
                f"sound: expected floats (S,), got shape {tuple(sound.shape)} of {sound.dtype}"
            )
        if hop < 1:
            raise ValueError(f"hop: expected at least 1, got {hop}")
        around = nn.functional.pad(sound, (FRAME // 2, FRAME // 2))
        frames = around.unfold(0, FRAME, hop)
        frames = frames - frames.mean(1, keepdim=True)
        return frames / frames.std(1, keepdim=True).clamp(min=1e-10)

    def pitch(self, scores: Tensor) -> Tensor:
        """The pitch in Hz, (N,), for scores (N, 360): the mean of the classes within 80 cents of
        the best, each weighed by how sure the network is.
        """
        classes = torch.arange(360.0, device=scores.device)
        near = (classes - scores.argmax(1, keepdim=True)).abs() <= 4
        weights = scores.sigmoid() * near
        return self._hertz((weights * classes).sum(1) / weights.sum(1))

    @staticmethod
    def _hertz(classes: Tensor) -> Tensor:
        cents = 1997.3794084376191 + 20 * classes  # above 10 Hz
        return 10 * 2 ** (cents / 1200)
