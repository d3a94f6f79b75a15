#!/usr/bin/env python3
"""The content hash of a table, as docs/format.md describes it, computed without Lifeboat.

psql -XAt -d DATABASE -c "COPY public.t (a, b) TO STDOUT" | content-hash.py LINE_KEY

prints the number of rows, the bytes of their lines and the sum, as contents.json has them. The key and the columns stand there too;
the session must read as the rules there say. Slow, and short enough to be read: one function is BLAKE3 (keyed), the other adds up.
"""

import struct
import sys

START, END, PARENT, ROOT, KEYED = 1, 2, 4, 8, 16
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
MIXED = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def compress(chain, block, counter, length, flags):
    """Sixteen words out of eight and a block of 64 bytes."""
    words = struct.unpack("<16I", block.ljust(64, b"\0"))
    v = [*chain, *IV[:4], counter & 0xFFFFFFFF, counter >> 32, length, flags]
    for _ in range(7):
        for place, (a, b, c, d) in enumerate(MIXED):
            for word, left, right in ((words[2 * place], 16, 12), (words[2 * place + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & 0xFFFFFFFF
                v[d] = rotated(v[d] ^ v[a], left)
                v[c] = (v[c] + v[d]) & 0xFFFFFFFF
                v[b] = rotated(v[b] ^ v[c], right)
        words = [words[i] for i in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ chain[i] for i in range(8)]


def rotated(word, by):
    return (word >> by | word << (32 - by)) & 0xFFFFFFFF


def keyed_hash(key, data):
    """The first 16 bytes of BLAKE3 of `data` with a key of 32 bytes."""
    key = struct.unpack("<8I", key)

    def tree(data, counter, root):
        if len(data) <= 1024:
            chain, blocks = key, [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
            for place, block in enumerate(blocks):
                last = place == len(blocks) - 1
                flags = KEYED | (START if place == 0 else 0) | (END | root if last else 0)
                out = compress(chain, block, counter, len(block), flags)
                chain = out[:8]
            return out
        left = 1024  # The largest power of two of chunks that leaves something on the right.
        while left * 2 < len(data):
            left *= 2
        block = tree(data[:left], counter, 0)[:8] + tree(data[left:], counter + left // 1024, 0)[:8]
        return compress(key, struct.pack("<16I", *block), 0, 64, KEYED | PARENT | root)

    return struct.pack("<4I", *tree(data, 0, ROOT)[:4])


def main():
    key = bytes.fromhex(sys.argv[1])
    rows = size = total = 0
    for line in sys.stdin.buffer:
        line = line.removesuffix(b"\n")
        rows, size = rows + 1, size + len(line)
        total = (total + int.from_bytes(keyed_hash(key, line), "little")) % 2**128
    print(rows, size, f"{total:032x}")


main()
