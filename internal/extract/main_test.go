package extract_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// TestMain builds the program whose child processes the tests start: a test
// binary with the race detector maps more than a child may.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "openmail-extract-test-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	program := filepath.Join(dir, "openmail")
	if err == nil {
		build := exec.Command("go", "build", "-o", program, "openmail/cmd/openmail")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err == nil {
		err = os.Setenv("OPENMAIL_TEST_PROGRAM", program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		os.Exit(status)
	}))
}
