"""Object photographs: coloured, textured shapes in front of cluttered backgrounds, under changing light.

A class is a shape, a texture and a tendency in colour. Neighbouring classes share colours, some share a shape
or a texture, and pose, light, clutter and occlusion vary, so no single property gives the class away.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tlkit.config import ConfigError

TURN = np.linspace(0, 2 * np.pi, 96, endpoint=False)


def _polar(radius: np.ndarray) -> np.ndarray:
    return np.stack([radius * np.cos(TURN), radius * np.sin(TURN)], 1) / np.abs(radius).max()


def _corners(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, float)


# Outlines in a unit square, y downwards.
SHAPES: dict[str, np.ndarray] = {
    "disc": _polar(np.ones_like(TURN)),
    "star": _polar(0.62 + 0.38 * (1 - 2 * np.abs((TURN * 5 / (2 * np.pi)) % 1 - 0.5)) * 2 - 0.2),
    "crate": _corners((-0.8, -0.75), (0.8, -0.75), (0.8, 0.75), (-0.8, 0.75)),
    "bird": _corners(
        (-1, -0.1), (-0.55, -0.4), (-0.2, -0.25), (0.2, -0.9), (0.45, -0.2), (1, -0.45), (0.75, 0.1), (1, 0.4),
        (0.3, 0.35), (-0.3, 0.45), (-0.65, 0.1),
    ),
    "flower": _polar(0.7 + 0.3 * np.cos(6 * TURN)),
    "bottle": _corners(
        (-0.18, -1), (0.18, -1), (0.2, -0.45), (0.5, -0.15), (0.5, 1), (-0.5, 1), (-0.5, -0.15), (-0.2, -0.45)
    ),
    "arrow": _corners((-1, -0.3), (0.1, -0.3), (0.1, -0.8), (1, 0), (0.1, 0.8), (0.1, 0.3), (-1, 0.3)),
    "fish": _corners(
        (-1, -0.5), (-0.6, -0.1), (-0.1, -0.5), (0.5, -0.45), (1, 0), (0.5, 0.45), (-0.1, 0.5), (-0.6, 0.1), (-1, 0.5)
    ),
}  # fmt: skip
TEXTURES = {
    "striped": lambda u, v, f, p: np.sin(f * 9 * u + p),
    "spotted": lambda u, v, f, p: 2.2 * np.cos(f * 8 * u + p) * np.cos(f * 8 * v + p) - 0.6,
    "plain": lambda u, v, f, p: 0.35 * u + 0.25 * np.sin(2 * v + p),
    "ringed": lambda u, v, f, p: np.sin(f * 11 * np.sqrt(u * u + v * v) + p),
    "chequered": lambda u, v, f, p: 3 * np.sin(f * 7 * u + p) * np.sin(f * 7 * v + p),
    "woven": lambda u, v, f, p: np.sin(f * 9 * (u + v) + p) + 0.6 * np.sin(f * 13 * (u - v)),
}
MAX_CLASSES = len(SHAPES) * len(TEXTURES) // 2  # the two periods share a factor of 2


@dataclass(frozen=True)
class Kind:
    """One class: its name, outline, texture, and the hue (0-1) it tends to."""

    name: str
    shape: str
    texture: str
    hue: float


def kinds(n: int) -> list[Kind]:
    """Return the first `n` classes; pairs share a hue, and later ones repeat shapes with new textures."""
    if not 2 <= n <= MAX_CLASSES:
        raise ConfigError(f"phantom photographs have 2 to {MAX_CLASSES} classes, not {n}")
    shapes, textures = list(SHAPES), list(TEXTURES)
    table = [(shapes[k % len(shapes)], textures[k % len(textures)]) for k in range(n)]
    return [Kind(f"phantom {t} {s}", s, t, (k // 2 * 0.618) % 1.0) for k, (s, t) in enumerate(table)]


def _colour(hue: float, saturation: float, value: float) -> np.ndarray:
    """Return RGB (0-255, float32) of a hue, saturation and value in [0, 1]."""
    sector = (hue * 6 + np.array((0, 4, 2))) % 6
    return (255 * value * (1 - saturation * np.clip(2 - np.abs(sector - 3), 0, 1))).astype(np.float32)


def _random_colour(rng: np.random.Generator) -> np.ndarray:
    return _colour(rng.random(), rng.uniform(0.0, 0.4), rng.uniform(0.25, 0.95))


def _background(rng: np.random.Generator, pixels: int) -> np.ndarray:
    """Blotches between two colours over a horizon: near things finer, like grass, sand, walls or sky."""
    cells = int(rng.integers(3, 14))
    blot = cv2.resize(rng.random((cells, cells), np.float32), (pixels, pixels), interpolation=cv2.INTER_CUBIC)
    grain = rng.random((pixels // 2, pixels // int(rng.integers(2, 9))), np.float32)
    fine = cv2.resize(grain, (pixels, pixels))
    ramp = np.linspace(rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), pixels, dtype=np.float32)[:, None]
    mix = np.clip(blot + ramp + np.float32(rng.uniform(0, 0.6)) * (fine - 0.5), 0, 1)[..., None]
    first, second = _random_colour(rng), _random_colour(rng)
    return first + mix * (second - first)


def _placed(outline: np.ndarray, matrix: np.ndarray, centre: np.ndarray, pixels: int) -> np.ndarray:
    """Return the soft mask [P, P] (float32, 0-1) of an outline after its pose."""
    points = outline @ matrix.T + centre
    mask = np.zeros((pixels, pixels), np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) * np.float32(1 / 255)


def _pose(rng: np.random.Generator, scale: float) -> np.ndarray:
    """Return a 2x2 matrix: rotation, unequal scales, shear, and perhaps a mirror."""
    t = rng.normal(0, 0.28)
    turn = np.array(((np.cos(t), -np.sin(t)), (np.sin(t), np.cos(t))))
    stretch = np.diag(scale * np.exp(rng.normal(0, 0.1, 2)) * (rng.choice((-1, 1)), 1))
    return turn @ stretch @ np.array(((1, rng.normal(0, 0.15)), (0, 1)))


def _blend(picture: np.ndarray, mask: np.ndarray, colour: np.ndarray) -> None:
    picture += mask[..., None] * (colour - picture)


def _clutter(picture: np.ndarray, rng: np.random.Generator, count: int) -> None:
    """Scatter corners, blobs and bars in any colour: things that belong to no class."""
    pixels = len(picture)
    for _ in range(count):
        sides = int(rng.integers(3, 8))
        angles = np.sort(rng.uniform(0, 2 * np.pi, sides))
        outline = np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(0.4, 1, (sides, 1))
        matrix = _pose(rng, pixels * rng.uniform(0.05, 0.15))
        _blend(picture, _placed(outline, matrix, rng.uniform(0, pixels, 2), pixels), _random_colour(rng))


def _surface(kind: Kind, matrix: np.ndarray, centre: np.ndarray, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Return the lit, textured surface [P, P, 3] of the object, to be cut out by its mask."""
    inverse = np.linalg.inv(matrix).astype(np.float32)
    line = np.arange(pixels, dtype=np.float32)
    dx, dy = line[None] - np.float32(centre[0]), line[:, None] - np.float32(centre[1])
    u, v = inverse[0, 0] * dx + inverse[0, 1] * dy, inverse[1, 0] * dx + inverse[1, 1] * dy
    wave = TEXTURES[kind.texture](u, v, np.float32(rng.uniform(0.75, 1.35)), np.float32(rng.uniform(0, 6.28)))
    mix = np.clip(wave * np.float32(1.6) + np.float32(0.5), 0, 1)[..., None]
    hue = rng.random() if rng.random() < 0.1 else kind.hue + rng.normal(0, 0.05)
    main = _colour(hue % 1, rng.uniform(0.3, 0.9), rng.uniform(0.45, 1.0))
    other = _colour((hue + rng.normal(0, 0.12)) % 1, rng.uniform(0.1, 0.9), rng.uniform(0.1, 1.0))
    surface = main + mix * np.float32(rng.uniform(0.45, 1.0)) * (other - main)
    light = rng.uniform(0, 2 * np.pi)
    slope = np.float32(np.cos(light)) * u + np.float32(np.sin(light)) * v
    surface *= (1 + np.float32(rng.uniform(0.1, 0.4)) * slope)[..., None]
    return surface


