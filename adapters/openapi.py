"""The partners' interfaces as files: ``python -m adapters.openapi`` writes them, ``--check`` says whether they are current.

They are what a partner's engineers are shown, exported from the stand-ins, which are what the adapters are tried
against.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from fastapi import FastAPI

from adapters.cbp.standin import build as build_cbp
from adapters.contractor.standin import build as build_contractor
from adapters.dmv.standin import build as build_dmv
from adapters.dos.standin import build as build_dos
from adapters.vendor.standin import build as build_vendor

FOLDER: Final = Path(__file__).parent.parent / "openapi" / "partners"
_HEAD: Final = "# Exported from the stand-in by `python -m adapters.openapi`; do not edit.\n"
_STANDINS: Final[Mapping[str, Callable[[Mapping[str, str]], FastAPI]]] = {
    "cbp": build_cbp,
    "contractor": build_contractor,
    "dmv": build_dmv,
    "dos": build_dos,
    "vendor": build_vendor,
}


def exported() -> dict[Path, str]:
    """Each file and what should stand in it."""
    settings = {"PARTNER_KEY_FILE": __file__}  # Any file will do for a secret: nobody calls these apps.
    return {FOLDER / f"{name}.yaml": _HEAD + _text(build(settings)) for name, build in _STANDINS.items()}


def _text(app: FastAPI) -> str:
    statement: dict[str, Any] = app.openapi()
    for operations in (*statement["paths"].values(), *statement.get("webhooks", {}).values()):
        for operation in operations.values():
            # The stand-ins answer what does not fit with the standard's 400.
            operation.get("responses", {}).pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        statement["components"].get("schemas", {}).pop(name, None)
    return yaml.safe_dump(statement, sort_keys=False, allow_unicode=True, width=120)


def outdated() -> list[Path]:
    """Files that say something else than the stand-ins do."""
    return [path for path, text in exported().items() if not path.is_file() or path.read_text("utf-8") != text]


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` only compare them; the exit status."""
    if arguments == ["--check"]:
        stale = outdated()
        for path in stale:
            sys.stderr.write(f"{path.name} is not what the stand-in serves; run: python -m adapters.openapi\n")
        return 1 if stale else 0
    for path, text in exported().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
