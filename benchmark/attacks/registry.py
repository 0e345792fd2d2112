"""Attacks by name: their options, which need no torch, and the attacks themselves, which do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gifd_bench.benchmark.attacks.options import AttackOptions
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.common.registry import Registry, is_path, load

if TYPE_CHECKING:
    from gifd_bench.benchmark.attacks.base import Attack

_HERE = "gifd_bench.benchmark.attacks"
# Class and module of the options, by name; the attack's class is in the module of that name.
_BUNDLED = {
    "dlg": ("DLG", "pixel_options"),
    "idlg": ("IDLG", "pixel_options"),
    "ig": ("IG", "pixel_options"),
    "gi": ("GI", "pixel_options"),
    "gion": ("GION", "pixel_options"),
    "ggl": ("GGL", "generator_options"),
    "gias": ("GIAS", "generator_options"),
    "latent": ("Latent", "generator_options"),
    "gifd": ("GIFD", "generator_options"),
    "gifd_released": ("GIFDReleased", "generator_options"),
    "gifd_plus": ("GIFDPlus", "generator_options"),
    "gifd_ood": ("GIFDOOD", "generator_options"),
}


class AttackRegistry(Registry[type[AttackOptions]]):
    """Attacks by name. `find` returns the options of an attack.

    The attack itself is imported only when it is asked for, or if it comes from outside the package.
    """

    def __init__(self) -> None:
        options = {name: f"{_HERE}.{module}:{kind}Options" for name, (kind, module) in _BUNDLED.items()}
        super().__init__("attack", options, promise=f"{_HERE}.base:Attack")
        self._classes = {name: f"{_HERE}.{name}:{kind}" for name, (kind, _) in _BUNDLED.items()}

    def canonical(self, name: str) -> str:
        if name in self or not is_path(name):
            return name
        path = self.path(name)
        return next((known for known, bundled in self._classes.items() if bundled == path), name)

    def find(self, name: str) -> type[AttackOptions]:
        """The class of the options of an attack.

        Raises:
            UserError: there is no such attack, it cannot be imported, or it is not an attack.
        """
        known = self.bundled.get(self.canonical(name))
        if known is None:
            return self.attack_class(name).Options
        options: type[AttackOptions] = load(known)
        return options

    def attack_class(self, name: str) -> type[Attack]:
        """The class of the attack itself, a LightningModule.

        Raises:
            UserError: there is no such attack, it cannot be imported, or it is not an attack.
        """
        known = self._classes.get(self.canonical(name))
        path = known or self.path(name)
        found: type[Attack] = load(path)
        if known is None:
            self._check(path, found)
        return found

    def options(self, name: str, arguments: Mapping[str, Any]) -> AttackOptions:
        """An attack's options with these values.

        Raises:
            UserError: there is no such attack, it cannot be imported, or a value is out of its range.
        """
        return self.find(name)(**arguments)

    def make(self, name: str, arguments: Mapping[str, Any]) -> Attack:
        """An attack with these options.

        Raises:
            UserError: there is no such attack, it cannot be imported, or a value is out of its range.
        """
        return self.attack_class(name)(self.options(name, arguments))

    def described(self, name: str) -> str:
        return self._classes.get(self.canonical(name)) or self.path(name)

    def _check(self, path: str, found: Any) -> None:
        super()._check(path, found)
        options = getattr(found, "Options", None)
        if not (isinstance(options, type) and issubclass(options, AttackOptions)):
            raise BenchmarkError(f"{path}: Options is no subclass of gifd_bench.AttackOptions")


ATTACKS = AttackRegistry()
