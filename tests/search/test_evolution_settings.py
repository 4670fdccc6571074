"""What stage C cannot be trained with, and how it says so."""

import pytest

from tests.search.evolutions import train
from tests.small_runs import HIDDENS
from world_models.configs.wm_config import WMControllerConfig
from world_models.errors import CheckpointError, ConfigError, EnvironmentNameError
from world_models.search.settings import ControllerSettings
from world_models.utils.run_dir import load_checkpoint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_cell": True, "use_hidden": False}, "set use_hidden=True"),
        ({"bias": False, "initial_bias": [0.0, 0.0]}, "no bias to begin with"),
        (
            {"common_random_numbers": False, "replay_fraction": 0.5},
            "common_random_numbers is False and episodes are replayed",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_named(new_run, changes, message):
    with pytest.raises(ConfigError, match=message):
        train(new_run(), **changes)


def test_a_mean_rate_that_cannot_be_is_named(new_run):
    with pytest.raises(ConfigError, match=r"mean_learning_rate is 0"):
        train(new_run(), mean_learning_rate=0)


@pytest.mark.parametrize("missing", ["vae", "mdrnn"])
def test_without_v_or_m_there_is_an_error_that_says_how_to_train_it_and_nothing_is_written(new_run, missing):
    logdir = new_run()
    (logdir / missing).unlink()
    before = sorted(logdir.iterdir())
    with pytest.raises(CheckpointError, match=rf"{missing}.best\.tar does not exist: .*--stage"):
        train(logdir)
    assert sorted(logdir.iterdir()) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_size": 5}, r"latent_size=5 .* have 4"),
        ({"action_size": 3}, r"action_size=3 .* have 2"),
        ({"env_name": "Pendulum-v1"}, r"2 actions, Pendulum-v1 has 1"),
    ],
)
def test_sizes_that_do_not_fit_are_an_error_that_names_both_and_nothing_is_written(new_run, changes, message):
    logdir = new_run()
    with pytest.raises(CheckpointError, match=message):
        train(logdir, **changes)
    assert not (logdir / "ctrl").exists()


def test_another_hidden_size_is_replaced_by_ms_with_a_warning_that_names_both(new_run, caplog):
    result = train(new_run(), hidden_size=200, max_generations=1)
    assert "hidden_size=200" in caplog.text and f"has {HIDDENS}" in caplog.text
    assert load_checkpoint(result.best)["hidden_size"] == HIDDENS


def test_an_unknown_environment_is_an_error_and_nothing_is_written(new_run):
    logdir = new_run()
    with pytest.raises(EnvironmentNameError, match="Steer-v99"):
        train(logdir, env_name="Steer-v99")
    assert not (logdir / "ctrl").exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"eval_every": 0}, "eval_every is 0"),
        ({"num_lanes": "many"}, "num_lanes is 'many'"),
        ({"backend": "mujoco"}, "backend is 'mujoco'"),
        ({"sigma": -1.0}, "sigma is -1.0"),
        ({"max_generations": 0}, "max_generations is 0"),
        ({"hidden_layers": [0]}, r"hidden_layers is \[0\]"),
        ({"components": 3, "hidden_layers": [4]}, "components=3 needs a linear controller"),
        ({"components": 99, "whitening_episodes": 3}, "components=99 .* have only 10"),
    ],
)
def test_a_setting_that_cannot_work_is_an_error_with_its_name_and_value(new_run, changes, field):
    logdir = new_run()
    with pytest.raises(ConfigError, match=field):
        train(logdir, **changes)
    assert not (logdir / "ctrl").exists()


def test_settings_have_their_defaults_and_the_first_step_depends_on_the_space():
    assert ControllerSettings.from_config(WMControllerConfig()) == ControllerSettings()
    assert ControllerSettings().initial_sigma == 0.1
    assert ControllerSettings(components=4).initial_sigma == 0.2
    assert ControllerSettings(sigma=0.5, components=4).initial_sigma == 0.5
