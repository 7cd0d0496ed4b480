"""TLS as a client: servers are verified, by the authorities of a file or by the system's; no log of keys is written."""

from __future__ import annotations

import os
import re
import ssl

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""The name that OpenSSL gives to an authority in a folder of them."""


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """A context for connections to a server that the authorities in `ca_file`, or the system's, vouch for.

    Raises:
        ValueError: there are no usable authorities.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # urllib3's would write the keys where SSLKEYLOGFILE says
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    try:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
        else:
            _trust_the_system(context)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{ca_file or 'ca-certificates'}: no usable certificate authorities: {error}") from None
    return context


def _trust_the_system(context: ssl.SSLContext) -> None:
    """Use the folder of authorities, where there is one: OpenSSL reads only those that a chain needs.

    Reading the file with all of them costs 1.2 MiB and 20 ms.
    """
    places = ssl.get_default_verify_paths()
    folder = places.capath
    if folder and "SSL_CERT_FILE" not in os.environ and any(_HASHED.fullmatch(at.name) for at in os.scandir(folder)):
        context.load_verify_locations(capath=folder)
        return
    context.load_default_certs()
    if not context.cert_store_stats()["x509_ca"]:
        raise ValueError("this machine has no certificate authorities: apt-get install ca-certificates")
