package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"openmail"
	"openmail/api"
	"openmail/client"
)

// maxSkew is how far the two clocks may be apart. Whoever verifies a webhook's
// signature refuses one that is five minutes old.
const maxSkew = time.Minute

// Check is one finding of doctor.
type Check struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`      // false: it does not work
	Status  string `json:"status"`  // ok, warn, fail
	Message string `json:"message"` // what is so, or what is wrong and what to do
}

// The statuses of a Check.
const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

type findings struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}

func fine(name, message string) Check { return Check{name, true, statusOK, message} }

func failed(name, message string) Check { return Check{name, false, statusFail, message} }

func (c *cli) doctorCommand() *cobra.Command {
	var probe string
	cmd := c.command("doctor", "Look for what may be wrong, and say what to do", func(ctx context.Context, s *session, _ []string) error {
		f := findings{OK: true, Checks: append(s.examine(ctx), s.beside(ctx, probe)...)}
		for _, c := range f.Checks {
			f.OK = f.OK && c.OK
		}
		if err := show(s.out, f, s.out.findings); err != nil {
			return err
		}
		if !f.OK {
			return errTold
		}
		return nil
	})
	cmd.Long = "Look for what may be wrong, and say what to do: the server, the key, the stream. Beside a server\n" +
		"on this machine also its disk, ports and certificates, and what the DNS says of its domain.\n" +
		"The exit status is 1 if anything does not work."
	cmd.Flags().StringVar(&probe, "probe", "", "also see whether port 25 is open on the way out, at the mail server of this domain")
	return cmd
}

// beside looks at a server on this machine from the outside.
func (s *session) beside(ctx context.Context, probe string) []Check {
	if s.Beside == nil || !isLocal(s.base) || localURL(s.data) != s.base {
		return nil
	}
	checks, err := s.Beside(ctx, s.data, probe)
	if err != nil {
		return []Check{failed("machine", fmt.Sprintf("the server's own description cannot be read: start it again (%v)", err))}
	}
	return checks
}

func (p printer) findings(f findings) error {
	for _, c := range f.Checks {
		mark := p.paint(green, "ok    ")
		switch c.Status {
		case statusWarn:
			mark = p.paint(yellow, "warn  ")
		case statusFail:
			mark = p.paint(red, "FAILED")
		}
		if _, err := fmt.Fprintf(p.to, "%s  %-11s  %s\n", mark, oneLine(c.Name), oneLine(c.Message)); err != nil {
			return err
		}
	}
	return nil
}

// examine goes from the outside in, and stops where the rest cannot work.
func (s *session) examine(ctx context.Context) []Check {
	health, err := s.client.Health(ctx)
	server := s.check("server", s.base+" answers", err)
	if err != nil {
		return []Check{server}
	}
	checks := []Check{server, clockCheck(health, time.Now())}
	me, err := s.client.Me(ctx)
	checks = append(checks, s.check("key", reach(me)+", from "+s.source.long(), err))
	if err != nil {
		return checks
	}
	took, err := s.client.Ping(ctx)
	return append(checks, s.check("stream", fmt.Sprintf("a socket opens, and a ping is answered in %v", took.Round(time.Microsecond)), err), s.inboxCheck(ctx))
}

func (s *session) check(name, well string, err error) Check {
	if err != nil {
		return failed(name, s.explain(err).Error())
	}
	return fine(name, well)
}

// clockCheck compares the clocks, as far as whole seconds can.
func clockCheck(h client.Health, now time.Time) Check {
	if h.Date.IsZero() {
		return fine("clock", "the server does not tell the time")
	}
	skew := now.Sub(h.Date).Abs().Truncate(time.Second)
	if skew > maxSkew {
		return failed("clock", fmt.Sprintf("this machine and the server are %v apart: set both clocks by NTP, or signatures will be refused", skew))
	}
	return fine("clock", fmt.Sprintf("this machine and the server are %v apart", skew))
}

func reach(me api.Me) string {
	if scope, ok := me.APIKeyScope.(map[string]any); ok {
		if inbox, ok := scope["inboxId"].(string); ok {
			return "reaches the inbox " + inbox
		}
		if pod, ok := scope["podId"].(string); ok {
			return "reaches the pod " + pod
		}
		return "reaches a part of the account"
	}
	return strings.TrimSpace("reaches the whole account " + me.CustomerID)
}

func (s *session) inboxCheck(ctx context.Context) Check {
	list, err := s.client.InboxPage(ctx, openmail.Page{Limit: 1})
	if err == nil && list.Total == 0 {
		return failed("inbox", "there is no inbox: make one with `openmail init`")
	}
	if list.Total == 1 {
		return s.check("inbox", "there is 1", err)
	}
	return s.check("inbox", fmt.Sprintf("there are %d", list.Total), err)
}
