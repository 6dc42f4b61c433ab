# Two commands do all the set-up on a fresh machine with nothing but Python 3.11 to 3.13:
#   make demo   audit a real data set with planted defects, apply the repairs, print the proof
#   make test   all checks and all tests
PYTHON ?= python3
# Installed first and alone, so that what follows keeps it. On ordinary Linux it brings CUDA; for the small CPU build give
# make test TORCH='torch --index-url ADDRESS' with the address of PyTorch's CPU builds.
TORCH ?= torch==2.13.0
V := .venv
BIN := $(V)/bin

.PHONY: demo test claims docs clean

$(V)/.core: pyproject.toml
	$(PYTHON) -m venv $(V)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[images]'
	touch $@

$(V)/.dev: $(V)/.core
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(V)/.core
	$(BIN)/dross demo

test: $(V)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} HF_HUB_OFFLINE=1 $(BIN)/pytest -n auto --dist loadfile

claims: $(V)/.dev
	$(BIN)/dross claims --all --write docs/claims.md

docs: $(V)/.dev
	$(BIN)/dross methods --markdown > docs/methods.md

clean:
	rm -rf $(V) demo
