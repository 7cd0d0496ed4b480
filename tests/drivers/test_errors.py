"""The error tree: each error is a DeviceError and the fitting builtin, names its device, and says what to do."""

from __future__ import annotations

import pytest

from sco_drivers import errors
from sco_drivers.errors import DeviceError

BUILTINS = {
    errors.BadDeviceUrl: ValueError,
    errors.UnknownScheme: ValueError,
    errors.DriverUnavailable: ImportError,
    errors.DeviceNotFound: FileNotFoundError,
    errors.DevicePermission: PermissionError,
    errors.DeviceBusy: BlockingIOError,
    errors.DeviceGone: ConnectionError,
    errors.DeviceTimeout: TimeoutError,
    errors.DeviceProtocolError: OSError,
    errors.DeviceClosed: ValueError,
    errors.PrinterError: OSError,
    errors.NfcError: OSError,
    errors.ScreenError: OSError,
    errors.TouchError: OSError,
    errors.DisplayError: OSError,
}


def test_every_error_is_in_the_table_and_in_the_picture() -> None:
    found = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, DeviceError) and value is not DeviceError
    }
    assert found == set(BUILTINS)
    for error, builtin in BUILTINS.items():
        assert f"{error.__name__} ({builtin.__name__})" in errors.__doc__ or error is errors.UnknownScheme


@pytest.mark.parametrize(("error", "builtin"), BUILTINS.items(), ids=lambda kind: kind.__name__)
def test_is_also_the_builtin_and_carries_all(error: type[DeviceError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin) as found:
        raise error("it is gone", url="fb:///dev/fb0", hint="plug it in")
    assert isinstance(found.value, DeviceError)
    assert str(found.value) == "fb:///dev/fb0: it is gone (plug it in)"
    assert (found.value.url, found.value.hint, found.value.message) == ("fb:///dev/fb0", "plug it in", "it is gone")
    assert error("x", retryable=True).retryable is True
    assert error("x", retryable=False).retryable is False
    assert str(error("x")) == "x"


def test_what_may_be_tried_again() -> None:
    again = {kind.__name__ for kind in BUILTINS if kind("x").retryable}
    assert again == {"DeviceNotFound", "DeviceBusy", "DeviceGone", "DeviceTimeout", "DeviceProtocolError"}
