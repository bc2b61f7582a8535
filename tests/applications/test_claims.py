"""What the chapter concludes from forty sounds, on others."""

import torch

from lib import models
from lib.evaluation import rank_correlation
from lib.lrp import lrp
from lib.sensitivity import gradient_x_input


def harmonics(vowel, pitch, draw):
    """Ten parts of a sound, (10, 1024), by a loop over them."""
    t, parts = torch.arange(1024) / 16_000, []
    for k in range(1, 11):
        strength = 0.7 ** (k - 1)
        if vowel:
            formants = ((730, 90), (1090, 110), (2440, 170))
            strength = sum(1 / (1 + ((k * pitch - f) / w) ** 2) ** 0.5 for f, w in formants) / k
        phase = torch.rand((), generator=draw)
        part = strength * (2 * torch.pi * (k * pitch * t + phase)).sin()
        parts.append(part - part.mean())
    parts = torch.stack(parts)
    return parts / parts.sum(0).std()


def test_gradients_hear_harmonics():
    """In five sets of sounds of each kind: gradient × input beats loudness and another sound's
    relevance; z+ beats neither loudness nor, by much, another sound's; four sounds in five or so
    keep their pitch without the fundamental.
    """
    ear = models.pretrained("pitch").requires_grad_(False)
    for vowel in (False, True):
        draw, found, kept = torch.Generator().manual_seed(90 + vowel), [], []
        for _ in range(5):
            pitches = 100 * 4 ** torch.rand(30, generator=draw)
            parts = torch.stack([harmonics(vowel, p, draw) for p in pitches])
            x = parts.sum(1)
            c = ear(x).argmax(1)
            one = c[:, None]
            whole = ear(x).gather(1, one)
            lost = torch.cat([whole - ear(x - parts[:, k]).gather(1, one) for k in range(10)], 1)
            row = [rank_correlation(parts.square().mean(2), lost)]
            for method in (gradient_x_input, lrp):
                R = torch.einsum("nkt,nt->nk", parts, method(ear, x, c) / x)
                row += [rank_correlation(R, lost), rank_correlation(R.roll(1, 0), lost)]
            found.append(torch.stack(row).mean(1))
            heard = ear.pitch(ear(x - parts[:, 0]))
            kept.append(((1200 * (heard / pitches).log2()).abs() < 50).double().mean())
        loud, own, another, own_z, another_z = torch.stack(found).T
        print(vowel, torch.stack(found).mean(0), torch.stack(found).std(0), kept)
        for null, margin in ((loud, 0.04), (another, 0.2)):
            gain = own - null
            assert gain.mean() > 2.8 * gain.std() / 5**0.5 and gain.mean() > margin
        assert (own_z - loud).mean() < 0.02 and (own_z - another_z).mean() < 0.1
        assert 0.6 < torch.stack(kept).mean() < 0.95
