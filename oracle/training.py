"""Training: what every stage of learning works with. Plain data; one thread learns with it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from models.encoder import Encoder
from oracle.checkpoint import Checkpoint
from oracle.train_config import TrainConfig

Show = Callable[[str, float, float], None]
"""Shows what is being done, how far it is, and where it ends, which is 0 where nobody knows."""

Tell = Callable[[str], None]
"""Tells the player what he should know, a sentence without its full stop."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Training:
    """What learning works with.

    Attributes
    ----------
    checkpoint
        Where to keep, and to look for, what the stages make.
    """

    encoder: Encoder
    config: TrainConfig = field(default_factory=TrainConfig)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    show: Show = lambda doing, done, total: None
    tell: Tell = lambda message: None
