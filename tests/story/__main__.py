"""``make demo``: the story for a person to watch. Ends with 0 only if every step showed what it should."""

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tests.story.rogue import answering
from tests.story.stage import raised
from tests.story.steps import STEPS, NotAsTold, Story


def main() -> int:
    """Tell the story; the exit code says whether it was true."""
    console = Console(highlight=False, soft_wrap=True)
    console.print("[bold]Interagency request broker: the whole story[/] (all systems invented, all faces drawn)\n")
    began = time.monotonic()
    with ExitStack() as opened:
        with console.status("starting the database, the broker, its worker and two invented partners …"):
            stage = opened.enter_context(raised(rogue_url=opened.enter_context(answering())))
        opened.callback(console.print, "ending everything that was started …")
        console.print(f"broker at {stage.url}, partners at {', '.join(stage.partners.values())}\n")
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="probes "))
        stage.cast.broker("sample-probes", folder)
        try:
            _tell(Story(stage, Path(folder)), console)
        except NotAsTold as fault:
            console.print(f"\n[bold red]not as it should be:[/] {escape(str(fault))}")
            console.print(f"the broker's log ends with:\n{escape(stage.log.read_text()[-3000:])}")
            return 1
    console.print(f"\n[bold green]Every step showed what it should[/] ({time.monotonic() - began:.0f} s).")
    return 0


def _tell(story: Story, console: Console) -> None:
    for number, step in enumerate(STEPS, start=1):
        title = (step.__doc__ or "").strip()
        console.print(f"[bold]{number}. {escape(title)}[/]")
        with console.status("…"):
            for line in step(story):
                console.print(f"   [green]✓[/] {escape(line)}")


if __name__ == "__main__":
    sys.exit(main())
