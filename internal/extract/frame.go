package extract

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"openmail"
)

// What goes to the child: a file's header, as JSON behind its length in four
// bytes, then the file. What comes back: one byte for the child itself, then
// for each file the method behind its length in one byte, and the text behind
// its length in four. Either side distrusts the other's lengths.

const (
	maxFileHeader = 16 << 10
	maxMethod     = 64
)

// fileHeader says what follows it.
type fileHeader struct {
	Filename    string `json:"filename"`
	ContentType string `json:"contentType"`
	Size        int64  `json:"size"`
}

func writeFile(w io.Writer, h fileHeader, r io.Reader) error {
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head...)); err != nil {
		return err
	}
	_, err = io.CopyN(w, r, h.Size)
	return err
}

// readFile reads the next file; io.EOF after the last.
func readFile(r io.Reader) (h fileHeader, data []byte, err error) {
	head, err := readSized(r, 4, maxFileHeader)
	if err != nil {
		return h, nil, err
	}
	if err := json.Unmarshal(head, &h); err != nil {
		return h, nil, err
	}
	if h.Size < 0 || h.Size > openmail.MaxExtracted {
		return h, nil, fmt.Errorf("a file of %d bytes", h.Size)
	}
	data = make([]byte, h.Size)
	_, err = io.ReadFull(r, data)
	return h, data, err
}

func writeExtracted(w io.Writer, e openmail.Extracted) error {
	b := append([]byte{byte(len(e.Method))}, e.Method...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Text)))
	_, err := w.Write(append(b, e.Text...))
	return err
}

func readExtracted(r io.Reader) (openmail.Extracted, error) {
	method, err := readSized(r, 1, maxMethod)
	if err != nil {
		return openmail.Extracted{}, err
	}
	text, err := readSized(r, 4, maxBuilt)
	return openmail.Extracted{Method: openmail.Extraction(method), Text: string(text)}, err
}

// readSized reads bytes behind their length, which has width bytes.
func readSized(r io.Reader, width, most int) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[4-width:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if int64(n) > int64(most) {
		return nil, errors.New("a length that is not ours")
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}
