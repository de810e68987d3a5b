"""Benchmarks: one question a file, each run as ``python -m benchmarks.NAME [--json] [--quick]``.

=========  ===============================================================================
capture    are blocks lost while other threads hold the interpreter?
ring       what does handing a record over cost, beside what others use?
listening  are the notes found, how soon, and at what pitch?
oracle     is it link for link the reference's, how much faster, and does it slow down?
requests   how long does it take to be asked, in a memory of a million states?
=========  ===============================================================================

Files whose names begin with an underscore are their stage hands.
"""

import kernel_cache  # noqa: F401  before numba
