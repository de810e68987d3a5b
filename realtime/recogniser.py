"""Recogniser: one encoder, and the codebooks of all memories that were learned with it.

One thread at a time, the encoder worker's on stage. A window is embedded once, however many
memories know its space; each looks up its own gesture. It knows no ring and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.codebook import Codebook
from models.encoder import Encoder


@dataclass(frozen=True, slots=True)
class Recogniser:
    """From windows to the tokens of several memories.

    Attributes
    ----------
    encoder
        Embeds the windows.
    codebooks
        Of each memory, by its place in the session.
    """

    encoder: Encoder
    codebooks: Mapping[int, Codebook]

    def recognise(self, windows: NDArray[np.float32]) -> dict[int, NDArray[np.int32]]:
        """Give each memory's tokens of some windows.

        Parameters
        ----------
        windows
            As `models.encoder.Encoder.encode` takes them.

        Returns
        -------
        dict of ndarray[shape=(n,), int32]
            By the memory's place.
        """
        embeddings = self.encoder.encode(windows)
        return {
            memory: codebook.lookup_batch(embeddings)[0]
            for memory, codebook in self.codebooks.items()
        }
