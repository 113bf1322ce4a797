// A name server, over TCP, for which every name is on this machine. It writes
// its address to the file given.
const fs = require("fs");
const net = require("net");

// answer is the answer to a question: 127.0.0.1 for A, nothing for the rest (RFC
// 1035 section 4).
function answer(question) {
  let end = 12;
  while (question[end] !== 0) end += question[end] + 1;
  const isA = question.readUInt16BE(end + 1) === 1;
  const header = Buffer.from([question[0], question[1], 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
  return Buffer.concat([header, question.subarray(12, end + 5), isA ? record : Buffer.alloc(0)]);
}

const server = net.createServer((socket) => {
  let got = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    got = Buffer.concat([got, chunk]);
    while (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) {
      const length = got.readUInt16BE(0);
      const reply = answer(got.subarray(2, 2 + length));
      const prefix = Buffer.alloc(2);
      prefix.writeUInt16BE(reply.length);
      socket.write(Buffer.concat([prefix, reply]));
      got = got.subarray(2 + length);
    }
  });
});
server.listen(0, "127.0.0.1", () => fs.writeFileSync(process.argv[2], `127.0.0.1:${server.address().port}`));
