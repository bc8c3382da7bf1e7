"""Servers of this machine: moto, a Runtime API, and a proxy that notes calls."""

import http.client
import http.server
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-central-1"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Moto:
    """A moto server of its own."""

    def __init__(self):
        self.port = free_port()
        server = Path(sys.executable).parent / "moto_server"
        self.process = subprocess.Popen(
            [server, "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "moto does not start"
                time.sleep(0.1)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.process.terminate()
        self.process.wait()


def serve(handler):
    """Serves on a free port; gives the server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pass_on(self, port, body):
        """Answers what the server at the port answers."""
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request(self.command, self.path, body, {**self.headers, "content-length": str(len(body))})
        response = connection.getresponse()
        dropped = {"content-length", "connection", "date", "server", "transfer-encoding"}
        headers = [(k, v) for k, v in response.getheaders() if k.lower() not in dropped]
        self.answer(response.status, headers, response.read())


def proxy(port, calls):
    """Passes calls on to the port, and notes each as (operation, request)."""

    class Handler(Quiet):
        def do_POST(self):
            body = self.body()
            target = self.headers.get("x-amz-target")
            if target:
                calls.append((target.split(".")[-1], json.loads(body)))
            else:
                form = dict(urllib.parse.parse_qsl(body.decode()))
                calls.append((form["Action"], form))
            self.pass_on(port, body)

        def do_GET(self):
            # The function opens its connection by a request to /ping.
            self.answer(200, [], b"healthy")

    return serve(Handler)


class Function:
    """A `bootstrap` behind a Runtime API, with an environment as Lambda's."""

    def __init__(self, bootstrap, variables):
        events, self.results = queue.Queue(), queue.Queue()
        self.events = events
        results = self.results

        class Handler(Quiet):
            def do_GET(self):
                event = events.get()
                if event is None:
                    return
                deadline = int((time.time() + 30) * 1000)
                self.answer(200, [
                    ("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
                    ("Lambda-Runtime-Deadline-Ms", str(deadline)),
                    ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:1:function:f"),
                ], json.dumps(event).encode())

            def do_POST(self):
                body = json.loads(self.body())
                self.answer(202, [], b"")
                results.put((self.path.rsplit("/", 1)[-1], body))

        self.api = serve(Handler)
        self.process = subprocess.Popen([bootstrap], env={
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "pushwatch", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_LOG_GROUP_NAME": "group",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream", "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", **variables,
        }, stdout=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=self.lines.extend, args=(self.process.stdout,), daemon=True).start()

    def invoke(self, event):
        """The answer to an event."""
        self.events.put(event)
        kind, body = self.results.get(timeout=30)
        assert kind == "response", body
        return body

    def stop(self):
        self.process.kill()
        self.process.wait()

    def log(self):
        """What it logged until it was stopped."""
        time.sleep(0.2)
        return [json.loads(line) for line in self.lines]


class Emulator:
    """cargo-lambda's emulator with the function, its dev build, in it."""

    # How long the dev build may take on two cores.
    BUILD_SECONDS = 900

    def __init__(self, stack, url, port):
        self.port = port
        self.environment = {
            **aws_environment(url), **stack.environment(), "AWS_ENDPOINT_URL": url,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        binary = ["--bin", "pushwatch-lambda", "--features", "function"]
        subprocess.run(
            ["cargo", "build", "--locked", *binary], cwd=ROOT, check=True, timeout=self.BUILD_SECONDS)
        self.process = subprocess.Popen(
            ["cargo", "lambda", "watch", "--ignore-changes", *binary, "--invoke-port", str(port)],
            cwd=ROOT, env=self.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )

    def invoke(self, sample):
        """The answer to a sample event."""
        deadline = time.monotonic() + self.BUILD_SECONDS
        while True:
            done = subprocess.run(
                ["cargo", "lambda", "invoke", "pushwatch-lambda", "--invoke-port", str(self.port),
                 "--data-file", f"events/{sample}.json"],
                cwd=ROOT, env=self.environment, capture_output=True, text=True,
                timeout=self.BUILD_SECONDS)
            if done.returncode == 0:
                return json.loads(done.stdout)
            # The emulator takes a moment to listen.
            assert time.monotonic() < deadline and self.process.poll() is None, done.stderr
            time.sleep(0.5)

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()


def aws_variables(url):
    """What leads clients and programs to moto."""
    return {
        "AWS_ENDPOINT_URL": url, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
    }


def aws_environment(url):
    """The same, beside all that is set anyway."""
    return {**os.environ, **aws_variables(url)}
