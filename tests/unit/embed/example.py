#!/usr/bin/env python3
"""The example of docs/guide/embedding.md compiles against the library alone, as C with the shared
and with the static one; its header compiles as C++; it prints what the page says, in under 60
lines; and the libraries show nothing but kolam_*.

usage: example.py ROOT SHARED STATIC SANITIZERS COMPILER
"""

import pathlib
import re
import subprocess
import sys
import tempfile

BLOCKS = re.compile(r"^```c run\n(.*?)^```\n```text answer\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIBRARIES = ["-lsimdjson", "-lzstd", "-lz", "-lstdc++", "-lm", "-pthread"]
CPLUSPLUS = """
#include <kolam.h>
int main()
{
    kolam_error error;
    kolam *handle = nullptr;
    if (kolam_open("cpp", nullptr, &handle, &error) != KOLAM_OK)
        return 1;
    kolam_event event = {};
    event.name = "Opened";
    event.identity = "u1";
    if (kolam_append(handle, &event, &error) != KOLAM_OK)
        return 2;
    return kolam_close(handle, &error) == KOLAM_OK ? 0 : 3;
}
"""


def run(command, cwd):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}")
    return done.stdout


def check_names(library, *options):
    """Everything that a linker could see begins with kolam_."""
    listed = subprocess.run(["nm", "--extern-only", "--defined-only", *options, library], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    names = {line.split()[-1] for line in listed.splitlines() if len(line.split()) == 3}
    foreign = sorted(n for n in names if not n.startswith("kolam_"))
    if foreign or "kolam_open" not in names:
        sys.exit(f"{library} shows {foreign[:20]}")


def main(root, shared, static, sanitizers, compiler):
    root = pathlib.Path(root).resolve()
    shared = pathlib.Path(shared).resolve()
    static = pathlib.Path(static).resolve()
    source, answer = BLOCKS.search((root / "docs/guide/embedding.md").read_text()).groups()
    lines = len(source.splitlines())
    if lines >= 60:
        sys.exit(f"the example has {lines} lines")
    check_names(shared, "--dynamic")
    check_names(static)
    cc, cxx = ("clang-14", "clang++-14") if compiler == "clang" else ("cc", "c++")
    flags = [f"-fsanitize={sanitizers}"] if sanitizers != "none" else []
    include = f"-I{root / 'include'}"
    ways = {
        "shared": [f"-L{shared.parent}", "-lkolam", f"-Wl,-rpath,{shared.parent}"],
        "static": [static, *LIBRARIES],
    }
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        (place / "orders.c").write_text(source)
        (place / "opens.cc").write_text(CPLUSPLUS)
        for way, link in ways.items():
            folder = place / way
            folder.mkdir()
            run([cc, *flags, "-Wall", "-Wextra", "-Werror", include, "../orders.c", "-o", "orders", *link], folder)
            text = run(["./orders"], folder)
            if text != answer:
                sys.exit(f"{way}: it printed\n{text}\ninstead of\n{answer}")
        run([cxx, *flags, "-Wall", "-Wextra", "-Werror", "-std=c++11", include, "../opens.cc", "-o", "opens",
             *ways["shared"]], folder)
        run(["./opens"], folder)
    print(f"the example has {lines} lines, and prints what the page says")


if __name__ == "__main__":
    main(*sys.argv[1:])
