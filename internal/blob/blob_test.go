package blob_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"openmail/internal/blob"
)

func open(t *testing.T) (*blob.Files, string) {
	dir := t.TempDir()
	f, err := blob.NewFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, dir
}

func TestABlobIsReadAsItWasWritten(t *testing.T) {
	f, _ := open(t)
	for _, text := range []string{"first", "second, in its place"} {
		if err := f.Put(t.Context(), "msg_0123", []byte(text)); err != nil {
			t.Fatal(err)
		}
		r, err := f.Open(t.Context(), "msg_0123")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if string(got) != text || err != nil || r.Close() != nil {
			t.Errorf("read %q, %v; want %q", got, err, text)
		}
	}
}

func TestManyBlobsOfOneFolderAreWrittenAtATime(t *testing.T) {
	f, _ := open(t)
	var writers sync.WaitGroup
	for i := range 16 {
		writers.Go(func() {
			name := fmt.Sprintf("msg_%02d_ab", i)
			if err := f.Put(t.Context(), name, []byte(name)); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	for i := range 16 {
		name := fmt.Sprintf("msg_%02d_ab", i)
		r, err := f.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); string(got) != name || err != nil || r.Close() != nil {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
}

func TestAbsentBlobsAreNotThere(t *testing.T) {
	f, _ := open(t)
	if _, err := f.Open(t.Context(), "msg_none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open: %v", err)
	}
	if err := f.Delete(t.Context(), "msg_none"); err != nil {
		t.Errorf("Delete: %v", err)
	}
}

func TestNamesThatCouldLeadElsewhereAreRefused(t *testing.T) {
	f, _ := open(t)
	for _, name := range []string{"", "a", "..", "../x", "a/b", "..\\x", "a\x00b", ".hidden", "C:x"} {
		if err := f.Put(t.Context(), name, nil); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Put(%q): %v", name, err)
		}
		if _, err := f.Open(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Open(%q): %v", name, err)
		}
	}
}

func TestOlderFindsBlobsAndRemovesWhatACrashLeft(t *testing.T) {
	f, dir := open(t)
	for _, name := range []string{"msg_one", "msg_two"} {
		if err := f.Put(t.Context(), name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	left := filepath.Join(dir, "ne", ".msg_one") // as a crash between write and rename leaves it
	if err := os.WriteFile(left, []byte("ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	var names []string
	collect := func(name string) error { names = append(names, name); return nil }
	if err := f.Older(t.Context(), time.Now().Add(-time.Hour), collect); err != nil || len(names) != 0 {
		t.Fatalf("an hour ago: %v, %v", names, err)
	}
	if err := f.Older(t.Context(), time.Now().Add(time.Hour), collect); err != nil || len(names) != 2 {
		t.Fatalf("found %v, %v", names, err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the half-written file is still there: %v", err)
	}
}
