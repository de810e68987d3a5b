"""The codebook's file: gestures that several memories share. Read and written off the hot path."""

from dataclasses import asdict
from pathlib import Path
from typing import Final

from models.codebook import Codebook
from models.encoder import EncoderSpec
from oracle.memory_file import FileKind, MemoryFileError, damaged, read_tensors, write_tensors
from oracle.provenance import Provenance, todays_fields

KIND: Final = FileKind(name="codebook", made_by="python -m oracle.train_codebook")


def save_codebook(
    path: Path, codebook: Codebook, provenance: Provenance, *, scratch: Path | None = None
) -> None:
    """Write a codebook, whole or not at all; the same content is the same bytes.

    Parameters
    ----------
    scratch
        As `oracle.memory_file.write_whole` takes it.

    Raises
    ------
    MemoryFileError
        It cannot be written there; what was there is untouched.
    """
    tensors = {"centroids": codebook.centroids}
    write_tensors(path, tensors, asdict(provenance), KIND, scratch=scratch)


def load_codebook(path: Path, spec: EncoderSpec) -> Codebook:
    """Read a codebook that `save_codebook` wrote.

    Parameters
    ----------
    spec
        Of the encoder whose embeddings are to be looked up.

    Raises
    ------
    MemoryFileError
        There is none, it is of another format or encoder, or it was damaged.
    """
    tensors, metadata = read_tensors(path, KIND)
    try:
        provenance = Provenance(**todays_fields(metadata))
        learned = EncoderSpec.from_json(provenance.encoder)
        codebook = Codebook(tensors["centroids"])
        if codebook.dim != learned.dim:
            raise ValueError(f"its centroids have {codebook.dim} values, not {learned.dim}")
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, str(error), KIND) from None
    if learned != spec:
        raise MemoryFileError(
            f"{path} was learned with {learned}, which is not {spec}: learn with that encoder, or "
            f"make another codebook with `{KIND.made_by}`."
        )
    return codebook
