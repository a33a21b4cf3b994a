"""The errors that reach a person: what happened, why, and what to do about it."""

from __future__ import annotations


class MpsocksError(Exception):
    """A failure that a person can act on.

    `what` says what happened, `why` quotes the cause, `hint` says what to do. Tasks print all three and exit with
    `exit_code`; anything that is not an `MpsocksError` is a defect and shows its traceback.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why:  {self._indented(self.why)}")
        if self.hint:
            lines.append(f"  do:   {self._indented(self.hint)}")
        return "\n".join(lines)

    @staticmethod
    def _indented(text: str) -> str:
        return text.strip().replace("\n", "\n        ")


class BadInputError(MpsocksError):
    """An option or a setting was refused before anything was changed."""

    exit_code = 2
