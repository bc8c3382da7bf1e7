"""What surrounds a function while it is measured: a Runtime API over plain HTTP, as
Lambda's is, and AWS over TLS. Both answer at once and always alike, so that what is
counted is the function's own.
"""

import datetime
import email.utils
import json
import re
import socket
import ssl
import threading
import time
import urllib.parse
import zlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT = Path(__file__).resolve().parents[2]
REQUEST_ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
FUNCTION_ARN = "arn:aws:lambda:eu-central-1:111122223333:function:pushwatch"
PUBLISHED = (
    '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    f"<MessageId>{REQUEST_ID}</MessageId></PublishResult><ResponseMetadata>"
    f"<RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></PublishResponse>"
)
REFUSED = json.dumps({
    "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
    "message": "The conditional request failed",
})


def make_certificates(folder):
    """A certificate authority and a server's certificate for `localhost`, both on the
    curve P-256, as AWS's are or may be: the paths of the authority and of the server."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, server = folder / "authority.pem", folder / "server.pem"
    now = datetime.datetime.now(datetime.timezone.utc)
    if server.exists() and time.time() - server.stat().st_mtime < 20 * 86400:
        return authority, server

    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject, key, issuer, issuer_key, *extensions):
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=30))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        signed = builder.sign(issuer_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority.write_bytes(certificate(
        "Test Authority", authority_key, "Test Authority", authority_key,
        (x509.BasicConstraints(ca=True, path_length=0), True)))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    server.write_bytes(private + certificate(
        "localhost", key, "Test Authority", authority_key,
        (x509.SubjectAlternativeName([x509.DNSName("localhost")]), False),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)))
    return authority, server


class Connection:
    """HTTP/1.1 on a socket that stays open."""

    def __init__(self, stream):
        self.stream, self.buffer = stream, b""
        self.bytes_in = 0

    def _more(self):
        piece = self.stream.recv(65536)
        if not piece:
            raise ConnectionError
        self.bytes_in += len(piece)
        self.buffer += piece

    def request(self):
        """The next request: method, path, headers in lower case, body."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        method, path, _ = first.split(" ")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while True:
                while b"\r\n" not in self.buffer:
                    self._more()
                size, _, self.buffer = self.buffer.partition(b"\r\n")
                size = int(size.split(b";")[0], 16)
                while len(self.buffer) < size + 2:
                    self._more()
                body, self.buffer = body + self.buffer[:size], self.buffer[size + 2:]
                if size == 0:
                    return method, path, headers, body
        length = int(headers.get("content-length", 0))
        while len(self.buffer) < length:
            self._more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return method, path, headers, body

    def answer(self, status, headers, body):
        lines = [f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in headers)]
        lines += [f"content-length: {len(body)}", "", ""]
        answer = "\r\n".join(lines).encode() + body
        self.stream.sendall(answer)
        return len(answer)


class Server:
    """Listens on a port of this machine; a thread for each connection."""

    def __init__(self, certificate=None):
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                stream, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.context:
                stream = self.context.wrap_socket(stream, server_side=True)
            self.serve(Connection(stream))
        except OSError:
            pass
        finally:
            stream.close()

    def stop(self):
        self.socket.close()


class Aws(Server):
    """DynamoDB or SNS. It knows every uploader, unless the key holds `new-uploader`.

    `calls` are the operations that were asked for, `connections` how often a connection
    was opened, `bytes_in` and `bytes_out` what went over it inside of TLS."""

    def __init__(self, certificate):
        self.calls, self.requests, self.connections = [], [], 0
        self.bytes_in = self.bytes_out = 0
        super().__init__(certificate)

    def serve(self, connection):
        self.connections += 1
        while True:
            _, path, headers, body = connection.request()
            self.bytes_in += connection.bytes_in
            connection.bytes_in = 0
            call, status, answer = self.reply(path, headers, body)
            if call:
                self.calls.append(call)
                self.requests.append(body)
            kind = "text/xml" if answer.startswith(b"<") else "application/x-amz-json-1.0"
            self.bytes_out += connection.answer(status, [
                ("Server", "Server"), ("Date", email.utils.formatdate(usegmt=True)),
                ("Content-Type", kind), ("Connection", "keep-alive"),
                ("x-amzn-RequestId", REQUEST_ID), ("x-amz-crc32", str(zlib.crc32(answer))),
            ], answer)

    def reply(self, path, headers, body):
        """The operation, if it is one; status and body of the answer."""
        target = headers.get("x-amz-target", "").rpartition(".")[2]
        if target == "UpdateItem":
            # The question whether an uploader is known, by all peers alike.
            if b"new-uploader" in body and b'"uploader"' in body:
                return target, 400, REFUSED.encode()
            return target, 200, b"{}"
        if target == "Scan":
            return target, 200, b'{"Count":0,"Items":[],"ScannedCount":0}'
        if target:
            return target, 200, b"{}"
        if path != "/ping" and body:
            form = urllib.parse.parse_qs(body.decode())
            return form.get("Action", ["?"])[0], 200, PUBLISHED.encode()
        return None, 200, b"healthy"


class RuntimeApi(Server):
    """Hands out events one by one. What the function asks for, and when, is in `asked`
    and `answers`."""

    def __init__(self, events):
        self.events, self.answers, self.errors = list(events), [], []
        self.asked = threading.Semaphore(0)
        self.first_asked = None
        self.seconds = []
        self.given_at = None
        super().__init__()

    def serve(self, connection):
        while True:
            method, path, _, body = connection.request()
            now = time.perf_counter()
            if method == "GET" and path.endswith("/next"):
                self.first_asked = self.first_asked or now
                self.asked.release()
                if not self.events:
                    # As Lambda does: no answer until there is an event.
                    threading.Event().wait()
                event = self.events.pop(0)
                headers = [
                    ("content-type", "application/json"),
                    ("Lambda-Runtime-Aws-Request-Id", REQUEST_ID),
                    ("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 600_000)),
                    ("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN),
                    ("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0"),
                ]
                self.given_at = time.perf_counter()
                connection.answer(200, headers, event)
            else:
                if path.endswith("/response"):
                    self.seconds.append(now - self.given_at)
                    self.answers.append(body)
                else:
                    self.errors.append(body)
                connection.answer(202, [], b"{}")


def sample(name):
    """A sample event, as compact as EventBridge sends it."""
    return json.loads((ROOT / "events" / name).read_text())


def compact(event):
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def pushes(count, role="build"):
    """Pushes of a build's role, a minute apart and each with an id of its own."""
    text = (ROOT / "events" / "role-session-one.json").read_text()
    text = re.sub(r"(?<=[/\"])build(?=[/\"])", role, text)
    for number in range(count):
        event = json.loads(text)
        event["id"] = f"a99b4cb8-b402-4874-a307-{number:012x}"
        detail = event["detail"]
        detail["eventID"] = f"c35d150d-a202-44c4-abb1-{number:012x}"
        detail["eventTime"] = event["time"] = f"2026-01-12T{9 + number // 60:02}:{number % 60:02}:00Z"
        yield compact(event)


def new_uploader(number=0):
    """A push of somebody whom nobody knows."""
    return next(pushes(1, f"new-uploader-{number}"))


def sweep():
    return compact(sample("sweep.json"))
