package extract

import (
	"bytes"
	"context"
	"os/exec"
	"time"
)

// run gives data to a program of others and returns what it writes. What it
// writes beyond what is kept ends it.
func run(ctx context.Context, data []byte, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"LC_ALL=C.UTF-8", "OMP_THREAD_LIMIT=1"}
	cmd.WaitDelay = time.Second
	var out limited
	cmd.Stdin, cmd.Stdout = bytes.NewReader(data), &out
	if err := cmd.Run(); err != nil && !out.full() {
		return "", wrap(err, "run the reader")
	}
	return out.String(), nil
}

// limited is a builder that refuses to be filled beyond what is kept.
type limited struct{ builder }

// Write takes what there is room for.
func (l *limited) Write(p []byte) (int, error) {
	if l.full() {
		return 0, broken("there is enough text")
	}
	l.add(string(p))
	return len(p), nil
}
