"""What platforms that run a grader themselves need: a zip for Gradescope, a workflow for GitHub
Classroom. Both fetch the book and call `tools/grade.py points`, which says the points as JSON.
"""

import json
import zipfile

from address import current

FETCH = """#!/usr/bin/env bash
set -e
apt-get update
apt-get install -y git make python3.11 python3.11-venv ||
    apt-get install -y git make python3 python3-venv
git clone --depth 1 {book} /autograder/book
make -C /autograder/book environment
"""
RUN = """#!/usr/bin/env bash
cd /autograder
book/.venv/bin/python book/tools/grade.py points {name} submission > results/results.json
"""
WORKFLOW = """# In the repository that students copy: .github/workflows/classroom.yml
name: points
on: [push]
permissions:
  contents: read
jobs:
  points:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@v4
        with:
          path: sent
      - uses: actions/checkout@v4
        with:
          repository: {repository}
          path: book
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: |
          sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
          make -C book environment sandbox
      - run: |
          book/.venv/bin/python book/tools/grade.py points {name} sent > points.json
          jq -r .output points.json >> "$GITHUB_STEP_SUMMARY"
"""


def write(name, folder):
    """gradescope.zip and classroom.yml of a set, beside the notebook for the class."""
    repository = current()
    book = f"https://github.com/{repository}"
    with zipfile.ZipFile(folder / "gradescope.zip", "w") as archive:
        archive.writestr("setup.sh", FETCH.format(book=book))
        archive.writestr("run_autograder", RUN.format(name=name))
    text = WORKFLOW.format(name=name, repository=repository)
    (folder / "classroom.yml").write_text(text, encoding="utf-8")


def results(row, points):
    """The points of one student in the form that Gradescope reads: a test for each task."""
    tests = [
        {"name": task.removeprefix("check_"), "score": float(row[task.removeprefix("check_")])}
        | {"max_score": most}
        for task, most in points.items()
    ]
    lines = [f"{row['total']} of {row['max']} points; written answers are read by a person."]
    lines += [f"- {test['name']}: {test['score']:g} of {test['max_score']:g}" for test in tests]
    output = "\n".join(filter(None, [*lines, row["remark"]]))
    report = {"score": float(row["total"]), "output": output, "tests": tests}
    return json.dumps(report, indent=1)
