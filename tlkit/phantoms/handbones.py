"""The bones of a child's hand as pieces to be projected: how they grow, appear and close with bone age and sex.

Lengths are mm of a grown hand: x to the thumb, y to the finger tips, z to the palm; 0 is the end of the radius. Ages
are months of bone age of a boy; a girl is ahead of him by the factor GIRLS. The order in which centres appear and
plates close is that of the usual atlases, the numbers are round ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

GIRLS, GROWN = 1.22, 216.0
# Of the thumb to the little finger: base of the metacarpal, its angle (degrees to the thumb), the lengths of the bones.
BASES = ((20.0, 20.0, 7.0), (11.0, 32.0, 0.0), (1.0, 33.0, -2.0), (-8.0, 31.0, -1.0), (-16.0, 28.0, 1.0))
ANGLES = (40.0, 8.0, 1.0, -7.0, -14.0)
LENGTHS = ((46, 32, 22), (67, 40, 24, 17), (65, 44, 28, 18), (58, 41, 27, 18), (53, 33, 19, 16))
RADII = (4.4, 4.2, 3.5, 2.8)  # in the middle of the shaft, from the metacarpal out
PLATES = ((20, 196), (14, 190), (18, 192), (20, 182))  # when the epiphysis appears and when it is one with its shaft
CARPALS = (  # name, centre, semi-axes across and along, turn in degrees, age of the first speck
    ("capitate", (0, 22, -1), (6.5, 10.5), 0, 3),
    ("hamate", (-10, 21, 1), (6.0, 8.5), 20, 4),
    ("triquetrum", (-15, 11, 2), (5.5, 6.0), 40, 30),
    ("lunate", (-4, 7, 0), (7.0, 6.0), 0, 42),
    ("scaphoid", (9, 10, 2), (6.0, 10.0), -35, 66),
    ("trapezium", (17, 17, 6), (6.0, 5.5), 0, 68),
    ("trapezoid", (9, 25, 1), (4.8, 5.0), 0, 70),
    ("pisiform", (-17, 9, 9), (4.0, 4.0), 0, 122),
)
FOREARM = (  # distal end, proximal end, half widths there and in the shaft, plate
    ((5, -1, 0), (2, -150, 0), 14.0, 6.5, (14, 210)),
    ((-17, -4, -2), (-13, -150, -2), 8.0, 5.5, (78, 206)),
)


@dataclass(frozen=True)
class Hand:
    """One hand at one time: how old its bones look, how large it is, and how much bone is in it."""

    age: float  # months, as a boy's
    scale: float  # of a grown hand
    cortex: float  # thickness of the cortex over the usual one
    spongy: float  # share of bone inside of it
    fat: float  # mm of soft tissue over the usual
    spread: float  # of the fingers, over the usual
    timing: np.ndarray  # [40] months by which each centre of bone is late


@dataclass(frozen=True)
class Piece:
    """A round piece of bone from `start` to `end`, with half widths at both and in the middle, and its wall (mm)."""

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float, float]
    wall: float
    opacity: float = 1.0


def random_hand(rng: np.random.Generator, months: float, male: bool) -> Hand:
    """Return the hand of a child of this bone age (months). Randomness: size, timing, bone and fat from `rng`."""
    age = months * (1.0 if male else GIRLS)
    grown = (1 - np.exp(-min(age, GROWN) / 110)) / (1 - np.exp(-GROWN / 110))
    return Hand(
        age=float(age),
        scale=float((0.4 + 0.6 * grown) * (1.0 if male else 0.95) * np.exp(rng.normal(0, 0.05))),
        cortex=float(rng.uniform(0.85, 1.15)),
        spongy=float(rng.uniform(0.33, 0.45)),
        fat=float(abs(rng.normal(0, 1.5))),
        spread=float(rng.uniform(0.85, 1.3)),
        timing=rng.normal(0, 5, 40) * min(1.0, 0.2 + age / 120),
    )


def lose_bone(hand: Hand, rng: np.random.Generator) -> Hand:
    """Return the same hand with osteopenia: about half the cortex and half the bone inside of it, nothing else."""
    return replace(hand, cortex=hand.cortex * rng.uniform(0.4, 0.6), spongy=hand.spongy * rng.uniform(0.4, 0.6))


def bones(hand: Hand) -> list[Piece]:
    """Return all pieces of bone that this hand has by now."""
    late = iter(hand.timing)
    pieces: list[Piece] = []
    for digit in range(5):
        for k, (start, end) in enumerate(segments(hand, digit)):
            radius = RADII[k] * (1.1 if digit == 0 else 0.85 if digit == 4 else 1.0)
            if k == 0 and digit:  # the plate of a metacarpal is at its head, the thumb's at its base
                start, end = end, start
            pieces += _long(hand, start, end, (1.6 * radius, radius, 1.35 * radius), PLATES[k], next(late))
    for start, end, wide, radius, plate in FOREARM:
        pieces += _long(hand, np.array(start, float), np.array(end, float), (wide, radius, radius), plate, next(late))
    for (_, centre, (across, along), turn, appears), delay in zip(CARPALS, late, strict=False):
        size = _ramp(hand.age - delay, appears, appears + 95) ** 0.6
        if size > 0.08:
            way = np.array((np.sin(np.radians(turn)), np.cos(np.radians(turn)), 0)) * along * size
            pieces.append(Piece(centre - way, centre + way, (0, 1.15 * across * size, 0), 0.9))
    return pieces


def segments(hand: Hand, digit: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (start, end) of the metacarpal and the phalanges of one digit, with room for the joints."""
    point, joint = np.array(BASES[digit]), 1.2
    for k, length in enumerate(LENGTHS[digit]):
        angle = np.radians(ANGLES[digit] * (hand.spread if k else 1.0) * (0.75 if digit == 0 and k else 1.0))
        way = np.array((np.sin(angle), np.cos(angle), 0.0))
        yield point + joint * way, point + (length - joint) * way
        point = point + length * way


def _long(hand: Hand, start: np.ndarray, end: np.ndarray, radii: tuple, plate: tuple, late: float) -> Iterator[Piece]:
    """Yield a shaft and, where there is one by now, its epiphysis at `start`; when they close, the whole bone fades in.

    `radii` are half widths at the plate, in the middle and at the other end; `plate` says when it appears and closes.
    """
    (appears, closes), age = plate, hand.age - late
    wide, middle, other = radii
    length = float(np.linalg.norm(end - start))
    way = (end - start) / length
    height = min(0.13 * length, 0.62 * wide)
    gap = 2.4 - 1.4 * _ramp(age, 0, closes - 24)
    closed, wall = _ramp(age, closes - 24, closes), 0.45 * middle
    if closed > 0:
        yield Piece(start, end, (wide, middle, other), wall, closed)
    if closed == 1:
        return
    yield Piece(start + way * (height + gap), end, (0.97 * wide, middle, other), wall, 1 - closed)
    if age > appears:
        share = _ramp(age, appears, appears + 0.6 * (closes - appears))
        across, half = wide * (0.25 + 0.78 * share), height * (0.175 + 0.325 * share) * way
        centre = start + way * height / 2
        yield Piece(centre - half, centre + half, (0.8 * across, across, 0.8 * across), 0.9, 1 - closed)


def _ramp(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0, 1))
