package extract

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image/gif"
	"image/jpeg"
	"image/png"
)

// The sizes of pictures, in pixels. Smaller ones, such as those that only count
// who opens a mail, have no room for text.
const (
	maxPixels = 40_000_000
	maxSide   = 32_767 // tesseract's own
	minSide   = 12
)

// image reads the text in a picture. Its size is looked at before anybody
// decodes it.
func (t Tools) image(ctx context.Context, data []byte) (string, error) {
	if t.Tesseract == "" {
		return "", errUnsupported
	}
	w, h, err := pictureSize(data)
	switch {
	case err != nil:
		return "", wrap(err, "read the size of the picture")
	case w <= 0 || h <= 0:
		return "", errors.New("the picture has no size")
	case w > maxSide || h > maxSide || w*h > maxPixels:
		return "", errTooLarge
	case w < minSide || h < minSide:
		return "", nil
	}
	return run(ctx, data, t.Tesseract, "stdin", "stdout", "--psm", "3")
}

// pictureSize reads how large a picture says that it is, without decoding it.
func pictureSize(data []byte) (w, h int64, err error) {
	switch pictureOf(data) {
	case "png":
		c, err := png.DecodeConfig(bytes.NewReader(data))
		return int64(c.Width), int64(c.Height), err
	case "jpeg":
		c, err := jpeg.DecodeConfig(bytes.NewReader(data))
		return int64(c.Width), int64(c.Height), err
	case "gif":
		return gifSize(data)
	case "bmp":
		return bmpSize(data)
	case "webp":
		return webpSize(data)
	}
	return tiffSize(data)
}

// gifSize is the size of the canvas.
func gifSize(data []byte) (w, h int64, err error) {
	c, err := gif.DecodeConfig(bytes.NewReader(data))
	return int64(c.Width), int64(c.Height), err
}

// errShort is the fault of a picture that ends in its header.
const errShort = broken("the picture ends in its header")

// bmpSize reads a BITMAPINFOHEADER. A picture may be upside down.
func bmpSize(data []byte) (w, h int64, err error) {
	if len(data) < 26 {
		return 0, 0, errShort
	}
	w, h = int64(int32(binary.LittleEndian.Uint32(data[18:]))), int64(int32(binary.LittleEndian.Uint32(data[22:])))
	return w, max(h, -h), nil
}

// webpSize reads a WebP's first chunk (RFC 9649 section 2).
func webpSize(data []byte) (w, h int64, err error) {
	if len(data) < 30 {
		return 0, 0, errShort
	}
	b := data[20:]
	switch string(data[12:16]) {
	case "VP8 ": // after a frame tag and a start code
		return int64(binary.LittleEndian.Uint16(b[6:]) & 0x3fff), int64(binary.LittleEndian.Uint16(b[8:]) & 0x3fff), nil
	case "VP8L":
		bits := binary.LittleEndian.Uint32(b[1:])
		return int64(bits&0x3fff) + 1, int64(bits>>14&0x3fff) + 1, nil
	case "VP8X":
		return int64(uint32(b[4])|uint32(b[5])<<8|uint32(b[6])<<16) + 1, int64(uint32(b[7])|uint32(b[8])<<8|uint32(b[9])<<16) + 1, nil
	}
	return 0, 0, errors.New("the picture has a form that is not known")
}

// maxDirectories bounds the pages of a TIFF.
const maxDirectories = 20

// tiffSize is the size of the largest page of a TIFF (TIFF 6.0 section 2).
func tiffSize(data []byte) (w, h int64, err error) {
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	if len(data) < 8 {
		return 0, 0, errShort
	}
	at := int64(order.Uint32(data[4:]))
	for page := 0; at != 0; page++ {
		if page == maxDirectories {
			return 0, 0, errTooLarge
		}
		pw, ph, next, err := tiffPage(data, order, at)
		if err != nil {
			return 0, 0, err
		}
		if pw*ph > w*h || page == 0 {
			w, h = pw, ph
		}
		at = next
	}
	return w, h, nil
}

// tiffPage reads the directory of one page, and where the next one stands.
func tiffPage(data []byte, order binary.ByteOrder, at int64) (w, h, next int64, err error) {
	const entry = 12
	if at+2 > int64(len(data)) {
		return 0, 0, 0, errShort
	}
	n := int64(order.Uint16(data[at:]))
	at += 2
	if at+n*entry+4 > int64(len(data)) {
		return 0, 0, 0, errShort
	}
	for range n {
		e := data[at:]
		value := int64(order.Uint32(e[8:]))
		if order.Uint16(e[2:]) == 3 { // SHORT
			value = int64(order.Uint16(e[8:]))
		}
		switch order.Uint16(e) {
		case 256:
			w = value
		case 257:
			h = value
		}
		at += entry
	}
	return w, h, int64(order.Uint32(data[at:])), nil
}
