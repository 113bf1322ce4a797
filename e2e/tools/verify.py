"""The documented check of a webhook's signature, over the posts that receiver.js printed. Arguments: file, secret."""

import hashlib
import hmac
import json
import sys


def verify(secret, timestamp, raw_body, signature):
    expected = hmac.new(secret.encode(), f"{timestamp}.".encode() + raw_body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)


with open(sys.argv[1]) as posts:
    for line in posts:
        post = json.loads(line)
        headers = post["headers"]
        if not verify(sys.argv[2], headers["x-timestamp"], post["raw"].encode(), headers["x-signature"]):
            sys.exit(f"not verified: {headers['x-event-id']}")
