"""Finds the adapters: each module of `platform/adapters/` declares one external client."""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from kernel.adapter import Adapter
from kernel.boot.errors import BootError
from kernel.config.own import OwnSettings
from kernel.feature import Feature

Adapters = Mapping[str, Adapter[Any, Any]]


def discover_adapters(package: str = "adapters") -> Adapters:
    """Return the adapters by module name; none if there is no such package.

    Raises BootError for a module without an adapter, and for two adapters of the same client.
    """
    try:
        root = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        return {}
    found: dict[str, Adapter[Any, Any]] = {}
    for info in pkgutil.iter_modules(root.__path__):
        adapter = getattr(importlib.import_module(f"{package}.{info.name}"), "adapter", None)
        if not isinstance(adapter, Adapter):
            raise BootError(f"{package}/{info.name}.py defines no `adapter = Adapter(…)`.")
        for other, known in found.items():
            if known.client is adapter.client:
                raise BootError(
                    f"{package}/{other}.py and {package}/{info.name}.py both make "
                    f"{adapter.client.__name__}: give each a client class of its own."
                )
        found[info.name] = adapter
    return found


def own_settings(
    features: Mapping[str, Feature], adapters: Adapters | None = None
) -> list[type[OwnSettings]]:
    """Return the settings classes of slices and adapters, each once."""
    adapters = discover_adapters() if adapters is None else adapters
    of_slices = [one.settings for one in features.values() if one.settings is not None]
    return list(dict.fromkeys([*of_slices, *(one.settings for one in adapters.values())]))
