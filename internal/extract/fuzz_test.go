package extract

import (
	"bytes"
	"io"
	"testing"

	"openmail"
)

func FuzzPictureSize(f *testing.F) {
	for _, seed := range []string{
		"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x27\x10\x00\x00\x27\x10\x08\x06\x00\x00\x00", "GIF89a\x10\x00\x10\x00\x00\x00\x00",
		"BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x10\x27\x00\x00\x10\x27\xff\xff", "RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x0f\x00\x00\x0f\x00\x00",
		"RIFF\x00\x00\x00\x00WEBPVP8L\x0a\x00\x00\x00\x2f\x0f\xc0\x03\x00\x00\x00\x00\x00\x00", "MM\x00*\x00\x00\x00\x08\x00\x01\x01\x00\x00\x03\x00\x00\x00\x01\x00\x10\x00\x00\x00\x00\x00\x08",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if pictureOf(data) == "" {
			return
		}
		w, h, err := pictureSize(data)
		if err == nil && (w > 1<<32 || h > 1<<32 || h < 0) {
			t.Errorf("%d by %d pixels", w, h)
		}
	})
}

func TestASizeIsReadOutOfEveryFormat(t *testing.T) {
	for data, want := range map[string][2]int64{
		"GIF89a\x20\x01\x10\x00\x00\x00\x00": {288, 16},
		"BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x10\x27\x00\x00\xf0\xff\xff\xff":                                              {10000, 16},
		"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x0f\x27\x00\x0f\x00\x00":                                                            {10000, 16},
		"RIFF\x00\x00\x00\x00WEBPVP8L\x0a\x00\x00\x00\x2f\x0f\xc0\x03\x00\x00\x00\x00\x00\x00":                                                            {16, 16},
		"RIFF\x00\x00\x00\x00WEBPVP8 \x0a\x00\x00\x00\x00\x00\x00\x9d\x01\x2a\x20\x01\x10\x00":                                                            {288, 16},
		"MM\x00*\x00\x00\x00\x08\x00\x02\x01\x00\x00\x03\x00\x00\x00\x01\x00\x10\x00\x00\x01\x01\x00\x04\x00\x00\x00\x01\x00\x00\x27\x10\x00\x00\x00\x00": {16, 10000},
	} {
		if w, h, err := pictureSize([]byte(data)); w != want[0] || h != want[1] || err != nil {
			t.Errorf("%q: %d by %d, %v, want %v", data, w, h, err, want)
		}
	}
}

func FuzzFrames(f *testing.F) {
	var file, answer bytes.Buffer
	err := writeFile(&file, fileHeader{"a", "b/c", 3}, bytes.NewReader([]byte("abc")))
	if err == nil {
		err = writeExtracted(&answer, openmail.Extracted{Method: "csv", Text: "abc"})
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add(answer.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, data, err := readFile(bytes.NewReader(b)); err == nil && int64(len(data)) != h.Size {
			t.Errorf("%d bytes of %d", len(data), h.Size)
		}
		e, err := readExtracted(bytes.NewReader(b))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := writeExtracted(&again, e); err != nil || !bytes.HasPrefix(b, again.Bytes()) {
			t.Errorf("%+v becomes %x, %v", e, again.Bytes(), err)
		}
	})
}

func TestFilesAndAnswersGoThroughAsTheyAre(t *testing.T) {
	var b bytes.Buffer
	for _, text := range []string{"first", "", "third"} {
		if err := writeFile(&b, fileHeader{"ü/..", "a/b", int64(len(text))}, bytes.NewReader([]byte(text+"beyond"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"first", "", "third"} {
		if h, data, err := readFile(&b); h.Filename != "ü/.." || string(data) != text || err != nil {
			t.Errorf("%+v %q %v, want %q", h, data, err, text)
		}
	}
	if _, _, err := readFile(&b); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}
