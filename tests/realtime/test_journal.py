"""What is learned on stage is there at the next start, whatever ended the last one."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import structlog

from oracle.memory import Memory
from realtime import journal
from realtime.journal import Journal, main
from realtime.journal_file import JournalError, JournalUnwritableError
from realtime.keeping import keeping
from realtime.repertoire import Repertoire
from tests.commands import assert_refused, in_process
from tests.oracle.memories import make_event, make_memory, melody

PLAYED = melody([60, 62, 64, 60, 62, 64])
HEARD = melody([67, 65, 64, 62, 60])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Save a small memory."""
    path = tmp_path / "solo.memory"
    make_memory(PLAYED).save(path)
    return path


def perform(path: Path, *, is_afresh: bool = False, source: str = "live") -> Memory:
    """Go on with a memory, learn what is heard, and end."""
    memory = Memory.load(path)
    with Journal(path, source, is_afresh=is_afresh) as kept:
        journal.replay(memory, kept.payloads)
        place = memory.add_source(source)
        for event in HEARD:
            learned = replace(event, source=place)
            memory.learn(learned)
            kept.keep(learned)
    return memory


def resumed(path: Path, max_events: int | None = None) -> Memory:
    """Give the memory that a performance would begin with."""
    memory = Memory.load(path)
    with Journal(path, "live") as kept:
        journal.replay(memory, kept.payloads, max_events)
    return memory


def saved(memory: Memory, folder: Path) -> bytes:
    """Give a memory as its file."""
    memory.save(folder / "saved.memory")
    return (folder / "saved.memory").read_bytes()


def test_where_nothing_was_learned_nothing_is_added(path: Path, tmp_path: Path) -> None:
    """Starting alone changes nothing."""
    resumed(path)
    assert saved(resumed(path), tmp_path) == path.read_bytes()


def test_the_memory_resumed_is_the_memory_that_ended(path: Path, tmp_path: Path) -> None:
    """To the byte, after one performance and after two; the memory's own file stays as it was."""
    before = path.read_bytes()
    for source in ("tonight", "tomorrow"):
        ended = perform(path, source=source)
        assert saved(resumed(path), tmp_path) == saved(ended, tmp_path)
    assert resumed(path).provenance.sources == ("one.wav", "tonight", "tomorrow")
    assert path.read_bytes() == before


def test_a_missing_value_comes_back_missing(path: Path, tmp_path: Path) -> None:
    """An event of which little was heard is the same afterwards."""
    with Journal(path, "live") as kept:
        kept.keep(make_event(token=3))
    memory = Memory.load(path)
    memory.learn(replace(make_event(token=3), source=memory.add_source("live")))
    assert saved(resumed(path), tmp_path) == saved(memory, tmp_path)


def test_of_a_long_journal_the_newest_events_are_learned(path: Path) -> None:
    """As many as the memory is going to hold, for what it would forget need not be learned."""
    perform(path)
    memory = resumed(path, max_events=2)
    assert memory.n_events == len(PLAYED) + 2
    assert memory.event(memory.n_events).pitch == HEARD[-1].pitch


def test_a_torn_tail_is_cut_off_and_the_next_record_is_whole(path: Path) -> None:
    """The half record at the end is gone for good."""
    perform(path)
    file = path.with_name("solo.memory.journal")
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])
    with Journal(path, "live") as kept:
        assert 0 < kept.n_torn_bytes < len(whole)
        assert journal.replay(Memory.load(path), kept.payloads) == len(HEARD) - 1
        kept.keep(HEARD[0])
    assert resumed(path).n_events == len(PLAYED) + len(HEARD)


def test_begun_afresh_the_old_journal_is_set_aside(path: Path) -> None:
    """Nothing is deleted; without a journal there is nothing to set aside."""
    perform(path, is_afresh=True)
    old = path.with_name("solo.memory.journal").read_bytes()
    perform(path, is_afresh=True)
    assert path.with_name("solo.memory.journal.old").read_bytes() == old
    assert resumed(path).n_events == len(PLAYED) + len(HEARD)


def test_what_was_set_aside_is_not_overwritten(path: Path) -> None:
    """Each has a name of its own."""
    for n_before in range(3):
        assert len(list(path.parent.glob("*.old*"))) == max(0, n_before - 1)
        perform(path, is_afresh=True)
    assert path.with_name("solo.memory.journal.old.2").exists()


