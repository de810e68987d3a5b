"""Repertoire: the memories of one session, what they hear with and what recognises for them.

Runs at start only. Memories of one embedding space share an encoder; what they cannot share is how
events are heard, for there is one listener: memories that differ in that are refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.codebook import Codebook
from models.encoder import DEFAULT_ENCODER, Encoder, EncoderConfig, EncoderSpec
from models.settings import SettingsError
from oracle.memory import Memory
from realtime.config import Config
from realtime.learned import as_learned, encoder_of, spec_of
from realtime.recogniser import Recogniser


@dataclass(frozen=True, slots=True)
class Repertoire:
    """Memories in the order they were given.

    Attributes
    ----------
    paths
        Where each is kept.
    """

    paths: tuple[Path, ...]
    memories: tuple[Memory, ...]

    @classmethod
    def load(cls, paths: Sequence[Path]) -> "Repertoire":
        """Read them.

        Raises
        ------
        MemoryFileError
            One is not there, or damaged.
        """
        return cls(tuple(paths), tuple(Memory.load(path) for path in paths))

    def __str__(self) -> str:
        return ", ".join(map(str, self.paths))

    def as_learned(self, config: Config) -> Config:
        """Hear events as those of all memories were heard.

        Raises
        ------
        SettingsError
            They were not heard alike, or the budget leaves no time to hear so much of a note.
        MemoryFileError
            No listener can hear so.
        """
        first, *others = (
            as_learned(config, memory, path)
            for path, memory in zip(self.paths, self.memories, strict=True)
        )
        for path, other in zip(self.paths[1:], others, strict=True):
            if other.listener != first.listener:
                raise SettingsError(
                    f"{path} was learned with another [listener] than {self.paths[0]}, and one "
                    "session listens in one way: learn one of them again with the other's."
                )
        return first

    def builders(self, where: str | None) -> list[Callable[[EncoderConfig], Encoder]]:
        """Give what builds the encoder of each embedding space, as `encoder_of` does.

        Parameters
        ----------
        where
            Where to find the model that memories were learned with.
        """
        spaces = self._spaces()
        return [
            partial(
                encoder_of,
                self.memories[first],
                self.paths[first],
                where if len(spaces) == 1 or spec.name != DEFAULT_ENCODER else None,
            )
            for spec, (first, *_) in spaces.items()
        ]

    def recognisers(self, where: str | None, config: EncoderConfig) -> list[Recogniser]:
        """Build each encoder, with the codebooks of the memories that it was learned with."""
        return [
            Recogniser(build(config), {i: Codebook(self.memories[i].centroids) for i in places})
            for build, places in zip(self.builders(where), self._spaces().values(), strict=True)
        ]

    def _spaces(self) -> dict[EncoderSpec, list[int]]:
        """Give the places of the memories of each embedding space, in order."""
        spaces: dict[EncoderSpec, list[int]] = {}
        for place, (path, memory) in enumerate(zip(self.paths, self.memories, strict=True)):
            spaces.setdefault(spec_of(memory, path), []).append(place)
        return spaces
