"""One base model in memory for all bundles whose adapters lie over it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any

from llm4top.forecasters.model.adapter import load_adapter
from llm4top.forecasters.model.base_model import BaseModel, Quantize, load_base
from llm4top.forecasters.model.device import choose_device, choose_dtype

_LOADED: weakref.WeakValueDictionary[tuple[str | None, ...], SharedBase] = (
    weakref.WeakValueDictionary()
)


class SharedBase:
    """A loaded base model with the adapters over it, of which one is at work at a time.

    It lives as long as one of its adapters does.
    """

    def __init__(self, base: BaseModel):
        self.base = base
        self.model: Any = None
        self._lock = RLock()
        self._numbers = count()
        self._gone: list[str] = []

    def add(self, folder: Path) -> Adapter:
        """The adapter of ``folder`` over this base; raises what ``load_adapter`` raises."""
        with self._lock:
            number = next(self._numbers)
            name = "default" if not number else f"adapter{number}"
            self.model = load_adapter(self.base, folder, beside=self.model, name=name)
            return Adapter(self, name)

    @contextmanager
    def at_work(self, name: str) -> Iterator[None]:
        """Inside it, the model computes with that adapter, and no other thread switches it."""
        with self._lock:
            if self.model.active_adapters != [name]:
                self.model.set_adapter(name, inference_mode=True)
            # Not when they went: garbage may be collected in the midst of another's pass.
            while self._gone:
                self.model.delete_adapter(self._gone.pop())
            yield

    def forget(self, name: str) -> None:
        """Have the weights of that adapter freed at the next use of another."""
        self._gone.append(name)


class Adapter:
    """An adapter over a shared base model; its weights go when it does."""

    def __init__(self, shared: SharedBase, name: str):
        self.shared = shared
        self.name = name
        weakref.finalize(self, _forget, weakref.ref(shared), name)

    def at_work(self) -> Any:
        """A context in which the shared model computes with this adapter."""
        return self.shared.at_work(self.name)

    @property
    def bytes(self) -> int:
        """Bytes of its own weights."""
        return _bytes(w for n, w in self._weights() if f".{self.name}." in n)

    @property
    def base_bytes(self) -> int:
        """Bytes of the base model's weights."""
        return _bytes(w for n, w in self._weights() if ".lora_" not in n)

    def _weights(self) -> Iterator[tuple[str, Any]]:
        yield from self.shared.model.named_parameters()


def shared_base(
    folder: Path, sha256: str, *, device: str, dtype: str, quantize: Quantize
) -> SharedBase:
    """The base model of that folder and hash, loaded now if no adapter in use lies over it.

    Raises what ``load_base`` raises.
    """
    place = choose_device(device)
    number = choose_dtype(place, dtype)
    key = (str(folder.resolve()), sha256, place.torch, number.name, quantize)
    found = _LOADED.get(key)
    if found is None:
        found = SharedBase(load_base(folder, device=device, dtype=dtype, quantize=quantize))
        _LOADED[key] = found
    return found


def _forget(shared: weakref.ref[SharedBase], name: str) -> None:
    held = shared()
    if held is not None:
        held.forget(name)


def _bytes(weights: Iterator[Any]) -> int:
    return sum(int(w.numel() * w.element_size()) for w in weights)
