"""How a notebook shows its closing sentences, and what they say of the data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.display import Markdown


def tell(source: Any, *sentences: str | Iterable[str]) -> Markdown:
    """Return sentences as a list, first of which data they are; `source`: with phantom and scale, such as a study."""
    from IPython.display import Markdown

    said = [line for part in sentences for line in ([part] if isinstance(part, str) else part)]
    return Markdown("\n".join(f"- {line}" for line in [say_data(source.phantom, source.scale), *said]))


def say_data(phantom: bool, scale: str) -> str:
    """Say whether data are real or phantoms, and at which scale."""
    if phantom:
        return f"Phantom data at scale {scale}: what follows shows that the way works, and says nothing about patients."
    return f"Real data at scale {scale}."
