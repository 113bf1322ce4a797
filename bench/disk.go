package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"openmail/client"
)

// Faults of a disk that fails, or is full.
const (
	faultLives    = "servers that live on after a failed fsync"
	faultNotTold  = "servers whose log does not say that the disk failed"
	faultNotFull  = "answers of a full disk other than 452"
	faultNoReads  = "requests to read that a full disk fails"
	faultNoReturn = "mails refused once there is room again"
)

// proveDisk has fsyncs fail, and lets a disk become full.
func proveDisk(ctx context.Context, b *bench) error {
	faults := map[string]int{}
	b.report.note("seed %d", b.seed)
	if err := b.failingSyncs(ctx, faults); err != nil {
		return fmt.Errorf("an fsync that fails: %w", err)
	}
	if err := b.fullDisk(ctx, faults); err != nil {
		return fmt.Errorf("a full disk: %w", err)
	}
	for _, name := range []string{faultLives, faultNotTold, faultLost, faultChanged, faultStart, faultIntegrity, faultHalf, faultNotFull, faultNoReads, faultNoReturn} {
		b.report.add(name, "", atMost(0), float64(faults[name]))
	}
	return nil
}

const (
	endWithin  = 10 * time.Second // how long a server may live after an fsync that failed
	failWithin = time.Minute      // of load, an fsync fails: which thread does how many is the server's affair
)

// outlive waits for the end of a server whose fsyncs fail at some time. From then on it can acknowledge nothing: one that does not, and
// lives, has not ended.
func (p *power) outlive(ctx context.Context, s *server, faults map[string]int) error {
	begin, acked := time.Now(), p.senders.count()
	for last := begin; ; {
		select {
		case <-s.ended:
			return nil
		default:
		}
		if err := rest(ctx, 50*time.Millisecond); err != nil {
			return err
		}
		if n := p.senders.count(); n > acked {
			acked, last = n, time.Now()
		}
		if time.Since(last) > endWithin || time.Since(begin) > failWithin {
			faults[faultLives]++
			return nil
		}
	}
}

// failingSyncs has strace fail fsyncs while mail comes in, from three moments on. The process must end by itself; and on a disk that has
// only what was synced before, everything must be that it has acknowledged.
func (b *bench) failingSyncs(ctx context.Context, faults map[string]int) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return errors.New("strace is not installed: it has fsyncs fail")
	}
	acked := 0
	for _, from := range []int{45, 60, 75} {
		b.progress.say("each thread's fsync number %d fails", from)
		p := &power{b: b, rng: rand.New(rand.NewPCG(b.seed, uint64(from))), faults: faults}
		err := p.record(ctx, strace, func(ctx context.Context, s *server) error {
			working, stop := context.WithCancel(ctx)
			defer stop()
			wait := p.senders.run(working, s.smtp)
			err := p.outlive(ctx, s, faults)
			stop()
			wait()
			return err
		}, "-e", "inject=fsync,fdatasync:error=EIO:when="+strconv.Itoa(from)+"+")
		if err != nil {
			return err
		}
		if log, err := os.ReadFile(filepath.Join(filepath.Dir(p.folder), "log")); err != nil || !bytes.Contains(log, []byte("the disk failed")) {
			faults[faultNotTold]++
		}
		acked += p.senders.count()
		d, said := newDisk(), map[string]bool{}
		for _, e := range p.events {
			d.take(e)
		}
		for _, a := range p.senders.acked {
			said[a.id] = true
		}
		if err := p.cut(ctx, d, said); err != nil {
			return err
		}
	}
	b.report.add("mails acknowledged before an fsync failed", "", atLeast(1), float64(acked))
	return nil
}

