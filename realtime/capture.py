"""Capture: sound from an audio device, by a callback that Python has no part in.

PortAudio calls `_callback`, compiled by numba to a C function, from its own real-time thread. It
never takes the GIL, allocates, logs, locks or raises; it hands the block to `deliver` and returns.
The way of the C pointer through sounddevice is that of python-rtmixer. Everything else here runs on
the thread that opens and closes the stream.
"""

import functools
import threading
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import carray, cfunc, from_dtype, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from realtime.devices import (
    ANSWER_S,
    InputDevice,
    abandon_portaudio,
    find_input,
    input_devices,
    n_channels_for,
    names,
    refusals,
    supported_rate_hz,
)
from realtime.doorbell import Doorbell
from realtime.errors import AudioInputError, DeviceGoneError
from realtime.monotonic import NS_PER_S, monotonic_ns
from realtime.patience import call_within
from realtime.ring import Consumer, Ring
from realtime.source import (
    BEAT_NS,
    STAMP_DTYPE,
    STOP_S,
    CaptureConfig,
    Feed,
    deliver,
    end,
    has_ended,
    make_feed,
    mono_channel,
)

_PA_CONTINUE: Final = 0
_SILENCE_S: Final = 1.0
_SILENCE_BLOCKS: Final = 4
"""A stream that has not called back for so long has stopped, whatever it says."""

_GONE_CLOSE_S: Final = 0.2
"""How long to wait for the closing of a stream whose device is gone: it may be minutes."""

_LONGEST_LATENCY_S: Final = 1.0

_USER_DATA_DTYPE: Final = np.dtype(
    [
        (name, np.int64)
        for name in (
            "audio_records",  # addresses and sizes of the feed's memory
            "audio_size",
            "audio_counters",
            "stamp_records",
            "stamp_size",
            "stamp_counters",
            "ring_counters_size",
            "counters",
            "counters_size",
            "doorbell_fd",
            "n_channels",
            "channel",
        )
    ]
)

# int callback(const void *input, void *output, unsigned long n_frames,
#              const PaStreamCallbackTimeInfo *, PaStreamCallbackFlags, void *user_data)
_STREAM_CALLBACK: Final = types.int32(
    types.CPointer(types.float32),
    types.voidptr,
    types.ulong,
    types.CPointer(types.float64),  # ADC time, current time, DAC time
    types.ulong,
    types.CPointer(from_dtype(_USER_DATA_DTYPE)),
)
_FINISHED_CALLBACK: Final = types.void(types.CPointer(from_dtype(_USER_DATA_DTYPE)))


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """Emit the pointer to an address."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), emit


@njit(nogil=True)
def _feed_at(user: Any) -> Feed:
    audio = Ring(
        carray(_pointer(user.audio_records), user.audio_size, np.float32),
        carray(_pointer(user.audio_counters), user.ring_counters_size, np.int64),
    )
    stamps = Ring(
        carray(_pointer(user.stamp_records), user.stamp_size, STAMP_DTYPE),
        carray(_pointer(user.stamp_counters), user.ring_counters_size, np.int64),
    )
    counters = carray(_pointer(user.counters), user.counters_size, np.int64)
    return Feed(audio, stamps, counters, user.doorbell_fd)


def _callback(
    samples: Any, _output: Any, n_frames: Any, times: Any, status: Any, user_data: Any
) -> int:
    user = carray(user_data, 1)[0]
    block = carray(samples, (n_frames, user.n_channels))
    deliver(_feed_at(user), block, user.channel, times[0], times[1], status)
    return _PA_CONTINUE


def _finished(user_data: Any) -> None:
    end(_feed_at(carray(user_data, 1)[0]))


@functools.cache
def _compiled() -> tuple[Any, Any]:
    """Compile both callbacks, once, when the first stream is opened."""
    return (
        cfunc(_STREAM_CALLBACK, cache=True)(_callback),
        cfunc(_FINISHED_CALLBACK, cache=True)(_finished),
    )


def _user_data(feed: Feed, n_channels: int, channel: int) -> NDArray[Any]:
    user = np.zeros(1, _USER_DATA_DTYPE)
    user["audio_records"] = feed.audio.records.ctypes.data
    user["audio_size"] = feed.audio.records.size
    user["audio_counters"] = feed.audio.counters.ctypes.data
    user["stamp_records"] = feed.stamps.records.ctypes.data
    user["stamp_size"] = feed.stamps.records.size
    user["stamp_counters"] = feed.stamps.counters.ctypes.data
    user["ring_counters_size"] = feed.audio.counters.size
    user["counters"] = feed.counters.ctypes.data
    user["counters_size"] = feed.counters.size
    user["doorbell_fd"] = feed.doorbell_fd
    user["n_channels"] = n_channels
    user["channel"] = channel
    return user


def latency_stated_s(latency_s: float) -> float:
    """Return a stream's latency, or 0 if it is none: JACK states 2³² frames of a port alone."""
    return latency_s if 0 <= latency_s <= _LONGEST_LATENCY_S else 0.0


