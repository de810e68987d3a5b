"""JACK watch: tells whether the JACK server behind a MIDI port still takes what it is sent.

RtMidi gives no sign of a dead server: its port spins for ever, holding the GIL, once 16 KiB are
unread (RtMidi 5.0, ``MidiOutJack::sendMessage``). So a second, portless client of the same libjack
counts the server's cycles and notices its end; its callbacks run compiled on JACK's threads. It
also knows who is connected to a port, connects, and counts the ports that appear. What libjack
would print, which a musician can do nothing with, is silenced here. Whether a message is taken is
asked by who sends it and never waits; the rest may wait for the server, on another thread.
"""

import ctypes
import itertools
import time
from functools import cache
from typing import Any, Final

import numpy as np
import rtmidi
from numba import carray, cfunc, types

_N_CYCLES: Final = 0
_IS_DOWN: Final = 1
_N_APPEARED: Final = 2
_JACK_NO_START_SERVER: Final = 1
_JACK_PORT_IS_OUTPUT: Final = 2
_JACK_MIDI_TYPE: Final = b"8 bit raw midi"
_SETTLED_CYCLES: Final = 2  # one that reads what was just sent, one that surely came after it
_SETTLED_TIMEOUT_S: Final = 0.25
_UNREAD_LIMIT: Final = 1024  # messages; 2340 of three bytes fill RtMidi's ring

_counters_pointer = types.CPointer(types.int64)


class JackWatch:
    """Watch the default JACK server.

    Raises
    ------
    OSError
        There is no libjack, or no server runs.
    """

    def __init__(self) -> None:
        self._library = _libjack()
        self._counters = np.zeros(3, np.int64)  # written by JACK's threads, each place by one
        self._n_cycles_seen = 0
        self._n_unread = 0
        self._client = self._library.jack_client_open(b"MusicHal watch", _JACK_NO_START_SERVER, 0)
        if not self._client:
            raise OSError("no JACK server runs")
        counters = self._counters.ctypes.data
        self._library.jack_set_process_callback(self._client, _count_cycle.address, counters)
        self._library.jack_on_shutdown(self._client, _note_shutdown.address, counters)
        self._library.jack_set_port_registration_callback(
            self._client, _count_port.address, counters
        )
        self._library.jack_activate(self._client)

    @property
    def n_cycles(self) -> int:
        """How many cycles the server has made since the watch began."""
        return int(self._counters[_N_CYCLES])

    @property
    def n_appeared(self) -> int:
        """How many ports have appeared since the watch began."""
        return int(self._counters[_N_APPEARED])

    @property
    def is_down(self) -> bool:
        """Whether the server has ended."""
        return bool(self._counters[_IS_DOWN])

    def outputs(self, pattern: str) -> list[str]:
        """Name the MIDI ports that send and whose names match a regular expression."""
        found = self._library.jack_get_ports(
            self._client, pattern.encode(), _JACK_MIDI_TYPE, _JACK_PORT_IS_OUTPUT
        )
        return self._names(found)

    def is_there(self, port: str) -> bool:
        """Say whether there is a port of that name."""
        return bool(self._library.jack_port_by_name(self._client, port.encode()))

    def receivers(self, port: str) -> list[str]:
        """Name the ports that a port is connected to."""
        handle = self._library.jack_port_by_name(self._client, port.encode())
        if not handle:
            return []
        return self._names(self._library.jack_port_get_all_connections(self._client, handle))

    def connect(self, port: str, receiver: str) -> bool:
        """Connect two ports, and say whether they are connected now."""
        return receiver in self.receivers(port) or not self._library.jack_connect(
            self._client, port.encode(), receiver.encode()
        )

    def _names(self, found: Any) -> list[str]:
        """Take what JACK allocated."""
        names = [name.decode(errors="replace") for name in itertools.takewhile(bool, found or ())]
        if found:
            self._library.jack_free(found)
        return names

    def takes_message(self) -> bool:
        """Say whether one more message can be sent without waiting, and count it."""
        n_cycles = int(self._counters[_N_CYCLES])
        if n_cycles != self._n_cycles_seen:
            self._n_cycles_seen = n_cycles
            self._n_unread = 0
        self._n_unread += 1
        return not self.is_down and self._n_unread <= _UNREAD_LIMIT

    def wait_settled(self) -> None:
        """Wait until the server has surely read what was sent, and made what was connected.

        That takes two cycles; a quarter of a second is enough for a server that lives.
        """
        end_cycle = self._counters[_N_CYCLES] + _SETTLED_CYCLES
        give_up_s = time.monotonic() + _SETTLED_TIMEOUT_S
        while (
            self._counters[_N_CYCLES] < end_cycle
            and not self.is_down
            and time.monotonic() < give_up_s
        ):
            time.sleep(0.001)

    def close(self) -> None:
        """Leave the server, after which no callback comes; twice is once."""
        if self._client:
            self._library.jack_client_close(self._client)
            self._client = None


@cache
def _libjack() -> ctypes.CDLL:
    """Find the libjack that RtMidi itself is linked to: a wheel brings its own.

    Raises
    ------
    OSError
        RtMidi was built without JACK.
    """
    library = ctypes.CDLL(rtmidi._rtmidi.__file__)
    try:
        library.jack_client_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        library.jack_client_open.restype = ctypes.c_void_p
        for name in (
            "jack_set_process_callback",
            "jack_on_shutdown",
            "jack_set_port_registration_callback",
        ):
            getattr(library, name).argtypes = [ctypes.c_void_p] * 3
        for name in ("jack_activate", "jack_client_close"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        library.jack_get_ports.argtypes = [ctypes.c_void_p, *[ctypes.c_char_p] * 2, ctypes.c_ulong]
        library.jack_port_get_all_connections.argtypes = [ctypes.c_void_p] * 2
        for name in ("jack_get_ports", "jack_port_get_all_connections"):
            getattr(library, name).restype = ctypes.POINTER(ctypes.c_char_p)
        library.jack_free.argtypes = [ctypes.c_void_p]
        library.jack_port_by_name.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.jack_port_by_name.restype = ctypes.c_void_p
        library.jack_connect.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
        for name in ("jack_set_error_function", "jack_set_info_function"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
            getattr(library, name)(_ignore_text.address)
    except AttributeError as error:
        raise OSError("RtMidi was built without JACK") from error
    return library


@cfunc(types.int32(types.uint32, _counters_pointer), nopython=True, cache=True)
def _count_cycle(n_frames: int, counters: object) -> int:
    carray(counters, 3)[_N_CYCLES] += 1
    return 0


@cfunc(types.void(types.uint32, types.int32, _counters_pointer), nopython=True, cache=True)
def _count_port(port: int, is_new: int, counters: object) -> None:
    if is_new:
        carray(counters, 3)[_N_APPEARED] += 1


@cfunc(types.void(_counters_pointer), nopython=True, cache=True)
def _note_shutdown(counters: object) -> None:
    carray(counters, 3)[_IS_DOWN] = 1


@cfunc(types.void(types.voidptr), nopython=True, cache=True)
def _ignore_text(text: object) -> None:
    pass
