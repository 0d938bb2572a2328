"""Blinded rating of heat maps: which model looked at the right regions, judged by raters who don't know the model.

`create` writes a session, `panel.Panel` shows it in JupyterLab, `phantom.simulate` answers in a rater's place, and
`figures.ratings.read` joins answers and key.
"""

from tlkit.rating.phantom import phantom_items, simulate
from tlkit.rating.session import Item, RatingError, Session, create, session_folder

__all__ = ["Item", "RatingError", "Session", "create", "phantom_items", "session_folder", "simulate"]
