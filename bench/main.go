// Command bench proves what docs/proofs.md promises, against the server's
// binary and over its ports only: it starts the server on new data, drives it,
// and compares what it measures with the bars.
//
//	bench PROOF [flags]
//
// A table for people goes to standard output, and a line of JSON for each
// figure to the file named by OUT. The exit status is 1 when a bar is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// proof measures one promise and adds its figures to the report.
type proof struct {
	name, about string
	run         func(ctx context.Context, b *bench) error
	networks    bool // it makes some, and mounts: in namespaces of its own
}

// proofs lists the proofs in the order in which all runs them.
func proofs() []proof {
	return []proof{
		{name: "small", about: "P21: size of the binary, memory at rest, time to start", run: proveSmall},
		{name: "intake", about: "P3: rate, latency, fsyncs, CPU and bytes of durable intake", run: proveIntake},
		{name: "latency", about: "P4: from the end of a mail to its frame on a WebSocket", run: proveLatency},
		{name: "sockets", about: "P5: memory of idle subscribed WebSockets", run: proveSockets},
		{name: "kill", about: "P1, P2: nothing is lost by kill -9", run: proveKill},
		{name: "send", about: "one key is one mail, at the other server too, whenever the server is killed", run: proveSend},
		{name: "power", about: "P1, P2: nothing is lost when the power is cut", run: provePower},
		{name: "disk", about: "P17: an fsync that fails, a disk that is full", run: proveDisk},
		{name: "peers", about: "P6: the events of half-open sockets are posted in time", run: provePeers, networks: true},
		{name: "handover", about: "P7: sockets and a webhook behind them, undisturbed and with a death each second", run: proveHandover},
		{name: "stalled", about: "P9: sockets that do not read, and what those beside them wait", run: proveStalled},
		{name: "replay", about: "P8: 100,000 events in one reconnect, and what comes in meanwhile", run: proveReplay},
		{name: "web", about: "P13, P14: webhooks that lead where they must not, and receivers that hold what they get", run: proveWeb, networks: true},
		{name: "queue", about: "how fast accepted mail leaves for a relay", run: proveQueue},
	}
}

// bench is what every proof works with.
type bench struct {
	binary    string // the server
	mailbench string // the load harness; "" until it was looked for
	dir       string // a new folder for data, on a real disk
	runs      int    // of which the median is taken
	short     bool
	seed      uint64
	kills     int
	sockets   int
	profile   string
	attach    int

	report   *report
	progress *progress
}

func main() {
	run := run
	if len(os.Args) == 2 && os.Args[1] == "peer" { // of prove-peers, in a namespace
		run = func() error { return runPeer(context.Background()) }
	}
	err := run()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func run() error {
	b := &bench{progress: newProgress(os.Stderr)}
	out, keep := b.flags()
	selected, err := choose(flag.CommandLine, os.Args[1:])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if b.dir, err = os.MkdirTemp(b.dir, "bench-"); err != nil {
		return err
	}
	if !*keep {
		defer os.RemoveAll(b.dir)
	}
	missed := 0
	for _, p := range selected {
		if p.networks && os.Getenv(inNamespaces) == "" {
			if err := apart(ctx, p); err != nil {
				fmt.Fprintln(os.Stderr, "bench:", err)
				missed++
			}
			continue
		}
		n, err := b.prove(ctx, p, *out)
		missed += n
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if missed > 0 {
		return fmt.Errorf("%d figures miss their bars", missed)
	}
	return nil
}

// inNamespaces is set in the environment of a proof that has namespaces of its own.
const inNamespaces = "OPENMAIL_BENCH_NAMESPACES"

// apart runs a proof in a process with namespaces for networks and mounts, with the flags of this one. It tells its figures itself.
func apart(ctx context.Context, p proof) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{"--net", "--mount", self, p.name}, os.Args[2:]...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Env = append(os.Environ(), inNamespaces+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it has a server to stop
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s, in namespaces, for which it has to be root: %w", p.name, err)
	}
	return nil
}

// flags declares the flags that all proofs share.
func (b *bench) flags() (out *string, keep *bool) {
	flag.StringVar(&b.binary, "binary", "bin/openmail", "the server")
	flag.StringVar(&b.mailbench, "mailbench", os.Getenv("MAILBENCH"), "the load harness: its program, or the folder of its source (default: ../shared/bench)")
	flag.StringVar(&b.dir, "dir", "bin", "where new data folders are made: on a disk, for in memory an fsync is free")
	flag.IntVar(&b.runs, "runs", 3, "runs of each measurement, of which the median counts")
	flag.BoolVar(&b.short, "short", false, "fewer messages: to see that it works, not to measure")
	flag.Uint64Var(&b.seed, "seed", randomSeed(), "of the random choices of kill, power and send")
	flag.IntVar(&b.kills, "kills", 0, "how often kill and send kill, and power cuts (0: 10, 500 and 200)")
	flag.IntVar(&b.sockets, "sockets", 100, "open sockets in latency, of which 10 are subscribed to the busy inboxes")
	flag.StringVar(&b.profile, "profile", "cpu.pprof", "where profile writes the CPU profile of the server")
	flag.IntVar(&b.attach, "attach", 0, "bytes of an attachment, before base64, that each mail of profile has")
	return flag.String("out", os.Getenv("OUT"), "file to append a line of JSON for each figure to (default: OUT)"),
		flag.Bool("keep", false, "keep the data folders and the server's log")
}

// choose finds the proof that the first argument names.
func choose(fs *flag.FlagSet, args []string) ([]proof, error) {
	all := proofs()
	fs.Usage = func() {
		w := fs.Output()
		fmt.Fprintln(w, "usage: bench PROOF [flags]")
		for _, p := range append(all, profileProof(), proof{name: "all", about: "all of them but profile"}) {
			fmt.Fprintf(w, "  %-8s %s\n", p.name, p.about)
		}
		fs.PrintDefaults()
	}
	if len(args) == 0 {
		fs.Usage()
		return nil, errors.New("which proof?")
	}
	if err := fs.Parse(args[1:]); err != nil {
		return nil, err
	}
	if args[0] == "all" {
		return all, nil
	}
	for _, p := range append(all, profileProof()) {
		if p.name == args[0] {
			return []proof{p}, nil
		}
	}
	fs.Usage()
	return nil, fmt.Errorf("there is no proof %q", args[0])
}

// prove runs one proof, prints its table and returns how many bars it missed.
func (b *bench) prove(ctx context.Context, p proof, out string) (missed int, err error) {
	m, err := lookAround(b.dir)
	if err != nil {
		return 0, err
	}
	b.report = &report{proof: p.name, about: p.about, machine: m}
	err = p.run(ctx, b)
	b.progress.done()
	b.report.machine.LoadAfter = loadAverage()
	b.report.print(os.Stdout)
	if err != nil {
		return 0, err
	}
	return b.report.missed(), b.report.appendTo(out)
}

// folder is a new data folder, and beside it a file for the server's log.
func (b *bench) folder() (data string, log *os.File, err error) {
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return "", nil, err
	}
	log, err = os.Create(filepath.Join(dir, "log"))
	return filepath.Join(dir, "data"), log, err
}

// closeAll closes what need not be checked.
func closeAll(cs ...io.Closer) {
	for _, c := range cs {
		_ = c.Close()
	}
}
