"""Phantoms of ChestX-ray14 and COVID-19 Radiography: radiographs of bodies with planted findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from tlkit.phantoms import xray
from tlkit.phantoms.anatomy import Body, Tissue
from tlkit.phantoms.streams import stream
from tlkit.phantoms.tubes import Builder, Tube
from tlkit.progress import track

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
HEALTHY, TEST, STAYS = 0.4, 0.22, 0.85  # shares of patients; probability that a finding is there in a follow-up
SHARE = 3_616 / (3_616 + 10_192)  # of COVID-19 in the real images of the two classes
IN_BED = {"COVID": 0.5, "Normal": 0.2}  # share of AP exposures: the sick are taken in bed more often
Painter = Callable[[Builder, dict[int, Tube]], None]
# Mean numbers a body of the standard size: one lung is 60 mm wide around x = +-72, from 1240 (diaphragm) to 1470 mm.


def _side(b: Builder) -> int:
    return -1 if b.rng.random() < 0.5 else 1


def _opacity(b: Builder, radii: tuple[float, float], low: float, high: float, tissue=Tissue.MUSCLE, **options) -> None:
    """A roundish opacity in one lung, its centre between the heights `low` and `high`."""
    side = _side(b)
    centre = (side * b.rng.uniform(55, 100), b.rng.uniform(-40, 45), b.rng.uniform(low, high))
    size = b.rng.uniform(*radii) * b.rng.uniform(0.85, 1.15, 3)
    b.ball(tissue, centre, size, within=f"lung{side}", grow=0.0, shift=0.0, **options)


def _in_lungs(builder: Builder, lungs: dict[int, Tube], sides: tuple[int, ...], **changes) -> None:
    """Paint whole lungs with something else."""
    builder.tubes += [replace(lungs[s], space="", within=f"lung{s}", depth=3, **changes) for s in sides]


def _cardiomegaly(b: Builder, lungs: dict[int, Tube]) -> None:
    size = b.rng.uniform(1.0, 1.15)
    b.ball(Tissue.MUSCLE, (28, -34, 1262), (90 * size, 60, 60 * size), turn=0.35, within="cavity", rough=0.02)


def _emphysema(b: Builder, lungs: dict[int, Tube]) -> None:
    _in_lungs(b, lungs, (-1, 1), tissue=Tissue.GAS, opacity=b.rng.uniform(0.7, 0.9))
    for _ in range(b.rng.integers(2, 6)):
        _opacity(b, (14, 28), 1360, 1440, Tissue.GAS)


def _effusion(b: Builder, lungs: dict[int, Tube]) -> None:
    first = _side(b)
    for side in (first, -first) if b.rng.random() < 0.4 else (first,):
        top = 1250 + b.rng.uniform(25, 110)
        z = (1180, 1245, 1245 + 0.6 * (top - 1245), top)  # higher at the wall than in the middle
        across = side * np.array((75, 80, 106, 128))
        b.tube(Tissue.FLUID, z, across, 15, (80, 80, 46, 12), (100, 100, 75, 40), within=f"lung{side}")


def _hernia(b: Builder, lungs: dict[int, Tube]) -> None:
    size = b.rng.uniform(0.9, 1.3)
    centre = np.array((b.rng.uniform(-5, 25), 18, 1268))
    b.ball(Tissue.MUSCLE, centre, np.array((38, 34, 36)) * size, shift=0.0)
    b.ball(Tissue.GAS, centre + np.array((0, 0, 6 * size)), np.array((29, 26, 22)) * size, shift=0.0)


def _infiltration(b: Builder, lungs: dict[int, Tube]) -> None:
    _opacity(b, (38, 55), 1290, 1400, pattern="blobs", level=-0.3, opacity=b.rng.uniform(0.5, 0.8))


def _atelectasis(b: Builder, lungs: dict[int, Tube]) -> None:
    side = _side(b)
    for low in b.rng.uniform(1255, 1330, b.rng.integers(1, 3)):  # plates above the diaphragm
        centre = (side * b.rng.uniform(65, 85), 0, low)
        b.ball(Tissue.MUSCLE, centre, (44, 70, 6), within=f"lung{side}", opacity=0.6, rough=0.1)


def _nodule(b: Builder, lungs: dict[int, Tube]) -> None:
    for _ in range(1 + b.rng.binomial(3, 0.25)):
        _opacity(b, (9, 15), 1300, 1430)


def _pneumothorax(b: Builder, lungs: dict[int, Tube]) -> None:
    side = _side(b)
    lung, left = lungs[side], b.rng.uniform(0.55, 0.8)  # share of its width that the collapsed lung has left
    _in_lungs(b, lungs, (side,), tissue=Tissue.GAS)
    small = dict(x=lung.x - side * lung.a * (1 - left), a=lung.a * left, b=lung.b * (0.6 + 0.4 * left), z=lung.z - 18)
    _in_lungs(b, lungs, (side,), tissue=Tissue.LUNG, **small)
    _in_lungs(b, lungs, (side,), tissue=Tissue.BLOOD, opacity=0.16, **small)


def _pleural_thickening(b: Builder, lungs: dict[int, Tube]) -> None:
    side = _side(b)
    lung, z = lungs[side], np.linspace(1340, 1468, 9)
    line = {k: np.interp(z, lung.z, getattr(lung, k)) for k in ("x", "y", "a", "b")}
    thick = np.interp(z, (1340, 1400, 1468), (4, 8, 20)) * b.rng.uniform(0.8, 1.3)
    b.tube(Tissue.MUSCLE, z, **line, shift=0, grow=0, within=f"lung{side}")
    inner = {"a": np.maximum(line["a"] - thick, 1), "b": np.maximum(line["b"] - thick, 1)}
    b.tube(Tissue.LUNG, z, **{**line, **inner}, shift=0, grow=0, within=f"lung{side}")


def _fibrosis(b: Builder, lungs: dict[int, Tube]) -> None:
    _in_lungs(b, lungs, (-1, 1), tissue=Tissue.MUSCLE, pattern="line", level=0.35, opacity=b.rng.uniform(0.4, 0.6))


def _edema(b: Builder, lungs: dict[int, Tube]) -> None:
    haze = b.rng.uniform(0.2, 0.35)
    for side in (-1, 1):
        b.ball(Tissue.FLUID, (side * 52, -4, 1330), (50, 70, 75), within=f"lung{side}", rough=0.25, opacity=haze)
        b.ball(Tissue.BLOOD, (side * 40, -4, 1330), (34, 34, 40), within=f"lung{side}", rough=0.4, opacity=0.5)


# How each finding looks, and how often it is the first one of a patient (in the order of the real data, but flatter).
FINDINGS: dict[str, tuple[float, Painter]] = {
    "Infiltration": (
        1.6,
        _infiltration,
    ),
    "Effusion": (1.3, _effusion),
    "Atelectasis": (1.2, _atelectasis),
    "Nodule": (1.0, _nodule),
    "Mass": (1.0, lambda b, _: _opacity(b, (18, 34), 1280, 1420, rough=0.06)),
    "Pneumothorax": (1.0, _pneumothorax),
    "Consolidation": (0.9, lambda b, _: _opacity(b, (42, 58), 1265, 1390, rough=0.15, opacity=0.85)),
    "Pleural_Thickening": (0.8, _pleural_thickening),
    "Cardiomegaly": (0.8, _cardiomegaly),
    "Emphysema": (0.7, _emphysema),
    "Edema": (0.7, _edema),
    "Fibrosis": (0.7, _fibrosis),
    "Pneumonia": (0.6, lambda b, _: _opacity(b, (44, 60), 1270, 1380, rough=0.3, opacity=0.55)),
    "Hernia": (0.5, _hernia),
}
COMPANIONS = {
    "Edema": ("Cardiomegaly", "Effusion"), "Cardiomegaly": ("Effusion",), "Consolidation": ("Effusion",),
    "Atelectasis": ("Effusion",), "Pneumonia": ("Infiltration",), "Emphysema": ("Pneumothorax",),
    "Fibrosis": ("Pleural_Thickening",), "Mass": ("Nodule",),
}  # fmt: skip


def draw_findings(rng: np.random.Generator) -> tuple[str, ...]:
    """Return a patient's findings, often none; some bring others along, as heart failure brings effusions."""
    if rng.random() < HEALTHY:
        return ()
    weights = np.array([weight for weight, _ in FINDINGS.values()])
    first = rng.choice(list(FINDINGS), 1 + rng.binomial(2, 0.4), replace=False, p=weights / weights.sum())
    found = set(map(str, first))
    found |= {c for f in sorted(found) for c in COMPANIONS.get(f, ()) if rng.random() < 0.45}
    return tuple(f for f in FINDINGS if f in found)


