"""The tiny study, as the tests of the paper have it."""

from manuscript_fixtures import tiny, tiny_once

__all__ = ["tiny", "tiny_once"]