class AudioInput:
    """Deliver what an audio device hears; an `AudioSource`.

    The stream is open but silent until `start`.

    Parameters
    ----------
    config
        The device by its name, a part of it, its index or "default"; the channel; the rate, by
        default the device's own; the block.
    doorbell
        Rung after each block and when the stream ends.

    Raises
    ------
    PortAudioMissingError
        There is no PortAudio library.
    DeviceNotFoundError
        No input, or more than one, answers to that name.
    DeviceFormatError
        The input lacks that channel or does not run at that rate.
    AudioInputError
        The input cannot be opened for another reason, such as being in use.
    """

    def __init__(self, config: CaptureConfig, doorbell: Doorbell) -> None:
        device = find_input(config.device)
        n_channels = n_channels_for(device, config.channel)
        self.name = device.name
        self.rate_hz = supported_rate_hz(device, n_channels, config.rate_hz)
        self.block_frames = config.block_frames
        self._feed = make_feed(config, self.rate_hz, doorbell)
        self.audio = Consumer(self._feed.audio)
        self.stamps = Consumer(self._feed.stamps)
        self.counters = self._feed.counters
        # kept alive here, as the audio thread reads it through a bare address
        self._user_data = _user_data(self._feed, n_channels, mono_channel(config.channel))
        self._stream = self._open(device, n_channels)
        self.latency_s = latency_stated_s(self._stream.latency)
        self._silence_ns = round(
            max(_SILENCE_S, _SILENCE_BLOCKS * self.block_frames / self.rate_hz) * NS_PER_S
        )
        self._closer: threading.Thread | None = None
        self._close_s = STOP_S
        self._checked_ns = monotonic_ns()

    def _open(self, device: InputDevice, n_channels: int) -> Any:
        callback, finished = _compiled()
        with refusals(
            AudioInputError,
            f"The input {device.name!r} could not be opened",
            f"close what else uses it, or choose another of {names(input_devices())}",
        ) as sounddevice:
            cast = sounddevice._ffi.cast
            return call_within(
                ANSWER_S,
                lambda: sounddevice._StreamBase(
                    kind="input",
                    device=device.index,
                    samplerate=self.rate_hz,
                    blocksize=self.block_frames,
                    channels=n_channels,
                    dtype="float32",
                    latency="low",
                    callback=cast("PaStreamCallback*", callback.address),
                    finished_callback=cast("PaStreamFinishedCallback*", finished.address),
                    userdata=cast("void*", self._user_data.ctypes.data),
                ),
            )

    def start(self) -> None:
        """Begin to listen.

        Raises
        ------
        DeviceGoneError
            The device went away since the stream was opened.
        """
        what = f"The input {self.name!r} does not start"
        with refusals(DeviceGoneError, what, "reconnect it and try again"):
            # the waiting thread keeps what a late callback would write to
            call_within(ANSWER_S, lambda: self._stream.start())
        self.counters[BEAT_NS] = self._checked_ns = monotonic_ns()  # starting may take seconds

    def stop(self) -> bool:
        """Close the stream, and say whether it is closed. Harmless when repeated.

        PortAudio waits ten minutes for a JACK server that died. It is then left behind, and may
        still ring the doorbell when it has waited.
        """
        if self._closer is None:
            self._closer = threading.Thread(target=self._close, name="capture closer", daemon=True)
            self._closer.start()
            self._closer.join(self._close_s)
            if self._closer.is_alive():
                abandon_portaudio()
            end(self._feed)
        return not self._closer.is_alive()

    def _close(self) -> None:
        self._stream.close(ignore_errors=True)

    def check(self) -> None:
        """Raise if the stream stopped although nobody asked it to.

        Raises
        ------
        DeviceGoneError
            The device was unplugged, or its audio server ended.
        """
        if self._closer is not None:
            return
        what = f"The input {self.name!r} has stopped"
        remedy = "reconnect it, or restart its audio server"
        now_ns = monotonic_ns()
        was_suspended = now_ns - self._checked_ns > self._silence_ns // 2  # as the stream was
        self._checked_ns = now_ns
        is_silent = not was_suspended and now_ns - self.counters[BEAT_NS] > self._silence_ns
        with refusals(DeviceGoneError, what, remedy):
            is_active = self._stream.active
        if is_silent or has_ended(self.counters) or not is_active:
            self._close_s = _GONE_CLOSE_S
            raise DeviceGoneError(f"{what}: {remedy}.")
