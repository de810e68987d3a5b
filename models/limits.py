"""Limits: which sound is taken, wherever it comes from. Constants; they run nowhere."""

from typing import Final

MIN_RATE_HZ: Final = 8_000
MAX_RATE_HZ: Final = 192_000
MAX_CHANNELS: Final = 32

MAX_MAGNITUDE: Final = 8.0
"""18 dB over full scale, more than any float recording's headroom: beyond it is no sound.

A recording that holds more is refused; what a device delivers beyond it is heard as silence.
"""
