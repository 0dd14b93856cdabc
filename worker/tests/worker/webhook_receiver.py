"""A receiver of webhooks that judges signatures with the specification's own library (PyPI: standardwebhooks).

Takes: a secret; on standard input one line for each change of what it answers: a status, or `hold`: nothing until the next
line. Gives: its port as the first line, then for each request a JSON line with path, id, body and what the library made of it
(null: refused). Does not: keep anything.
"""

import http.server
import json
import sys
import threading

import standardwebhooks

hook = standardwebhooks.Webhook(sys.argv[1])
answer, changed = "200", threading.Condition()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            verified = hook.verify(body, dict(self.headers))
        except standardwebhooks.WebhookVerificationError:
            verified = None
        seen = {"path": self.path, "id": self.headers["webhook-id"], "body": body.decode(), "verified": verified}
        with changed:
            print(json.dumps(seen), flush=True)
            changed.wait_for(lambda: answer != "hold")
            status = int(answer)
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
server.daemon_threads = True
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
for line in sys.stdin:
    with changed:
        answer = line.strip()
        changed.notify_all()
