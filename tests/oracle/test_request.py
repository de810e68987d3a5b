import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle._masks import DROPPED, MET, NEAREST, apply_mask
from oracle._near import CANDIDATE_DTYPE
from oracle.attribute_table import AttributeTable
from oracle.attributes import Attribute, Measure
from oracle.criterion import TYPES, Criterion
from oracle.request import N_REMEMBERED, RequestReader
from tests.oracle.memories import run_without_jit

KNOWN = AttributeTable().known
READER = RequestReader(KNOWN)
X = Attribute(name="x", unit="", low=-10, high=10, tolerance=0.25)
PITCH = Attribute(name="pitch", unit="", low=0, high=127, measure=Measure.PITCH)
CLASS = Attribute(
    name="pitch_class", unit="", low=0, high=11, is_whole=True, measure=Measure.PITCH_CLASS,
    period=12,
)  # fmt: skip
REGISTER = Attribute(
    name="register", unit="", low=-1, high=9, is_whole=True, measure=Measure.REGISTER
)
TOKEN = Attribute(
    name="gesture_token", unit="", low=0, high=99, is_whole=True, measure=Measure.TOKEN,
    n_buckets=16,
)  # fmt: skip
PHASE = KNOWN["beat_phase"][1]
NAN = math.nan


def masked(
    values: list[float], attribute: Attribute = X, **criterion: Any
) -> tuple[int, list[float], list[float]]:
    """Give what a criterion makes of equally likely states: outcome, mask, probabilities."""
    table = AttributeTable((attribute,))
    table.extend(np.array(values, np.float32)[:, np.newaxis])
    rows = np.zeros(len(values), CANDIDATE_DTYPE)
    rows["state"] = np.arange(1, len(values) + 1)
    rows["probability"] = 1
    mask = np.zeros(len(values))
    distance = np.abs(np.subtract.outer(np.arange(16.0), np.arange(16.0)))
    asked = [Criterion(attribute=attribute.name, **criterion)]
    terms = RequestReader(table.known).read(asked).terms
    outcome = apply_mask(table.arrays().values, distance, terms[0], False, rows, mask)
    return outcome, mask.tolist(), rows["probability"].tolist()


def test_no_request_asks_nothing() -> None:
    """None and an empty mapping are the same."""
    assert READER.read(None).criteria == READER.read({}).criteria == ()


def test_the_seeds_request_is_read_as_it_writes_it() -> None:
    """Three hard criteria in its order, with 3:2 as log2."""
    request = {"gesture_token": 142, "consonance": 0.8, "rhythm_ratio": [3, 2]}
    criteria, terms, *_ = READER.read(request)
    assert [c.attribute for c in criteria] == list(request)
    assert all(c.is_hard for c in criteria)
    assert terms["target"] == pytest.approx([142, 0.8, math.log2(1.5)])


def test_held_come_first_then_hard_then_soft() -> None:
    """Within each the order is the caller's."""
    reading = READER.read(
        {
            "consonance": {"type": "gradient"},
            "density": {"value": 2, "type": ">", "weight": 0.5},
            "loudness": -20,
            "pitch_class": {"value": 3, "is_held": True},
            "register": 4,
        }
    )
    assert [c.attribute for c in reading.criteria] == [
        "pitch_class", "loudness", "register", "consonance", "density",
    ]  # fmt: skip
    assert (reading.n_held, reading.n_hard) == (1, 3)


def test_what_is_always_asked_comes_first() -> None:
    """Before what is held in a request."""
    always = Criterion(attribute="n_notes", type=">", value=0, is_held=True)
    reading = RequestReader(KNOWN, [always]).read({"register": {"value": 4, "is_held": True}})
    assert [c.attribute for c in reading.criteria] == ["n_notes", "register"]


def test_a_request_asked_before_is_read_the_same() -> None:
    """Also after more entries than are remembered, and a list that has changed meanwhile."""
    reader = RequestReader(KNOWN)
    ratio = [3, 2]
    request = {"gesture_token": {"value": 7, "weight": 0.5}, "register": 4, "rhythm_ratio": ratio}
    first = reader.read(request)
    again = [reader.read(request)]
    for token in range(N_REMEMBERED + 1):
        reader.read({"gesture_token": token})
    again.append(reader.read(request))
    assert all(r.criteria == first.criteria and (r.terms == first.terms).all() for r in again)
    ratio[0] = 4
    assert reader.read(request).terms["target"].tolist() == [4, 1, 7]


def test_equal_values_of_other_types_are_not_taken_for_those_read() -> None:
    """One is a number and true is none, bare or named."""
    reader = RequestReader(KNOWN)
    reader.read({"consonance": 1, "register": {"value": 1}})
    for request in ({"consonance": True}, {"register": {"value": True}}):
        with pytest.raises(ValueError, match="value must be a number"):
            reader.read(request)


