#!/usr/bin/env python3
"""Packs the dashboard's built files into an assembler file that the binary is linked with.

Each file is there twice, plain and gzip where that is smaller, with its type and an ETag of its
content. Without a folder (or an empty one) a page is packed that says how to build the dashboard.

usage: pack_assets.py DIST OUT.S OUT_DIR
"""

import gzip
import hashlib
import pathlib
import sys

TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
    ".ico": "image/x-icon", ".json": "application/json", ".woff2": "font/woff2",
    ".woff": "font/woff", ".txt": "text/plain; charset=utf-8", ".map": "application/json",
    ".webmanifest": "application/manifest+json",
}

MISSING = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Kolam</title>
<h1>Kolam is running, without its dashboard</h1>
<p>This binary was built before the dashboard was. Build both with <code>make build</code>, or
<code>cd web &amp;&amp; npm ci &amp;&amp; npm run build</code> and then build again.</p>
<p>The API works: see <a href="/openapi.json">/openapi.json</a>.</p></html>
"""


def files_of(dist):
    found = []
    if dist.is_dir():
        found = [(p.relative_to(dist).as_posix(), p.read_bytes())
                 for p in sorted(dist.rglob("*")) if p.is_file()]
    if not any(name == "index.html" for name, _ in found):
        found = [("index.html", MISSING)]
    return found


def text(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write(path, content):
    """Only what changed, so that nothing is linked again for the same files."""
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)


def main(dist, out, folder):
    folder.mkdir(parents=True, exist_ok=True)
    data, table = [], []
    for number, (name, plain) in enumerate(files_of(dist)):
        packed = gzip.compress(plain, 9, mtime=0)
        if len(packed) * 10 > len(plain) * 9:
            packed = b""
        kind = TYPES.get(pathlib.PurePosixPath(name).suffix, "application/octet-stream")
        etag = '"' + hashlib.sha256(plain).hexdigest()[:20] + '"'
        is_immutable = 1 if name.startswith("assets/") else 0
        for suffix, content in (("plain", plain), ("gzip", packed)):
            path = folder / f"{number}.{suffix}"
            write(path, content)
            data.append(f".p2align 4\nasset_{number}_{suffix}: .incbin {text(str(path.resolve()))}")
        data.append(f"asset_{number}_path: .asciz {text('/' + name)}")
        data.append(f"asset_{number}_type: .asciz {text(kind)}")
        data.append(f"asset_{number}_etag: .asciz {text(etag)}")
        # struct http_asset: three pointers, two of (pointer, length), one flag padded to 8
        table.append(f".quad asset_{number}_path, asset_{number}_type, asset_{number}_etag\n"
                     f".quad asset_{number}_plain, {len(plain)}\n"
                     f".quad asset_{number}_gzip, {len(packed)}\n"
                     f".quad {is_immutable}")
    count = len(table)
    write(out, (
        "/* made by tools/pack_assets.py */\n"
        '.section .rodata\n' + "\n".join(data) +
        '\n.section .data.rel.ro, "aw"\n.p2align 4\n.globl web_assets\nweb_assets:\n' +
        "\n".join(table) +
        f"\n.section .rodata\n.p2align 3\n.globl web_asset_count\nweb_asset_count: .quad {count}\n"
        '.section .note.GNU-stack, "", @progbits\n').encode())


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
