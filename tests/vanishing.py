"""A client of one request, written by hand: it can stop in the middle, as no proper client would."""

import json
import socket
import struct
from urllib.parse import urlsplit

from conftest import Service

FORM = "form"
"""The boundary of multipart bodies."""


class Wire:
    """One connection to a service, with a key that it knows."""

    def __init__(self, service: Service, key: str):
        address = urlsplit(service.url)
        assert address.hostname and address.port
        self._socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self._head = f"Host: {address.netloc}\r\nAuthorization: Bearer {key}\r\n"
        self._read = b""

    def get(self, path: str) -> None:
        """Ask for something."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())

    def post(self, path: str, **body: object) -> None:
        """Send a whole request in JSON."""
        data = json.dumps(body).encode()
        self._begin(path, "application/json", len(data))
        self._socket.sendall(data)

    def upload(self, size: int, part: float) -> None:
        """Send a part (from 0 to 1) of an upload whose file has so many bytes."""
        begin = (
            f'--{FORM}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
            f'--{FORM}\r\nContent-Disposition: form-data; name="file"; filename="half.jsonl"\r\n\r\n'
        ).encode()
        end = f"\r\n--{FORM}--\r\n".encode()
        whole = begin + b"x" * size + end
        self._begin("/v1/files", f"multipart/form-data; boundary={FORM}", len(whole))
        self._socket.sendall(whole[: int(len(whole) * part)])

    def _begin(self, path: str, content_type: str, length: int) -> None:
        head = (
            f"POST {path} HTTP/1.1\r\n{self._head}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
        )
        self._socket.sendall(head.encode())

    def until(self, mark: bytes) -> bytes:
        """Read until something came, and return all that came so far."""
        while mark not in self._read:
            piece = self._socket.recv(65536)
            assert piece, f"the service hung up after {self._read!r}"
            self._read += piece
        return self._read

    def hung_up(self, seconds: float) -> bool:
        """Whether the service ends the connection within some time."""
        self._socket.settimeout(seconds)
        try:
            while self._socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def vanish(self, *, politely: bool = False) -> None:
        """Be gone: at once, as a program that crashed; or politely, as one that closes its connection."""
        if not politely:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