def test_every_dimension_of_the_event_can_be_asked_for() -> None:
    """And what follows from its notes."""
    asked = {
        name: {"type": "gr_abs"} for name, (_, a) in KNOWN.items() if not a.measure.is_category
    }
    assert len(READER.read(asked).terms) == len(KNOWN) - 2


@pytest.mark.parametrize(
    ("criterion", "mask"),
    [
        ({"value": 2}, [0, 1, 0, 0]),
        ({"value": 2.2}, [0, 1, 0, 0]),
        ({"type": ">", "value": 0}, [0, 1, 1, 0]),
        ({"type": "<", "value": 2}, [1, 0, 0, 0]),
        ({"type": "abs >", "value": 3}, [1, 0, 1, 0]),
        ({"type": "abs <", "value": 3}, [0, 1, 0, 0]),
        ({"type": "gradient"}, [0, 0.75, 1, 0]),
        ({"type": "gradient", "shape": 2}, [0, 0.5625, 1, 0]),
        ({"type": "gradient", "shape": -1}, [1, 0.25, 0, 0]),
        ({"type": "gr_abs"}, [1, 0, 1, 0]),
    ],
)
def test_each_type_masks_as_the_table_says(criterion: dict[str, Any], mask: list[float]) -> None:
    """States at −4, 2, 4 and missing, which meets nothing."""
    outcome, answer, probabilities = masked([-4, 2, 4, NAN], **criterion)
    assert outcome == MET
    assert answer == pytest.approx(mask)
    assert probabilities == pytest.approx(mask)


def test_a_weight_lets_the_others_through() -> None:
    """P · (mask · w + 1 − w)."""
    assert masked([1, 3], type=">", value=2, weight=0.75)[2] == pytest.approx([0.25, 1])


def test_equal_takes_the_nearest_where_none_matches() -> None:
    """All that are as near, and says so."""
    assert masked([-4, 1, 3, NAN], value=2)[:2] == (NEAREST, [0, 1, 1, 0])


def test_tokens_are_near_by_their_centroids() -> None:
    """A token is no number: 15 is far from 3 if its centroid is."""
    assert masked([15, 5, 3], TOKEN, value=4)[:2] == (NEAREST, [0, 1, 1])


def test_pitch_classes_are_near_around_the_octave() -> None:
    """B is a semitone from C."""
    assert masked([11, 2, 6], CLASS, value=0)[:2] == (NEAREST, [1, 0, 0])


@pytest.mark.parametrize("value", [0.95, -0.05])
def test_the_end_of_a_beat_is_next_to_its_beginning(value: float) -> None:
    """However one writes it, and as near to a beat as what is as much after it."""
    assert masked([-0.05, 0.05, 0.86, 0.4], PHASE, value=value)[:2] == (MET, [1, 0, 0, 0])
    assert masked([0.05, 0.8, 0.5], PHASE, value=value)[:2] == (NEAREST, [1, 0, 0])


@pytest.mark.parametrize(
    ("criterion", "mask"),
    [
        ({"value": 0.85}, [1, 0, 0, 1]),
        ({"type": "abs <", "value": 0.2}, [1, 1, 0, 1]),
        ({"type": "abs >", "value": 0.2}, [0, 0, 1, 0]),
        ({"type": "gr_abs"}, [0.22, 0, 1, 0.3]),
    ],
)
def test_a_magnitude_on_a_circle_is_how_far_from_its_beginning(
    criterion: dict[str, Any], mask: list[float]
) -> None:
    """A tenth before the beat, on it, on its half, and a little more before the next."""
    assert masked([-0.11, 0.0, 0.5, 0.85], PHASE, **criterion)[1] == pytest.approx(mask, abs=1e-6)


@pytest.mark.parametrize(
    "criterion", [{"value": 2}, {"type": ">", "value": 3}, {"type": "gradient"}]
)
def test_what_nothing_can_meet_counts_for_nothing(criterion: dict[str, Any]) -> None:
    """No evidence at all: every candidate keeps its probability, and it is said."""
    assert masked([NAN, NAN], **criterion) == (DROPPED, [1, 1], [1, 1])


def test_a_gradient_over_equal_values_favours_none() -> None:
    """There is nothing to scale."""
    assert masked([5, 5], type="gradient")[:2] == (MET, [1, 1])


