package certs_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"openmail/internal/certs"
)

func TestSelfSignedCertificateIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	first, err := certs.SelfSigned(dir, "mx.ours.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mx.ours.example", "localhost"} {
		if err := first.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if years := time.Until(first.Leaf.NotAfter).Hours() / 24 / 365; years < 9.9 {
		t.Errorf("valid for %.1f years", years)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	again, err := certs.SelfSigned(dir, "mx.ours.example")
	if err != nil || !again.Leaf.Equal(first.Leaf) {
		t.Errorf("another certificate at the second start, %v", err)
	}
	renamed, err := certs.SelfSigned(dir, "mail.ours.example")
	if err != nil || renamed.Leaf.VerifyHostname("mail.ours.example") != nil {
		t.Errorf("no certificate for the new name, %v", err)
	}
}

func TestBrokenCertificateIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	if _, err := certs.SelfSigned(dir, "mx.ours.example"); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if err := os.WriteFile(files[0], []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.SelfSigned(dir, "mx.ours.example"); err == nil {
		t.Error("a broken file is taken")
	}
	if text, err := os.ReadFile(files[0]); err != nil || string(text) != "broken" {
		t.Errorf("the file is %q now, %v", text, err)
	}
	if _, err := certs.SelfSigned(filepath.Join(dir, "missing"), "mx.ours.example"); err == nil {
		t.Error("a folder that is missing is no error")
	}
}
