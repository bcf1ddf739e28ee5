# Two commands: `make book` renders the book, `make test` tests everything. Each makes .venv first if need be.

PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
  $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1 \
  && { echo $$python; break; }; done)
BIN := .venv/bin
LOCKED := .venv/.locked
READY := .venv/.ready
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
NOTEBOOKS ?= $(wildcard chapters/*.ipynb)
NBVAL := $(BIN)/pytest --nbval --nbval-current-env --nbval-cell-timeout=600 -n 2 --dist loadscope
# How other processors compute: without oneDNN's operations, with them, and on one thread. The limits on
# instructions make each differ in the last bits from the default, whatever that is on this processor.
PROCESSORS := TF_ENABLE_ONEDNN_OPTS=0,ONEDNN_MAX_CPU_ISA=SSE41 TF_ENABLE_ONEDNN_OPTS=1,ONEDNN_MAX_CPU_ISA=AVX2 \
  TF_NUM_INTRAOP_THREADS=1,TF_NUM_INTEROP_THREADS=1,OMP_NUM_THREADS=1

.PHONY: help book test test-unit test-notebooks test-numerics accessibility benchmark check execute format lock wheel lab gpu clean

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

$(LOCKED): requirements.lock
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found. Install one, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "$(PYTHON) lacks the module venv. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Making .venv with $(PYTHON) from requirements.lock; this downloads about 1 GB, once."
	$(PYTHON) -m venv --clear .venv
	@# One package comes as source. It is built with the locked setuptools, not with whatever is newest.
	sed -n '/^setuptools==/,/# via/p' requirements.lock > .venv/build.txt
	$(INSTALL) --require-hashes -r .venv/build.txt
	$(INSTALL) --require-hashes --use-pep517 --no-build-isolation -r requirements.lock
	@touch $@

$(READY): $(LOCKED) pyproject.toml
	$(INSTALL) --no-deps --no-build-isolation --no-index -e .
	@touch $@

book: $(READY)  ## render the book into _build/html, warnings as errors
	rm -rf _build
	$(BIN)/jupyter-book build . -W -n --keep-going
	@sed -n 's/^ *-* *\(root\|file\): *//p' _toc.yml | while read page; do \
	  test -f "_build/html/$$page.html" || { echo "The page $$page was not built."; exit 1; }; done
	@echo; echo "The book is ready. Open $(CURDIR)/_build/html/index.html in a browser; it needs no network."

test: $(READY)  ## everything: unit and property tests, then every notebook, strictly
	@$(BIN)/python tools/run_tests.py

test-unit: $(READY)
	@$(BIN)/python tools/run_tests.py unit

test-notebooks: $(READY)
	@$(BIN)/python tools/run_tests.py notebooks $(NOTEBOOKS)

test-numerics: $(READY)  ## every notebook again as three other processors would compute it, and untrained
	@failed=; for names in $(PROCESSORS); do settings=$$(echo $$names | tr , ' '); \
	  echo "Under $$settings:"; env $$settings $(NBVAL) $(NOTEBOOKS) || failed="$$failed [$$settings]"; done; \
	if test -n "$$failed"; then echo "Outputs differ or a cell fails under:$$failed"; exit 1; fi; \
	echo "The outputs hold under all of: $(PROCESSORS)"
	@echo "With models that have learnt nothing:"; $(BIN)/pytest -n 2 tests/untrained.py

accessibility: $(READY)  ## read every built page with axe-core in Chromium; needs Node.js and Chromium
	@command -v npm >/dev/null || { echo "No npm found. On Debian and Ubuntu: apt install nodejs npm"; exit 1; }
	npm ci --prefix tools/accessibility
	@test -f _build/html/index.html || $(MAKE) book
	IMTLIB_ACCESSIBILITY=required $(BIN)/pytest tests/repository/test_accessibility.py

DECAYS = small-decay-0.1 small-decay-0.3 small-decay-1 small-decay-3
ABLATIONS = small small-direct small-shuffled small-no-attention small-constant-query small-self-attention small-lstm \
  small-one-task small-no-dropout small-no-dropout-best small-no-decay $(DECAYS) small-any-lengths small-crop-8 \
  small-crop-8-longer small-leave-out small-substitute small-mask small-reorder small-users-10 small-users-30
ON_FILMS = small small-one-task small-no-decay $(DECAYS) small-any-lengths small-no-dropout small-leave-out \
  small-substitute small-mask small-reorder small-sampled
WAYS = each untold shared shared-gate-common-matrix shared-gate shared-star
MARKET_WAYS = popularity smoothed-transitions all lora-1
MODALITIES = id id-protected id-interests id-title id-year id-title-year all all-hiding
RUN := $(BIN)/python -m experiments

benchmark: $(READY)  ## every run that has no file under experiments/results/ yet: days, and may be stopped and started again
	$(RUN) benchmark movielens-1m --seed 0 1 2
	$(RUN) benchmark simulated-small --split leave-one-out --seed 0 1 2 --model $(ABLATIONS)
	$(RUN) benchmark movielens-100k --split leave-one-out --seed 0 1 2 --model $(ON_FILMS)
	for log in unlike late; do \
	  $(RUN) benchmark simulated-$$log --split leave-one-out --seed 0 1 2 --model $(WAYS) || exit 1; done
	$(RUN) benchmark movielens-1m-followers --split leave-one-out --model migration migration-successors
	$(RUN) transfer movielens-1m movielens-100k --share 0.01 0.03 0.1 0.3 1 --seed 0 1
	for pair in "uk xmarket-de" "uk xmarket-fr" "de xmarket-fr" "fr xmarket-de" "de xmarket-uk" "fr xmarket-uk"; do \
	  $(RUN) transfer xmarket-$$pair --how $(MARKET_WAYS) --seed 0 1 2 || exit 1; done
	for market in de fr; do \
	  $(RUN) transfer xmarket-uk xmarket-$$market --how none scratch norms --seed 0 1 2 || exit 1; done
	for laws in same other; do \
	  $(RUN) transfer simulated-small simulated-$$laws-laws --share 0.25 --seed 0 1 2 \
	    --how popularity none norms heads lora-4 all scratch || exit 1; done
	$(RUN) modalities --model popularity interests-alone
	$(RUN) modalities --model $(MODALITIES) --seed 0 1
	$(RUN) modalities --draw draw-1 draw-2 --model popularity interests-alone id id-title id-year all
	$(RUN) tasks --seed 0 1 2
	$(RUN) domains --model popularity smoothed-transitions plain-4096 plain-whole
	$(RUN) domains --model shared plain --seed 0 1 2 3 4
	$(RUN) domains --model each --seed 0 1 2
	$(RUN) new-users movielens-100k simulated-small --model popularity smoothed-transitions
	$(RUN) new-users movielens-100k --model model model-profile scratch --seed 0 1
	$(RUN) new-users simulated-small --model model model-profile scratch --seed 0 1 2
	$(RUN) cross-scenario

check: $(READY)  ## style, types, the order of the rooms, and what must hold of the repository
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini
	$(BIN)/lint-imports
	$(BIN)/pytest tests/repository

execute: $(READY)  ## run notebooks and keep their outputs: make execute NOTEBOOKS=chapters/quickstart.ipynb
	$(BIN)/python tools/execute.py $(NOTEBOOKS)

format: $(READY)  ## put code and notebooks into the house style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lab: $(READY)  ## open the notebooks in Jupyter Lab
	$(BIN)/jupyter lab chapters

gpu: $(READY)  ## add what TensorFlow needs for an NVIDIA GPU to .venv
	$(INSTALL) --no-build-isolation -e '.[gpu]'

lock:  ## write requirements.lock anew from pyproject.toml; needs uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url \
	  --custom-compile-command "make lock" --extra dev pyproject.toml -o requirements.lock

wheel: $(READY)  ## build dist/imtlib-*.whl, trained weights inside
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --no-index -w dist .

clean:  ## remove what was built; the environment and fetched data stay
	rm -rf _build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .grimp_cache .hypothesis
