"""The input's level second by second: what is measured, what is said, and how often."""

import numpy as np
import pytest

from realtime.input_level import PATIENCE_S, ZEROS_DBFS, InputLevel
from realtime.ring import Observer, Producer, make_ring

RATE_HZ = 1000
GATE_DBFS = -85.0


class Followed:
    """A level that is followed, and what it says."""

    def __init__(self) -> None:
        self.producer: Producer
        self.producer, self._consumer = make_ring(4096, np.float32)
        self.said: list[str] = []
        observer = Observer(self._consumer.ring)
        self.level = InputLevel(observer, RATE_HZ, GATE_DBFS, self.said.append)

    def hear(self, peak: float, seconds: int = 1) -> int:
        """Let so many seconds pass, each with one frame of that magnitude."""
        measured = ZEROS_DBFS
        for _ in range(seconds):
            second = np.zeros(RATE_HZ, np.float32)
            second[RATE_HZ // 2] = -peak
            self.producer.push_nowait(second)
            self._consumer.pop_nowait()
            measured = self.level.follow()
        return measured


@pytest.mark.parametrize(("peak", "dbfs"), [(1.0, 0), (0.1, -20), (1e-6, -120), (0.0, ZEROS_DBFS)])
def test_the_level_is_the_peak_of_the_last_second(peak: float, dbfs: int) -> None:
    """Of either sign, and of that second alone."""
    followed = Followed()
    followed.hear(0.9)
    assert followed.hear(peak) == dbfs


def test_before_the_first_frame_there_is_no_level() -> None:
    """And nothing is said, however long it takes."""
    followed = Followed()
    assert {followed.level.follow() for _ in range(2 * PATIENCE_S)} == {ZEROS_DBFS}
    assert followed.said == []


def test_a_dead_input_is_said_once_and_so_is_the_first_sound() -> None:
    """With what to check, and where to find out more."""
    followed = Followed()
    followed.hear(0.0, PATIENCE_S - 1)
    assert followed.said == []
    followed.hear(0.0, 5 * PATIENCE_S)
    (dead,) = followed.said
    assert dead.startswith(f"No sound from the input for {PATIENCE_S} s. Every sample is 0: ")
    assert dead.endswith("python -m realtime.listen says more.")
    followed.hear(0.1, 3)
    assert followed.said[1:] == ["There is sound now, at -20 dBFS."]


def test_an_input_below_the_gate_is_said_to_be_too_soft() -> None:
    """It is no mute: its gain is to be turned up."""
    followed = Followed()
    followed.hear(1e-5, PATIENCE_S)
    assert "below [listener] gate_dbfs = -85" in followed.said[0]


def test_a_pause_is_no_dead_input_and_the_next_one_may_be_longer() -> None:
    """Whoever plays behind a noise gate rests now and then."""
    followed = Followed()
    for _ in range(3):
        followed.hear(0.0, PATIENCE_S - 1)
        followed.hear(0.1)
    assert followed.said == []
    followed.hear(0.0, PATIENCE_S)
    followed.hear(0.1)
    followed.hear(0.0, 2 * PATIENCE_S - 1)
    assert len(followed.said) == 2
    followed.hear(0.0)
    assert len(followed.said) == 3
