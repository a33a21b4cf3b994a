"""Numbers into fixed fields, with the codec's own error for one that does not fit."""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from codec.errors import LocalProtocolError


def pack(layout: Struct, *values: int | bytes) -> bytes:
    """The octets. `LocalProtocolError` for a number out of the range of its field."""
    try:
        return layout.pack(*values)
    except struct_error as error:
        raise LocalProtocolError(f"one of {', '.join(map(str, values))} is out of its range: {error}") from None
