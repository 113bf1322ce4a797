package ws

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// hearer writes down what it receives.
type hearer struct{ said []string }

func (h *hearer) text(m []byte) error { h.said = append(h.said, "text "+string(m)); return nil }
func (h *hearer) ping(p []byte) error { h.said = append(h.said, "ping "+string(p)); return nil }
func (h *hearer) pong(p []byte) error { h.said = append(h.said, "pong "+string(p)); return nil }
func (h *hearer) fragment() error     { return nil }

// masked is a client's frame with the first byte as given.
func masked(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x11, 0xf3, 0x05, 0x9a}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

func joined(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// code is the close code that an error of the parser leads to.
func code(err error) ws.StatusCode {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.code
	}
	if g, ok := errors.AsType[*goodbye](err); ok {
		return g.code
	}
	return 0
}

func TestEveryFrameIsUnderstoodAtEverySplit(t *testing.T) {
	long := strings.Repeat("é", 4000)
	tests := []struct {
		name string
		in   []byte
		said []string
		code ws.StatusCode
	}{
		{"text", masked(0x81, "hello"), []string{"text hello"}, 0},
		{"empty text", masked(0x81, ""), []string{"text "}, 0},
		{"two texts", joined(masked(0x81, "a"), masked(0x81, "b")), []string{"text a", "text b"}, 0},
		{"long text", masked(0x81, long), []string{"text " + long}, 0},
		{"the longest text", masked(0x81, strings.Repeat("x", maxMessage)), []string{"text " + strings.Repeat("x", maxMessage)}, 0},
		{"fragments", joined(masked(0x01, "a\xc3"), masked(0x00, ""), masked(0x80, "\xa9b")), []string{"text aéb"}, 0},
		{"empty fragments", joined(masked(0x01, ""), masked(0x80, "")), []string{"text "}, 0},
		{"a ping within a message", joined(masked(0x01, "a"), masked(0x89, "p"), masked(0x80, "b")), []string{"ping p", "text ab"}, 0},
		{"an empty ping within a message", joined(masked(0x01, "a"), masked(0x89, ""), masked(0x80, "")), []string{"ping ", "text a"}, 0},
		{"pong", masked(0x8a, "12345678"), []string{"pong 12345678"}, 0},
		{"the longest ping", masked(0x89, strings.Repeat("p", 125)), []string{"ping " + strings.Repeat("p", 125)}, 0},
		{"close", masked(0x88, "\x03\xe8bye"), nil, 1000},
		{"close without a code", masked(0x88, ""), nil, 1005},
		{"close with a code of an application", masked(0x88, "\x0f\xa0"), nil, 4000},
		{"after a close nothing is heard", joined(masked(0x88, "\x03\xe9"), masked(0x81, "x")), nil, 1001},
		{"close with half a code", masked(0x88, "\x03"), nil, 1002},
		{"close with code 999", masked(0x88, "\x03\xe7"), nil, 1002},
		{"close with code 1005", masked(0x88, "\x03\xed"), nil, 1002},
		{"close with code 1006", masked(0x88, "\x03\xee"), nil, 1002},
		{"close with code 1015", masked(0x88, "\x03\xf7"), nil, 1002},
		{"close with code 2999", masked(0x88, "\x0b\xb7"), nil, 1002},
		{"close with code 5000", masked(0x88, "\x13\x88"), nil, 1002},
		{"close with a reason that is not UTF-8", masked(0x88, "\x03\xe8\xff"), nil, 1007},
		{"RSV1", masked(0xc1, "x"), nil, 1002},
		{"RSV2", masked(0xa1, "x"), nil, 1002},
		{"RSV3", masked(0x91, "x"), nil, 1002},
		{"opcode 3", masked(0x83, "x"), nil, 1002},
		{"opcode 7", masked(0x87, "x"), nil, 1002},
		{"opcode 11", masked(0x8b, "x"), nil, 1002},
		{"opcode 15", masked(0x8f, "x"), nil, 1002},
		{"not masked", []byte{0x81, 0x01, 'x'}, nil, 1002},
		{"fragmented ping", masked(0x09, "p"), nil, 1002},
		{"ping of 126 bytes", masked(0x89, strings.Repeat("p", 126)), nil, 1002},
		{"a continuation of nothing", masked(0x80, "x"), nil, 1002},
		{"a message within a message", joined(masked(0x01, "a"), masked(0x81, "b")), nil, 1002},
		{"binary", masked(0x82, "x"), nil, 1003},
		{"text that is not UTF-8", masked(0x81, "a\xff"), nil, 1007},
		{"fragments that are not UTF-8", joined(masked(0x01, "\xc3"), masked(0x80, "x")), nil, 1007},
		{"too long", masked(0x81, strings.Repeat("x", maxMessage+1)), nil, 1009},
		{"fragments that are too long", joined(masked(0x01, strings.Repeat("x", maxMessage)), masked(0x80, "y")), nil, 1009},
		{"a length of 2^62", []byte{0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0}, nil, 1009},
		{"a length of 2^63", []byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}, nil, 1002},
		{"a text before an error", joined(masked(0x81, "a"), masked(0x82, "b")), []string{"text a"}, 1003},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for split := range min(len(tt.in), 300) {
				check(t, fmt.Sprintf("cut at %d", split), tt.said, tt.code, tt.in[:split], tt.in[split:])
			}
			check(t, "byte by byte", tt.said, tt.code, slices.Collect(slices.Chunk(tt.in, 1))...)
		})
	}
}

