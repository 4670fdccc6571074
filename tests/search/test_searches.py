"""What every search does, whatever it goes by."""

import numpy as np
import pytest

from tests.search.searches import climb
from world_models.errors import ConfigError
from world_models.search.algorithms.phases import SEARCHES
from world_models.utils.run_dir import load_checkpoint, save_checkpoint

every_search = pytest.mark.parametrize("kind", SEARCHES.values(), ids=SEARCHES)


@every_search
def test_its_state_goes_through_a_checkpoint_of_plain_tensors(kind, tmp_path):
    search = kind(np.zeros(3), 0.5, 6, seed=3)
    climb(search, 4)
    save_checkpoint(tmp_path / "checkpoint.tar", {"state_dict": {}, "search": search.state_dict()})
    again = kind(np.zeros(3), 0.5, 6, seed=3)
    again.load_state_dict(load_checkpoint(tmp_path / "checkpoint.tar")["search"])
    for one, other in zip(climb(search, 3), climb(again, 3), strict=True):
        np.testing.assert_array_equal(one, other)


@every_search
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_return_that_is_not_finite_is_an_error_and_nothing_is_learnt(kind, bad):
    search = kind(np.zeros(3), 0.5, 4, seed=0)
    with pytest.raises(ConfigError, match="must be finite"):
        search.tell(search.ask(), np.array([0.0, 1.0, bad, 2.0]))
    assert search.generation == 0
