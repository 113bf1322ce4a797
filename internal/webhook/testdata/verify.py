# The verifiers of the documentation, in Python. Reads a list of posts from
# standard input and prints a list of booleans. The first argument, if any, is
# the file of the Standard Webhooks library, which then judges instead.
import base64
import hashlib
import hmac
import importlib.util
import json
import sys
import time


def verify(secret, headers, body):
    timestamp = headers["X-Timestamp"]
    if abs(time.time() - int(timestamp)) > 300:
        return False
    expected = hmac.new(
        secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256
    ).hexdigest()
    return hmac.compare_digest(expected, headers["X-Signature"])


def library(path):
    spec = importlib.util.spec_from_file_location("webhooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def judge(secret, headers, body):
        try:
            module.Webhook(secret).verify(body, headers)
        except module.WebhookVerificationError:
            return False
        return True

    return judge


judge = library(sys.argv[1]) if len(sys.argv) > 1 else verify
posts = json.load(sys.stdin)
json.dump(
    [judge(p["secret"], p["headers"], base64.b64decode(p["body"])) for p in posts],
    sys.stdout,
)
