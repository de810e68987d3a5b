"""Realtime: the live path. It gives threads, rings, clocks and deadlines to `models` and `oracle`.

In the order of a sound's way:

=============  ==================================================================================
perform        ``python -m realtime.perform``: puts the parts together, plays and reports
command_line   … what it can be asked
config         … its settings, held against each other
learned        … the memory, heard and recognised as it was learned
opening        … the input and the outlets that are meant
source         where sound comes from: the seam of devices and files, and how a block is delivered
devices        the audio inputs of this machine
capture        sound from a device, by a callback without the interpreter
file_source    a recording that arrives like a microphone's sound
ring           records from one thread to another without a lock; observers
doorbell       one byte that wakes a thread
monotonic      the host's clock, for kernels too
clock          from frame positions to monotonic time
listening      the listener's thread
inference      the encoder worker's thread
engine         one performance: tasks on the event loop, in order from start to last note-off
responder      what becomes of each event: deadline, token, answer, lesson
budget         what an event may still wait for
improviser     what to play to what was heard
forgetting     … from a memory that keeps within a number of events
journal        … and what it learns is kept, and learned again at the next start
journal_file   … in records that a sudden end cannot spoil
midi           starts notes and ends each of them
midi_ports     … into MIDI ports
returning_port … which may go and come back
keeper         … held by a process of its own, for performers that may die
panic          … and the messages that end every note, whoever began it
jack_watch     … whose JACK server may die
midi_file      … into a Standard MIDI File
rehearsal      a performance in virtual time
listen         ``python -m realtime.listen``: what is heard of an input, and why nothing is
listen_input   … the input, and each of its channels
event_lines    … what was heard of an event, in a line
meter          … what is wrong with a sound, in words
feedback       … our own notes that come back
picture        … what was heard, drawn
doctor         ``python -m realtime.doctor``: whether this machine can play, and what to do if not
examination    … its input, MIDI and encoder, tried
machine        … what its system grants
histogram      percentiles that cost nothing to write
report         what was measured, as a table and as JSON
recorder       a performance kept: sound, notes and every decision
session        … and read back
session_format … by its form
replay         ``python -m realtime.replay``: … and performed again
board          what was counted, in memory that other processes read
status         ``python -m realtime.status``: … one of them
telemetry      structured log lines
supervisor     the small parent that keeps a performer alive
troupe         … the processes it starts: performers, and their port's keeper
supervised     … and what the performer tells it
service        ``python -m realtime.service``: the supervisor, started by the system
errors         what can go wrong on stage
=============  ==================================================================================
"""

import kernel_cache  # noqa: F401  before numba

__all__ = [
    "board",
    "budget",
    "capture",
    "clock",
    "command_line",
    "config",
    "devices",
    "doctor",
    "doorbell",
    "engine",
    "errors",
    "event_lines",
    "examination",
    "feedback",
    "file_source",
    "forgetting",
    "histogram",
    "improviser",
    "inference",
    "jack_watch",
    "journal",
    "journal_file",
    "keeper",
    "learned",
    "listen",
    "listen_input",
    "listening",
    "machine",
    "meter",
    "midi",
    "midi_file",
    "midi_ports",
    "monotonic",
    "opening",
    "panic",
    "perform",
    "picture",
    "recorder",
    "rehearsal",
    "replay",
    "report",
    "responder",
    "returning_port",
    "ring",
    "service",
    "session",
    "session_format",
    "source",
    "status",
    "supervised",
    "supervisor",
    "telemetry",
    "troupe",
]
