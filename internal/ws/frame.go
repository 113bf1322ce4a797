package ws

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

const (
	// maxMessage is the most a client may say in one message, in bytes.
	maxMessage = 16 << 10
	// maxControl is the most a control frame holds (RFC 6455 section 5.5).
	maxControl = 125
	// maxHeader is the most that stands before a server's payload.
	maxHeader = 10
)

// receiver is told what a client sends. The slices are valid until the method
// returns; an error ends the reading.
type receiver interface {
	text(message []byte) error
	ping(payload []byte) error
	pong(payload []byte) error
	// fragment is told of each part of a message but its last.
	fragment() error
}

// fault is what makes us end a connection: the close code and the reason that
// goes with it, at most 123 bytes.
type fault struct {
	code   ws.StatusCode
	reason string
}

func (f *fault) Error() string { return fmt.Sprintf("close %d: %s", f.code, f.reason) }

// goodbye is a client's close frame. The code is 1005 when it gave none.
type goodbye struct{ code ws.StatusCode }

func (g *goodbye) Error() string { return fmt.Sprintf("closed by the client with %d", g.code) }

func protocolError(reason string) error { return &fault{ws.StatusProtocolError, reason} }

// parser takes a client's frames apart (RFC 6455 section 5), in whatever
// pieces the bytes come. Its zero value is ready. What arrives whole is handed
// on where it lies; only what is split is copied.
type parser struct {
	head  [14]byte // the header that is being read
	n     uint8    // bytes of it that are there
	need  uint8    // bytes that it has; known once two are there
	inMsg bool     // a fragmented message is open

	left    int    // bytes of payload still to come
	at      int    // bytes of payload that were there: where the mask stands
	message []byte // a message so far
	control []byte // the payload of a control frame so far
}

func (p *parser) fin() bool       { return p.head[0]&0x80 != 0 }
func (p *parser) op() ws.OpCode   { return ws.OpCode(p.head[0] & 0x0f) }
func (p *parser) inPayload() bool { return p.n >= 2 && p.n == p.need }

// feed takes the next bytes, which it changes. After an error it must not be
// called again.
func (p *parser) feed(b []byte, r receiver) (err error) {
	for len(b) > 0 {
		if !p.inPayload() {
			if b, err = p.header(b); err != nil {
				return err
			}
			if !p.inPayload() {
				return nil
			}
		}
		if b, err = p.payload(b, r); err != nil {
			return err
		}
	}
	return nil
}

