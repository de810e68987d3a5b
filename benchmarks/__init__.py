"""Benchmarks: one question a file, each run as ``python -m benchmarks.NAME [--json] [--quick]``.

=========  ===============================================================================
capture    are blocks lost while other threads hold the interpreter?
ring       what does handing a record over cost, beside what others use?
latency    how long until the answer, seen from outside by a referee on JACK's clock?
inference  how fast is MERT beside the usual way, how near, and in whose way is it?
listening  are the notes found, how soon, and at what pitch?
oracle     is it link for link the reference's, how much faster, and does it slow down?
learning   how fast is it, in how much room, and what does a kill leave of it?
requests   how long does it take to be asked, in a memory of a million states?
soak       does it play the last minutes of a night as the first, among bad neighbours?
startup    how soon does it play after it is started, and how much memory does it hold then?
=========  ===============================================================================

`benchmarks.show` shows what they found, now and before. Files whose names begin with an
underscore are their stage hands.
"""

import kernel_cache  # noqa: F401  before numba
