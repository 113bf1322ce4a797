package store

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxRowBody is the largest raw mail whose body stands in its row.
const maxRowBody = 64 << 10

// A body is a message's text, its HTML and the raw mail, one after the other
// in one zstd frame. In that order the text can be read without the rest, and
// what the raw mail repeats of it costs next to nothing.
type body struct {
	text, html, raw []byte
}

// packed is a body ready to be written: in the row, or by its name.
type packed struct {
	data []byte // nil when it stands in a blob
	blob string
}

// sizes are what is needed to take a body apart.
type sizes struct {
	text, html, raw int64
}

// newEncoder makes an encoder for bodies. Its window holds a whole body of a
// row.
func newEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(2*maxRowBody),
		zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(128<<20))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}

// pack compresses a body, and writes it to a blob of that name when it is too
// large for a row. It belongs before the transaction: should that never come,
// Sweep finds the orphan.
func (db *DB) pack(ctx context.Context, b body, name string) (packed, error) {
	all := make([]byte, 0, len(b.text)+len(b.html)+len(b.raw))
	all = append(append(append(all, b.text...), b.html...), b.raw...)
	data := db.encoder.EncodeAll(all, make([]byte, 0, len(all)/2+64))
	if len(b.raw) <= maxRowBody {
		return packed{data: data}, nil
	}
	if err := db.cfg.Blobs.Put(ctx, name, data); err != nil {
		return packed{}, fmt.Errorf("write the body: %w", db.w.class(err))
	}
	return packed{blob: name}, nil
}

// unpack returns the first n bytes of a body.
func (db *DB) unpack(ctx context.Context, p packed, n int64) ([]byte, error) {
	if p.blob == "" {
		all, err := db.decoder.DecodeAll(p.data, nil)
		if err != nil || int64(len(all)) < n {
			return nil, fmt.Errorf("a body is damaged (%d of %d bytes): %w", len(all), n, err)
		}
		return all[:n], nil
	}
	r, err := db.openBody(ctx, p)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	all := make([]byte, n)
	if _, err := io.ReadFull(r, all); err != nil {
		return nil, fmt.Errorf("a body is damaged: %w", err)
	}
	return all, nil
}

// openBody returns a body's bytes, to be read once.
func (db *DB) openBody(ctx context.Context, p packed) (io.ReadCloser, error) {
	var source io.Reader = bytes.NewReader(p.data)
	var file io.Closer = io.NopCloser(nil)
	if p.blob != "" {
		f, err := db.cfg.Blobs.Open(ctx, p.blob)
		if err != nil {
			return nil, fmt.Errorf("open a body: %w", err)
		}
		source, file = f, f
	}
	z, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		file.Close()
		return nil, err
	}
	return &bodyReader{z, file}, nil
}

type bodyReader struct {
	*zstd.Decoder
	file io.Closer
}

func (r *bodyReader) Close() error {
	r.Decoder.Close()
	return r.file.Close()
}

// there reports whether the body has been packed.
func (p packed) there() bool { return p.data != nil || p.blob != "" }
