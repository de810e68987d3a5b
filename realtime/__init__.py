"""Realtime: the live path. It gives threads, rings, clocks and deadlines to `models` and `oracle`.

In the order of a sound's way:

=============  ==================================================================================
perform        ``python -m realtime.perform``: opens what is needed, has it played and reports
command_line   … what it can be asked
config         … its settings, held against each other
learned        … a memory, heard and recognised as it was learned
repertoire     … the memories of a session, which share what they can
opening        … the input that is meant
outlets        … and where the notes go
playing        … the parts put together, and played
source         where sound comes from: the seam of devices and files, and how a block is delivered
devices        the audio inputs of this machine
capture        sound from a device, by a callback without the interpreter
file_source    a recording that arrives like a microphone's sound
ring           records from one thread to another without a lock; observers
input_level    … how loud it is
doorbell       one byte that wakes a thread
monotonic      the host's clock, for kernels too
clock          from frame positions to monotonic time
listening      the listener's thread
events         … and what the loop has from it
inference      the encoder worker's thread
passes         … each encoder's passes over windows of the ring
recogniser     … one encoder and the codebooks that know its space
backoff        … and when one that failed is tried again
tokens         … and what the loop has from them
hop_ladder     … and how often they read unasked
engine         one performance: tasks on the event loop, in order from start to last note-off
tasks          … and what they wait for
responder      what becomes of each event: deadline, token, answer, lesson
stopwatch      … and what each step of it took
playing_on     … and what is played that nobody asked for
budget         what an event may still wait for
ensemble       several memories that take turns
improviser     what to play to what was heard, from one of them
answer         … what is played, and what led to it
modes          … as it stands to the player: behind, beside, against or ahead
stance         … and what each way wants of the memory
unasked        … and when to play without being asked
phrase         … a line of the memory in its own rhythm
phrasing       … and where a line is over
blend          … moved to where it goes with the player, as loud
harmony        … and with what sounds
forgetting     … from a memory that keeps within a number of events
journal        … and what it learns is kept, and learned again at the next start
keeping        … around a performance
journal_file   … in records that a sudden end cannot spoil
midi           starts notes and ends each of them
midi_ports     … into MIDI ports
returning_port … which may go and come back
keeper         … held by a process of its own, for performers that may die
handover       … who may die too, and leaves the next what it needs
panic          … and the messages that end every note, whoever began it
jack_watch     … whose JACK server may die
midi_file      … into a Standard MIDI File
rehearsal      a performance in virtual time
listen         ``python -m realtime.listen``: what is heard of an input, and why nothing is
listen_input   … the input, and each of its channels
event_lines    … what was heard of an event, in a line
feedback       … our own notes that come back
picture        … what was heard, drawn
doctor         ``python -m realtime.doctor``: whether this machine can play, and what to do if not
examination    … its input, MIDI and encoder, tried
machine        … what its system grants
histogram      percentiles that cost nothing to write
report         what was measured
report_text    … in words and as a table
recording      a performance kept: sound, notes and every decision
recorder       … by a thread of its own
session        … and read back
session_format … by its form
session_part   … the files of which, after a full disk, go on in others
replay         ``python -m realtime.replay``: … and performed again
patience       a call that may never come back
warm_up        what is done before the first note
privileges     … and what the system is asked for
macos          … where that is macOS
board          what was counted, in memory that other processes read
status         ``python -m realtime.status``: … one of them
telemetry      structured log lines
at_once        … and what else is written for a reader who may be gone
supervisor     the small parent that keeps a performer alive
troupe         … the processes it starts: performers, and their port's keeper
background     … of whom one gets ready behind all others
supervised     … and what the performer tells it
service        ``python -m realtime.service``: the supervisor, started by the system
errors         what can go wrong on stage
=============  ==================================================================================
"""

import kernel_cache  # noqa: F401  before numba

__all__ = [
    "answer",
    "at_once",
    "background",
    "backoff",
    "blend",
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
    "ensemble",
    "errors",
    "event_lines",
    "events",
    "examination",
    "feedback",
    "file_source",
    "forgetting",
    "handover",
    "harmony",
    "histogram",
    "hop_ladder",
    "improviser",
    "inference",
    "input_level",
    "jack_watch",
    "journal",
    "journal_file",
    "keeper",
    "keeping",
    "learned",
    "listen",
    "listen_input",
    "listening",
    "machine",
    "macos",
    "midi",
    "midi_file",
    "midi_ports",
    "modes",
    "monotonic",
    "opening",
    "outlets",
    "panic",
    "passes",
    "patience",
    "perform",
    "phrase",
    "phrasing",
    "picture",
    "playing",
    "playing_on",
    "privileges",
    "recogniser",
    "recorder",
    "recording",
    "rehearsal",
    "repertoire",
    "replay",
    "report",
    "report_text",
    "responder",
    "returning_port",
    "ring",
    "service",
    "session",
    "session_format",
    "session_part",
    "source",
    "stance",
    "status",
    "stopwatch",
    "supervised",
    "supervisor",
    "tasks",
    "telemetry",
    "tokens",
    "troupe",
    "unasked",
    "warm_up",
]
