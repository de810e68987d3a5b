"""Picture: what was heard, drawn: the waveform and the spectrogram with events, pitch and beats.

Runs on the thread of whoever listens. However long the input is, a picture holds a few thousand
columns: when they are full, each two become one. matplotlib is imported when something is drawn.
"""

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.spectrum import Filterbank, log_filterbank, nearest_power_of_two
from oracle.event import DIM_INDEX, Event
from oracle.graph_file import note_name
from oracle.memory_file import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_COLUMNS: Final = 2048
"""At least half of them are drawn of a long input, one a pixel."""
LOWEST_PITCH, HIGHEST_PITCH = 24, 108
RANGE_DB: Final = 70.0

_FRAME_S: Final = 0.093
_WAVE: Final = "#1f6f8b"
_ONSET: Final = "#c0392b"
_PITCH: Final = "#7fffd4"
_SIZE_IN: Final = (14.0, 7.0)
_DPI: Final = 130


class Picture:
    """Takes an input block by block, and draws it with what was heard. One thread.

    Parameters
    ----------
    rate_hz
        Of the blocks.

    Attributes
    ----------
    pitches
        [shape=(n_bands,), float64] Of the middle of each band of the spectrum.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._frame = np.zeros(nearest_power_of_two(_FRAME_S * rate_hz), np.float32)
        self._hop = self._frame.size // 4
        self._window = np.hanning(self._frame.size)
        self._bank, self.pitches = _pitch_bands(rate_hz, self._frame.size)
        self._waiting = np.zeros(0, np.float32)
        self._hops_per_column = 1
        self._n_hops = 0
        self._lows = np.zeros(N_COLUMNS)
        self._highs = np.zeros(N_COLUMNS)
        self._bands = np.zeros((N_COLUMNS, self.pitches.size))

    def take(self, block: NDArray[np.float32]) -> None:
        """Take the next block [shape=(n,), float32]."""
        waiting = np.concatenate([self._waiting, block])
        n_hops = waiting.size // self._hop
        for hop in waiting[: n_hops * self._hop].reshape(n_hops, self._hop):
            self._take_hop(hop)
        self._waiting = waiting[n_hops * self._hop :]

    def draw(self, events: Sequence[Event], title: str, path: Path) -> None:
        """Draw everything taken so far, with the events heard in it, into a PNG or SVG file.

        Raises
        ------
        MemoryFileError
            It cannot be written there.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        wave, spectrum = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3))
        self._draw_wave(wave)
        self._draw_spectrum(spectrum)
        _draw_events(wave, spectrum, events)
        wave.set_title(title, loc="left", fontsize=10)
        content = io.BytesIO()
        figure.savefig(content, format=path.suffix[1:].lower(), dpi=_DPI)
        write_whole(path, (content.getvalue(),))

    def _take_hop(self, hop: NDArray[np.float32]) -> None:
        column = self._n_hops // self._hops_per_column
        if column == N_COLUMNS:
            self._halve()
            column //= 2
        self._n_hops += 1
        self._frame = np.concatenate([self._frame[self._hop :], hop])
        magnitudes = np.abs(np.fft.rfft(self._frame * self._window))
        self._lows[column] = min(self._lows[column], hop.min())
        self._highs[column] = max(self._highs[column], hop.max())
        weighted = magnitudes[_bins(self._bank)] * self._bank.weights
        bands = np.add.reduceat(weighted, self._bank.start[:-1])
        np.maximum(self._bands[column], bands, out=self._bands[column])

    def _halve(self) -> None:
        """Make one column of each two."""
        half = N_COLUMNS // 2
        for values, join in (
            (self._lows, np.minimum),
            (self._highs, np.maximum),
            (self._bands, np.maximum),
        ):
            values[:half] = join(values[::2], values[1::2])
            values[half:] = 0
        self._hops_per_column *= 2

    @property
    def columns(self) -> NDArray[np.float64]:
        """The spectrum so far [shape=(n ≤ N_COLUMNS, n_bands), float64], magnitudes, n ≥ 1."""
        n_columns = max(1, math.ceil(self._n_hops / self._hops_per_column))
        columns: NDArray[np.float64] = self._bands[:n_columns]
        return columns

    @property
    def _times_s(self) -> NDArray[np.float64]:
        """Where columns begin and the last one ends."""
        column_s = self._hops_per_column * self._hop / self._rate_hz
        return np.linspace(0, len(self.columns) * column_s, len(self.columns) + 1)

    def _draw_wave(self, axes: "Axes") -> None:
        times_s, n = self._times_s, len(self.columns)
        axes.fill_between(
            times_s[:-1], self._lows[:n], self._highs[:n], step="post", color=_WAVE, linewidth=0.3
        )
        peak = max(0.01, -self._lows.min(), self._highs.max())
        axes.set(ylim=(-peak, peak), ylabel="of full scale")
        axes.spines[["top", "right"]].set_visible(False)

    def _draw_spectrum(self, axes: "Axes") -> None:
        times_s = self._times_s
        level_db = 20 * np.log10(np.maximum(self.columns, 1e-9))
        edges = np.concatenate(
            [
                [self.pitches[0] - 0.5],
                (self.pitches[1:] + self.pitches[:-1]) / 2,
                [self.pitches[-1] + 0.5],
            ]
        )
        axes.pcolormesh(
            times_s,
            edges,
            level_db.T,
            cmap="magma",
            vmin=level_db.max() - RANGE_DB,
            vmax=level_db.max(),
            rasterized=True,
        )
        axes.set_facecolor("black")
        octaves = range(LOWEST_PITCH, HIGHEST_PITCH + 1, 12)
        axes.set_yticks(octaves, [note_name(pitch) for pitch in octaves])
        axes.set(
            xlim=(times_s[0], times_s[-1]),
            ylim=(LOWEST_PITCH, HIGHEST_PITCH),
            xlabel="seconds   (red: onsets; green: pitches; white ticks: beats)",
        )


