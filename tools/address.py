"""Sets the address where the book lives, everywhere at once: `make address
ADDRESS=https://github.com/me/book`.

`repository: url:` in _config.yml holds it. Badges and set-up cells of notebooks and the links of a
few files repeat it, because each of them must work when it is read alone. With `--check OWNER/NAME`
nothing is written: it fails unless the address is that repository's.
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLACEHOLDER = "OWNER/REPO"
SETTING = "_config.yml"
CARRIERS = (
    SETTING,
    "README.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "pyproject.toml",
    "intro.md",
    "instructors.md",
    "chapters/*.ipynb",
    "exercises/*.ipynb",
    "solutions/*.ipynb",
    "full_scale/*.ipynb",
)

ADDRESS = re.compile(
    r"https://github\.com/([A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))/(?!\.{1,2}$)([A-Za-z0-9._-]{1,100})"
)
CURRENT = re.compile(r"^repository:\n(?:  .*\n)*?  url: (\S+)$", re.MULTILINE)


def repository_of(address):
    """'owner/name' of an https GitHub address; ValueError for anything else."""
    match = ADDRESS.fullmatch(address.removesuffix("/").removesuffix(".git"))
    if not match:
        raise ValueError(f"expected an address like https://github.com/me/book, got {address!r}")
    return "/".join(match.groups())


def current(root=ROOT):
    """The repository that _config.yml names."""
    found = CURRENT.search((root / SETTING).read_text(encoding="utf-8"))
    if not found:
        raise ValueError(f"{SETTING} has no line `url:` below `repository:`")
    return repository_of(found.group(1))


def carriers(root=ROOT):
    """The files that repeat the address."""
    return sorted(path for pattern in CARRIERS for path in root.glob(pattern))


def occurrences(repository):
    """Matches the repository where a link names it, on GitHub or as Colab writes it; the example of
    this command is no link.
    """
    name, end = re.escape(repository), r"(?=\.git\b|[.,;:!?]?(?:[^\w.,;:!?-]|$))"
    on_github = rf"(?<=github\.com/)(?<!ADDRESS=https://github\.com/){name}{end}"
    in_colab = rf"(?<=google\.com/github/){name}(?=/)"
    return re.compile(f"{on_github}|{in_colab}", re.MULTILINE)


def change(address, root=ROOT):
    """Writes the address into every file that carries the present one; returns the files
    changed.
    """
    new, old = repository_of(address), current(root)
    changed = []
    for path in carriers(root):
        text = path.read_bytes().decode("utf-8")
        rewritten = occurrences(old).sub(new, text)
        if rewritten != text:
            path.write_bytes(rewritten.encode("utf-8"))
            changed.append(path)
    return changed


def check(repository, root=ROOT):
    """None when the book lives at `repository`, else what to do."""
    held = current(root)
    if held.lower() == repository.lower() and held != PLACEHOLDER:
        return None
    what = (
        "still the placeholder"
        if held == PLACEHOLDER
        else f"https://github.com/{held}, another repository's"
    )
    return (
        f"The book's address is {what}: its badges and launch buttons would lead nowhere.\n"
        f"Run this, commit what it changes, and push:\n\n    make address ADDRESS=https://github.com/{repository}\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", nargs="?", default="", help="https://github.com/OWNER/NAME")
    parser.add_argument(
        "--check", metavar="OWNER/NAME", help="fail unless the address is this repository's"
    )
    arguments = parser.parse_args()
    if arguments.check:
        complaint = check(arguments.check)
        if complaint:
            sys.exit(complaint)
        return
    try:
        changed = change(arguments.address)
    except ValueError as error:
        sys.exit(f"{error}\nmake address ADDRESS=https://github.com/me/book")
    print(f"The book lives at https://github.com/{current()}; files changed: {len(changed)}")
    for path in changed:
        print(f"  {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
