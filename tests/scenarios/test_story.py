"""The story itself, step by step, over the real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.story.rogue import answering
from tests.story.stage import raised
from tests.story.steps import STEPS, Story
from tests.support.postgres import OUTSIDE

pytestmark = [
    pytest.mark.processes,
    pytest.mark.xdist_group("story"),
    pytest.mark.skipif(OUTSIDE is not None, reason="step eight copies the embedded database"),
]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with answering() as rogue_url, raised(rogue_url=rogue_url) as stage:
        probes: Path = tmp_path_factory.mktemp("probes")
        stage.cast.broker("sample-probes", str(probes))
        yield Story(stage, probes)


@pytest.fixture(scope="module")
def told(story: Story) -> dict[str, bool]:
    """Which steps have been shown: each rests on those before it."""
    return {}


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[step.__name__ for step in STEPS])
def test_step(story: Story, told: dict[str, bool], number: int) -> None:
    before = [step.__name__ for step in STEPS[:number]]
    missing = [name for name in before if not told.get(name)]
    if missing:
        pytest.fail(f"rests on {missing[0]}, which was not shown")
    seen = list(STEPS[number](story))
    assert seen
    told[STEPS[number].__name__] = True


def test_there_are_nine_steps_and_each_says_what_it_shows() -> None:
    assert len(STEPS) == 9
    assert all((step.__doc__ or "").strip() for step in STEPS)