def beats_s(events: Sequence[Event]) -> Iterator[float]:
    """Give the beats that the events' tempo and phase say, each event's up to the next one."""
    ends_s = [event.onset_s for event in events[1:]]
    ends_s += [event.onset_s + event.duration_s for event in events[-1:]]
    for event, end_s in zip(events, ends_s, strict=True):
        tempo, phase = event.frame[DIM_INDEX["log2_tempo"]], event.frame[DIM_INDEX["beat_phase"]]
        if math.isnan(tempo) or math.isnan(phase):
            continue
        period_s = 60.0 / 2.0 ** float(tempo)
        beat_s = event.onset_s + (1.0 - float(phase)) % 1.0 * period_s
        while beat_s < end_s:
            yield beat_s
            beat_s += period_s


def _draw_events(wave: "Axes", spectrum: "Axes", events: Sequence[Event]) -> None:
    """Draw onsets through both, pitches as long as they sound, beats at the foot."""
    onsets_s = [event.onset_s for event in events]
    wave.vlines(onsets_s, 0, 1, transform=wave.get_xaxis_transform(), color=_ONSET, linewidth=0.7)
    foot = spectrum.get_xaxis_transform()
    spectrum.vlines(onsets_s, 0, 1, transform=foot, color=_ONSET, linewidth=0.5, alpha=0.5)
    pitched = [event for event in events if not math.isnan(event.pitch)]
    spectrum.hlines(
        [event.pitch for event in pitched],
        [event.onset_s for event in pitched],
        [event.onset_s + event.duration_s for event in pitched],
        color=_PITCH,
        linewidth=2.0,
    )
    spectrum.vlines(list(beats_s(events)), 0, 0.03, transform=foot, color="white", linewidth=1.5)


def _pitch_bands(rate_hz: int, n_fft: int) -> tuple[Filterbank, NDArray[np.float64]]:
    """Give half-semitone bands, wider where bins are, and the pitch at the middle of each."""
    low_hz, high_hz = (440 * 2 ** ((pitch - 69) / 12) for pitch in (LOWEST_PITCH, HIGHEST_PITCH))
    bank = log_filterbank(rate_hz, n_fft, 24, low_hz, high_hz)
    starts, bins = bank.start[:-1], _bins(bank)
    centres = np.add.reduceat(bins * bank.weights, starts) / np.add.reduceat(bank.weights, starts)
    return bank, 69 + 12 * np.log2(centres * rate_hz / n_fft / 440)


def _bins(bank: Filterbank) -> NDArray[np.int64]:
    """Give the bin that each weight of a filterbank is for."""
    lengths = np.diff(bank.start)
    bins: NDArray[np.int64] = np.repeat(bank.first - bank.start[:-1], lengths) + np.arange(
        bank.weights.size
    )
    return bins
