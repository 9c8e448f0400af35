"""Batches that travel one ahead."""

from avslowfast.engine.prefetch import one_ahead


def test_the_next_batch_is_sent_before_the_one_ahead_of_it_is_handed_out():
    events = []
    items = one_ahead(iter("abc"), lambda x: events.append(f"send {x}") or x, lambda x: events.append(f"out {x}") or x)
    assert list(items) == list("abc")
    assert events == ["send a", "send b", "out a", "send c", "out b", "out c"]


def test_nothing_to_send_is_handed_out_as_nothing():
    assert list(one_ahead(iter(""), str, str)) == []
