"""What several test files share: the headless browser and one way to open a page in it."""

import os
import pathlib

# One thread and no busy waiting: faster on small machines, and the same numbers everywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]

# a stand-in in which every name is a class, also those that pytest asks a module for
collect_ignore = ["torchvision"]


@pytest.fixture(scope="session")
def browser():
    """One headless Chromium for the whole session. Without one a test fails: none is skipped."""
    from browser import MISSING, find, started

    with started(find() or pytest.fail(MISSING)) as chromium:
        yield chromium


@pytest.fixture
def open_page(browser):
    """open_page(path_or_url, mode="light", width=1300, height=900, javascript=True) -> playwright
    page.

    All network is refused. `page.log` collects what a quiet page must not have: requests that leave
    the machine, failed requests, page errors and console errors. The pages are closed when the test
    ends.
    """
    contexts = []

    def open_(where, mode="light", width=1300, height=900, javascript=True):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            java_script_enabled=javascript,
            offline=True,
            color_scheme=mode,
        )
        contexts.append(context)
        page = context.new_page()
        watch(page, mode)
        page.goto(
            pathlib.Path(where).resolve().as_uri() if isinstance(where, os.PathLike) else where
        )
        if javascript:
            settle(page)
        return page

    yield open_
    for context in contexts:
        context.close()


def watch(page, mode="light"):
    """Sets the colour mode and starts `page.log`."""
    page.log = []
    page.add_init_script(
        f"localStorage.setItem('mode', '{mode}'); localStorage.setItem('theme', '{mode}')"
    )
    local = ("file:", "data:", "blob:", "about:")
    page.route(lambda url: not url.startswith(local), lambda route: route.abort())
    page.on(
        "request",
        lambda r: None if r.url.startswith(local) else page.log.append(f"request {r.url}"),
    )
    page.on("requestfailed", lambda r: page.log.append(f"failed {r.url}"))
    page.on("pageerror", lambda e: page.log.append(f"pageerror {e.message}"))
    page.on(
        "console", lambda m: page.log.append(f"console {m.text}") if m.type == "error" else None
    )


def settle(page):
    """Waits until the page's mathematics, where it has some, is typeset."""
    page.wait_for_load_state("load")
    page.evaluate(
        "() => window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true"
    )


def pytest_terminal_summary(terminalreporter):
    """The equations of the book that this run has recomputed."""
    from equations import COVERED

    for chapter, covered in sorted(COVERED.items()):
        terminalreporter.write_line(
            f"{chapter}: {len(covered)} equations recomputed: {', '.join(covered)}"
        )
