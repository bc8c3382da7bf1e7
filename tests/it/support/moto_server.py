"""A moto server that prints its port, and ends when its standard input does.

Whoever starts it holds the other end of that pipe: however that process ends, the server
ends too.

As it comes, moto lets two writes of one item pass each other, and copies whole tables before
each transaction, to put them back if it fails: with thousands of items a transaction takes
seconds, and what others wrote meanwhile is gone. Here requests are handled one at a time, and
a transaction that fails puts back the items that it names.
"""

import copy
import io
import logging
import os
import sys
import threading
from types import SimpleNamespace

from moto.dynamodb import models
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

one_at_a_time = threading.Lock()
transact = DynamoDBBackend.transact_write_items


def transact_write_items(self, transact_items):
    before = []
    for operation in (operation for item in transact_items for operation in item.values()):
        table = self.tables.get(operation["TableName"])
        # The tables of the tests have no range keys.
        if table and not table.range_key_attr:
            key = DynamoType(operation.get("Key", operation.get("Item"))[table.hash_key_attr])
            before.append((table, key, copy.deepcopy(table.get_item(key))))
    try:
        transact(self, transact_items)
    except Exception:
        for table, key, item in before:
            if item is None:
                table.items.pop(key, None)
            else:
                table.items[key] = item
        raise


DynamoDBBackend.transact_write_items = transact_write_items
# The copies of tables that moto puts back are the tables themselves.
models.copy = SimpleNamespace(deepcopy=lambda of: of if isinstance(of, Table) else copy.deepcopy(of))


def handle(environ, start_response):
    # Read before, so that nobody waits for a client that is slow to send.
    if length := environ.get("CONTENT_LENGTH"):
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
    with one_at_a_time:
        return application(environ, start_response)


logging.getLogger("werkzeug").disabled = True  # A tenth of its time, and nobody reads it.
application = DomainDispatcherApplication(create_backend_app)
application.debug = True
server = make_server("127.0.0.1", 0, handle, threaded=True, request_handler=MotoRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdout = sys.stderr  # Nobody reads on.
sys.stdin.read()
os._exit(0)
