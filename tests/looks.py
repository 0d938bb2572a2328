"""Display names and colours of the arms of both papers, as their study files give them."""

from __future__ import annotations

from tlkit.names import NAMES, Names
from tlkit.published import jonske2025

LOOKS = jonske2025.LOOKS | {"radiologynet": ("RadiologyNET", "#009e73")}
COLOURS = {arm: colour for arm, (_, colour) in LOOKS.items()}
PAPER = NAMES | Names({arm: title for arm, (title, _) in LOOKS.items()}, COLOURS)
