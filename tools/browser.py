"""The Chromium in which the tests open the built pages: found, or installed. `make test` asks here.

python tools/browser.py            prints its path; without one it installs one, or fails
python tools/browser.py --find     only looks
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = (
    "No Chromium was found on the PATH and none could be installed: the tests of the built pages "
    "need one. Install Debian's package `chromium` or any Chrome, then run `make test` again."
)


def find() -> str | None:
    """The path of a Chromium or Chrome that starts: one on the PATH, else playwright's own."""
    on_path = (shutil.which(name) for name in NAMES)
    return next((path for path in (*on_path, _of_playwright()) if path and _starts(path)), None)


@contextmanager
def started(path: str) -> Iterator["Browser"]:
    """That browser, headless, for as long as it is used."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@contextmanager
def paper(chromium: "Browser", width: int, height: int) -> Iterator["Page"]:
    """A page in light colours that asks no network, to print from."""
    context = chromium.new_context(viewport={"width": width, "height": height}, offline=True)
    context.add_init_script("localStorage.mode = localStorage.theme = 'light'")
    yield context.new_page()
    context.close()


def visit(page: "Page", path: Path) -> None:
    """Opens a built page and waits until its formulas are set."""
    page.goto(path.as_uri(), wait_until="load")
    page.evaluate("window.MathJax ? MathJax.startup.promise.then(() => 1) : 1")


def install() -> None:
    """Debian's package where this is Debian or Ubuntu, else what playwright downloads."""
    command = _debian_command()
    if command is not None:
        print(f"The tests need a browser: installing Debian's package `chromium` by `{command}`.")
        _runs(f"{command.partition('apt-get')[0]}apt-get update")
        if _runs(command) and find():
            return
    print("The tests need a browser: `playwright install chromium` downloads one for this user.")
    _runs(f"{sys.executable} -m playwright install chromium")


def _debian_command() -> str | None:
    """How to install the package as this user; sudo only where it asks for no password."""
    if shutil.which("apt-get") is None:
        return None
    command = "apt-get install -y --no-install-recommends chromium"
    if os.geteuid() == 0:
        return command
    return f"sudo -n {command}" if shutil.which("sudo") and _runs("sudo -n true") else None


def _runs(command: str) -> bool:
    done = subprocess.run(command.split(), capture_output=True, text=True)
    return done.returncode == 0


def _starts(path: str) -> bool:
    """Ubuntu's chromium-browser may be a script that only tells how to install a snap."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _of_playwright() -> str | None:
    """The newest browser that playwright has downloaded, full or headless."""
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright")
    found = [
        path
        for pattern in ("chromium-*/*/chrome", "chromium_headless_shell-*/*/*headless_shell")
        for path in sorted(Path(folder).glob(pattern))
    ]
    return str(found[-1]) if found else None


def main() -> int:
    path = find()
    if path is None and "--find" not in sys.argv:
        install()
        path = find()
    print(path or MISSING, file=sys.stdout if path else sys.stderr)
    return 0 if path else 1


if __name__ == "__main__":
    sys.exit(main())