def photograph(kind: Kind, pixels: int, rng: np.random.Generator) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Return one picture of a class, uint8 RGB [P, P, 3], and the object's box (x0, y0, x1, y1)."""
    picture = _background(rng, pixels)
    _clutter(picture, rng, int(rng.integers(0, 4)))
    matrix = _pose(rng, pixels * rng.uniform(0.3, 0.45))
    centre = pixels * rng.uniform(0.4, 0.6, 2)
    mask = _placed(SHAPES[kind.shape], matrix, centre, pixels)
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    fall = np.roll(mask, tuple(rng.integers(-5, 6, 2) * pixels // 96), (0, 1))
    picture *= 1 - np.float32(rng.uniform(0.1, 0.5)) * cv2.blur(fall, (7, 7))[..., None]
    _blend(picture, mask, _surface(kind, matrix, centre, pixels, rng))
    if rng.random() < 0.3:
        _clutter(picture, rng, 1)
    picture *= np.exp(rng.normal(0, 0.08, 3)).astype(np.float32) * np.float32(rng.uniform(0.7, 1.15))
    picture += np.float32(rng.uniform(1, 7)) * rng.standard_normal((pixels, pixels, 1), np.float32)
    cv2.GaussianBlur(picture, (3, 3), rng.uniform(0.3, 1.1), dst=picture)
    box = (int(cols[0]), int(rows[0]), int(cols[-1]), int(rows[-1]))
    return np.clip(picture, 0, 255).astype(np.uint8), box
