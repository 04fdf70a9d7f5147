"""Figures of long runs, kept under ``docs/measurements/`` with what one has to know to judge or repeat them."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

MEASUREMENTS: Final = Path(__file__).resolve().parents[2] / "docs" / "measurements"


def keep(name: str, what: str, figures: dict[str, Any]) -> None:
    """Write *figures* of *what* was measured to ``docs/measurements/{name}.json``, with date and class of machine."""
    machine = {
        "cores": os.cpu_count(),
        "arch": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
    }
    head = {"what": what, "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine}
    MEASUREMENTS.mkdir(parents=True, exist_ok=True)
    (MEASUREMENTS / f"{name}.json").write_text(json.dumps(head | figures, indent=2) + "\n", encoding="utf-8")
