"""A reader's own weights files: which network each is of, where its tensors are, what input they were made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tlkit.config import ConfigError, file_name
from tlkit.foreign import huggingface, recognise
from tlkit.foreign.recognise import Found, TwoEncodersError
from tlkit.models import LoadReport, WeightsFileError, backbone, read_tensors
from tlkit.models.parts import choose_stem, first_convolution
from tlkit.models.weight_files import SUFFIXES
from tlkit.models.weights import compare
from tlkit.training.recipe import NORMALISE

IMAGENET = NORMALISE["imagenet"]  # mean and deviation of what nothing is known about
SHOWN = 3  # names of tensors in a line


@dataclass(frozen=True)
class Brought:
    """One file of weights that is tried: its entry in a study's pretrainings, by name, and one line about it."""

    name: str
    backbone: str
    entry: dict[str, Any]
    line: str


def bring(
    files: Iterable[Path], network: str = "", prefix: str = "", partial: bool = False, taken: Iterable[str] = ()
) -> list[Brought]:
    """Return what each file is: network, place of the tensors and input, guessed by names and shapes and checked.

    `network` and `prefix` are taken instead of a guess; `partial` allows files that fill only a part. Names are those
    of the files, with their folders' where two are alike or one is `taken`. Raises ConfigError, which names the flag
    that helps, for a file that is none, no checkpoint, of an unknown network, less than whole, or named twice.
    """
    paths = [file.expanduser() for file in files]
    for at, file in enumerate(paths):
        _check_file(file)
        if file.resolve() in [other.resolve() for other in paths[:at]]:
            raise ConfigError(f"--weights {file}: named twice. Name each file once.")
    read = {file: _read(file) for file in paths}
    wanted = {file: _prefix_of(tensors, prefix) for file, tensors in read.items()}
    if prefix and not any(wanted.values()):
        raise ConfigError(f"--prefix {prefix}: no tensor of {_names(paths)} begins so. {_beginnings(read.values())}")
    return [
        _bring(file, name, read[file], network, wanted[file], partial)
        for file, name in zip(paths, _arm_names(paths, taken), strict=True)
    ]


def _bring(file: Path, name: str, tensors: Mapping[str, Tensor], network: str, prefix: str, partial: bool) -> Brought:
    said = f"--weights {file}"
    hint = f"{file.parent.name} {file.name}"
    fits = [f for f in recognise.search(tensors, hint, network) if f.prefix.startswith(prefix)]
    try:
        found = recognise.choose(fits, tensors)
    except TwoEncodersError as error:
        raise ConfigError(f"{said}: it {error} Say --prefix {error.found[0].prefix}") from error
    if found is None and network and partial:
        found = next(iter(fits), None)
    if found is None:
        raise ConfigError(_unknown(said, tensors, fits, network))
    report, stem = _report(file, tensors, found)
    if not report.whole and not partial:
        raise ConfigError(_less(said, report, found, network))
    mean, std, size, words = own_input(found, tensors, hint)
    own = {"file": str(file.resolve()), "mean": list(mean), "std": list(std), "size": size}
    own |= {k: v for k, v in {"prefix": found.prefix, "rules": list(found.rules), "stem": stem}.items() if v}
    entry = {"title": file.name, "weights": own} | ({} if report.whole else {"partial": True})
    return Brought(name, found.backbone, entry, f"{_line(file, found, report, fits)}; {words}")


def _check_file(file: Path) -> None:
    if file.is_dir():
        inside = sorted(p.name for p in file.iterdir() if p.name.endswith((*SUFFIXES, ".tar", ".gz")))
        held = f"It holds {', '.join(inside[:8])}." if inside else "There is no weights file in it."
        raise ConfigError(f"--weights {file}: this is a folder; name a file in it. {held}")
    if not file.is_file():
        raise ConfigError(f"--weights {file}: there is no such file.")


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return read_tensors(file)
    except WeightsFileError as error:
        raise ConfigError(f"--weights {file}: {error}") from error


def _arm_names(files: Sequence[Path], taken: Iterable[str]) -> list[str]:
    """Return a name for each file: its stem; where two are alike, or one is taken, with its folders before it."""
    stems, names = [file_name(_stem(file)) or "weights" for file in files], []
    used = {*taken, *(stem for stem in stems if stems.count(stem) > 1)}
    for file, name in zip(files, stems, strict=True):
        for folder in file.resolve().parents:
            if name not in used:
                break
            name = file_name(f"{folder.name}_{name}")
        used.add(name)
        names.append(name)
    return names


def _stem(file: Path) -> str:
    name = file.name
    for ending in (".gz", ".tar", *SUFFIXES):
        name = name.removesuffix(ending)
    return name or file.name


def _prefix_of(tensors: Mapping[str, Tensor], prefix: str) -> str:
    return prefix if prefix and any(k.startswith(prefix) for k in tensors) else ""


def _report(file: Path, tensors: Mapping[str, Tensor], found: Found) -> tuple[LoadReport, str]:
    """Return what `load_encoder` would say of the file, and the `stem` that it needs; no memory for weights."""
    with torch.device("meta"):
        encoder = backbone(found.backbone)
    report, _ = compare(tensors, encoder, found.rules, str(file), prefix=found.prefix)
    first = first_convolution(encoder)
    stem = next((choose_stem(a, b) for n, a, b in report.wrong_shape if n == first), "")
    if stem:
        report, _ = compare(tensors, encoder, found.rules, str(file), stem, found.prefix)
    return report, stem


