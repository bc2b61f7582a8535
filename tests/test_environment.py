"""A bare machine: the browser is searched for, installed or missed aloud; nothing is skipped."""

import os
import subprocess
import sys

import browser
import pytest
from conftest import ROOT


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A PATH with nothing on it and a home without a browser: the folder of that PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", "http://127.0.0.1:9")
    return folder


def program(path, text="exit 0"):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def ask(*options):
    command = [sys.executable, ROOT / "tools" / "browser.py", *options]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ)


def test_without_a_browser_none_is_found(bare):
    assert browser.find() is None
    done = ask("--find")
    assert done.returncode == 1 and done.stderr.strip() == browser.MISSING


@pytest.mark.parametrize("name", browser.NAMES)
def test_one_on_the_path_is_found(bare, name):
    there = program(bare / name)
    assert browser.find() == str(there)
    assert ask("--find").stdout.strip() == str(there)


def test_one_that_does_not_start_is_none(bare):
    program(bare / "chromium-browser", "echo install the snap; exit 1")
    assert browser.find() is None


def test_playwrights_own_is_found(bare, tmp_path):
    folder = tmp_path / "browsers" / "chromium-1" / "chrome-linux"
    folder.mkdir(parents=True)
    assert browser.find() is None
    there = program(folder / "chrome")
    assert browser.find() == str(there)


def test_where_nothing_can_be_installed_it_ends_with_one_sentence(bare):
    program(bare / "apt-get", "exit 100")
    done = ask()
    assert done.returncode == 1 and done.stderr.strip() == browser.MISSING
    assert all("installing" in line or "downloads" in line for line in done.stdout.splitlines())


def test_what_is_installed_is_said_first(bare, monkeypatch):
    """As root with apt-get; by sudo only where it asks for no password, and then it says so."""
    program(
        bare / "apt-get",
        f"printf '#!/bin/sh\\nexit 0\\n' > {bare}/chromium; /bin/chmod +x {bare}/chromium",
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert browser._debian_command() is None, "no sudo, no system package"
    program(bare / "sudo", "exit 1")
    assert browser._debian_command() is None, "a sudo that asks for a password is not used"
    program(bare / "sudo")
    assert browser._debian_command().startswith("sudo -n apt-get install")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert browser._debian_command().startswith("apt-get install")
    if os.getuid() == 0:
        done = ask()
        assert done.returncode == 0 and "`apt-get install" in done.stdout.splitlines()[0]


def test_the_environment_script_names_no_browser_and_says_what_it_installs():
    text = (ROOT / "tools" / "environment.sh").read_text()
    assert "chromium" not in text, "the browser is searched in one place, tools/browser.py"
    assert text.index("Installing Debian's package") < text.index("apt-get install -y")


def test_make_test_asks_for_the_browser_before_it_tests():
    done = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True)
    assert 0 < done.stdout.index("tools/browser.py") < done.stdout.index("-m pytest")
