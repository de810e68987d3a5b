"""The memories of one session: which encoders they need, and whether one listener hears for all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.encoder import EncoderConfig, EncoderSpec
from models.errors import EncoderError
from models.loading import load_encoder
from models.settings import SettingsError
from models.standin import write_stand_in
from oracle.memory import Memory
from realtime.config import Config
from realtime.repertoire import Repertoire
from tests.oracle.memories import PROVENANCE, make_event

SPECTRAL = load_encoder("spectral").spec
ENCODER = EncoderConfig(precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tiny model that no test changes."""
    folder = tmp_path_factory.mktemp("tiny")
    write_stand_in(folder, is_tiny=True)
    return folder


def memory(spec: EncoderSpec, *, n_tokens: int = 2, gate_dbfs: float = -60.0) -> Memory:
    """Make a memory of one event, learned with that encoder and that listener."""
    return Memory.from_events(
        [make_event(token=0, pitch=60.0)],
        centroids=np.eye(n_tokens, spec.dim, dtype=np.float32),
        threshold=0.3,
        provenance=replace(
            PROVENANCE,
            encoder=spec.to_json(),
            listener={"heard_ms": 12.0, "gate_dbfs": gate_dbfs},
        ),
    )


def repertoire(*memories: Memory) -> Repertoire:
    """Name memories a.memory, b.memory, …."""
    paths = [Path(f"{letter}.memory") for letter in "abc"[: len(memories)]]
    return Repertoire(tuple(paths), memories)


def test_memories_of_one_space_share_an_encoder_and_others_have_their_own(tiny: Path) -> None:
    """In the order in which they are needed; each memory keeps its codebook and its place."""
    model = load_encoder(str(tiny), layer=2, window_s=0.2, precision="fp32", device="cpu").spec
    together = repertoire(memory(SPECTRAL), memory(model), memory(SPECTRAL, n_tokens=3))
    recognisers = together.recognisers(None, ENCODER)
    assert [recogniser.encoder.spec for recogniser in recognisers] == [SPECTRAL, model]
    n_tokens = [
        {place: codebook.n_tokens for place, codebook in recogniser.codebooks.items()}
        for recogniser in recognisers
    ]
    assert n_tokens == [{0: 2, 2: 3}, {1: 2}]
    silence = np.zeros((1, model.window_frames), np.float32)
    assert recognisers[1].recognise(silence).keys() == {1}


def test_a_model_that_has_moved_is_found_for_those_that_need_one(tiny: Path) -> None:
    """Beside a memory that needs none; but where none needs one, it is a slip."""
    model = load_encoder(str(tiny), layer=2, window_s=0.2, precision="fp32", device="cpu").spec
    moved = replace(model, name="/nowhere")
    together = repertoire(memory(SPECTRAL), memory(moved))
    assert len(together.recognisers(str(tiny), ENCODER)) == 2
    with pytest.raises(EncoderError, match="there is no encoder /nowhere"):
        together.recognisers(None, ENCODER)
    with pytest.raises(EncoderError, match=r"leave --encoder .* out"):
        repertoire(memory(SPECTRAL), memory(SPECTRAL)).recognisers(str(tiny), ENCODER)


def test_one_listener_hears_for_all_memories_or_they_are_refused() -> None:
    """As they were learned, whatever the settings say."""
    alike = repertoire(memory(SPECTRAL), memory(SPECTRAL))
    assert alike.as_learned(Config()).listener.gate_dbfs == -60.0
    with pytest.raises(SettingsError, match=r"b\.memory was learned with another \[listener\]"):
        repertoire(memory(SPECTRAL), memory(SPECTRAL, gate_dbfs=-70.0)).as_learned(Config())