// header takes bytes until the header is whole, and returns the others.
func (p *parser) header(b []byte) ([]byte, error) {
	for len(b) > 0 && !p.inPayload() {
		p.head[p.n] = b[0]
		b = b[1:]
		p.n++
		if p.n == 2 {
			if err := p.check(); err != nil {
				return nil, err
			}
		}
		if p.n >= 2 && p.n == p.need-4 {
			if err := p.length(); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// check judges the first two bytes of a header and learns its length.
func (p *parser) check() error {
	op, small := p.op(), p.head[1]&0x7f
	switch {
	case p.head[0]&0x70 != 0:
		return protocolError("reserved bits are set")
	case op > ws.OpBinary && op < ws.OpClose || op > ws.OpPong:
		return protocolError("unknown opcode")
	case p.head[1]&0x80 == 0:
		return protocolError("frame is not masked")
	case op.IsControl() && !p.fin():
		return protocolError("control frame is fragmented")
	case op.IsControl() && small > maxControl:
		return protocolError("control frame is too long")
	case op == ws.OpContinuation && !p.inMsg:
		return protocolError("nothing to continue")
	case op.IsData() && op != ws.OpContinuation && p.inMsg:
		return protocolError("message begins within another")
	case op == ws.OpBinary:
		return &fault{ws.StatusUnsupportedData, "only text messages are understood"}
	}
	p.need = 2 + 4
	switch small {
	case 126:
		p.need += 2
	case 127:
		p.need += 8
	}
	return nil
}

// length learns the payload's length, once all but the mask is there.
func (p *parser) length() error {
	n := uint64(p.head[1] & 0x7f)
	switch n {
	case 126:
		n = uint64(binary.BigEndian.Uint16(p.head[2:]))
	case 127:
		n = binary.BigEndian.Uint64(p.head[2:])
	}
	if n>>63 != 0 {
		return protocolError("length is out of range")
	}
	if n > maxMessage || !p.op().IsControl() && n+uint64(len(p.message)) > maxMessage {
		return &fault{ws.StatusMessageTooBig, "message is longer than 16 KiB"}
	}
	p.left, p.at = int(n), 0
	return nil
}

// payload takes what there is of the frame's payload, and returns the rest.
func (p *parser) payload(b []byte, r receiver) ([]byte, error) {
	part, rest := b[:min(p.left, len(b))], b[min(p.left, len(b)):]
	ws.Cipher(part, [4]byte(p.head[p.need-4:p.need]), p.at)
	p.left -= len(part)
	p.at += len(part)

	kept := &p.message
	if p.op().IsControl() {
		kept = &p.control
	}
	whole := p.left == 0 && p.fin()
	if !whole || len(*kept) > 0 {
		*kept = append(*kept, part...)
		part = *kept
	}
	if p.left > 0 {
		return rest, nil
	}
	p.n = 0
	if whole {
		*kept = nil
	}
	return rest, p.deliver(part, r)
}

// deliver hands on a frame that is whole.
func (p *parser) deliver(payload []byte, r receiver) error {
	switch p.op() {
	case ws.OpPing:
		return r.ping(payload)
	case ws.OpPong:
		return r.pong(payload)
	case ws.OpClose:
		return closed(payload)
	}
	p.inMsg = !p.fin()
	if p.inMsg {
		return r.fragment()
	}
	if !utf8.Valid(payload) {
		return &fault{ws.StatusInvalidFramePayloadData, "message is not UTF-8"}
	}
	return r.text(payload)
}

// closed reads the payload of a close frame (RFC 6455 sections 5.5.1 and 7.4).
func closed(payload []byte) error {
	switch {
	case len(payload) == 0:
		return &goodbye{ws.StatusNoStatusRcvd}
	case len(payload) == 1:
		return protocolError("close frame is too short")
	}
	code := ws.StatusCode(binary.BigEndian.Uint16(payload))
	if !mayBeSent(code) {
		return protocolError("close code is not allowed")
	}
	if !utf8.Valid(payload[2:]) {
		return &fault{ws.StatusInvalidFramePayloadData, "close reason is not UTF-8"}
	}
	return &goodbye{code}
}

// mayBeSent reports whether a close frame may carry the code: those of the
// IANA registry that are not reserved, and those for libraries and
// applications.
func mayBeSent(code ws.StatusCode) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004 || code == ws.StatusNoStatusRcvd || code == ws.StatusAbnormalClosure:
		return false
	}
	return code >= 1000 && code <= 1014
}

// appendFrame appends a whole frame as a server sends it.
func appendFrame(b []byte, op ws.OpCode, payload []byte) []byte {
	return append(appendHeader(b, op, len(payload)), payload...)
}

// appendHeader appends the header of a frame whose payload has n bytes.
func appendHeader(b []byte, op ws.OpCode, n int) []byte {
	b = append(b, 0x80|byte(op))
	switch {
	case n < 126:
		return append(b, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
}

// appendClose appends a close frame. A reason that is too long is cut.
func appendClose(b []byte, code ws.StatusCode, reason string) []byte {
	if code == ws.StatusNoStatusRcvd {
		return appendHeader(b, ws.OpClose, 0)
	}
	reason = reason[:min(len(reason), maxControl-2)]
	b = appendHeader(b, ws.OpClose, 2+len(reason))
	b = binary.BigEndian.AppendUint16(b, uint16(code))
	return append(b, reason...)
}

// appendPing appends a ping whose payload is n.
func appendPing(b []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(appendHeader(b, ws.OpPing, 8), n)
}
