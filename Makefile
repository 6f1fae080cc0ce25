# The front door. Everything is built by CMake, with the presets of CMakePresets.json, in build/.

PREFIX ?= /usr/local
DESTDIR ?=

BUILD = scripts/build plain

SECONDS ?= 600
SEED ?=
KERNEL ?= sim
TORTURE_SECONDS ?= 3600
FAST ?=

.PHONY: help demo check sim faults faults-back fuzz torture bench install docs coverage format clean

help:
	@echo 'make demo       build, start the Fortune server, fetch fortunes from it'
	@echo 'make check      build and run all tests: plain, under ASan + UBSan, under TSan;'
	@echo '                make check FAST=1 runs what takes less than two minutes, for work in between'
	@echo 'make sim        random programs on a simulated kernel for SECONDS, or one SEED;'
	@echo '                KERNEL=epoll or KERNEL=io_uring: on that one, over loopback'
	@echo 'make faults     each allocation and each system call of the behaviour tests fails once'
	@echo 'make faults-back  put mended faults back, and see what finds each'
	@echo 'make fuzz       fuzz each target for SECONDS (now $(SECONDS))'
	@echo 'make torture    run the scenarios of docs/reliability.md in full, which takes up to an hour,'
	@echo '                then random programs on real kernels for TORTURE_SECONDS (now $(TORTURE_SECONDS))'
	@echo 'make bench      compare with floors and peers, and write docs/benchmarks.md (25 minutes);'
	@echo '                make bench CELL=echo-64 PEERS=libuv ROUNDS=9 compares that alone'
	@echo 'make install    install into PREFIX (now $(PREFIX)), below DESTDIR if given'
	@echo 'make docs       the manual, as HTML in build/docs'
	@echo 'make coverage   what lines and branches of src/ the tests reach'
	@echo 'make format     put all C files into the house style'
	@echo 'make clean      remove build/'
	@echo
	@echo 'What is missing for these is installed first (scripts/setup), if that is allowed.'
	@echo 'To work on Berth: cmake --preset debug && ninja -C build/debug && ctest --preset debug'

demo:
	@scripts/setup build
	@$(BUILD)
	@scripts/demo build/plain

check:
	@scripts/check $(if $(filter-out 0,$(FAST)),fast)

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

fuzz:
	@scripts/setup fuzz
	@scripts/fuzz $(SECONDS)

# Scenarios make network namespaces and limits of their own: root is needed for some. The analyser
# follows paths further here than make check lets it.
torture:
	@scripts/setup torture
	@scripts/build release
	@scripts/build asan
	@scripts/build tsan
	@scripts/check-analyzer clang deep
	@status=0; scripts/torture build/release || status=1; \
	    scripts/random-programs build/asan $(TORTURE_SECONDS) || status=1; exit $$status

bench:
	@scripts/setup bench
	@$(BUILD) -DBERTH_BENCH=ON
	@bench/run --build build/plain/bench $(addprefix --cell ,$(CELL)) \
	    $(if $(PEERS),--peers '$(PEERS)') $(if $(ROUNDS),--rounds $(ROUNDS))

install:
	@scripts/setup build
	@$(BUILD) -DCMAKE_INSTALL_PREFIX='$(PREFIX)'
	@DESTDIR='$(DESTDIR)' cmake --install build/plain
	@[ -n '$(DESTDIR)' ] || [ "$$(id -u)" != 0 ] || ldconfig

docs:
	@scripts/setup docs
	@scripts/docs

coverage:
	@scripts/setup coverage
	@scripts/coverage

format:
	@scripts/sources '\.[ch]$$' | xargs clang-format -i

clean:
	rm -rf build
