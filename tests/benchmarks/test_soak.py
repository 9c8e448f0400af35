"""What `benchmarks.soak` makes of its readings."""

import pytest

from benchmarks.soak import Reading, rows_of


def test_growth_is_that_after_caches_are_full():
    def grows(per_thousand, full, files=9):
        return [
            Reading(i, 20 + min(i, full) / 10 + per_thousand * max(0, i - full) / 1000, files + (i == 700))
            for i in range(10, 1001, 10)
        ]

    readings = {
        0: grows(8, 300),
        1: grows(0, 100),
        2: grows(4, 200),
        3: grows(-2, 150),
        4: grows(0, 0)[40:],
        5: grows(0, 0)[:40],
    }
    together, main, leaks, shrinks, others = rows = rows_of(readings)
    assert [row["process"] for row in rows[:4]] == ["all", "main", "worker 1", "worker 2"]
    assert main["MB at a fifth"] == main["MB at the end"] == main["most MB"] == 30
    assert [row["MB per 1,000 iterations"] for row in (main, leaks, shrinks)] == pytest.approx([0, 4, -2], abs=1e-9)
    # It still fills for a while after a fifth.
    assert together["MB per 1,000 iterations"] > 8
    assert leaks["MB at the end"] == pytest.approx(leaks["MB at a fifth"] + 3.2)
    assert (main["files at a fifth"], main["most files"]) == (9, 10)
    assert others["process"] == "2 that began later or ended before"
