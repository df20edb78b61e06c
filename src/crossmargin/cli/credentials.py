"""What a command shows a running service, and whom it believes."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from crossmargin.errors import InputError

if TYPE_CHECKING:
    from crossmargin.client import Key


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The key of who asks, and the certificates of who answers.

    Parameters
    ----------
    private_key
        File of an Ed25519 private key, 32 bytes in hexadecimal; that of CROSSMARGIN_KEY_FILE if not given.
    certificate
        File of certificates to believe over HTTPS; the public authorities if not given.
    """

    private_key: Path | None = None
    certificate: Path | None = None

    def key(self) -> "Key | None":
        """Return the key that requests are signed with, of the id in CROSSMARGIN_KEY; None where there is none."""
        from crossmargin.client import key_in

        return key_in(os.environ, self.private_key)

    def tls(self) -> ssl.SSLContext | None:
        """Return what believes the certificates of the file and no others; None where the public ones are believed."""
        if self.certificate is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.certificate)
        except ssl.SSLError as error:
            raise InputError(f"a certificate must be PEM, {self.certificate} is not") from error
        except OSError as error:
            finding = f"{self.certificate}: {error.strerror}"
            raise InputError(f"a certificate must be a file that can be read, {finding}") from error


Shown = Annotated[Credentials, Parameter(name="*")]
OF_ENVIRONMENT = Credentials()
"""Nothing on the command line."""
