"""Activations with known concepts."""

import torch
from torch import Tensor


def planted(n: int = 2000, d: int = 64, c: int = 10, *, signed: bool = False) -> tuple[Tensor, Tensor]:
    """Rows `(n, d)` that are sparse non-negative mixtures of `c` directions, with a little noise; the directions."""
    generator = torch.Generator().manual_seed(20240607)  # no method's seed, else it may start at the truth
    directions = torch.randn(c, d, generator=generator)
    if not signed:
        directions = directions.clamp_min(0)
    directions = torch.nn.functional.normalize(directions, dim=1)
    present = torch.rand(n, c, generator=generator) < 0.2
    codes = present * (0.5 + torch.rand(n, c, generator=generator))
    noise = 0.01 * torch.randn(n, d, generator=generator)
    return codes @ directions + (noise if signed else noise.abs()), directions


def recovery(found: Tensor, truth: Tensor) -> float:
    """Mean over true directions of the best cosine."""
    found, truth = torch.nn.functional.normalize(found, dim=1), torch.nn.functional.normalize(truth, dim=1)
    return float((truth @ found.T).amax(1).mean())


def relative_error(rows: Tensor, rebuilt: Tensor) -> float:
    """Squared error over squared size."""
    return float((rows.double() - rebuilt.double()).square().sum() / rows.double().square().sum())
