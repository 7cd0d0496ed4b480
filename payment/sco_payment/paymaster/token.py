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
    """A text that is in no repr, no traceback and no pickle; only `header` returns it."""

    __slots__ = ("_file", "_former", "_secret")

    def __init__(self, secret: str, file: Path | None, former: frozenset[str]) -> None:
        self._secret = secret
        self._file = file
        self._former = former

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """The secret in the file at `path`, which only its owner may read.

        Raises:
            TokenError: no such file, not a regular file, readable by others, or malformed. The message says which.
        """
        return cls._read(path)

    def successor(self) -> Self | None:
        """The secret that has replaced this one in its file; None if none has, or if this one came from no file.

        Raises:
            TokenError: the file cannot be read now, or no longer contains one.
        """
        if self._file is None:
            return None
        found = self._read(self._file, self._former | {self._secret})
        return None if found.header() == self.header() else found

    def hide(self, text: str) -> str:
        """`text` without the secret and those that it replaced, should one be in there."""
        forms = {form for secret in (self._secret, *self._former) for form in self._forms(secret)}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, "***")
        return text

    @classmethod
    def _read(cls, path: str | Path, former: frozenset[str] = frozenset()) -> Self:
        raise NotImplementedError

    @staticmethod
    def _forms(secret: str) -> tuple[str, ...]:
        """The texts that would give the secret away."""
        return (secret,)

    def header(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled")


class Token(_Secret):
    """A bearer token.

    Args:
        secret: the token; white space around it is ignored.
        file: where it was read, to find the one that replaces it.
        former: the tokens that it replaced, which `hide` hides too.

    Raises:
        TokenError: malformed.
    """

    __slots__ = ()

    def __init__(self, secret: str, *, file: Path | None = None, former: frozenset[str] = frozenset()) -> None:
        text = secret.strip()
        if not text or len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
            raise TokenError(f"{file or 'the token'} must be one word of printable ASCII characters")
        super().__init__(text, file, former)

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
    def _read(cls, path: str | Path, former: frozenset[str] = frozenset()) -> Self:
        return cls(read_secret_file(path), file=Path(path).absolute(), former=former)

    def header(self) -> str:
        """The value of the Authorization header."""
        return f"Bearer {self._secret}"


class ProxyLogin(_Secret):
    """User and password for a proxy.

    Args:
        secret: `user:password`; the line's end is ignored.
        file: where it was read, to find the one that replaces it.
        former: the logins that it replaced, which `hide` hides too.

    Raises:
        TokenError: malformed.
    """

    __slots__ = ()

    def __init__(self, secret: str, *, file: Path | None = None, former: frozenset[str] = frozenset()) -> None:
        text = secret.rstrip("\r\n")
        user, colon, password = text.partition(":")
        if not user or not colon or not password or not text.isprintable() or "\ufffd" in text:
            subject = "the proxy's login must be" if file is None else f"{file} must contain"
            raise TokenError(f"{subject} user:password in one line, as UTF-8 text")
        super().__init__(text, file, former)

    @classmethod
    def _read(cls, path: str | Path, former: frozenset[str] = frozenset()) -> Self:
        return cls(read_secret_file(path, "utf-8"), file=Path(path).absolute(), former=former)

    def header(self) -> str:
        """The value of the Proxy-Authorization header."""
        return f"Basic {_base64(self._secret)}"

    @staticmethod
    def _forms(secret: str) -> tuple[str, ...]:
        return _base64(secret), secret, secret.partition(":")[2]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


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
