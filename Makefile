# The front door; Meson and npm do the work behind it.
#
#     make demo     install, build, load the real data, serve the dashboard
#     make test     install, build with the sanitizers, run every test
#     make build    an optimised build with its debug symbols: build/kolam
#     make bench    the numbers of docs/benchmarks.md

SHELL = /bin/sh
.PHONY: demo test build bench web format clean

DEMO_DIR ?= data/demo
LISTEN ?= 127.0.0.1:8080

demo: build
	@exec build/kolam demo --data $(DEMO_DIR) --listen $(LISTEN)

test:
	@tools/install_packages.sh test
	@python3 tools/run_tests.py

build: web
	@[ -f build/build.ninja ] || meson setup build --buildtype=debugoptimized -Doptimization=3 -Dtests=false
	@ninja -C build kolam
	@echo "build/kolam is ready"

# The dashboard, compiled into the binary. Made again when something in web/ is newer.
web: web/dist/index.html
web/dist/index.html: web/package-lock.json $(shell find web/src web/public web/index.html web/vite.config.ts -type f 2>/dev/null)
	@tools/install_packages.sh build
	@echo "Building the dashboard (web/)"
	@cd web && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	@touch $@

# All of docs/benchmarks.md, an hour at most; a single table: one of these lines.
bench: build
	@tools/install_packages.sh test
	@[ -d tests/node_modules ] || (cd tests && npm install --no-save --no-audit --no-fund --loglevel=error)
	@ninja -C build bench/http_load
	@node bench/run.mjs --write
	@node bench/ingest.mjs --write
	@build/kolam bench --suite published --write

format:
	@python3 tools/check_format.py . --fix

clean:
	rm -rf build build-test build-tsan web/dist
