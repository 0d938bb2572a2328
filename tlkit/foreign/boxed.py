"""Reading a pickle that holds objects besides tensors: each becomes an empty box, and no code but torch's runs."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

REBUILT = {  # what makes tensors out of bytes, and plain containers: the only functions that are called
    "torch._utils": (
        "_rebuild_tensor_v2", "_rebuild_tensor", "_rebuild_parameter", "_rebuild_parameter_with_state",
    ),
    "torch": (
        "Size", "device", "FloatStorage", "HalfStorage", "DoubleStorage", "LongStorage", "IntStorage", "ShortStorage",
        "CharStorage", "ByteStorage", "BoolStorage", "BFloat16Storage", "float32", "float16", "bfloat16", "float64",
        "int64", "int32", "uint8", "bool",
    ),
    "torch.storage": ("UntypedStorage",),
    "torch.serialization": ("_get_layout",),
    "collections": ("OrderedDict",),
    **dict.fromkeys(("builtins", "__builtin__"), ("set", "frozenset", "dict", "list", "tuple")),
}  # fmt: skip
# Whose objects people save beside weights by a call (`PosixPath(...)`, `partial(...)`); the call makes a box, too.
CALLED = (
    "argparse", "copyreg", "datetime", "functools", "lightning", "numpy", "omegaconf", "pathlib", "pytorch_lightning",
    "timm", "torch", "torchvision",
)  # fmt: skip


class _Called(type):
    """The type of boxes; one whose class would be called, other than those of CALLED, is refused."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        if cls.__module__.partition(".")[0] not in CALLED:
            raise pickle.UnpicklingError(f"it would call {cls.__module__}.{cls.__name__}")
        return cls.__new__(cls)


class Box(metaclass=_Called):
    """Stands for an object of any class: it keeps what was put into it, and can do nothing."""

    def __new__(cls, *arguments: Any, **named: Any) -> Box:
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update((k, v) for k, v in state.items() if isinstance(k, str))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.__dict__[str(key)] = value

    def append(self, value: Any) -> None:
        """Take an item of a list, and forget it."""

    def extend(self, values: Any) -> None:
        """Take items of a list, and forget them."""

    add = append


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in REBUILT.get(module, ()):
            return super().find_class(module, name)
        return _Called(name, (Box,), {"__module__": module})


def load_boxed(path: Path) -> Any:
    """Return what a torch file holds, on the CPU, with a Box in place of every object that is no tensor.

    Raises pickle.UnpicklingError for a file that would call a function of others; whatever torch does for damage.
    """

    def load(file: Any, **how: Any) -> Any:
        return _Unpickler(file, **how).load()

    reader = SimpleNamespace(Unpickler=_Unpickler, load=load, __name__="tlkit.foreign.boxed")
    return torch.load(path, map_location="cpu", weights_only=False, pickle_module=reader)


def parts(found: Any) -> Mapping[str, Any] | None:
    """Return the named parts of a mapping, or of a box (of a module: tensors and modules below it); else None."""
    if isinstance(found, Mapping):
        return found
    if not isinstance(found, Box):
        return None
    own = vars(found)
    if "_modules" not in own:
        return own
    unsaved = own.get("_non_persistent_buffers_set") or ()
    held = ("_parameters", "_buffers", "_modules")
    return {k: v for part in held for k, v in _items(own.get(part)) if part != "_buffers" or k not in unsaved}


def _items(found: Any) -> Iterator[tuple[str, Any]]:
    yield from found.items() if isinstance(found, Mapping) else ()
