#!/usr/bin/env python3
"""Makes one static library of several, in which only kolam_* is seen from outside.

usage: merge_archive.py OUTPUT ARCHIVE…
"""

import os
import pathlib
import subprocess
import sys


def main(output, archives):
    whole = pathlib.Path(output + ".o")
    output = pathlib.Path(output)
    subprocess.run([os.environ.get("LD", "ld"), "-r", "--force-group-allocation", "-o", str(whole),
                    "--whole-archive", *archives], check=True)
    subprocess.run(["objcopy", "--wildcard", "--keep-global-symbol=kolam_*", str(whole)], check=True)
    output.unlink(missing_ok=True)
    subprocess.run(["ar", "rcs", str(output), str(whole)], check=True)
    whole.unlink()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
