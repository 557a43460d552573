"""The lengths that GIF codes unpack to, against following them one by one."""

import random

import pytest

from dltool.scanning.formats.gif_codes import unpacked_length

HIGHEST_CODE_BITS = 12


def followed(codes, root_bits):
    """How many pixels the codes make up to their end mark; None where one was never defined."""
    clear, end = 1 << root_bits, (1 << root_bits) + 1
    roots = [1] * clear + [0, 0]
    lengths, bits, previous, total = list(roots), root_bits + 1, 0, 0
    buffer = held = 0
    for byte in codes:
        buffer |= byte << held
        held += 8
        while held >= bits:
            code = buffer & ((1 << bits) - 1)
            buffer >>= bits
            held -= bits
            if code == clear:
                lengths, bits, previous = list(roots), root_bits + 1, 0
                continue
            if code == end:
                return total
            known = len(lengths)
            if code < known:
                length = lengths[code]
            elif code == known and previous:
                length = previous + 1
            else:
                return None
            total += length
            if previous and known < 1 << HIGHEST_CODE_BITS:
                lengths.append(previous + 1)
                if known + 1 == 1 << bits and bits < HIGHEST_CODE_BITS:
                    bits += 1
            previous = length
    return total


def encoded(pixels, root, *, begins, ends, clears):
    """LZW as the standard has it: a clear code where the table is full, or none at all."""
    clear, out, held, bits = 1 << root, 0, 0, root + 1

    def emit(code):
        nonlocal out, held
        out, held = out | code << held, held + bits

    table, size, run = {}, clear + 2, ()
    if begins:
        emit(clear)
    for pixel in pixels:
        if not run or (*run, pixel) in table:
            run = (*run, pixel)
            continue
        emit(table[run] if len(run) > 1 else run[0])
        if size < 1 << HIGHEST_CODE_BITS:
            table[*run, pixel] = size
            size += 1
            if size - 1 == 1 << bits and bits < HIGHEST_CODE_BITS:
                bits += 1
        elif clears:
            emit(clear)
            table, size, bits = {}, clear + 2, root + 1
        run = (pixel,)
    emit(table[run] if len(run) > 1 else run[0])
    if ends:
        emit(clear + 1)
    return out.to_bytes((held + 7) // 8, "little")


@pytest.mark.parametrize("seed", range(60))
def test_lengths_are_those_of_following_code_by_code(seed):
    rng = random.Random(seed)
    root, many = rng.randint(2, 11), rng.choice([1, 2, 60, 900, 9000])
    pixels = rng.choices(range(rng.randint(1, 1 << root)), k=many)
    codes = encoded(pixels, root, begins=seed % 2, ends=seed % 3, clears=seed % 5)
    assert unpacked_length(codes, root) == followed(codes, root)
    assert unpacked_length(codes, root) >= many
    for _ in range(8):
        hurt = bytearray(codes)
        hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
        assert unpacked_length(bytes(hurt), root) == followed(hurt, root)
    noise = rng.randbytes(rng.randrange(4000))
    assert unpacked_length(noise, root) == followed(noise, root)
    assert unpacked_length(b"", root) == 0
