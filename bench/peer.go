package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// misfortune is how the sockets of a machine come to be half open.
type misfortune string

// The misfortunes.
const (
	routeGone misfortune = "nothing comes back from the peer" // what the server sends arrives
	cableCut  misfortune = "the peer's cable is cut"
	stopped   misfortune = "the peer is stopped (SIGSTOP)"
	halfFrame misfortune = "the peer hangs in the middle of a frame"
	deaf      misfortune = "the peer does not read"
)

func misfortunes() []misfortune { return []misfortune{routeGone, cableCut, stopped, halfFrame, deaf} }

// peerOrder is what a peer's process is told first.
type peerOrder struct {
	HTTP, Key string
	Inboxes   []string // a socket for each
	What      misfortune
}

// runPeer is the process of one machine with agents on it. It opens the sockets, says
// "ready", writes the id of each event that an agent reads, and has the agents
// misbehave on the next line of its input.
func runPeer(ctx context.Context) error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o peerOrder
	if err := json.Unmarshal(line, &o); err != nil {
		return err
	}
	var out sync.Mutex
	var hung atomic.Bool
	var agents []*agent
	for _, inbox := range o.Inboxes {
		a, err := dialAgent(ctx, o.HTTP, o.Key, subscription{InboxIDs: []string{inbox}}, nil)
		if err != nil {
			return err
		}
		if err := a.join(); err != nil {
			return err
		}
		agents = append(agents, a)
	}
	for _, a := range agents {
		go a.report(&out, &hung)
	}
	fmt.Println("ready")
	if _, err := in.ReadBytes('\n'); err != nil {
		return err
	}
	hung.Store(true)
	if o.What == halfFrame {
		for _, a := range agents {
			if _, err := a.tcp.Write([]byte{0x81, 0xfe, 0x01}); err != nil { // a text of two bytes of length: one of them
				return err
			}
		}
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, in)
	return err
}

// report writes down what an agent reads, until it is to hang: then it reads what comes with the next event,
// and no more.
func (a *agent) report(out *sync.Mutex, hung *atomic.Bool) {
	for !hung.Load() {
		f, err := a.read()
		if err != nil {
			return
		}
		out.Lock()
		fmt.Println(f.EventID)
		out.Unlock()
	}
}

// peer is such a process, in a network namespace of its own.
type peer struct {
	what    misfortune
	n       int
	cmd     *exec.Cmd
	in      io.WriteCloser
	ready   chan struct{}
	ended   chan struct{}
	mu      sync.Mutex
	has     map[string]bool // events that its agents have read
	address string          // of the server, from there
}

// startPeer makes a namespace with one cable to this one, and agents in it.
func startPeer(ctx context.Context, n int, what misfortune, s *server, inboxes []string) (*peer, error) {
	p := &peer{what: what, n: n, ready: make(chan struct{}, 2), ended: make(chan struct{}), has: map[string]bool{}}
	p.cmd = exec.CommandContext(ctx, "/proc/self/exe", "peer")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a peer in a network namespace: %w", err)
	}
	go p.listen(out)
	net := fmt.Sprintf("10.98.%d.", n)
	_, port, _ := strings.Cut(s.http, ":")
	p.address = net + "1"
	name := fmt.Sprintf("peer%d", n)
	err = errors.Join(
		ip(ctx, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(p.cmd.Process.Pid)),
		ip(ctx, "addr", "add", net+"1/24", "dev", name), ip(ctx, "link", "set", name, "up"),
		p.ip(ctx, "addr", "add", net+"2/24", "dev", "eth0"), p.ip(ctx, "link", "set", "eth0", "up"),
		p.tell(peerOrder{HTTP: p.address + ":" + port, Key: s.key, Inboxes: inboxes, What: what}),
	)
	if err == nil {
		err = p.await()
	}
	if err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

func (p *peer) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			p.ready <- struct{}{}
			continue
		}
		p.mu.Lock()
		p.has[lines.Text()] = true
		p.mu.Unlock()
	}
	close(p.ended)
}

// errPeer says that a peer's process is gone.
var errPeer = errors.New("a peer has ended by itself")

func (p *peer) await() error {
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return errPeer
	}
}

func (p *peer) tell(what any) error {
	line, err := json.Marshal(what)
	if err != nil {
		return err
	}
	_, err = p.in.Write(append(line, '\n'))
	return err
}

func (p *peer) read(event string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.has[event]
}

// strike brings the misfortune about, and mend ends it, as far as it can end.
func (p *peer) strike(ctx context.Context) error {
	switch p.what {
	case routeGone:
		return p.ip(ctx, "route", "add", "blackhole", p.address+"/32")
	case cableCut:
		return p.ip(ctx, "link", "set", "eth0", "down")
	case stopped:
		return p.cmd.Process.Signal(syscall.SIGSTOP)
	}
	return errors.Join(p.tell("hang"), p.await())
}

func (p *peer) mend(ctx context.Context) error {
	switch p.what {
	case routeGone:
		return p.ip(ctx, "route", "del", "blackhole", p.address+"/32")
	case cableCut:
		return p.ip(ctx, "link", "set", "eth0", "up")
	case stopped:
		return p.cmd.Process.Signal(syscall.SIGCONT)
	}
	return nil
}

func (p *peer) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	_ = p.cmd.Wait() // killed
	return err
}

// ip sets up a network: here, and in the peer's namespace.
func ip(ctx context.Context, args ...string) error { return runIP(ctx, "ip", args...) }

func (p *peer) ip(ctx context.Context, args ...string) error {
	return runIP(ctx, "nsenter", append([]string{"-t", strconv.Itoa(p.cmd.Process.Pid), "-n", "ip"}, args...)...)
}

func runIP(ctx context.Context, program string, args ...string) error {
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, out)
	}
	return nil
}
