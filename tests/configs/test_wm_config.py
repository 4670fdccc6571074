"""The three configs: the specification's tables of fields and defaults, and what is done with bad ones."""

import copy
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.errors import ConfigError

ALL = [WMVAEConfig, WMMDNRNNConfig, WMControllerConfig]
# The specification's Configuration Reference, typed off by hand (height and width have no default there).
TABLES = {
    WMVAEConfig: {
        "height": 64, "width": 64, "latent_size": 32, "device": "cuda", "train_batch_size": 32,
        "num_epochs": 10,
        "data_dir": "./data", "learning_rate": 1e-3, "logdir": "results", "noreload": False,
        "nosamples": False,
        "scheduler_patience": 5, "scheduler_factor": 0.5, "early_stopping_patience": 30, "sample_interval": 5,
    },
    WMMDNRNNConfig: {
        "latent_size": 32, "action_size": 3, "hidden_size": 256, "gmm_components": 5, "device": "cuda",
        "batch_size": 16, "seq_len": 32, "num_epochs": 30, "data_dir": "./data", "learning_rate": 1e-3,
        "logdir": "results", "noreload": False, "include_reward": True, "scheduler_patience": 5,
        "scheduler_factor": 0.5, "early_stopping_patience": 30,
    },
    WMControllerConfig: {
        "latent_size": 32, "hidden_size": 200, "action_size": 3, "env_name": "CarRacing-v2",
        "logdir": "results", "n_samples": 4, "pop_size": 10, "target_return": 950.0, "max_workers": 32,
        "display": True,
        "time_limit": 1000,
    },
}  # fmt: skip


@pytest.mark.parametrize("config_class", ALL)
def test_every_documented_field_has_its_documented_default_and_type(config_class):
    config = config_class(height=64, width=64) if config_class is WMVAEConfig else config_class()
    assert config.to_dict() == TABLES[config_class]
    assert {k: type(v) for k, v in config.to_dict().items()} == {k: type(v) for k, v in TABLES[config_class].items()}
    assert config.extra == {}


@pytest.mark.parametrize("config_class", ALL)
def test_an_extra_dict_is_not_shared_between_configs(config_class):
    first, second = config_class(), config_class()
    first.extra["seed"] = 3
    assert second.extra == {}


def test_keywords_and_one_mapping_build_the_same_config():
    keywords = {"height": 96, "width": 48, "latent_size": 8, "learning_rate": 1e-4, "noreload": True}
    assert WMVAEConfig(**keywords) == WMVAEConfig(keywords)
    assert WMVAEConfig(keywords).width == 48


def test_a_mapping_is_not_changed_and_may_be_no_dict():
    from types import MappingProxyType

    given_mapping = {"latent_size": 8, "seed": 3, "extra": {"a": 1}}
    config = WMMDNRNNConfig(MappingProxyType(given_mapping))
    config.extra["b"] = 2
    assert given_mapping == {"latent_size": 8, "seed": 3, "extra": {"a": 1}}
    assert (config.seed, config.a, config.b) == (3, 1, 2)


@pytest.mark.parametrize("config_class", ALL)
def test_unknown_keys_of_a_mapping_go_to_extra_and_read_back_as_attributes(config_class):
    config = config_class({"seed": 7, "free_bits": 0.1})
    assert config.extra == {"seed": 7, "free_bits": 0.1}
    assert (config.seed, config.free_bits) == (7, 0.1)
    assert getattr(config, "absent", "default") == "default"


@pytest.mark.parametrize("config_class", ALL)
def test_extra_may_be_passed_as_a_keyword(config_class):
    assert config_class(extra={"seed": 7}).seed == 7
    assert config_class(extra={"seed": 7}) == config_class({"seed": 7})


@pytest.mark.parametrize(("config_class", "typo", "meant"), [
    (WMVAEConfig, "latent_sise", "latent_size"),
    (WMVAEConfig, "batch_size", "train_batch_size"),
    (WMMDNRNNConfig, "num_epoch", "num_epochs"),
    (WMControllerConfig, "popsize", "pop_size"),
])  # fmt: skip
def test_an_unknown_keyword_is_a_type_error_that_names_the_nearest(config_class, typo, meant):
    with pytest.raises(TypeError, match=rf"'{typo}'.*'{meant}'"):
        config_class(**{typo: 3})


def test_keywords_beside_a_mapping_and_things_that_are_no_mapping_are_refused():
    with pytest.raises(TypeError, match="not both"):
        WMVAEConfig({"height": 64}, width=64)
    with pytest.raises(TypeError, match="int"):
        WMVAEConfig(64)


