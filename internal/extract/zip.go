package extract

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// The limits of an archive. What exceeds them is a bomb.
const (
	maxEntries  = 10_000
	maxInflated = 64 << 20 // bytes read of all entries together
	maxRatio    = 200      // of one entry, beyond its first MiB
)

// errBomb is the fault of an archive that holds more than it may.
const errBomb = broken("the archive holds more than it may")

// broken is a fault of the file.
type broken string

func (b broken) Error() string { return string(b) }

// archive is an office document. Its entries are found by their names alone,
// and are never written anywhere.
type archive struct {
	entries map[string]*zip.File
	left    int64 // bytes that may still be read
}

func openArchive(data []byte) (*archive, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, wrap(err, "open the archive")
	}
	if len(z.File) > maxEntries {
		return nil, errBomb
	}
	a := &archive{entries: make(map[string]*zip.File, len(z.File)), left: maxInflated}
	for _, f := range z.File {
		a.entries[strings.TrimPrefix(f.Name, "/")] = f
	}
	return a, nil
}

// open opens an entry. Reading more of it than the limits allow is an error.
func (a *archive) open(name string) (io.ReadCloser, error) {
	f := a.entries[name]
	if f == nil {
		return nil, errors.New("the document lacks a part")
	}
	r, err := f.Open()
	if err != nil {
		return nil, wrap(err, "open a part of the document")
	}
	return &entry{r, a, int64(f.CompressedSize64)*maxRatio + 1<<20}, nil
}

// entry counts what is read of an entry.
type entry struct {
	io.ReadCloser
	a    *archive
	left int64
}

func (e *entry) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	e.left -= int64(n)
	e.a.left -= int64(n)
	if e.left < 0 || e.a.left < 0 {
		return 0, errBomb
	}
	return n, err
}

// maxTokens bounds the work of one document: a tag costs more than its bytes.
const maxTokens = 5_000_000

// each reads the tokens of an entry until next is false. They are raw: elements
// keep their prefixes, nesting costs nothing, and no entity is expanded but the
// five of XML, since nothing that a document declares is heeded.
func (a *archive) each(name string, next func(xml.Token) bool) error {
	r, err := a.open(name)
	if err != nil {
		return err
	}
	defer r.Close() // it was only read
	d := xml.NewDecoder(r)
	for range maxTokens {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return wrap(err, "read a part of the document")
		}
		if !next(t) {
			return nil
		}
	}
	return errBomb
}

// attr is the value of an attribute, whatever its prefix.
func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
