"""Settings have one label under their old and their new names."""

from __future__ import annotations

import pytest

from world_models.report.labels import label_of


@pytest.mark.parametrize(
    ("old", "new"), [("hopeless", "early_termination"), ("anew", "from_scratch"), ("late", "delayed_actions")]
)
def test_an_old_name_and_todays_have_one_label(old: str, new: str) -> None:
    assert label_of(old) == label_of(new) != old


def test_a_name_that_the_table_lacks_is_its_own_label() -> None:
    assert label_of("learning_rate") == "learning rate"
