"""The uneven lists of `benchmarks.balance`."""

from collections import Counter

from benchmarks.balance import write_uneven_lists


def test_the_largest_class_has_twenty_times_the_videos_of_the_smallest(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "val", "test"):
        (data / f"{split}.csv").write_text("".join(f"{split}/{i}.mp4 {i % 8}\n" for i in range(8 * 40)))
    (data / "classes.txt").write_text("".join(f"class {i}\n" for i in range(8)))
    lists = {}
    for seed in (1, 2):
        counts = write_uneven_lists(str(data), str(tmp_path / str(seed)), 20, seed)
        lines = (tmp_path / str(seed) / "train.csv").read_text().splitlines()
        assert Counter(int(line.split()[1]) for line in lines) == counts
        assert sorted(counts.values()) == [2, 3, 5, 7, 11, 17, 26, 40]
        assert set(lines) <= set((data / "train.csv").read_text().splitlines())
        assert (tmp_path / str(seed) / "test.csv").read_text() == (data / "test.csv").read_text()
        lists[seed] = lines
    assert lists[1] != lists[2]
    write_uneven_lists(str(data), str(tmp_path / "again"), 20, 1)
    assert (tmp_path / "again" / "train.csv").read_text().splitlines() == lists[1]