def own_input(
    found: Found, tensors: Mapping[str, Tensor], hint: str
) -> tuple[Sequence[float], Sequence[float], int, str]:
    """Return mean, deviation and size (px) of the input of a file's network, and where they are from, in words.

    Those that torchvision or timm says of it; where the file has no classifier and does not bear the network's name,
    it was pretrained in some other way, and the mean and deviation are those of ImageNet.
    """
    mean, std, size, source = IMAGENET.mean, IMAGENET.std, 224, "assumed"
    library, _, name = found.backbone.rpartition("/")
    if library:
        from torchvision import models

        transform = models.get_model_weights(name).DEFAULT.transforms()
        mean, std, size, source = transform.mean, transform.std, transform.crop_size[0], "torchvision's"
    elif (said := _timm_input(name)) is not None:
        size = said.input_size[-1]
        if _has_classifier(found, tensors) or recognise.find_named(hint, [name])[:1] == [name]:
            mean, std, source = said.mean, said.std, f"timm's of {name}"
    digits = "/".join(f"{v:.3g}" for v in dict.fromkeys(mean)), "/".join(f"{v:.3g}" for v in dict.fromkeys(std))
    imagenet = "ImageNet's " if tuple(mean) == tuple(IMAGENET.mean) else ""
    return tuple(mean), tuple(std), size, f"input: {imagenet}mean {digits[0]}, std {digits[1]}, {size} px ({source})"


def _timm_input(name: str) -> Any:
    import timm

    return timm.get_pretrained_cfg(name) if timm.is_model(name) else None


def _has_classifier(found: Found, tensors: Mapping[str, Tensor]) -> bool:
    """Tell whether a file has one linear layer behind the encoder, where timm's own networks have theirs."""
    last = [f"{found.prefix}{n}.weight" for n in ("head", "head.fc", "fc", "classifier")]
    return any(name in tensors and tensors[name].ndim == 2 for name in last)


def _line(file: Path, found: Found, report: LoadReport, fits: Sequence[Found]) -> str:
    """Return what is loaded of a file, such as "moco.pth: torchvision/resnet50, prefix module.encoder_q., ..."."""
    matched, total = len(report.matched), len(report.matched) + len(report.random)
    told = [f"{file.name}: {found.backbone}", f"prefix {found.prefix}" if found.prefix else "no prefix"]
    told += [f"rule {rule}" for rule in found.rules] + [f"{matched} of {total} tensors"]
    if report.positions:
        told.append(f"positions {report.positions}")
    if report.stem:
        told.append(f"first convolution {report.stem}")
    left = dict.fromkeys(_part(key.removeprefix(found.prefix)) for key in report.unexpected)
    told.append(f"{len(report.unexpected)} left" + (f": {_some(left)}" if left else ""))
    others = [f.prefix for f in fits if f.whole and f.prefix != found.prefix]
    if others:
        told.append(f"taken before {_some(dict.fromkeys(p or 'no prefix' for p in others))} (else --prefix)")
    if found.alike:
        told.append(f"the same tensors as {_some(dict.fromkeys(found.alike))} (else --backbone)")
    return ", ".join(told)


def _part(name: str) -> str:
    first, dot, _ = name.partition(".")
    return f"{first}.*" if dot else first


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")


def _less(said: str, report: LoadReport, found: Found, network: str) -> str:
    """Return why a file that fills less than the encoder is refused, and what helps."""
    where = f"prefix {found.prefix}" if found.prefix else "no prefix"
    total = len(report.matched) + len(report.random)
    text = f"{said}: only {len(report.matched)} of the {total} tensors of {found.backbone} are in it ({where}). "
    if report.random:
        shapes = {name: f"{name} ({a} for {b})" for name, a, b in report.wrong_shape}
        text += f"Not filled: {_some([shapes.get(name, name) for name in report.random])}. "
    else:
        text = f"{said}: it has {len(report.excess)} tensors more than {found.backbone} of the same parts. "
    name = "another --backbone NAME" if network else "--backbone NAME where it is of another network"
    return text + f"Say {name}, or --partial to start the rest at random."


def _unknown(said: str, tensors: Mapping[str, Tensor], fits: Sequence[Found], network: str) -> str:
    near = next(iter(fits), None)
    text = f"{said}: its tensors ({_some(tensors)}) are those of no network that is known here. "
    if network:
        text = f"{said}: its tensors ({_some(tensors)}) are not those of {network}. "
    text += huggingface.say_not_converted(tensors)
    if near:
        text += f"Nearest is {near.backbone}, with {near.matched} of {near.total} tensors. "
    return text + (
        "Say --backbone NAME: a name of timm.list_models(), or torchvision/NAME."
        if not network
        else "Leave --backbone out to have it guessed, or say --partial to start the rest at random."
    )


def _names(files: Iterable[Path]) -> str:
    return ", ".join(file.name for file in files)


def _beginnings(files: Iterable[Mapping[str, Tensor]]) -> str:
    found = dict.fromkeys(f.prefix for tensors in files for f in recognise.search(tensors) if f.whole)
    return f"Encoders begin with: {', '.join(repr(p) for p in found)}." if found else ""