def plant(body: Body, findings: tuple[str, ...], seed: list[int], known: dict[str, Painter] | None = None) -> Body:
    """Return the body with these findings and no others; with one `seed` a finding looks the same every time.

    `known` says how to paint them; by default they are those of ChestX-ray14.
    """
    known = known or {name: paint for name, (_, paint) in FINDINGS.items()}
    lungs = {side: t for side in (-1, 1) for t in body.tubes if t.space == f"lung{side}"}
    own = [t for t in body.tubes if not (t.tissue == Tissue.FLUID and t.within.startswith("lung"))]
    airy = 1 + max(k for k, t in enumerate(own) if t.within.startswith("lung"))  # heart and liver are painted later
    inside, outside = [], []
    for k, (name, paint) in enumerate(known.items()):
        if name in findings:
            b = Builder(np.random.default_rng([*seed, k]))
            paint(b, lungs)
            inside += [t for t in b.tubes if t.within.startswith("lung")]
            outside += [t for t in b.tubes if not t.within.startswith("lung")]
    bones = [t.depth > 3 for t in own].index(True)
    return replace(body, tubes=(*own[:airy], *inside, *own[airy:bones], *outside, *own[bones:]))


def write(root: Path, seed: int, patients: int = 160, pixels: int = 96) -> None:
    """Write phantom radiographs `images_001/images/<patient>_<number>.png`, their CSV and the two official lists.

    Two images a patient on average, most of his findings in each; the sick are taken in bed (AP) more often, as they
    are in clinics. A fifth of the patients is in test_list.txt.
    """
    lines, lists = [HEADER], {"train_val": [], "test": []}
    for number in track(range(1, patients + 1), patients, "phantom chestxray", "patient"):
        rng = stream(seed, "chestxray patient", number)
        body, findings = xray.random_patient(rng), draw_findings(rng)
        part = lists["test" if rng.random() < TEST else "train_val"]
        folder = root / f"images_{1 + 3 * (number - 1) // patients:03d}" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        for follow in range(min(int(rng.geometric(0.5)), 6)):
            seen = tuple(f for f in findings if rng.random() < STAYS)
            view = "AP" if rng.random() < (0.5 if seen else 0.2) else "PA"
            exposure = xray.random_exposure(rng, view, body.width)
            picture = xray.image(plant(body, seen, [seed, number]), exposure, pixels, rng)
            name, mm = f"{number:08d}_{follow:03d}.png", exposure.fov / pixels
            cv2.imwrite(str(folder / name), picture)
            label = "|".join(seen) or "No Finding"
            who = f"{follow},{number},{body.age},{body.sex},{view}"
            lines.append(f"{name},{label},{who},{pixels},{pixels},{mm:.3f},{mm:.3f},")
            part.append(name)
    (root / "Data_Entry_2017.csv").write_text("\n".join(lines) + "\n")
    for name, files in lists.items():
        (root / f"{name}_list.txt").write_text("\n".join(files) + "\n")


