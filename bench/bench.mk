# Measurements beside OVN; see docs/performance.md. Included by the Makefile.
# Another OVN build: make bench OVN_PREFIX=DIR. A part: make bench BENCH="--sizes 0,100".

BENCH ?=
BENCH_PACKAGES := openvswitch-switch iperf3 ethtool iproute2 iputils-ping procps
BENCH_OPTIONS := $(if $(OVN_PREFIX),--ovn-prefix $(OVN_PREFIX)) $(BENCH)

.PHONY: bench bench-quick bench-packages

bench: install bench-packages ## Measure everything beside OVN (needs root; about an hour)
	$(SUDO) $(VENV)/python -m bench $(BENCH_OPTIONS)

bench-quick: install bench-packages ## What matters most, with few samples (needs root; under 3 minutes)
	$(SUDO) $(VENV)/python -m bench --quick $(BENCH_OPTIONS)

bench-packages: ## Install what the measurements need
	@dpkg -s $(BENCH_PACKAGES) >/dev/null 2>&1 || $(SUDO) env DEBIAN_FRONTEND=noninteractive \
	apt-get install -y -q --no-install-recommends $(BENCH_PACKAGES)
