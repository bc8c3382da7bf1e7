"""A moto server that prints its port, and ends when its standard input does.

Whoever starts it holds the other end of that pipe: however that process ends, the server
ends too.
"""

import os
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

application = DomainDispatcherApplication(create_backend_app)
application.debug = True
server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdout = sys.stderr  # Nobody reads on.
sys.stdin.read()
os._exit(0)