def _covid(b: Builder, lungs: dict[int, Tube]) -> None:
    """Patches near the wall of both lungs, more in their lower half, between ground glass and consolidation."""
    dense = b.rng.uniform(0.6, 1.0)
    for side in (-1, 1):
        for _ in range(b.rng.integers(3, 6)):
            centre = (side * b.rng.uniform(84, 112), b.rng.uniform(-45, 55), b.rng.triangular(1255, 1290, 1400))
            patch = dict(pattern="blobs", level=b.rng.uniform(-1.2, -0.5), opacity=dense * b.rng.uniform(0.7, 1.0))
            size = b.rng.uniform((20, 40, 22), (36, 70, 46))
            b.ball(Tissue.MUSCLE, centre, size, within=f"lung{side}", rough=0.2, **patch)


def write_covid(root: Path, seed: int, images: int = 160, pixels: int = 96) -> None:
    """Write phantom radiographs `COVID/images/COVID-N.png` and `Normal/images/Normal-N.png`, a body each, N from 1.

    As many of COVID-19 as in the real images: 1 to 2.8 without finding.
    """
    sick = max(round(SHARE * images), 1)
    counts = {"COVID": sick, "Normal": images - sick}
    names = [(kind, n) for kind, count in counts.items() for n in range(1, count + 1)]
    for kind in counts:
        (root / kind / "images").mkdir(parents=True)
    for kind, n in track(names, len(names), "phantom covid", "image"):
        rng = stream(seed, f"covid {kind}", n)
        body, painters = xray.random_patient(rng), {"COVID": _covid}
        body = plant(body, (kind,), rng.integers(2**32, size=2).tolist(), painters)
        exposure = xray.random_exposure(rng, "AP" if rng.random() < IN_BED[kind] else "PA", body.width)
        picture = xray.image(body, exposure, pixels, rng)
        cv2.imwrite(str(root / kind / "images" / f"{kind}-{n}.png"), picture)
