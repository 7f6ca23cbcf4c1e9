# Measurements against OVN; see docs/performance.md. Included by the Makefile.
# Another OVN build: make bench OVN_PREFIX=DIR. What is measured: make bench BENCH="--sizes 0,100".

BENCH_PYTHON ?= .venv/bin/python
BENCH_SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
BENCH_PACKAGES := openvswitch-switch iperf3 ethtool iproute2 procps
OVN_OPTION := $(if $(OVN_PREFIX),--ovn-prefix $(OVN_PREFIX),)

.PHONY: bench bench-quick bench-packages

bench: bench-packages
	$(BENCH_SUDO) $(BENCH_PYTHON) -m bench $(OVN_OPTION) $(BENCH)

bench-quick: bench-packages
	$(BENCH_SUDO) $(BENCH_PYTHON) -m bench --quick $(OVN_OPTION) $(BENCH)

bench-packages:
	@dpkg -s $(BENCH_PACKAGES) >/dev/null 2>&1 || \
	$(BENCH_SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qy $(BENCH_PACKAGES)