// fullDisk has a server work in a mount namespace of its own, on a disk in memory
// that becomes full, and is then enlarged.
func (b *bench) fullDisk(ctx context.Context, faults map[string]int) error {
	data, log, err := b.folder()
	if err != nil {
		return err
	}
	defer log.Close()
	if data, err = filepath.Abs(data); err != nil {
		return err
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	const begin = `mount -t tmpfs -o size=16m openmail "$1" && exec "$2" serve --data "$1" --domain "$3" --http 127.0.0.1:0 --smtp 127.0.0.1:0`
	binary, err := filepath.Abs(b.binary)
	if err != nil {
		return err
	}
	s, err := launchCommand(exec.Command("unshare", "-m", "sh", "-c", begin, "sh", data, binary, domain), data, log)
	if err != nil {
		return err
	}
	s.data = filepath.Join("/proc", strconv.Itoa(s.pid()), "root", data) // as the server sees it
	return errors.Join(b.fill(ctx, s, data, faults), s.kill())
}

// fill sends mail until the disk is full, and sees what goes on then.
func (b *bench) fill(ctx context.Context, s *server, data string, faults map[string]int) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	inboxes, err := s.makeInboxes(ctx, killInboxes)
	if err != nil {
		return err
	}
	f := &filling{senders: newSenders(inboxes, b.seed), rng: rand.New(rand.NewPCG(b.seed, 9))}
	b.progress.say("a disk of 16 MiB is filled")
	for code := 250; code == 250; {
		if code, err = f.send(ctx, s); err != nil {
			return err
		}
		if code != 250 && code != 452 {
			faults[faultNotFull]++
		}
	}
	before := len(f.senders.acked)
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	for range 20 { // it stays full, and is read
		code, err := f.send(ctx, s)
		if err != nil {
			return err
		}
		if code != 250 && code != 452 {
			faults[faultNotFull]++
		}
		faults[faultNoReads] += f.unread(ctx, c)
	}
	b.report.add("mails acknowledged before the disk was full", "", atLeast(100), float64(before))
	var left syscall.Statfs_t
	if err := syscall.Statfs(s.data, &left); err != nil {
		return err
	}
	b.report.add("room left then", "KiB", bar{}, float64(left.Bavail)*float64(left.Bsize)/1024)

	out, err := exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(s.pid()), "-m", "mount", "-o", "remount,size=64m", data).CombinedOutput()
	if err != nil {
		return fmt.Errorf("enlarge the disk: %w: %s", err, out)
	}
	begin := time.Now()
	err = s.await(ctx, func() bool {
		code, err := f.send(ctx, s)
		return err == nil && code == 250
	})
	if err != nil {
		return err
	}
	b.report.add("from more room to the next 250", "ms", atMost(1000), float64(time.Since(begin).Milliseconds()))
	for range 100 {
		code, err := f.send(ctx, s)
		if err != nil {
			return err
		}
		if code != 250 {
			faults[faultNoReturn]++
		}
	}
	for _, a := range f.senders.acked {
		fault, err := checkMail(ctx, c, a, true)
		if err != nil {
			return err
		}
		if fault != "" {
			faults[fault]++
		}
	}
	return nil
}

// filling is one session's worth of mail after the other.
type filling struct {
	senders *senders
	rng     *rand.Rand
}

// send sends one mail in a session of its own, and returns the answer's code.
func (f *filling) send(ctx context.Context, s *server) (code int, err error) {
	c, err := dialMail(ctx, s.smtp)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	m := f.senders.next(f.rng)
	id, err := c.send(m)
	f.senders.settle(m, id, err)
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		return answer.Code, nil
	}
	return 250, err
}

// unread counts which of two cannot be read: the newest mail, and the log of
// events.
func (f *filling) unread(ctx context.Context, c *client.Client) (failed int) {
	fault, err := checkMail(ctx, c, f.senders.acked[len(f.senders.acked)-1], true)
	if fault != "" || err != nil {
		failed++
	}
	if _, err := c.EventPage(ctx, client.EventFilter{}); err != nil {
		failed++
	}
	return failed
}
