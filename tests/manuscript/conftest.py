"""The tiny study."""

from manuscript_fixtures import tiny, tiny_once

__all__ = ["tiny", "tiny_once"]
