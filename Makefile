# Everything happens in .venv; PYTHON names the interpreter that makes it (3.10 to 3.14).
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --only-binary :all: --no-build-isolation
.DEFAULT_GOAL := help
.PHONY: help run test lint types check fuzz test-cuda bench bench-avx2 bench-start bench-valid bench-serve bench-train \
	bench-memory bench-loading bench-cuda clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1: /p' $(MAKEFILE_LIST) | awk -F': ' '{printf "%-16s %s\n", $$1, $$2}'

run: .venv/installed ## classify a sample picture with the embedded network
	$(BIN)/darknet classifier predict data/shapes.data cfg/shapes.cfg data/shapes.weights data/star.png
	@echo "darknet is in $(BIN): run $(BIN)/darknet, or once '. $(BIN)/activate' and from then on darknet"

test: lint types check ## everything that CI runs: lint, types, tests

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	$(BIN)/mypy

check: .venv/installed-dev
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

N ?= 100000
fuzz: .venv/installed-dev ## damaged inputs for each parser, counted; N=1000000 says how many of them together
	DARKNET_PY_FUZZ=$(N) $(BIN)/python -m pytest --capture=no tests/fuzz

test-cuda: .venv/installed-dev ## the tests that want an NVIDIA GPU, with cuDNN
	$(PIP) --editable '.[cudnn12]'
	$(BIN)/python -m pytest tests/engines/test_cuda_gpu.py

bench: .venv/installed-bench ## time the engine beside others, then valid; BENCH="--networks tiny" holds options
	$(BIN)/python -m scripts.bench $(BENCH)
	$(BIN)/python -m scripts.bench.valid $(VALID)

bench-avx2: .venv/installed-bench ## the same as on a processor without AVX-512, on one with it
	$(BIN)/python -m scripts.bench.avx2 $(BENCH)

bench-valid: .venv/installed-bench ## time valid on 1,000 JPEGs; VALID="--images FOLDER" holds options
	$(BIN)/python -m scripts.bench.valid $(VALID)

bench-serve: .venv/installed-bench ## time serve under load beside the library; BENCH="--networks tiny" holds options
	$(BIN)/python -m scripts.bench.serve $(BENCH)

bench-start: .venv/installed-bench ## time the whole program, from its start to its answer
	$(BIN)/python -m scripts.bench.start $(BENCH)

bench-train: .venv/installed-bench ## time training beside PyTorch; BENCH="--networks tiny" holds options
	$(BIN)/python -m scripts.bench.train $(BENCH)

bench-memory: .venv/installed-bench ## the memory that training takes, beside PyTorch's
	$(BIN)/python -m scripts.bench.memory $(BENCH)

bench-loading: .venv/installed-bench ## time training runs, with their pictures, beside bare steps
	$(BIN)/python -m scripts.bench.loading $(BENCH)

bench-cuda: .venv/installed-bench ## time the GPU engine, with PyTorch's cuDNN, beside PyTorch; BENCH="--networks tiny" holds options
	$(PIP) --editable '.[cuda12]' 'nvidia-cudnn-frontend==1.28.*'
	$(BIN)/python -m scripts.bench.cuda $(BENCH)

clean: ## remove what the other targets made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	@echo "Installing into .venv: 165 MB of packages, about a minute"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/installed: .venv/bin/python pyproject.toml
	$(PIP) --upgrade hatchling editables
	$(PIP) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	@touch $@

.venv/installed-bench: .venv/installed
	$(PIP) --editable '.[bench]'
	@touch $@