def test_events_without_room_at_the_close_are_said_to_be_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when they had already been taken to be written, or the writing itself fails."""
    for error in (OSError(errno.ENOSPC, "No space left"), ValueError("not a disk's error")):
        with Journal(path, "live") as kept, structlog.testing.capture_logs() as logged:
            monkeypatch.setattr(journal, "write_all", Mock(side_effect=error))
            kept.keep(HEARD[0])
            kept.keep(HEARD[1])
            kept.close()
        monkeypatch.undo()
        (lost,) = (line for line in logged if line["event"] == "journal.lost")
        assert lost["n_events"] == 2


def test_the_journal_of_another_memory_is_refused_and_left_alone(path: Path) -> None:
    """As after learning the memory anew under the same name."""
    perform(path)
    file = path.with_name("solo.memory.journal")
    before = file.read_bytes()
    make_memory(HEARD).save(path)
    with pytest.raises(JournalError, match="learned with another memory"):
        Journal(path, "live")
    assert file.read_bytes() == before


def test_two_performances_do_not_keep_into_one_journal(path: Path) -> None:
    """Nor does the second set it aside under the first."""
    with Journal(path, "live") as kept:
        for is_afresh in (False, True):
            with pytest.raises(JournalError, match="Another performance keeps"):
                Journal(path, "live", is_afresh=is_afresh)
        kept.keep(HEARD[0])
    assert resumed(path).n_events == len(PLAYED) + 1


def test_a_place_that_cannot_be_written_is_said_to_lose_what_is_learned(path: Path) -> None:
    """A folder stands where the journal would be; the performer goes on without."""
    path.with_name("solo.memory.journal").mkdir()
    with pytest.raises(JournalUnwritableError, match=r"will be lost, as .* cannot be written"):
        Journal(path, "live")


@contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_stalls_the_journal_and_room_resumes_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said once each; no half record stays, and nothing is lost."""
    monkeypatch.setattr(journal, "BEAT_S", 3600.0)  # the beats are this thread's
    kept = Journal(path, "live")
    file = path.with_name("solo.memory.journal")
    n_bytes = file.stat().st_size
    with structlog.testing.capture_logs() as logged:
        with full_disk(n_bytes + 100):
            kept.keep(HEARD[0])
            kept._write()
            kept.keep(HEARD[1])
            kept._write()
            assert file.stat().st_size == n_bytes
        kept._write()
        kept.close()
    assert [line["event"] for line in logged] == ["journal.stalled", "journal.resumed"]
    assert resumed(path).n_events == len(PLAYED) + 2


def test_what_waits_too_long_for_room_is_counted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, and what is lost is said in the end."""
    monkeypatch.setattr(journal, "BEAT_S", 3600.0)
    monkeypatch.setattr(journal, "_MOST_WAITING", 3)
    with structlog.testing.capture_logs() as logged, Journal(path, "live") as kept:
        for event in HEARD:
            kept.keep(event)
    (line,) = logged
    assert (line["event"], line["n_events"]) == ("journal.lost", len(HEARD) - 3)
    assert resumed(path).n_events == len(PLAYED) + 3


def test_folding_makes_a_memory_of_both(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The new one holds what was learned; the old one and its journal stay."""
    ended = perform(path)
    new = path.with_name("new.memory")
    done = in_process(main, [path, "--output", new], capsys)
    assert (done.code, done.err) == (0, f"{new} holds 11 events, 5 learned on stage.\n")
    assert new.read_bytes() == saved(ended, path.parent)
    assert resumed(path).n_events == 11


def test_what_cannot_be_folded_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a journal, and over the memory itself."""
    refused = in_process(main, [path, "--output", path.with_name("new.memory")], capsys)
    assert_refused(refused, "Nothing was learned with .*solo.memory")
    assert_refused(in_process(main, [path, "--output", path], capsys), "read as well as written")


def begin(path: Path) -> tuple[Memory, list[str]]:
    """Begin as `perform` does, learn one event, and give what the player is told."""
    memory, said = Memory.load(path), list[str]()
    with keeping(Repertoire((path,), (memory,)), 16, said.append) as (keep,):
        keep(HEARD[0])
    return memory, said


def test_the_player_is_told_what_is_gone_on_with(path: Path) -> None:
    """Not the first time, when nothing was learned before."""
    assert begin(path)[1] == []
    memory, said = begin(path)
    assert said == ["Events learned on stage before: 1 (--afresh leaves them out)."]
    assert memory.n_events == len(PLAYED) + 1


def test_each_memory_keeps_what_it_learned_itself(path: Path) -> None:
    """Its own events, by its own gestures, in its own journal."""
    other = path.with_name("other.memory")
    other.write_bytes(path.read_bytes())
    said: list[str] = []
    with keeping(Repertoire.load([path, other]), 100, said.append) as (keep, keep_other):
        keep(HEARD[0])
        keep_other(HEARD[0])
        keep_other(HEARD[1])
    repertoire = Repertoire.load([path, other])
    with keeping(repertoire, 100, said.append):
        pass
    n_learned = [memory.n_events - len(PLAYED) for memory in repertoire.memories]
    assert n_learned == [1, 2]
    assert said == ["Events learned on stage before: 3 (--afresh leaves them out)."]


def test_where_nothing_can_be_kept_the_music_goes_on(path: Path) -> None:
    """The player knows before the first note."""
    path.with_name("solo.memory.journal").mkdir()
    memory, (said,) = begin(path)
    assert said.startswith("What it learns will be lost")
    assert memory.n_events == len(PLAYED)
