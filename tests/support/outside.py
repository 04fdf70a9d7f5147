"""The package of the page on writing an adapter, as somebody else would install it: in a folder outside the repository.

A folder on the path with the package's metadata beside it is what an installer leaves; nothing is fetched for it.
"""

import re
import shutil
import tomllib
from pathlib import Path

from tests.support.policy_files import SHIPPED
from tests.support.programs import ROOT

PAGE = (ROOT / "docs" / "writing-an-adapter.md").read_text("utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def of(language: str) -> list[str]:
    """The page's blocks in one language."""
    return [text for kind, text in FENCES if kind == language]


def write_package(folder: Path) -> Path:
    """The page's Python files below *folder*, each at the place it names."""
    for text in of("python"):
        head, _, code = text.partition("\n")
        path = folder / head.removeprefix("# file: ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, "utf-8")
    (folder / "county" / "__init__.py").touch()
    return folder


def install(folder: Path) -> Path:
    """The same, with the metadata by which its entry points are found."""
    write_package(folder)
    (points,) = of("toml")
    groups = tomllib.loads(points)["project"]["entry-points"]
    lines = [
        line for group, names in groups.items() for line in (f"[{group}]", *(f"{k} = {v}" for k, v in names.items()))
    ]
    metadata = folder / "county_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: county-package\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def register(folder: Path) -> Path:
    """A copy of the shipped policies with the page's row of the register."""
    shutil.copytree(SHIPPED, folder)
    (row,) = of("yaml")
    partners = folder / "partners.yaml"
    partners.write_text(partners.read_text("utf-8") + "\n" + row, "utf-8")
    return folder
