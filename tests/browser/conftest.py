"""A browser for the tests here, which skip where there is none."""

import os
import shutil
from contextlib import ExitStack

import pytest

ARGUMENTS = (
    "--no-sandbox",  # tests may run as root, in a container
    "--disable-gpu",
    # What a browser does by itself in a network.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def launch():
    """Starts Chromium with more arguments: the one that $CHROMIUM names, else that on PATH.

    Of each file, as Playwright's event loop must not run in the tests of others.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which(os.environ.get("CHROMIUM") or "chromium")
    if path is None:
        pytest.skip("there is no Chromium: install chromium, or name one in CHROMIUM")
    playwright.expect.set_options(timeout=60_000)  # a slow machine is no failure
    opened = []
    with playwright.sync_playwright() as started:

        def start(*arguments):
            opened.append(
                started.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
            )
            return opened[-1]

        yield start
        for browser in opened:
            browser.close()


@pytest.fixture(scope="module")
def browser(launch):
    return launch()


@pytest.fixture
def serve(tmp_path):
    """Starts services, which end after the pages that show them."""
    from support.serving import Serving

    with ExitStack() as services:
        yield lambda *arguments, **more: services.enter_context(
            Serving(tmp_path, *arguments, **more)
        )


@pytest.fixture
def open_page(browser, serve):
    """Opens pages that may ask no other host, break no policy and report no error."""
    from support.served_page import Pages

    pages = Pages()
    yield lambda url, **options: pages.open(options.pop("browser", browser), url, **options)
    pages.close()
