"""Layouts "class_folders" and "imagenet": one image per file, the class is the name of a folder."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import warnings
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from tlkit.config import ConfigError
from tlkit.datasets import bounds
from tlkit.datasets.cards import DataCard, UnreadableFile, hidden, visible, visible_files
from tlkit.datasets.layout import FLAG, RANGE, Layout, Option
from tlkit.declared import one_of
from tlkit.layouts.patients import PATIENT, name_patients, patients

EXTENSIONS = {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm",
              ".jfif", ".jp2", ".avif"}  # fmt: skip
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
BYTES = {"1": 8, "L": 8, "I;16": 32, "I;16B": 32, "I": 32, "F": 32}  # a pixel, in all that it passes through
COLOURED = 24  # bytes a pixel of any other mode
WORDS = {  # in English, German, French, Spanish, Portuguese, Italian, Chinese and Japanese
    "train": "train,training,trn,entrainement,entraînement,apprentissage,entrenamiento,treino,treinamento,"
    "addestramento,训练,訓練,学習",
    "val": "val,valid,validation,dev,development,validierung,validacion,validación,validação,validazione,convalida,"
    "验证,検証",
    "test": "test,testing,tst,holdout,hold out,prueba,pruebas,teste,prova,测试,テスト",
}
SPLITS = {word: part for part, words in WORDS.items() for word in words.split(",")}
PARTS = tuple(WORDS)
AROUND = r"(?:(?:images?|data)[-_ ])?(.+?)[-_ ]?(?:s?(?:set|daten|bilder)|data|split|images?|part|ing data|集)?"
CHANNEL: Option = (int, one_of((1, 3), "number of channels"))
SIXTEEN = (0.0, 65535.0)  # range of unsigned 16 bits
MAPPING, SOLUTION = "LOC_synset_mapping.txt", "LOC_val_solution.csv"
KAGGLE = Path("ILSVRC/Data/CLS-LOC")


def split_of(name: str) -> str:
    """Return train, val or test where a folder, or a word in a table, is called so, such as "Training Set"; else ""."""
    said = unicodedata.normalize("NFC", name).lower().strip()
    found = SPLITS.get(said) or SPLITS.get(re.fullmatch(AROUND, said)[1] if said else "")
    return found or SPLITS.get(re.sub(r"[-_]", " ", said), "")


def classes(root: Path, card: DataCard) -> tuple[str, ...]:
    """Return the class names; a label is an index into them.

    They come from LOC_synset_mapping.txt (its order, names are WordNet ids) where that file is there, else
    from the card, else from the folders' sorted names. Raises ValueError if card and folders disagree.
    """
    mapping = root / MAPPING
    if mapping.is_file():
        return tuple(line.split()[0] for line in mapping.read_text().splitlines() if line.strip())
    if "word" in card.options:
        return card.classes
    above = "*/" * (card.options.get("level", 1) - 1)
    spelt = {name.casefold(): name for name in reversed(card.classes)}
    found = {
        c.name if c.name in card.classes else spelt.get(c.name.casefold(), c.name)
        for _, folder in _parts(root, card)
        for c in (folder.glob(f"{above}*") if above else visible(folder))
        if c.is_dir() and not any(map(hidden, c.relative_to(folder).parts))
        if not _beside(f"{c.relative_to(root).as_posix()}/", card)
    }
    if card.classes and found != set(card.classes):
        raise ConfigError(
            f"{card.name}: expected the class folders {', '.join(card.classes)}; missing: "
            f"{', '.join(sorted(set(card.classes) - found)) or 'none'}; unknown: "
            f"{', '.join(sorted(found - set(card.classes))) or 'none'} (in {root})."
        )
    return card.classes or tuple(sorted(found))


def word_of(path: str, place: int) -> str:
    """Return the word at a place in a file's name, letters or digits in a row, 1 the first, -1 the last; else ""."""
    words = re.findall(r"[^\W\d_]+|\d+", PurePath(path).stem)
    return words[place - (place > 0)] if -len(words) <= place - (place > 0) < len(words) else ""


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) of a tree `[split/]class/**/image`; no file is opened.

    Split folders are called as `split_of` knows; `options["splits"]` renames them, or names other ones, and with
    `options["split_folders"]` they lie below the classes. A class may be spelt in another case in another split.
    `options["halve"]` names the split that is cut into val and test, half of each class each, and
    `options["beside"]` the patterns of paths that come with the data and are not read.
    With `options["word"]` the class is a word of the file's name, see `word_of`.
    `options["level"]` counts the folders below the split down to the one whose name is the class (default: 1).
    `options["patient"]` says who is shown (`name_patients`); without it every image is a patient (`patient` = `id`).
    """
    index = {name: label for label, name in enumerate(classes(root, card))}
    spelt = {name.casefold(): name for name in reversed(index)}
    solution = _solution(root)
    rows, rejects = [], []
    parts, level = _parts(root, card), card.options.get("level", 1)
    for split, folder in parts:
        for file in visible_files(folder):
            path, inside = file.relative_to(root).as_posix(), file.relative_to(folder)
            if _beside(path, card):
                continue
            name = inside.parts[level - 1] if len(inside.parts) > level else solution.get(file.stem)
            name = word_of(path, card.options["word"]) if "word" in card.options else name
            name = name if name in index else spelt.get(str(name).casefold(), name)
            split = split_above(inside) if card.options.get("split_folders") else split
            if file.suffix.lower() not in EXTENSIONS:
                rejects.append((path, f"'{file.suffix}' is no image extension", "rule"))
            elif name not in index:
                rejects.append((path, f"class of the file is unknown (found: {name})", "rule"))
            else:
                rows.append((path, path, 0, path, split, index[name], name))
    if parts[0][0]:  # a tree with split folders: say what lies beside them
        known = {folder.name for _, folder in parts} | {KAGGLE.parts[0]}
        rejects += [
            (p.name + "/", "folder is no split", "rule")
            for p in visible(root)
            if p.is_dir() and p.name not in known and not _beside(f"{p.name}/", card)
        ]
    samples = pd.DataFrame(rows, columns=["id", "path", "frame", "patient", "split", "label", "class"])
    samples = samples.sort_values("id", ignore_index=True).astype({"class": "category"})
    samples, unnamed = name_patients(root, samples, card)
    if "halve" in card.options:
        samples["split"] = halve(samples, card.options["halve"])
    return samples, pd.DataFrame(sorted(rejects + unnamed), columns=["path", "reason", "kind"])


def decode(root: Path, rows: pd.DataFrame, card: DataCard) -> tuple[list[np.ndarray], list[None]]:
    """Return ([image], [None]) of one file: uint8 [H,W] where the card says one channel, else [H,W,3] RGB.

    EXIF rotation is applied, palettes and CMYK are converted, transparency is dropped. Grey images of more than 8 bits
    are read by `options["range"]`, see `to_bytes`. Raises UnreadableFile for anything that does not decode in full, has
    several frames, or has more than 8 bits and no range.
    """
    from PIL import Image, ImageOps

    with bounds.reading(partial(reason, root)), open_picture(root / rows["path"].iloc[0]) as image:
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise UnreadableFile(f"{image.n_frames} frames in one file; expected one image: save each as a file")
        ends = _range(image, card) if image.mode[0] in "IF" else None
        upright = ImageOps.exif_transpose(image)
        if ends:
            upright = Image.fromarray(to_bytes(np.asarray(upright), ends))
        if upright.mode == "P":  # a palette may hide colours: go through them also on the way to grey
            upright = upright.convert("RGBA")
        pixels = np.asarray(upright.convert("L" if card.options.get("channels") == 1 else "RGB"))
    return [pixels], [None]


def split_above(path: PurePath) -> str:
    """Return the split that a folder above a file is called by, the outermost first, "" for none."""
    return next(filter(None, map(split_of, path.parts[:-1])), "")


def to_bytes(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Return grey values [H,W] as uint8: 0 up to the lower end of the range, 255 from the upper one, rounded between.

    Raises UnreadableFile for values that are no finite numbers.
    """
    if not np.isfinite(values).all():
        raise UnreadableFile("pixels that are not finite numbers")
    low, high = ends
    return np.rint(np.clip((values.astype(np.float32) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _range(image, card: DataCard) -> tuple[float, float]:
    """Return the grey values that become 0 and 255: the card's, else for unsigned 16 bits all that these can hold."""
    if chosen := card.options.get("range"):
        return chosen
    if not (image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")):
        raise UnreadableFile(
            f"mode {image.mode}: more than 8 bits, not unsigned 16; say `range: [lowest, highest]` in the options"
        )
    warnings.warn(  # shown once for a data set
        f"{card.name}: images of 16 bits are read with 0 as black and 65535 as white. Where they use less of it, "
        "`range: [0, 4095]` (lowest, highest) among the data set's options in the study file says so.",
        stacklevel=2,
    )
    return SIXTEEN


def open_picture(path: Path):
    """Return an image of Pillow, its pixels not yet read; raise UnreadableFile where these are more than allowed.

    Of the formats that Pillow knows only those that hold pictures and start no other program.
    """
    from PIL import Image

    bounds.check_regular(path)
    Image.MAX_IMAGE_PIXELS = None  # Pillow's own bound, which no setting of ours could raise
    image = Image.open(path, formats=FORMATS)
    try:
        bounds.check_need(image.width * image.height * BYTES.get(image.mode, COLOURED))
    except UnreadableFile:
        image.close()
        raise
    return image


def halve(samples: pd.DataFrame, split: str) -> pd.Series:
    """Return the split column with `split` cut into "val" and "test", half of every class each.

    Decided by a hash of the file's name, so the same for everyone; an odd image goes to val in even classes.
    """
    out = samples["split"].copy()
    part = samples[samples["split"] == split]
    order = part["id"].map(lambda i: hashlib.sha256(Path(i).name.encode()).hexdigest())
    rank = order.groupby(part["label"]).rank(method="first") - 1
    size = part.groupby("label")["id"].transform("size")
    out[part.index] = np.where(rank < (size + (part["label"] % 2 == 0)) // 2, "val", "test")
    return out


def _beside(path: str, card: DataCard) -> bool:
    """Tell whether `options["beside"]` names a path; folders end with a slash, "*" stands for slashes as well."""
    return any(fnmatchcase(path, pattern) for pattern in card.options.get("beside", ()))


def _parts(root: Path, card: DataCard) -> list[tuple[str, Path]]:
    """Return (split, folder) pairs; one pair with an empty split where the tree has no split folders."""
    base = root / KAGGLE if (root / KAGGLE).is_dir() else root
    rename = card.options.get("splits", {})
    if card.options.get("split_folders") or "word" in card.options:
        return [("", base)]
    split = {p: split_of(p.name) for p in visible(base) if p.is_dir()}
    found = [(rename.get(p.name) or rename.get(said, said), p) for p, said in split.items()]
    return sorted((said, p) for said, p in found if said) or [("", base)]


def _solution(root: Path) -> dict[str, str]:
    """Return {image name: WordNet id} of LOC_val_solution.csv; empty where there is no such file."""
    file = root / SOLUTION
    if not file.is_file():
        return {}
    table = pd.read_csv(file, index_col="ImageId")
    return table["PredictionString"].str.split().str[0].to_dict()


def reason(root: Path, error: BaseException) -> str:
    """Return an error without the file's path: rejects are counted by reason, and compared between machines."""
    if type(error).__name__ == "UnidentifiedImageError":  # quotes the path
        return "UnidentifiedImageError: cannot identify image file, which is damaged or no picture"
    return bounds.quote_error(error).replace(f"{root}/", "")


_COMMON = {"patient": PATIENT, "range": RANGE}
CLASS_FOLDERS = Layout(
    scan=scan,
    decode=decode,
    classes=classes,
    patients=patients,
    options={
        "channels": CHANNEL,
        "splits": (dict[str, str], {}),
        "split_folders": FLAG,
        "level": (int, {"ge": 1}),
        "word": (int, {}),
        "beside": (tuple[str, ...], {}),
        **_COMMON,
    },
)
IMAGENET = replace(CLASS_FOLDERS, options={"halve": (str, one_of(SPLITS.values(), "split")), **_COMMON})
