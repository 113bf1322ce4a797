"""Sends mails with Python's smtplib, as a program would. Arguments: host, port, recipients."""

import smtplib
import ssl
import sys
from email.message import EmailMessage

host, port, *recipients = sys.argv[1:]


def mail(subject, text):
    m = EmailMessage()
    m["From"] = "Müller, Jörg <joerg@example.com>"
    m["To"] = ", ".join(recipients)
    m["Cc"] = "Carol <carol@example.net>"
    m["Subject"] = subject
    m.set_content(text)
    return m


plain = mail("smtplib plain", ".a dot at the start\n..two\n.\nGrüße, 你好\n")
rich = mail("smtplib Größe 📎", "See the files.\n")
rich.add_alternative("<p>See the <b>files</b>.</p>", subtype="html")
rich.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="numbers.csv")
rich.add_attachment(bytes(range(256)) * 40, maintype="application", subtype="octet-stream", filename="größe & more.bin")

with smtplib.SMTP(host, int(port), local_hostname="client.example.com") as s:
    s.send_message(plain, from_addr="joerg@example.com", to_addrs=recipients)
    s.send_message(rich, from_addr="joerg@example.com", to_addrs=recipients)

insecure = ssl.create_default_context()
insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
with smtplib.SMTP(host, int(port), local_hostname="client.example.com") as s:
    s.starttls(context=insecure)
    s.send_message(mail("smtplib tls", "Hidden on the way.\n"), from_addr="joerg@example.com", to_addrs=recipients)
