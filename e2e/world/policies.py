"""Serves the MTA-STS policies of domains by HTTPS: the policy of D is the file
FOLDER/D, asked for at https://mta-sts.D/.well-known/mta-sts.txt.

Usage: policies.py FOLDER CERTIFICATE ADDRESS
"""

import http.server
import pathlib
import ssl
import sys

folder, certificate, address = sys.argv[1:]


class Policies(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        policy = pathlib.Path(folder, self.headers["Host"].removeprefix("mta-sts."))
        if self.path != "/.well-known/mta-sts.txt" or not policy.is_file():
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(policy.read_bytes())


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
server = http.server.ThreadingHTTPServer((address, 443), Policies)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
