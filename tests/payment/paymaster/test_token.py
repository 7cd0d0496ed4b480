"""Where the token and the proxy's login come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sco_payment.paymaster.token import ProxyLogin, Token, TokenError

SECRET = "very-secret-token"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(0o600)
    return path


def test_token_files(file: Path, tmp_path: Path) -> None:
    file.write_text(SECRET + "\n")
    file.chmod(0o644)
    with pytest.raises(TokenError, match="chmod 600"):
        Token.from_file(file)
    file.chmod(0o600)
    assert Token.from_file(file).header() == f"Bearer {SECRET}"
    file.write_text("two words")
    with pytest.raises(TokenError, match="one word"):
        Token.from_file(file)
    with pytest.raises(TokenError, match="No such file"):
        Token.from_file(tmp_path / "none")


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCO_PAYMASTER_TOKEN", raising=False)
    with pytest.raises(TokenError, match="SCO_PAYMASTER_TOKEN is not set"):
        Token.from_environment()
    monkeypatch.setenv("SCO_PAYMASTER_TOKEN", SECRET)
    monkeypatch.setenv("OTHER", "other-token")
    assert Token.from_environment().header() == f"Bearer {SECRET}"
    assert Token.from_environment("OTHER").header() == "Bearer other-token"


def test_the_longest_token(file: Path) -> None:
    longest = "x" * 4096
    for end in ("", "\n"):
        file.write_text(longest + end)
        assert Token.from_file(file).header() == f"Bearer {longest}"
    assert Token(longest).header() == f"Bearer {longest}"
    with pytest.raises(TokenError, match="the token must be one word"):
        Token(longest + "x")
    file.write_text(longest + "x")
    with pytest.raises(TokenError, match=f"{file} must be one word"):
        Token.from_file(file)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_end_of_the_line_is_no_part_of_a_password(file: Path, end: str) -> None:
    file.write_bytes(b"lane7:pa sX" + end.encode())
    assert ProxyLogin.from_file(file).header() == "Basic bGFuZTc6cGEgc1g="
