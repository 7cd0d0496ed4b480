"""PayMaster's token and a proxy's login: read from files that only their owner may read, and never shown."""

from __future__ import annotations

import base64
import codecs
import os
import stat
from pathlib import Path
from typing import NoReturn, Self

_VARIABLE = "SCO_PAYMASTER_TOKEN"  # the variable's name
_LONGEST = 4096
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TokenError(ValueError):
    """The token or login is missing, unsafe or malformed. The message never contains it."""


class _Secret:
    __slots__ = ("_secret",)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled")


class Token(_Secret):
    """A bearer token. Its text is in no repr, no traceback and no pickle; only `header` returns it.

    Args:
        secret: the token; white space around it is ignored.
        file: where it was read, to find the one that replaces it.
        former: the tokens that it replaced, which `hide` hides too.

    Raises:
        TokenError: malformed.
    """

    __slots__ = ("_file", "_former")

    def __init__(self, secret: str, *, file: Path | None = None, former: frozenset[str] = frozenset()) -> None:
        text = secret.strip()
        if not text or len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
            raise TokenError(f"{file or 'the token'} must be one word of printable ASCII characters")
        self._secret = text
        self._file = file
        self._former = former

    @classmethod
    def from_environment(cls, name: str = _VARIABLE) -> Self:
        """The token in the environment variable `name`.

        Raises:
            TokenError: it is not set, or malformed.
        """
        if not os.environ.get(name):
            raise TokenError(f"{name} is not set")
        return cls(os.environ[name])

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """The token in the file at `path`, which only its owner may read.

        Raises:
            TokenError: no such file, not a regular file, readable by others, or malformed. The message says which.
        """
        return cls(read_secret_file(path), file=Path(path).absolute())

    def successor(self) -> Self | None:
        """The token that has replaced this one in its file; None if none has, or if this one came from no file.

        Raises:
            TokenError: the file cannot be read now, or no longer contains a token.
        """
        if self._file is None:
            return None
        found = type(self)(read_secret_file(self._file), file=self._file, former=self._former | {self._secret})
        return None if found.header() == self.header() else found

    def header(self) -> str:
        """The value of the Authorization header."""
        return f"Bearer {self._secret}"

    def hide(self, text: str) -> str:
        """`text` without the token and those that it replaced, should one be in there."""
        for secret in sorted({self._secret, *self._former}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


class ProxyLogin(_Secret):
    """User and password for a proxy. Only `header` returns them.

    Args:
        secret: `user:password`; the line's end is ignored.

    Raises:
        TokenError: malformed.
    """

    __slots__ = ()

    def __init__(self, secret: str) -> None:
        text = secret.rstrip("\r\n")
        user, colon, password = text.partition(":")
        if not user or not colon or not password or not text.isprintable() or "\ufffd" in text:
            raise TokenError("the proxy's login must be user:password in one line")
        self._secret = text

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """The login in the file at `path`, which only its owner may read.

        Raises:
            TokenError: no such file, not a regular file, readable by others, or malformed. The message says which.
        """
        text = read_secret_file(path, "utf-8")
        try:
            return cls(text)
        except TokenError:
            raise TokenError(f"{path} must contain user:password in one line, as UTF-8 text") from None

    def header(self) -> str:
        """The value of the Proxy-Authorization header."""
        return f"Basic {self._encoded()}"

    def hide(self, text: str) -> str:
        """`text` without the password, should it be in there."""
        for secret in (self._encoded(), self._secret, self._secret.partition(":")[2]):
            text = text.replace(secret, "***")
        return text

    def _encoded(self) -> str:
        return base64.b64encode(self._secret.encode()).decode("ascii")


def read_secret_file(path: str | Path, encoding: str = "ascii") -> str:
    """The text of a file that only its owner may read. Raises TokenError."""
    try:
        # without waiting: a pipe in its place would hold the lane
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise TokenError(f"{path} is not a regular file")
            if found.st_mode & 0o077:
                mode = stat.S_IMODE(found.st_mode)
                raise TokenError(f"{path} has mode {mode:04o}: others may read it; chmod 600 {path}")
            data = file.read(_LONGEST + 2)
    except OSError as error:
        raise TokenError(f"{path}: {error.strerror}") from None
    if data.startswith(_BYTE_ORDER_MARKS):
        raise TokenError(f"{path} begins with a byte-order mark, which editors on Windows write: save it without one")
    return data.decode(encoding, "replace")
