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
first_frame     … and where an onset begins
pitch           … its pitch (McLeod)
melody          … and of the recent past: what makes a note where somebody sings
sonority        … its chroma and chords
roughness       … and how rough they are
windows         the newest stretch of audio, at an encoder's rate
encoder         the seam: windows in, embeddings out
loading         an encoder by name, or the one a memory was learned with
spectral        an encoder that needs no download: log-mel, chroma, modulation
neural          an encoder that is a model: MERT-v1-95M, Wav2Vec 2.0 base
mert            … its forward pass, lean and exact
arithmetic      … its matrix products, in a precision, on a device
bf16_parts      … for units that know only bfloat16
precision       … which of them this machine does fastest
cpu_cores       … a batch shared out to threads
cuda_graph      … a whole pass replayed on a CUDA device
pooling         … how its steps become one vector
hybrid          an encoder of two: a model and the spectral one
checkpoint      … its files, found and read strictly
architecture    … its sizes, from its configuration
tensor_file     … its weights, a piece at a time
info            ``python -m models.info``: what an encoder is, and costs here
standin         ``python -m models.standin``: a model with random weights
codebook        embeddings to tokens
kmeans          … how its centroids are found
hearing         all of it over a recording, as the stage would have heard it
meter           what is wrong with a sound, in words
limits          which rates, channels and magnitudes are sound
settings        the configuration, table by table, read strictly
terminal        how the commands speak to the player
output_path     where a command may write, refused before the work
errors          what can go wrong with recordings and models
==============  =================================================================================
"""

import kernel_cache  # noqa: F401  before numba

__all__ = [
    "architecture",
    "arithmetic",
    "audio_file",
    "bf16_parts",
    "checkpoint",
    "codebook",
    "cpu_cores",
    "cuda_graph",
    "encoder",
    "errors",
    "event",
    "first_frame",
    "hearing",
    "hybrid",
    "info",
    "kmeans",
    "limits",
    "listener",
    "listener_state",
    "loading",
    "melody",
    "mert",
    "meter",
    "neural",
    "onset",
    "output_path",
    "pitch",
    "pooling",
    "precision",
    "roughness",
    "settings",
    "sonority",
    "spectral",
    "spectrum",
    "standin",
    "tensor_file",
    "terminal",
    "windows",
]