def twin(values: list[float], kind: str, value: float, weight: float, shape: float) -> list[float]:
    """Give the probabilities in plain Python."""
    size = [abs(v) if "abs" in kind else v for v in values]
    present = [v for v in size if v == v]
    if kind in ("gradient", "gr_abs"):
        low, high = min(present, default=0), max(present, default=0)
        mask = [0.0 if v != v else 1.0 for v in size]
        if high > low:
            degree = [0.0 if v != v else ((v - low) / (high - low)) ** abs(shape) for v in size]
            mask = [m * (1 - d if shape < 0 else d) for m, d in zip(mask, degree, strict=True)]
    elif kind == "==":
        apart = [abs(v - value) if v == v else math.inf for v in size]
        reach = max(0.25, min(apart, default=0))
        mask = [float(a <= reach and a < math.inf) for a in apart]
    else:
        mask = [float(v > value if ">" in kind else v < value) for v in size]
    if not any(mask):
        mask = [1.0] * len(mask)
    return [m * weight + 1 - weight for m in mask]


@settings(deadline=None, max_examples=300)
@given(
    values=st.lists(st.integers(-6, 6).map(float) | st.just(NAN), min_size=1, max_size=8),
    kind=st.sampled_from(TYPES),
    value=st.integers(-6, 6),
    weight=st.sampled_from([0.0, 0.3, 1.0]),
    shape=st.sampled_from([-2.0, -1.0, 0.5, 1.0, 3.0]),
)
def test_masks_agree_with_a_plain_twin(
    values: list[float], kind: str, value: int, weight: float, shape: float
) -> None:
    """Seven types, any values, any weight."""
    is_gradient = kind in ("gradient", "gr_abs")
    criterion = {"shape": shape} if is_gradient else {"value": value}
    probabilities = masked(values, type=kind, weight=weight, **criterion)[2]
    assert probabilities == pytest.approx(twin(values, kind, value, weight, shape))


@pytest.mark.parametrize(
    ("request_", "match"),
    [
        ({"consonence": 1}, "'consonence' is unknown: did you mean 'consonance'"),
        ({"zzz": 1}, "'zzz' is unknown: known are beat_phase"),
        ({"consonance": {"typ": ">"}}, "key 'typ' is unknown: did you mean 'type'"),
        ({"consonance": {"type": "=>", "value": 1}}, "type '=>' is unknown: did you mean '>'"),
        ({"consonance": 1.5}, r"consonance: value must be 0…1 \(0…1\), got 1.5"),
        ({"consonance": math.nan}, "value must be a number"),
        ({"consonance": "high"}, "value must be a number"),
        ({"consonance": True}, "value must be a number"),
        ({"consonance": {"type": ">"}}, "value must be a number"),
        ({"pitch_class": 12}, "value must be 0…11"),
        ({"pitch_class": 1.5}, "value must be whole"),
        ({"pitch_class": {"type": ">", "value": 3}}, "on a circle nothing is above or below"),
        ({"beat_phase": {"type": "gradient"}}, "type must be '==', 'abs >', 'abs <' or 'gr_abs'"),
        ({"beat_phase": 1.05}, r"value must be -0.125…1 \(beats; 0.95 is -0.05"),
        ({"gesture_token": -1}, "value must be 0…"),
        ({"gesture_token": {"type": ">", "value": 3}}, "type must be '==' for a category"),
        ({"gesture_token": {"type": "gradient"}}, "type must be '==' for a category"),
        ({"rhythm_ratio": [3, 0]}, r"value must be \[p, q\]"),
        ({"rhythm_ratio": [3]}, r"value must be \[p, q\]"),
        ({"rhythm_ratio": "3:2"}, r"value must be \[p, q\]"),
        ({"loudness": {"type": ">", "value": -9, "weight": 2}}, "weight must be 0…1, got 2"),
        ({"loudness": {"type": ">", "value": -9, "shape": 2}}, "only gradients have a shape"),
        ({"loudness": {"type": "gradient", "shape": 0}}, "shape must be a number other than 0"),
        ({"loudness": {"type": "gradient", "value": 1}}, "a gradient takes a shape and no value"),
        ({"loudness": {"type": "gradient", "is_held": True}}, "only a hard criterion"),
        (["consonance"], "a request is a mapping or criteria, got 'consonance'"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(request_: Any, match: str) -> None:
    """With the name, the value and the need, or the nearest known."""
    with pytest.raises(ValueError, match=match):
        READER.read(request_)


def test_masks_are_the_same_without_the_compiler() -> None:
    """Interpreted and compiled kernels agree."""
    script = """
from tests.oracle.test_request import *
for criterion in ({"value": 2}, {"type": "abs >", "value": 3}, {"type": "gradient", "shape": 2}):
    print(masked([-4, 1, 4, NAN], weight=0.5, **criterion))
"""
    answers = [
        masked([-4, 1, 4, NAN], weight=0.5, **criterion)
        for criterion in (
            {"value": 2},
            {"type": "abs >", "value": 3},
            {"type": "gradient", "shape": 2},
        )
    ]
    assert run_without_jit(script) == "\n".join(map(str, answers))
