"""Features of many videos into one file."""

import os

import numpy as np
import pytest
import torch

import avslowfast
from avslowfast.utils.errors import UserError


@pytest.mark.parametrize("ending", [".pt", ".h5"])
def test_features_are_resumed_where_they_were_interrupted(network, synthav, tmp_path, ending, monkeypatch):
    out, folder = str(tmp_path / f"f{ending}"), tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        os.symlink(synthav / f"test/00000{number}.mp4", folder / f"{number}.mp4")
    (folder / "bad.mp4").write_text("text")
    count, failed = avslowfast.extract_features(network, folder, stage="res4", out=out, views=2)
    assert count == 4 and len(failed) == 1 and "bad.mp4" in failed[0][0]

    def content():
        if ending == ".pt":
            return {
                path: {k: v.numpy() for k, v in f.items()}
                for path, f in torch.load(out, weights_only=True)["features"].items()
            }
        import h5py

        with h5py.File(out) as f:
            return {group.attrs["path"]: {k: group[k][:] for k in group} for group in f.values()}

    first = content()
    inputs = network.meta.preprocess(folder / "1.mp4", views=2, crops=1)
    with torch.no_grad():
        expected = network.pooled_features({k: v for k, v in inputs.items() if k != "start"}, "res4")
    for name in ("slow", "fast", "audio"):
        np.testing.assert_allclose(first[str(folder / "1.mp4")][name], expected[name], atol=1e-5)
    os.symlink(synthav / "test/000005.mp4", folder / "5.mp4")
    read, original = [], type(network.meta).preprocess
    monkeypatch.setattr(
        type(network.meta), "preprocess", lambda self, path, *a, **k: read.append(path) or original(self, path, *a, **k)
    )
    assert avslowfast.extract_features(network, folder, stage="res4", out=out, views=2)[0] == 5
    assert sorted(map(os.path.basename, read)) == ["5.mp4", "bad.mp4"] and len(content()) == 5
    with pytest.raises(UserError, match="choose another file"):
        avslowfast.extract_features(network, folder, stage="res5", out=out)
    (tmp_path / "list.csv").write_text(f"{folder}/0.mp4 3\n{folder}/1.mp4 4\n")
    count, _ = avslowfast.extract_features(
        network, str(tmp_path / "list.csv"), stage="res4", out=str(tmp_path / f"g{ending}")
    )
    assert count == 2


def test_a_stage_or_a_file_that_does_not_fit_is_refused(network, synthav, tmp_path):
    with pytest.raises(UserError, match="no stage 'res9'"):
        avslowfast.extract_features(network, synthav / "test", stage="res9")
    with pytest.raises(UserError, match="name a .pt or .h5 file"):
        avslowfast.extract_features(network, synthav / "test", out=tmp_path / "x.csv")
