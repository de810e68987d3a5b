"""Keeping: what memories learn on stage is learned again at the next performance.

Main thread, around a performance. Each memory has its own journal beside its file; where one cannot
be written, that is said and the music goes on without it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from realtime.improviser import LIVE_SOURCE, Keep, forget
from realtime.journal import Journal, replay
from realtime.journal_file import JournalUnwritableError
from realtime.opening import Tell
from realtime.repertoire import Repertoire


@contextmanager
def keeping(
    repertoire: Repertoire, max_events: int, tell: Tell, *, is_afresh: bool = False
) -> Iterator[list[Keep]]:
    """Learn again what was learned on stage before, and keep what is learned meanwhile.

    Parameters
    ----------
    max_events
        Of each memory's, the newest so many are learned again.
    is_afresh
        Whether to set aside what was learned before, and begin anew.

    Raises
    ------
    JournalError
        What lies beside a memory does not belong to it, or is in use.
    """
    n_events = 0
    keeps: list[Keep] = []
    with ExitStack() as journals:
        for path, memory in zip(repertoire.paths, repertoire.memories, strict=True):
            try:
                journal = journals.enter_context(Journal(path, LIVE_SOURCE, is_afresh=is_afresh))
            except JournalUnwritableError as error:
                tell(str(error))
                keeps.append(forget)
                continue
            n_events += replay(memory, journal.payloads, max_events)
            journal.payloads.clear()  # learned; they would take their room all the while
            keeps.append(journal.keep)
        if n_events:
            tell(f"Events learned on stage before: {n_events} (--afresh leaves them out).")
        yield keeps
