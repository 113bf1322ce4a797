"""Sends mails with documents in them. Arguments: host, port, recipient, and what: good or bombs."""

import io
import smtplib
import struct
import sys
import zipfile
import zlib
from email.message import EmailMessage

GLYPHS = {
    "T": "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..", "O": ".###. #...# #...# #...# #...# #...# .###.",
    "A": "..#.. .#.#. #...# #...# ##### #...# #...#", "L": "#.... #.... #.... #.... #.... #.... #####",
}


def pdf(*objects):
    out, at = b"%PDF-1.4\n", []
    for i, o in enumerate(objects):
        at.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (i + 1, o)
    table = b"".join(b"%010d 00000 n \n" % n for n in at)
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(at) + 1, table, len(at) + 1, len(out))


def page(dictionary, stream):
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< %s /Length %d >>\nstream\n%s\nendstream" % (dictionary, len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")


def docx(xml):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("[Content_Types].xml", "<Types/>")
        z.writestr("word/document.xml", '<?xml version="1.0"?>' + xml)
    return out.getvalue()


def png(text, scale=8):
    rows = [b""] * 17
    for y in range(17):
        line = "." * 5
        for c in text:
            line += (GLYPHS[c].split()[y - 5] if 5 <= y < 12 else ".....") + ".."
        rows[y] = b"\x00" + b"".join((b"\x00" if dot == "#" else b"\xff") * scale for dot in line + "." * 5)
    width, height = len(rows[0]) - 1, 17 * scale
    return chunks(width, height, zlib.compress(b"".join(row * scale for row in rows)))


def chunks(width, height, data):
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


GOOD = [
    ("invoice.pdf", page(b"", b"BT /F1 24 Tf 72 720 Td (Invoice 4711) Tj ET")),
    ("letter.docx", docx('<w:document xmlns:w="x"><w:p><w:r><w:t>Grüße</w:t></w:r></w:p></w:document>')),
    ("numbers.csv", b"a,b\r\n1,2\r\n"),
    ("scan.png", png("TOTAL")),
    ("archive.bin", bytes(range(256))),
]


def bombs():
    cycle = pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R] /Count 9 >>")
    zeros = zlib.compressobj(9)
    stream = b"".join(zeros.compress(bytes(1 << 20)) for _ in range(1024)) + zeros.flush()
    return [
        ("zeros.pdf", page(b"/Filter /FlateDecode", stream)), ("cycle.pdf", cycle),
        ("spaces.docx", docx("<w:t>" + " " * (200 << 20))), ("pixels.png", chunks(10000, 10000, b"")),
        ("last.csv", b"still,read\n"),
    ]


host, port, recipient, what = sys.argv[1:]
m = EmailMessage()
m["From"], m["To"], m["Subject"] = "ann@example.com", recipient, what
m.set_content("See the files.\n")
for name, data in GOOD if what == "good" else bombs():
    m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
with smtplib.SMTP(host, int(port), local_hostname="client.example.com") as s:
    s.send_message(m)