func check(t *testing.T, how string, said []string, want ws.StatusCode, pieces ...[]byte) {
	t.Helper()
	var p parser
	var h hearer
	var err error
	for _, piece := range pieces {
		if err = p.feed(bytes.Clone(piece), &h); err != nil {
			break
		}
	}
	if code(err) != want {
		t.Fatalf("%s: close code %d (%v), want %d", how, code(err), err, want)
	}
	if fmt.Sprint(h.said) != fmt.Sprint(said) {
		t.Fatalf("%s: heard %.100q, want %.100q", how, h.said, said)
	}
}

func TestAMessageThatIsTooLongIsRefusedBeforeItsPayload(t *testing.T) {
	var p parser
	err := p.feed([]byte{0x81, 0x80 | 126, 0x40, 0x01}, &hearer{})
	if code(err) != ws.StatusMessageTooBig {
		t.Fatalf("after the length alone: %v, want 1009", err)
	}
}

func TestFramesOfTheServerAreReadByGobwas(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		payload := bytes.Repeat([]byte("x"), n)
		f, err := readFrame(bytes.NewReader(appendFrame(nil, ws.OpText, payload)))
		if err != nil || !f.Header.Fin || f.Header.OpCode != ws.OpText || f.Header.Masked || !bytes.Equal(f.Payload, payload) {
			t.Errorf("%d bytes: header %+v, error %v", n, f.Header, err)
		}
	}
	f, err := readFrame(bytes.NewReader(appendClose(nil, 1001, strings.Repeat("r", 200))))
	if code, reason := ws.ParseCloseFrameData(f.Payload); err != nil || code != 1001 || len(reason) != 123 {
		t.Errorf("close: %d, reason of %d bytes, error %v", code, len(reason), err)
	}
}

// readFrame reads a frame as a client does.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err == nil {
		f.Payload = make([]byte, f.Header.Length)
		_, err = io.ReadFull(r, f.Payload)
	}
	return f, err
}

func FuzzFrames(f *testing.F) {
	f.Add(masked(0x81, `{"type":"ping"}`), uint8(3))
	f.Add(joined(masked(0x01, "a"), masked(0x89, "p"), masked(0x80, "b")), uint8(1))
	f.Add(masked(0x88, "\x03\xe8bye"), uint8(0))
	f.Add([]byte{0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0}, uint8(2))
	f.Add(masked(0x81, strings.Repeat("x", 300)), uint8(128))
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		whole, wholeErr := heard(in, len(in))
		parts, partsErr := heard(in, int(piece))
		if code(wholeErr) != code(partsErr) || fmt.Sprint(whole) != fmt.Sprint(parts) {
			t.Fatalf("in one piece %q, %v; in pieces of %d %q, %v", whole, wholeErr, piece, parts, partsErr)
		}
		switch c := code(wholeErr); {
		case wholeErr == nil, c == 1002, c == 1003, c == 1007, c == 1009:
		case c == ws.StatusNoStatusRcvd, mayBeSent(c): // the client's own goodbye
		default:
			t.Fatalf("ended by %v", wholeErr)
		}
		for _, s := range whole {
			if len(s) > maxMessage+5 {
				t.Fatalf("a message of %d bytes got through", len(s)-5)
			}
		}
	})
}

// heard is what the parser makes of bytes in pieces of n.
func heard(in []byte, n int) ([]string, error) {
	var p parser
	var h hearer
	in = bytes.Clone(in)
	for len(in) > 0 {
		piece := in[:min(max(n, 1), len(in))]
		in = in[len(piece):]
		if err := p.feed(piece, &h); err != nil {
			return h.said, err
		}
	}
	return h.said, nil
}
