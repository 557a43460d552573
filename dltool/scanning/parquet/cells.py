"""Arrow columns as cells of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from dltool.scanning.delimited.fast import arrow_numbers, arrow_words
from dltool.scanning.tables.block import Cells


def is_number(kind: Any) -> bool:
    """Whether values of an arrow type are numbers."""
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def is_comparable(kind: Any) -> bool:
    """Whether rows can be compared by it: nested values cannot."""
    from pyarrow import types

    return not types.is_nested(kind)


def cells_of_arrow(array: Any) -> tuple[Cells, bool]:
    """Cells, and whether they are data to be judged: dates, bytes and the like only take part in comparing rows."""
    import pyarrow as pa
    from pyarrow import types

    kind = array.type
    if types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if types.is_boolean(kind):
        array, kind = array.cast(pa.uint8()), pa.uint8()
    if types.is_decimal(kind) or types.is_float16(kind):
        array, kind = array.cast(pa.float64()), pa.float64()
    if types.is_nested(kind):
        return _lists(array), True
    if is_number(kind):
        return arrow_numbers(array), True
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return arrow_words(array.cast(pa.large_string())), True
    if types.is_temporal(kind) and not types.is_interval(kind):
        whole = pa.int32() if kind.bit_width == 32 else pa.int64()
        return arrow_numbers(array.view(whole)), False
    if types.is_null(kind):
        return Cells(numbers=np.zeros(len(array)), absent=np.ones(len(array), np.bool_)), True
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        texts = pa.array([None if value is None else value.hex() for value in array.to_pylist()], pa.large_string())
        return arrow_words(texts), False
    return Cells(numbers=np.zeros(len(array)), absent=array.is_null().to_numpy(zero_copy_only=False)), False


def _lists(array: Any) -> Cells:
    """The numbers in lists, nested ones too; of lists of anything else, and of structs, only whether they are there."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    absent = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    owners = np.arange(len(array), dtype=np.int64)
    while types.is_list(array.type) or types.is_large_list(array.type) or types.is_fixed_size_list(array.type):
        owners = owners[pc.list_parent_indices(array).to_numpy(zero_copy_only=False)]
        array = pc.list_flatten(array)
    if not is_number(array.type):
        return Cells(numbers=np.empty(0), owners=np.empty(0, np.int64), absent=absent)
    if array.null_count or not types.is_floating(array.type) or types.is_float16(array.type):
        array = array.cast(pa.float64(), safe=False)  # nulls become NaN
    return Cells(numbers=array.to_numpy(zero_copy_only=False), owners=owners, absent=absent)
