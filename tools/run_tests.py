#!/usr/bin/env python3
"""Builds Kolam with the sanitizers, runs every test, and counts.

The suites, in this order:
  c         Meson's: unit, model, crash, fuzz, and the checks of the tree
  threads   the tests of what runs in several threads, with ThreadSanitizer
  clang     the product builds with clang too, without a warning
  web       the dashboard's own (Vitest, type check)
  node      tests/{model,scenario,crash,bench,browser}: against the real binary, with outside oracles

The last line is `N passed, N failed`; the exit status is 0 when nothing failed and something ran.

usage: run_tests.py [SUITE…]
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-test"
BUILD_THREADS = ROOT / "build-tsan"
CMOCKA = re.compile(r"^\[  (PASSED|FAILED)  \] (\d+) test\(s\)", re.MULTILINE)
NODE = re.compile(r"^(?:# |ℹ )(pass|fail|cancelled) (\d+)$", re.MULTILINE)
VITEST = re.compile(r"^\s*Tests\s+(?:(\d+) failed)?[ |]*(?:(\d+) passed)?", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def add(self, passed, failed):
        self.passed += passed
        self.failed += failed


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def run(command, cwd=ROOT, env=None):
    """Runs with its output shown and kept; (status, text)."""
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(env or {})}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    lines = []
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        lines.append(line)
    return process.wait(), ANSI.sub("", "".join(lines))


def must(command, cwd=ROOT, env=None):
    status, _ = run(command, cwd, env)
    if status != 0:
        say(f"failed: {' '.join(map(str, command))}")
        print("0 passed, 1 failed")
        sys.exit(1)


def setup(build, sanitizers):
    if not (build / "build.ninja").exists():
        must(["meson", "setup", str(build), f"-Db_sanitize={sanitizers}", "-Db_lundef=false",
              "-Doptimization=1"])


def meson_test(build, count, *options, under=(), env=None):
    status, _ = run([*under, "meson", "test", "-C", str(build), "--no-rebuild", "--print-errorlogs",
                     "--timeout-multiplier", "4", *options], env=env)
    log = build / "meson-logs" / "testlog.json"
    for line in log.read_text().splitlines():
        result = json.loads(line)
        inside = {"PASSED": 0, "FAILED": 0}
        for word, number in CMOCKA.findall(result.get("stdout", "") + result.get("stderr", "")):
            inside[word] = max(inside[word], int(number))
        good = result["result"] in ("OK", "EXPECTEDFAIL", "SKIP")
        if good:
            count.add(max(inside["PASSED"], 1), 0)
        else:
            count.add(inside["PASSED"], max(inside["FAILED"], 1))
    if status != 0 and count.failed == 0:
        count.add(0, 1)


def suite_c(count):
    setup(BUILD, "address,undefined")
    must(["ninja", "-C", str(BUILD)])
    meson_test(BUILD, count)


def suite_threads(count):
    setup(BUILD_THREADS, "thread")
    must(["ninja", "-C", str(BUILD_THREADS), "build.ninja"])
    listed = subprocess.run(["meson", "introspect", "--tests", str(BUILD_THREADS)], check=True,
                            stdout=subprocess.PIPE, text=True)
    # Only these, and what they link: a second build of everything would take as long as the first.
    programs = [os.path.relpath(test["cmd"][0], BUILD_THREADS)
                for test in json.loads(listed.stdout)
                if any(suite.endswith("threads") for suite in test["suite"])]
    must(["ninja", "-C", str(BUILD_THREADS), *programs])
    # Where a kernel spreads addresses wide, ThreadSanitizer wants them in their usual places.
    in_place = ["setarch", "-R"]
    can_place = subprocess.run([*in_place, "true"], stderr=subprocess.DEVNULL).returncode == 0
    meson_test(BUILD_THREADS, count, "--suite", "threads", under=in_place if can_place else (),
               env={"TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"})


def suite_clang(count):
    build = ROOT / "build-clang"
    clang = {"CC": "clang-14", "CXX": "clang++-14"}
    if not (build / "build.ninja").exists():
        must(["meson", "setup", str(build), "-Dtests=false", "-Doptimization=1"], env=clang)
    status, _ = run(["ninja", "-C", str(build), "-k", "0"])
    count.add(int(status == 0), int(status != 0))


def suite_web(count):
    web = ROOT / "web"
    if not (web / "node_modules" / ".package-lock.json").exists():
        must(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=web)
    status, text = run(["npm", "test", "--silent"], cwd=web, env={"CI": "true"})
    failed = passed = 0
    for bad, good in VITEST.findall(text):
        failed += int(bad or 0)
        passed += int(good or 0)
    if status != 0 and failed == 0:
        failed = 1
    count.add(passed, failed)


def suite_node(count):
    tests = ROOT / "tests"
    if not (tests / "node_modules" / ".package-lock.json").exists():
        # Not `npm ci`: it wants chdb's libraries for other systems in the lock file too, and a
        # registry that doesn't carry them can't give their checksums.
        must(["npm", "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"],
             cwd=tests)
    # The browser wants the product as people get it: optimised, with the dashboard inside.
    must(["make", "build"])
    files = [str(p.relative_to(tests)) for part in ("model", "scenario", "crash", "bench", "browser")
             for p in sorted((tests / part).glob("*.test.mjs"))]
    if not files:
        return
    status, text = run(["node", "--test", "--test-concurrency=1", "--test-reporter=spec", *files],
                       cwd=tests,
                       env={"KOLAM": str(ROOT / "build" / "kolam"),
                            "KOLAM_SANITIZED": str(BUILD / "kolam")})
    found = {"pass": 0, "fail": 0, "cancelled": 0}
    for word, number in NODE.findall(text):
        found[word] += int(number)
    failed = found["fail"] + found["cancelled"]
    if status != 0 and failed == 0:
        failed = 1
    count.add(found["pass"], failed)


SUITES = {"c": suite_c, "threads": suite_threads, "clang": suite_clang, "web": suite_web,
          "node": suite_node}


def main(names):
    start = time.monotonic()
    total = Count()
    for name in names or SUITES:
        say(f"suite {name}")
        count = Count()
        SUITES[name](count)
        say(f"suite {name}: {count.passed} passed, {count.failed} failed")
        total.add(count.passed, count.failed)
    say(f"all suites took {time.monotonic() - start:.0f} s")
    print(f"{total.passed} passed, {total.failed} failed")
    return 0 if total.failed == 0 and total.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
