"""oracle: events and tokens in, states out. What was played, what is like it, what may follow.

The way of an event through this package:

    event            one onset as fifteen numbers and its notes
    transcriber      … made of what a listener publishes
    event_metric     how two events differ
    rhythm           the eleven of them that follow from when the onset is
    ratios           which whole numbers its intervals stand in
    beats            tempo and phase of the beat, foretold
    metrics          how far two frames are apart
    threshold        … and how far apart they are the same
    audio_oracle     what follows what and what repeats what, grown state by state
    attributes       what can be asked of a state
    attribute_table  the attributes of all states, and who has which value
    criterion        what is asked of one attribute
    request          what the next state is asked to be like
    navigator        from state to state, by continuity, likeness and request
    trace            what a step considered, chose and why
    event_rows       when, how loud, which notes
    memory           all of it together, learned, growing and forgetting
    provenance       how it came to be
    memory_tensors   what of it is kept
    memory_file      the file it is kept in
    memory_json      the same as JSON, to the byte
    strict_json      … each value of which is what it must be
    graph_file       the same as a graph to look at
    repeats          the passages that say again what was said before
    drawing          states on a line, transitions above, suffix links below
    gesture          what a codebook's token stands for
    gesture_page     … all of them on one page
    exemplars        … and moments of the recordings, to be heard there
    errors           what the world can get wrong

The way of a recording into a memory:

    train_config     the settings and profiles of learning
    recordings       the files, folders and patterns that are named
    ahead            listening while the encoder works
    material         all that is heard of them
    learning         gestures, events, repeats: a memory
    codebook_file    gestures that several memories share
    checkpoint       what is kept on the way, for a training that is stopped
    training         what all of these work with
    train_command    what the commands that learn share

Commands are `train`, `train_codebook`, `inspect`, `export` and `explain`. Files whose names begin
with an underscore are compiled kernels. Nothing here knows a device or a loop, and only learning a
thread; nothing but learning and the commands, and what they draw and cut, knows `models`.
"""

import kernel_cache  # noqa: F401  before numba
from oracle.attribute_table import AttributeTable
from oracle.attributes import EVENT_ATTRIBUTES, Attribute, Measure
from oracle.audio_oracle import AudioOracle, FactorOracle
from oracle.beats import Beat, BeatTracker
from oracle.criterion import Criterion
from oracle.errors import BrokenLinksError, OracleError
from oracle.event import EVENT_DIMS, Event, EventTracker, Note, tenney_height
from oracle.event_metric import event_metric, token_distances
from oracle.memory import Memory
from oracle.memory_file import MemoryFileError
from oracle.metrics import EventMetric
from oracle.navigator import Navigator, NavigatorConfig
from oracle.provenance import Provenance
from oracle.ratios import Ratio, RatioAnalysis, analyse_phrase
from oracle.request import Request
from oracle.rhythm import RhythmTracker
from oracle.trace import Origin, Relaxation, Trace

__all__ = [
    "EVENT_ATTRIBUTES",
    "EVENT_DIMS",
    "Attribute",
    "AttributeTable",
    "AudioOracle",
    "Beat",
    "BeatTracker",
    "BrokenLinksError",
    "Criterion",
    "Event",
    "EventMetric",
    "EventTracker",
    "FactorOracle",
    "Measure",
    "Memory",
    "MemoryFileError",
    "Navigator",
    "NavigatorConfig",
    "Note",
    "OracleError",
    "Origin",
    "Provenance",
    "Ratio",
    "RatioAnalysis",
    "Relaxation",
    "Request",
    "RhythmTracker",
    "Trace",
    "analyse_phrase",
    "event_metric",
    "tenney_height",
    "token_distances",
]
