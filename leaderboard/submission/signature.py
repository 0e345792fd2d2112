"""The submitter: a signature over the content of every file, by a key that only its owner has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import Field, ValidationError

from gifd_bench.common.errors import StorageError, one_line
from gifd_bench.common.files import make_folder, parse_json, read_bytes, write_json
from gifd_bench.common.hashing import canonical
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.submission.folder import SIGNATURE, SubmissionFolder
from gifd_bench.leaderboard.text import PublicKey, Strict, first_error

FORMAT: Literal["gifd-bench/signature/1"] = "gifd-bench/signature/1"
MOST_KEY_BYTES = 1 << 14


class SignatureFile(Strict):
    """The content of `signature.json`.

    Attributes:
        key: the public key, in hexadecimal digits.
        signature: the ed25519 signature of `signed_text`, in hexadecimal digits.
    """

    format: Literal["gifd-bench/signature/1"]
    key: PublicKey
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


def make_key(path: Path) -> str:
    """Make a private key, in a file that only its owner may read.

    Args:
        path: the path of a file that does not exist yet.

    Returns:
        The public key.

    Raises:
        LeaderboardError: the file exists already; it is left as it is.
        StorageError: it cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    make_folder(path.absolute().parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except FileExistsError as error:
        raise LeaderboardError(
            f"{path}: is there already, and a key is never overwritten; choose another file"
        ) from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({one_line(error)})") from error
    return _public(key)


def read_key(path: Path) -> Ed25519PrivateKey:
    """A private key that `make_key` wrote.

    Raises:
        FileError: there is no such file, or it cannot be read.
        LeaderboardError: it holds no such key.
    """
    try:
        key = load_pem_private_key(read_bytes(path)[:MOST_KEY_BYTES], password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise LeaderboardError(
            f"{path}: holds no private key; `gifd-bench leaderboard key` makes one"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LeaderboardError(f"{path}: holds a key of another kind than ed25519")
    return key


def sign(submission: SubmissionFolder, key: Ed25519PrivateKey) -> str:
    """Write the signature of a submission as it is now, in place of an older one.

    Args:
        submission: your own submission.
        key: the private key, from `read_key`.

    Returns:
        The public key.

    Raises:
        LeaderboardError: the submission has files that do not belong there, or lacks some that do.
    """
    submission.check_files()
    signature = key.sign(signed_text(submission.checksums()))
    made = SignatureFile(format=FORMAT, key=_public(key), signature=signature.hex())
    write_json(submission.path / SIGNATURE, made.model_dump(mode="json"))
    return made.key


def signer(submission: SubmissionFolder, files: Mapping[str, str]) -> str | None:
    """The owner of a submission.

    Args:
        submission: the submission, which is not trusted.
        files: SHA-256 of its files, by path, including that of the signature.

    Returns:
        The public key that signed exactly these files; `None` if nobody signed.

    Raises:
        LeaderboardError: there is a signature, and it is not one of these files by that key.
    """
    if SIGNATURE not in files:
        return None
    path = submission.path / SIGNATURE
    try:
        claimed = SignatureFile.model_validate(parse_json(path, submission.signature_bytes()))
    except ValidationError as error:
        raise LeaderboardError(f"{SIGNATURE}: {first_error(error)}") from error
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(claimed.key))
        public.verify(bytes.fromhex(claimed.signature), signed_text(files))
    except (InvalidSignature, ValueError) as error:
        raise LeaderboardError(
            f"{SIGNATURE}: is no signature of these files by the key that it names; whoever changed a file "
            "after signing must sign again"
        ) from error
    return claimed.key


def signed_text(files: Mapping[str, str]) -> bytes:
    """The text that is signed: the format, and the content of every file except the signature.

    `submission.yaml` is among them, and with it the track, the name and the version.
    """
    signed = {name: digest for name, digest in files.items() if name != SIGNATURE}
    return canonical({"format": FORMAT, "files": signed}).encode()


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()
