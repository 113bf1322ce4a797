package store_test

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheDatabaseIsForItsOwnerOnlyInAFolderThatEverybodyMayRead(t *testing.T) {
	h := newHouse(t, "")
	files, err := filepath.Glob(h.at.dir + "/openmail.db*")
	h.check(err)
	if len(files) < 2 {
		t.Errorf("the files are %v, want the write-ahead log among them", files)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		h.check(err)
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has the mode %v", filepath.Base(file), mode)
		}
	}
}
