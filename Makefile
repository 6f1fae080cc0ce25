# Runs CMake and the scripts. Everything is built with the presets of CMakePresets.json, in build/.

PREFIX ?= /usr/local
DESTDIR ?=

BUILD = scripts/build plain

SECONDS ?= 600
SEED ?=
KERNEL ?= sim
TORTURE_SECONDS ?= 3600
FAST ?=
LONG ?=
FRESH ?=

.PHONY: help demo check check-kernel check-arm64 sim faults faults-back mutate fuzz torture bench \
    install docs dist packages check-packages coverage format clean

help:
	@echo 'make demo         build, start the Fortune server, fetch fortunes from it'
	@echo 'make check        build and run all tests: as shipped, with ASan and UBSan, and with TSan;'
	@echo '                  make check FAST=1 runs a part of them that takes less than two minutes'
	@echo 'make check-kernel and make check-arm64'
	@echo '                  run the tests on the kernel of Debian 12, and as a program for arm64;'
	@echo '                  docs/platforms.md says what they need'
	@echo 'make sim          run random programs on a simulated kernel, for SECONDS (now $(SECONDS)) or'
	@echo '                  for one SEED; KERNEL=epoll or KERNEL=io_uring: on that kernel interface'
	@echo 'make faults       run the behaviour tests with each allocation and each system call failing'
	@echo '                  once; takes hours'
	@echo 'make faults-back  put fixed defects back, and write down which test finds each'
	@echo 'make mutate       plant a sample of one-token faults, and show which no test finds; takes'
	@echo '                  hours, and resumes an interrupted run'
	@echo 'make fuzz         fuzz each target for SECONDS (now $(SECONDS))'
	@echo 'make torture      run the scenarios of docs/reliability.md in full, which takes up to an hour,'
	@echo '                  then random programs on real kernels for TORTURE_SECONDS (now $(TORTURE_SECONDS))'
	@echo 'make bench        run all benchmarks and write docs/benchmarks.md; takes 25 minutes;'
	@echo '                  make bench LONG=1 measures more peers and rounds; takes hours, and resumes'
	@echo '                  an interrupted run unless FRESH=1;'
	@echo '                  make bench CELL=echo-64 PEERS=libuv ROUNDS=30 runs a part of them,'
	@echo '                  make bench CELL=tls those of TLS'
	@echo 'make install      install into PREFIX (now $(PREFIX)), below DESTDIR if that is set'
	@echo 'make docs         write the manual as a site to build/docs/html, and the man pages to build/man,'
	@echo '                  from where make install takes them'
	@echo 'make dist         make the tarball of the committed tree in build/'
	@echo 'make packages     make Debian packages of the committed tree in build/packages/'
	@echo 'make check-packages  make them, install, try, upgrade and remove them in a clean root; needs root'
	@echo 'make coverage     measure which lines and branches of src/ the tests execute'
	@echo 'make format       format all C and C++ files'
	@echo 'make clean        remove build/'
	@echo
	@echo 'Missing packages are installed first by scripts/setup, if it has the permission.'
	@echo 'For development: cmake --preset debug && ninja -C build/debug && ctest --preset debug'

demo:
	@scripts/setup build
	@$(BUILD)
	@scripts/demo build/plain

check:
	@scripts/check $(if $(filter-out 0,$(FAST)),fast)

check-kernel:
	@scripts/setup platforms
	@scripts/check-kernel

check-arm64:
	@scripts/setup platforms
	@scripts/check-arm64

sim:
	@scripts/setup build
	@scripts/build debug
	@build/debug/tests/sim/sim-tester --kernel $(KERNEL) $(if $(SEED),--seed $(SEED),--first $$(date +%s)000 --seconds $(SECONDS))

faults:
	@scripts/setup check
	@scripts/faults

faults-back:
	@scripts/setup check
	@scripts/build debug
	@scripts/put-faults-back --document

mutate:
	@scripts/setup check
	@scripts/build debug
	@scripts/mutate

fuzz:
	@scripts/setup fuzz
	@scripts/fuzz $(SECONDS)

# Scenarios make network namespaces and limits of their own: root is needed for some. The analysers
# go further here than make check lets them.
torture:
	@scripts/setup torture
	@scripts/build release
	@scripts/build asan
	@scripts/build tsan
	@scripts/check-analyzer gcc deep
	@scripts/check-analyzer clang deep
	@status=0; scripts/torture build/release || status=1; \
	    scripts/random-programs build/asan $(TORTURE_SECONDS) || status=1; exit $$status

bench:
	@scripts/setup bench
	@$(BUILD) -DBERTH_BENCH=ON
	@bench/run --build build/plain $(addprefix --cell ,$(CELL)) \
	    $(if $(PEERS),--peers '$(PEERS)') $(if $(ROUNDS),--rounds $(ROUNDS)) \
	    $(if $(filter-out 0,$(LONG)),--long) $(if $(filter-out 0,$(FRESH)),--fresh)

# By the environment, which takes any character of a path. CMake does not: it would install elsewhere.
install: export PREFIX := $(PREFIX)
install: export DESTDIR := $(DESTDIR)
install:
	@case $$PREFIX in \
	*[\;\"\\]*) echo "install: PREFIX must not have a semicolon, a quotation mark or a backslash" && exit 1 ;; esac
	@scripts/setup build
	@$(BUILD) -DCMAKE_INSTALL_PREFIX="$$PREFIX"
	@cmake --install build/plain
	@[ -n "$$DESTDIR" ] || [ "$$(id -u)" != 0 ] || ldconfig

docs:
	@scripts/setup docs
	@scripts/docs

dist:
	@scripts/dist

packages:
	@scripts/setup packages
	@scripts/check-packages build

check-packages:
	@scripts/setup packages
	@scripts/check-packages

coverage:
	@scripts/setup coverage
	@scripts/coverage

format:
	@scripts/sources '\.([ch]|cpp|hpp)$$' | xargs clang-format -i

clean:
	rm -rf build
