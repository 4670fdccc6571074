"""docs/settings.md says what the types of the settings say."""

from tests.docs.settings_page import PAGE, page


def test_the_page_of_settings_is_as_the_types_are():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.docs.settings_page"
