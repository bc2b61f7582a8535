"""What a page of the built book weighs on the way to its reader, and when its first text comes."""

import contextlib

import pytest
from built import HTML, PAGES, every_page, host

PHONE = {"viewport": {"width": 390, "height": 800}}
LINE = {"latency": 40, "downloadThroughput": 10e6 / 8, "uploadThroughput": 10e6 / 8}
# with all that the page loads, compressed as a host sends it
LIMITS = {"intro.html": 400_000}
LIMIT = 1_600_000


@pytest.fixture(scope="module")
def hosted():
    with host() as address:
        yield address


@contextlib.contextmanager
def visit(browser, address, **throttled):
    """A first visit: (page, the bytes that came, one number for each file)."""
    context = browser.new_context(**PHONE)
    page, sizes = context.new_page(), []
    connection = context.new_cdp_session(page)
    connection.send("Network.enable")
    connection.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    if throttled:
        connection.send("Network.emulateNetworkConditions", {"offline": False, **LINE})
        connection.send("Emulation.setCPUThrottlingRate", {"rate": throttled["slower"]})
    page.goto(address, wait_until="load")
    yield page, sizes
    context.close()


@every_page
def test_weight_with_all_that_a_page_loads(browser, hosted, path):
    where = path.relative_to(HTML).as_posix()
    with visit(browser, f"{hosted}/{where}") as (page, sizes):
        if page.locator(".math").count():
            page.evaluate("MathJax.startup.promise.then(() => true)")
        page.wait_for_load_state("networkidle")
        assert sum(sizes) <= LIMITS.get(where, LIMIT), sorted(sizes)
        assert sum(sizes) > path.stat().st_size / 20, "nothing was measured"


@every_page
def test_mathematics_is_loaded_where_a_page_has_some(path):
    text = path.read_text(encoding="utf-8")
    assert ("mathjax/" in text) == ('class="math ' in text)


@pytest.mark.parametrize(
    "path",
    [p for p in PAGES if p.parent.name == "chapters" or p.stem == "intro"],
    ids=lambda path: path.stem,
)
def test_the_first_text_comes_within_a_second(browser, hosted, path):
    """On a phone four times slower than this machine, on 10 Mbit/s and 40 ms, in one of five
    visits, as other work on the machine slows the others.
    """
    seconds = []
    for _ in range(5):
        where = f"{hosted}/{path.relative_to(HTML).as_posix()}"
        with visit(browser, where, slower=4) as (page, _):
            first = "performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)"
            seconds += [time / 1000 for time in page.evaluate(first)]
        if seconds and min(seconds) < 1:
            return
    pytest.fail(f"the first text came after {seconds} seconds")
