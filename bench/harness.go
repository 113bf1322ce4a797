package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// defaultHarness is where the source of the load harness lies when nobody says.
const defaultHarness = "../shared/bench"

// quantiles are times in milliseconds.
type quantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// result holds those fields of the harness's reports that the proofs use.
type result struct {
	Sent     float64          `json:"sent"`
	Errors   float64          `json:"errors"`
	ByError  map[string]int64 `json:"by_error"`
	Rate     float64          `json:"msgs_per_s"`
	Commit   quantiles        `json:"commit_ms"`
	FromEOD  quantiles        `json:"from_end_of_data_ms"`
	From250  quantiles        `json:"from_250_ms"`
	Lost     float64          `json:"lost"`
	Doubled  float64          `json:"duplicates"`
	Dropped  float64          `json:"dropped_clients"`
	Connects float64          `json:"connects_per_s"`
	RSSKB    float64          `json:"rss_kb_per_conn"`
	HoldCPU  float64          `json:"hold_server_cpu_s"`
	Server   struct {
		CPU       float64 `json:"cpu_s"`
		WrittenKB float64 `json:"written_kb"`
		RSSKB     float64 `json:"rss_after_kb"`
	} `json:"server"`
	Limits []struct {
		Name string  `json:"name"`
		Rate float64 `json:"per_s"`
	} `json:"limits"`
}

// errNoHarness says how to get one.
var errNoHarness = errors.New("the load harness mailbench is not here: set MAILBENCH to its program or its source folder, or put its source at " + defaultHarness)

// needHarness finds the harness, and builds it where there is only its source.
func (b *bench) needHarness(ctx context.Context) error {
	path := b.mailbench
	if path == "" {
		path = defaultHarness
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%w (%w)", errNoHarness, err)
	}
	if b.mailbench, err = filepath.Abs(path); err != nil || !info.IsDir() {
		return err
	}
	program, err := filepath.Abs(filepath.Join(b.dir, "mailbench"))
	if err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = path
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the harness: %w\n%s", err, out)
	}
	b.mailbench = program
	return nil
}

// drive runs the harness in one of its modes.
func (b *bench) drive(ctx context.Context, mode string, args ...string) (result, error) {
	var r result
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, b.mailbench, append([]string{mode}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("mailbench %s: %w\n%s", mode, err, complaints.Bytes())
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("read the report of mailbench %s: %w", mode, err)
	}
	if r.Errors > 0 {
		return r, fmt.Errorf("mailbench %s: %d of its mails were not taken: %v", mode, int(r.Errors), r.ByError)
	}
	return r, nil
}

// smtpArgs are the flags that send to the inboxes user0 … of a server.
func (s *server) smtpArgs(inboxes, conns, n int) []string {
	return []string{
		"-smtp", s.smtp, "-rcpt", "user%d@" + domain, "-inboxes", strconv.Itoa(inboxes),
		"-conns", strconv.Itoa(conns), "-n", strconv.Itoa(n), "-pid", strconv.Itoa(s.pid()),
	}
}

// socketArgs are the flags that open WebSockets which send a frame first.
func (s *server) socketArgs(clients int, open string) []string {
	return []string{
		"-ws", "ws://" + s.http + "/v1/ws", "-ws-header", "Authorization: Bearer " + s.key,
		"-clients", strconv.Itoa(clients), "-open", open,
	}
}

// limits are the machine's own ceilings, by name, in operations a second.
func (b *bench) limits(ctx context.Context) (map[string]float64, error) {
	r, err := b.drive(ctx, "limits", "-dir", b.dir, "-each", "1s")
	if err != nil {
		return nil, err
	}
	rates := map[string]float64{}
	for _, l := range r.Limits {
		rates[l.Name] = l.Rate
	}
	return rates, nil
}
