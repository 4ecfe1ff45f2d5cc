#!/usr/bin/env python3
"""Every header of src/ compiles as the only line of a file.

usage: check_headers.py ROOT COMPILER
"""

import concurrent.futures
import pathlib
import subprocess
import sys


def compile_alone(root, compiler, header):
    command = [compiler, "-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra",
               "-Wpedantic", "-Werror", "-Wno-unused-function", "-I" + str(root / "src"), "-I" + str(root / "include"),
               "-x", "c", str(header)]
    run = subprocess.run(command, capture_output=True, text=True)
    return run.returncode, run.stderr


def main(root, compiler):
    headers = sorted([*(root / "src").rglob("*.h"), *(root / "include").rglob("*.h")])
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for header, (code, text) in zip(headers, pool.map(
                lambda h: compile_alone(root, compiler, h), headers)):
            if code:
                wrong += 1
                print(f"{header.relative_to(root)} does not compile alone:\n{text}")
    print(f"{len(headers)} headers checked, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2]))
