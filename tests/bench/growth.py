"""Counts what a push, a sweep and the first page of `pushwatch uploaders list` cost with
1,000 and with 100,000 stored uploaders: calls of AWS, and bytes of their bodies.

usage: growth.py

moto plays AWS. The deployed function is taken if it was built, else the one of the last
`cargo build`.
"""

import concurrent.futures
import copy
import http.client
import json
import subprocess
import sys

from stubs import ROOT, pushes, sweep

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from servers import REGION, Function, Moto, Quiet, aws_environment, aws_variables, serve  # noqa: E402
from stack import BUILD, deploy  # noqa: E402

STORED = [1_000, 100_000]
# DynamoDB takes no more at once.
BATCH = 25


class Counter:
    """Passes calls on to moto, and counts them and their bodies."""

    def __init__(self, port):
        self.reset()
        counter = self

        class Handler(Quiet):
            def do_POST(self):
                body = self.body()
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request("POST", self.path, body, dict(self.headers))
                response = connection.getresponse()
                answer = response.read()
                operation = self.headers.get("x-amz-target", "").rpartition(".")[2] or "other"
                counter.calls.append(operation)
                counter.sent += len(body)
                counter.received += len(answer)
                dropped = {"content-length", "connection", "date", "server", "transfer-encoding"}
                headers = [(k, v) for k, v in response.getheaders() if k.lower() not in dropped]
                self.answer(response.status, headers, answer)

            def do_GET(self):
                self.answer(200, [], b"healthy")

        self.url = f"http://127.0.0.1:{serve(Handler).server_port}"

    def reset(self):
        self.calls, self.sent, self.received = [], 0, 0

    def row(self, what):
        calls = ", ".join(f"{self.calls.count(one)} {one}" for one in sorted(set(self.calls)))
        print(f"  {what:34} {calls:28} {self.sent:>9,} bytes sent {self.received:>9,} received")


def store(client, table, record, numbers):
    """Puts copies of the record under other keys."""

    def put(first):
        requests = []
        for number in range(first, min(first + BATCH, numbers.stop)):
            item = copy.deepcopy(record)
            item["uploader"]["S"] = f"arn:aws:iam::111122223333:role/build-{number:06}"
            requests.append({"PutRequest": {"Item": item}})
        client.batch_write_item(RequestItems={table: requests})

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(numbers.start, numbers.stop, BATCH)))


def main():
    built = BUILD / "Function" / "bootstrap"
    binary = built if built.exists() else ROOT / "target/debug/pushwatch-lambda"
    moto = Moto()
    try:
        stack = deploy(moto.url, {})
        table, counter = stack.outputs["UploadersTable"], Counter(moto.port)
        function = Function(binary, aws_variables(counter.url) | stack.environment())
        one, *more = [json.loads(push) for push in pushes(1 + len(STORED))]
        function.invoke(one)
        dynamodb = stack.client("dynamodb")
        record = dynamodb.scan(TableName=table)["Items"][0]
        stored = 1
        for number, push in zip(STORED, more):
            store(dynamodb, table, record, range(stored, number))
            stored = number
            print(f"{number:,} stored uploaders")
            for what, event in [("a push by somebody known", push), ("a sweep with nothing owed", json.loads(sweep()))]:
                counter.reset()
                function.invoke(event)
                counter.row(what)
            counter.reset()
            subprocess.run(
                [ROOT / "target/debug/pushwatch", "uploaders", "list", "--limit", "20",
                 "--table", table, "--region", REGION],
                env=aws_environment(counter.url), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            counter.row("the first page of `uploaders list`")
        function.stop()
    finally:
        moto.stop()


main()
