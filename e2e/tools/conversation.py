"""Ten mails to and fro between an inbox, by REST, and a mailbox outside that is
written with Python's smtplib and email: one thread on both sides.

Usage: conversation.py BASE KEY SMTP INBOX ADDRESS
"""

import email
import email.policy
import json
import smtplib
import sys
import time
import urllib.request
from email.message import EmailMessage
from email.utils import make_msgid

base, key, smtp, inbox, address = sys.argv[1:]
outside = "bob@outside.example"


def ask(method, path, body=None):
    request = urllib.request.Request(base + path, method=method, headers={"Authorization": "Bearer " + key})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def listed():
    return json.loads(ask("GET", f"/v1/inboxes/{inbox}/messages?limit=100"))


def write(previous):
    """The mailbox outside answers the mail that it has, or begins."""
    m = EmailMessage()
    m["From"], m["To"] = f"Bob Büchner <{outside}>", address
    m["Message-ID"] = make_msgid(domain="outside.example")
    if previous is None:
        m["Subject"] = "Bücher für Bob"
    else:
        m["Subject"] = previous["Subject"]
        m["In-Reply-To"] = previous["Message-ID"]
        m["References"] = f"{previous['References'] or ''} {previous['Message-ID']}".strip()
    m.set_content(f"Mail {len(seen)} from outside, with ümlauts.\n")
    host, port = smtp.rsplit(":", 1)
    with smtplib.SMTP(host, int(port)) as s:
        s.send_message(m)
    return m


seen = []  # message ids, in order
thread = None
previous = None
for turn in range(5):
    mail = write(previous)
    seen.append(mail["Message-ID"])
    for _ in range(200):
        if listed()["total"] == len(seen):
            break
        time.sleep(0.05)
    newest = listed()["data"][0]
    thread = thread or newest["threadId"]
    assert newest["threadId"] == thread, "the mail from outside began a thread of its own"
    assert newest["rfcMessageId"] == mail["Message-ID"]

    sent = json.loads(ask("POST", f"/v1/inboxes/{inbox}/send", {"to": newest["fromAddr"], "body": f"Answer {turn}: grüße.", "threadId": thread}))
    assert sent["threadId"] == thread, "the reply is not in the thread"
    # What the mailbox outside would get, as Python reads it.
    previous = email.message_from_bytes(ask("GET", f"/v1/messages/{sent['messageId']}/raw"), policy=email.policy.default)
    assert not previous.defects, previous.defects
    assert previous["In-Reply-To"] == mail["Message-ID"], previous["In-Reply-To"]
    assert previous["References"].split() == seen, (previous["References"], seen)
    assert previous["Subject"] == "Re: Bücher für Bob", previous["Subject"]
    assert previous["To"].addresses[0].addr_spec == outside and previous["To"].addresses[0].display_name == "Bob Büchner"
    text = previous.get_body(("plain",)).get_content()
    assert f"Answer {turn}: grüße." in text and "> Mail" in text and "Bob Büchner <bob@outside.example> wrote:" in text, text
    seen.append(previous["Message-ID"])

conversation = json.loads(ask("GET", f"/v1/threads/{thread}/messages"))
assert [m["rfcMessageId"] for m in conversation["data"]] == seen, "the thread is not the conversation"
assert conversation["isRead"], "a reply marks the thread read"
print("ten mails, one thread")
