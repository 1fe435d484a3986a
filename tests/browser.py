"""One headless Chromium for all tests of pages."""

import shutil

import pytest


@pytest.fixture(scope="session")
def chromium():
    """A running browser; skips where playwright or Debian's chromium is absent."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Open a file in a window of its own; fails at the end of the test where the page said an error."""
    contexts, said = [], []

    def go(file, width=1280, height=860, **more):
        context = chromium.new_context(viewport={"width": width, "height": height}, accept_downloads=True, **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto(file if str(file).startswith("file:") else f"file://{file}")
        return page

    yield go
    for context in contexts:
        context.close()
    assert not said, said