@pytest.mark.parametrize(("config_class", "name", "value"), [
    (WMVAEConfig, "height", 0), (WMVAEConfig, "width", -64), (WMVAEConfig, "latent_size", 0),
    (WMVAEConfig, "latent_size", 32.5), (WMVAEConfig, "latent_size", True),
    (WMVAEConfig, "latent_size", None),
    (WMVAEConfig, "train_batch_size", 0), (WMVAEConfig, "num_epochs", 0), (WMVAEConfig, "learning_rate", 0.0),
    (WMVAEConfig, "learning_rate", float("nan")), (WMVAEConfig, "learning_rate", float("inf")),
    (WMVAEConfig, "learning_rate", "fast"), (WMVAEConfig, "scheduler_factor", 1.0),
    (WMVAEConfig, "scheduler_patience", -1), (WMVAEConfig, "sample_interval", 0),
    (WMVAEConfig, "noreload", "no"),
    (WMVAEConfig, "device", "gpu"), (WMVAEConfig, "data_dir", ""), (WMVAEConfig, "logdir", 3),
    (WMMDNRNNConfig, "action_size", 0), (WMMDNRNNConfig, "hidden_size", 0),
    (WMMDNRNNConfig, "gmm_components", 0),
    (WMMDNRNNConfig, "batch_size", 0), (WMMDNRNNConfig, "seq_len", 0), (WMMDNRNNConfig, "include_reward", 1),
    (WMMDNRNNConfig, "early_stopping_patience", -1),
    (WMControllerConfig, "env_name", ""), (WMControllerConfig, "n_samples", 0),
    (WMControllerConfig, "pop_size", 1),
    (WMControllerConfig, "target_return", float("nan")), (WMControllerConfig, "max_workers", 0),
    (WMControllerConfig, "time_limit", 0), (WMControllerConfig, "extra", [1]),
])  # fmt: skip
def test_an_invalid_value_raises_at_construction_and_the_message_names_field_and_value(config_class, name, value):
    for build in (lambda: config_class(**{name: value}), lambda: config_class({name: value})):
        with pytest.raises(ConfigError) as caught:
            build()
        assert name in str(caught.value) and repr(value) in str(caught.value)
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("key", ["latent_size", "validate", "to_dict", "extra", 3])
def test_an_extra_key_that_could_not_be_read_back_is_refused(key):
    with pytest.raises(ConfigError, match="extra"):
        WMVAEConfig(extra={key: 1})


@pytest.mark.parametrize("config_class", ALL)
def test_validate_returns_true_and_raises_once_an_assigned_value_cannot_work(config_class):
    config = config_class()
    assert config.validate() is True
    config.latent_size = 0
    with pytest.raises(ConfigError, match=r"latent_size is 0"):
        config.validate()


def test_fields_and_extra_keys_can_be_assigned_and_unknown_names_cannot():
    config = WMVAEConfig({"seed": 1})
    config.num_epochs = 3
    config.seed = 2
    assert (config.num_epochs, config.extra) == (3, {"seed": 2})
    with pytest.raises(AttributeError, match="num_epochs"):
        config.num_epoch = 4
    with pytest.raises(AttributeError, match="latent_size"):
        _ = config.latent_sise


def test_numpy_numbers_and_paths_become_plain_values():
    config = WMVAEConfig(latent_size=np.int64(8), learning_rate=1, data_dir=Path("a/b"), noreload=np.bool_(True))
    plain = [config.latent_size, config.learning_rate, config.data_dir, config.noreload]
    assert plain == [8, 1.0, str(Path("a/b")), True]
    assert [type(value) for value in plain] == [int, float, str, bool]


def test_a_target_return_may_be_infinite_for_a_search_that_never_stops_by_itself():
    assert WMControllerConfig(target_return=float("inf")).validate()


def _names(config_class):
    return st.text("abcdef_", min_size=1, max_size=8).filter(lambda name: not hasattr(config_class, name))


@pytest.mark.parametrize("config_class", ALL)
@given(data=st.data())
def test_to_dict_and_back_is_the_identity_for_any_sizes_and_extra_keys(config_class, data):
    extra = data.draw(
        st.dictionaries(_names(config_class), st.one_of(st.integers(), st.text(), st.lists(st.booleans())))
    )
    config = config_class({"latent_size": data.draw(st.integers(1, 999)), **extra})
    assert config_class(config.to_dict()) == config == config_class.from_dict(config.to_dict())
    assert config.extra == extra
    assert config.to_dict() | extra == config.to_dict()


def test_changing_the_dict_does_not_change_the_config():
    config = WMVAEConfig({"mine": [1]})
    config.to_dict()["mine"].append(2)
    assert config.mine == [1]


def _sent(config):
    """The config as another process receives it."""
    sender, receiver = multiprocessing.Pipe()
    with sender, receiver:
        sender.send(config)
        return receiver.recv()


@pytest.mark.parametrize("config_class", ALL)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, _sent])
def test_copies_and_configs_sent_to_another_process_equal_their_original(config_class, copied):
    config = config_class({"latent_size": 8, "seed": 7})
    other = copied(config)
    assert other == config and other.seed == 7 and other.to_dict() == config.to_dict()
    assert config != config_class({"latent_size": 8, "seed": 8})


@pytest.mark.parametrize("config_class", ALL)
def test_the_repr_names_the_class_and_the_settings(config_class):
    assert repr(config_class(latent_size=8)).startswith(config_class.__name__)
    assert "latent_size=8" in repr(config_class(latent_size=8))
