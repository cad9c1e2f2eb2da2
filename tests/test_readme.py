"""The README, done from the top as a newcomer does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pages import checkout_like, run_page

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_readme(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    update = request.config.getoption("--update-golden")
    assert run_page(CHECKOUT / "README.md", checkout_like(tmp_path, CHECKOUT), update=update)
