"""Models: audio in; events, embeddings and tokens out.

Nothing here knows a thread, a device or a loop: `oracle.train` and `realtime` bring those. In the
order of the sound's way:

==============  =================================================================================
audio_file      a recording on disk, as mono blocks
listener        frames in, events out: onsets when they happen, notes when they are over
listener_state  … its settings, its records and everything it remembers
event           … one event from its attack to its body
spectrum        … its Fourier transforms and filter banks
onset           … its onset detection (SuperFlux)
pitch           … its pitch (McLeod)
sonority        … its chroma and chords
windows         the newest stretch of audio, at an encoder's rate
encoder         the seam: windows in, embeddings out
loading         an encoder by name, or the one a memory was learned with
spectral        an encoder that needs no download: log-mel, chroma, modulation
mert            an encoder that is a music model: MERT-v1-95M
checkpoint      a model's files, found and read strictly
standin         ``python -m models.standin``: MERT with random weights
codebook        embeddings to tokens
kmeans          … how its centroids are found
hearing         all of it over a recording, as the stage would have heard it
limits          which rates, channels and magnitudes are sound
settings        the configuration, table by table, read strictly
terminal        how the commands speak to the player
output_path     where a command may write, refused before the work
errors          what can go wrong with recordings and models
==============  =================================================================================
"""

import kernel_cache  # noqa: F401  before numba

__all__ = [
    "audio_file",
    "checkpoint",
    "codebook",
    "encoder",
    "errors",
    "event",
    "hearing",
    "kmeans",
    "limits",
    "listener",
    "listener_state",
    "loading",
    "mert",
    "onset",
    "output_path",
    "pitch",
    "settings",
    "sonority",
    "spectral",
    "spectrum",
    "standin",
    "terminal",
    "windows",
]
