from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.audio_file import AudioFile
from models.loading import load_encoder
from oracle.event import DIM_INDEX, Event
from oracle.learning import learn
from oracle.memory import Memory
from oracle.navigator import Navigator, NavigatorConfig
from oracle.training import Training

NAMES = ("gesture_token", "pitch_class", "register")


@pytest.fixture(scope="module")
def recording(shared_data: Path) -> Memory:
    """Give a band's memory, its consonance planted: hearing does not fill it yet."""
    file = AudioFile(shared_data / "ensemble" / "vibe_ace.ogg")
    heard, _ = learn([file], Training(encoder=load_encoder("spectral")))
    generator = np.random.default_rng(0)
    events = []
    for state in range(1, heard.n_events + 1):
        event = heard.event(state)
        frame = event.frame.copy()
        frame[DIM_INDEX["consonance"]] = generator.random()
        events.append(
            Event(
                frame=frame,
                notes=event.notes,
                pitch=event.pitch,
                level_db=event.level_db,
                velocity=event.velocity,
                onset_s=event.onset_s,
                duration_s=event.duration_s,
            )
        )
    return Memory.from_events(
        events,
        centroids=heard.centroids,
        threshold=heard.oracle.threshold,
        provenance=heard.provenance,
    )


def navigator(memory: Memory, **config: Any) -> Navigator:
    """Give a navigator of all states that sound."""
    return Navigator(memory.oracle, memory.attributes, NavigatorConfig(is_audible=True, **config))


def column(memory: Memory, name: str) -> NDArray[np.float32]:
    """Give an attribute of all states, missing for the root."""
    table = memory.attributes.arrays()
    values = table.values[: table.n_states, memory.attributes.known[name][0]].copy()
    values[0] = np.nan
    return values


def test_a_hard_request_is_met_whenever_a_state_can_meet_it(recording: Memory) -> None:
    """A thousand steps, each asking for what was heard somewhere: the rest is counted and named."""
    generator = np.random.default_rng(1)
    keys = np.column_stack([column(recording, name) for name in NAMES])
    sounds = column(recording, "n_notes") > 0
    whole = np.flatnonzero(~np.isnan(keys).any(axis=1) & sounds)
    nav = navigator(recording)
    n_reachable = n_met = n_reported = 0
    for _ in range(1000):
        asked = keys[generator.choice(whole)].copy()
        if generator.random() < 0.5:
            asked[1] = generator.integers(12)
        trace = nav.step({name: float(value) for name, value in zip(NAMES, asked, strict=True)})
        assert trace.state is not None
        is_met = bool((keys[trace.state] == asked).all())
        is_reachable = bool(((keys == asked).all(axis=1) & sounds).any())
        n_reachable += is_reachable
        n_met += is_met
        n_reported += bool({relaxed.what for relaxed in trace.relaxed} & set(NAMES))
        assert is_met == is_reachable
    assert 500 < n_reachable < 1000
    assert n_met == n_reachable
    assert n_reported == 1000 - n_met


def test_the_mean_consonance_moves_with_the_weight(recording: Memory) -> None:
    """A thousand steps at each of five weights, towards more and towards less of it."""
    consonance = column(recording, "consonance")
    for criterion, sign in (
        ({"type": ">", "value": 0.7}, 1),
        ({"type": "<", "value": 0.3}, -1),
        ({"type": "gradient", "shape": 2}, 1),
    ):
        means = []
        for weight in (0.0, 0.25, 0.5, 0.75, 1.0):
            asked = {"consonance": {**criterion, "weight": weight}}
            traces = navigator(recording, continuity=0.5).generate_with_request(asked, 1000)
            means.append(consonance[[trace.state or 0 for trace in traces]].mean())
        assert (np.diff(means) * sign > 0).all(), (criterion, means)


def test_fifty_steps_of_music_are_fifty_states_that_sound(recording: Memory) -> None:
    """Whatever is asked."""
    for request in (None, {"gesture_token": 3, "consonance": 0.8, "rhythm_ratio": [3, 2]}):
        traces = navigator(recording).generate_with_request(request, 50)
        assert len(traces) == 50
        assert all(trace.state is not None and recording.notes(trace.state) for trace in traces)
