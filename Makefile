# The authors' whole interface. The first use makes the environment in .venv; nothing but Python >= 3.11 is needed.
#
#   make book                          build the book; prints the file to open
#   make slides NAME=lrp            print the slides of a chapter into _build/html/slides/lrp.pdf
#   make pdf                           build the book and print it into one file, _build/html/opening-deep-networks.pdf
#   make test                          everything that must hold before a change is pushed
#   make test-full                     the same, with the slow tests (full_scale/ runs in both where BOOK_DATA names the real sets)
#   make run [NAME=lrp]                execute chapters and solutions in place, in their canonical form
#   make chapter NAME=causality TITLE="Causes and effects"   the skeleton of a new chapter, in every room
#   make pages                         write every made file: exercises/, references, index, tasks, the heads of pages
#   make status                        run every page once and write status.md (full_scale/ too where BOOK_DATA is set)
#   make form                          only the form: formatter, linter, types (also the hook of pre-commit)
#   make format                        let the formatter and the linter mend what they can
#   make bench                         what the methods cost, beside other libraries, and how well their maps rank
#   make zoo                           relevance through architectures of timm and transformers, as a table
#   make colab-stack                   run the notebooks with the versions that Colab has
#   make address ADDRESS=https://...   set the address where the book lives
#   make assignment NAME=lrp           prepare a graded assignment (see instructors.md)
#   make grade NAME=lrp SUBMISSIONS=folder [DUE=2027-03-01T23:59] [ROSTER=class.csv] [ISOLATE=podman]
#   make clean                         remove what was built, the environment excepted

SHELL := /bin/bash
.DEFAULT_GOAL := book
.PHONY: environment chapter browser sandbox form format book pdf slides run pages status test unit built notebooks test-full bench zoo colab-stack address assignment grade clean

# One thread and no busy waiting: faster on small machines, and the same numbers everywhere.
export OMP_NUM_THREADS := 1
export OMP_WAIT_POLICY := PASSIVE
# Pages show maps that nearly all biases absorb, and say so: without lib.lrp.RelevanceWarning in their outputs.
export PYTHONWARNINGS := ignore:relevance
export PYTHON
export ISOLATE
# nbgrader calls its helpers by name
export PATH := $(CURDIR)/.venv/bin:$(PATH)

python := .venv/bin/python
pytest := $(python) -m pytest
# on every core; what a file prepares, it prepares once
parallel := $(pytest) --numprocesses auto --dist loadfile
ruff := .venv/bin/ruff
nbval := $(parallel) --nbval-lax --nbval-current-env --nbval-sanitize-with=tools/nbval.cfg

environment:
	@tools/environment.sh

# The tests of the built pages need a browser: found, or installed, or the tests end here.
browser: environment
	@$(python) tools/browser.py

# Students' code runs in a sandbox: found, or installed; where neither is possible, grading says so.
sandbox: environment
	@$(python) tools/grading/sandbox.py

form: environment
	@$(ruff) format --check --quiet . && $(ruff) check --quiet . && $(python) -m mypy --no-error-summary

format: environment
	@$(ruff) check --fix --quiet . ; $(ruff) format .

book: environment
	@$(python) tools/book.py

pdf: browser book
	@$(python) tools/print_book.py

slides: browser book
	@$(python) tools/slides.py $(NAME)

run: environment
	@$(python) tools/run.py $(NAME)

chapter: environment
	@$(python) tools/chapter.py "$(NAME)" "$(TITLE)"

pages: environment
	@$(python) tools/pages.py

status: environment
	@$(python) tools/status.py $(NAME)

# Quickest first: form, unit tests, then the built pages, then every notebook from top to bottom.
test: notebooks

unit: browser sandbox form
	$(parallel) --ignore-glob='*/test_book*.py'

built: unit book
	$(pytest) --numprocesses auto --dist loadgroup $(filter-out %_weight.py,$(wildcard tests/test_book*.py))
	$(pytest) tests/test_book_weight.py  # alone: it takes times

notebooks: built
	$(nbval) $(wildcard chapters/*.ipynb solutions/*.ipynb)
	$(if $(BOOK_DATA),$(nbval) $(wildcard full_scale/*.ipynb),@echo "full_scale/ is not run: BOOK_DATA does not name the folder of the real data sets")
	@$(python) tools/colab_stack.py exercises/lrp.ipynb chapters/sensitivity.ipynb solutions/uncertainty.ipynb

test-full: test
	$(pytest) tests -m slow || [ $$? -eq 5 ]  # 5: there are none

bench: environment
	@$(python) benchmarks/run.py

zoo: environment
	@$(python) benchmarks/zoo.py

colab-stack: environment
	@$(python) tools/colab_stack.py

address: environment
	@$(python) tools/address.py "$(ADDRESS)"

assignment: environment
	@$(python) tools/grade.py assignment "$(NAME)"

grade: sandbox
	@$(python) tools/grade.py grade "$(NAME)" "$(SUBMISSIONS)" --roster "$(ROSTER)" --due "$(DUE)"

clean:
	rm -rf _build build .pytest_cache .hypothesis .venv-colab *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
