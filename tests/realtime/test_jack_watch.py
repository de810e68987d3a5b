"""JACK watch: no server and no libjack are found out in silence (alive: see test_midi_ports)."""

from types import SimpleNamespace

import pytest
import rtmidi

from realtime import jack_watch
from realtime.jack_watch import JackWatch


@pytest.mark.skipif(
    rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api(), reason="RtMidi was built without JACK"
)
def test_without_a_server_nothing_is_started_and_nothing_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Libjack's own complaints do not reach the terminal."""
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "musichal-nobody")
    with pytest.raises(OSError, match="no JACK server runs"):
        JackWatch()
    assert capfd.readouterr() == ("", "")


def test_an_rtmidi_without_jack_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that lacks libjack's functions, as RtMidi's may on macOS, is no crash."""
    interpreter_only = SimpleNamespace(_rtmidi=SimpleNamespace(__file__=None))
    monkeypatch.setattr(jack_watch, "rtmidi", interpreter_only)
    with pytest.raises(OSError, match="RtMidi was built without JACK"):
        jack_watch._libjack.__wrapped__()
