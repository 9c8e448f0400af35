"""Configurations by name."""

import pytest
from helpers import ROOT

import avslowfast.config.zoo as zoo
from avslowfast.config import find_config, list_models, UnknownModelError


def test_every_configuration_of_the_folder_is_listed():
    files = {p.relative_to(ROOT / "configs").with_suffix("").as_posix() for p in (ROOT / "configs").glob("*/*.yaml")}
    assert set(list_models()) == files
    assert list_models() == sorted(files)


@pytest.mark.parametrize(
    "pattern, name",
    [
        ("AVSLOWFAST_4x16_R50", "Kinetics/AVSLOWFAST_4x16_R50"),
        ("avslowfast_4X16*", "Kinetics/AVSLOWFAST_4x16_R50"),
        ("Kinetics/*", "Kinetics/SLOW_8x8_R50"),
        ("*AV*", "EPIC55/AVSLOWFAST_8x8_R50"),
    ],
)
def test_a_pattern_matches_names_with_and_without_folder(pattern, name):
    assert name in list_models(pattern)
    assert len(list_models(pattern)) < len(list_models())


def test_every_listed_name_is_found():
    assert [find_config(name) for name in list_models()] == [
        str(ROOT / f"configs/{name}.yaml") for name in list_models()
    ]


def test_nothing_is_proposed_for_a_name_like_no_other():
    with pytest.raises(UnknownModelError, match=r"list_models\(\)") as error:
        find_config("qwertyuiop")
    assert "did you mean" not in str(error.value)


def test_a_missing_folder_of_configurations_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setattr(zoo, "CONFIGS", tmp_path / "configs")
    assert list_models() == []
    with pytest.raises(UnknownModelError, match="install the package again"):
        find_config("SLOW_8x8_R50")


def test_the_folder_of_a_run_is_no_configuration(tmp_path):
    (tmp_path / "config.yaml").write_text("NUM_GPUS: 0\n")
    with pytest.raises(UnknownModelError, match="it is the folder of a run; its configuration is config.yaml in it"):
        find_config(str(tmp_path))
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(UnknownModelError, match="a folder without config.yaml; give the OUTPUT_DIR of a run"):
        find_config(str(tmp_path))
