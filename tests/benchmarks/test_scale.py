"""The simulation of many machines keeps what has to be true of any."""

import pytest

import avslowfast
from benchmarks.scale import CLIPS, Cluster, cost, exchange_seconds, needs, NETWORKS, Rates, simulate, slowdown


def test_one_process_with_data_at_hand_takes_its_step():
    assert simulate(Cluster(1, 1, 8, 0, 8), Rates(0.25)) == pytest.approx(0.25)


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_more_workers_are_never_slower_and_no_clip_is_made_for_nothing(spread):
    rates = Rates(0.1, 0.05, 0.05, spread)
    times = [simulate(Cluster(1, 2, 64, workers, 8), rates, 400) for workers in (1, 2, 4, 8, 16)]
    assert all(more <= fewer * 1.02 for fewer, more in zip(times, times[1:]))
    # One worker makes a batch in 0.4 s, whatever the step takes; enough of them leave the step alone.
    assert times[0] >= 0.4 * 0.98
    assert 0.1 <= times[-1] < 0.13
    for workers, seconds in zip((1, 2, 4), times):
        # What is consumed has been produced, and nothing more than the prefetched batches.
        assert seconds * workers >= 8 * rates.clip * 0.97


def test_cores_that_are_shared_slow_everything_down():
    rates = Rates(0.2)
    assert [slowdown(Cluster(1, n, 2, 0, 8, on_cores=True), rates) for n in (1, 2, 4)] == [1, 1, 2]
    assert simulate(Cluster(1, 4, 2, 0, 8, on_cores=True), rates) == pytest.approx(0.4)
    # Decoding takes cores from the steps.
    assert simulate(Cluster(1, 2, 2, 1, 8, on_cores=True), Rates(0.2, clip=0.025)) == pytest.approx(0.4, rel=0.02)


def test_the_slowest_process_ends_the_step():
    times = [simulate(Cluster(machines, 8, 64, 0, 8), Rates(0.1, 0.1), 400) for machines in (1, 4, 64)]
    assert 0.1 < times[0] < times[1] < times[2] < 0.15


def test_the_exchange_is_that_of_a_ring():
    rates = Rates(0.1, gradients=1e8, network=1e9)
    assert exchange_seconds(Cluster(1, 1, 8, 0, 8), rates) == 0
    assert exchange_seconds(Cluster(4, 8, 8, 0, 8), rates) == pytest.approx(2 * 3 / 4 * 0.1)
    assert simulate(Cluster(2, 1, 8, 0, 8), rates) == pytest.approx(0.2)
    row = needs(Cluster(2, 8, 64, 8, 8), Rates(0.1, clip=0.05, gradients=1e8, network=1e9, clip_bytes=1e6))
    assert list(row.values()) == pytest.approx([4, 640, 100, 0.5])


def test_the_cost_of_a_training_is_that_of_its_operations():
    assert cost(36, 1e5, 100, 6e14, 2.0) == pytest.approx({"accelerator hours": 1.0, "price": 2.0})


def test_an_exchange_over_the_cores_waits_for_them_too():
    rates = Rates(0.2, gradients=1e8, network=1e9)
    times = [simulate(Cluster(1, n, 2, 0, 8, on_cores=True), rates) for n in (1, 2, 4)]
    assert times == pytest.approx([0.2, 0.2 + 0.1, 2 * (0.2 + 2 * 3 / 4 * 0.1)])


def test_the_tables_are_of_networks_that_exist():
    rows = [pattern.format(audio) for pattern in NETWORKS for audio in ("", "AV")]
    assert set(rows) <= set(avslowfast.list_models())
    assert {row.split("/")[0] for row in rows} == set(CLIPS)
