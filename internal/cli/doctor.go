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

// check is one finding of doctor.
type check struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Message string `json:"message"` // what is so, or what is wrong and what to do
}

type findings struct {
	OK     bool    `json:"ok"`
	Checks []check `json:"checks"`
}

func (c *cli) doctorCommand() *cobra.Command {
	return c.command("doctor", "Look for what may be wrong, and say what to do", func(ctx context.Context, s *session, _ []string) error {
		f := findings{OK: true, Checks: s.examine(ctx)}
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
}

func (p printer) findings(f findings) error {
	for _, c := range f.Checks {
		mark := p.paint(green, "ok    ")
		if !c.OK {
			mark = p.paint(red, "FAILED")
		}
		if _, err := fmt.Fprintf(p.to, "%s  %-7s %s\n", mark, c.Name, oneLine(c.Message)); err != nil {
			return err
		}
	}
	return nil
}

// examine goes from the outside in, and stops where the rest cannot work.
func (s *session) examine(ctx context.Context) []check {
	health, err := s.client.Health(ctx)
	server := s.check("server", s.base+" answers", err)
	if err != nil {
		return []check{server}
	}
	checks := []check{server, clockCheck(health, time.Now())}
	me, err := s.client.Me(ctx)
	checks = append(checks, s.check("key", reach(me)+", from "+s.source.long(), err))
	if err != nil {
		return checks
	}
	took, err := s.client.Ping(ctx)
	return append(checks, s.check("stream", fmt.Sprintf("a socket opens, and a ping is answered in %v", took.Round(time.Microsecond)), err), s.inboxCheck(ctx))
}

func (s *session) check(name, fine string, err error) check {
	if err != nil {
		return check{Name: name, Message: s.explain(err).Error()}
	}
	return check{Name: name, OK: true, Message: fine}
}

// clockCheck compares the clocks, as far as whole seconds can.
func clockCheck(h client.Health, now time.Time) check {
	if h.Date.IsZero() {
		return check{"clock", true, "the server does not tell the time"}
	}
	skew := now.Sub(h.Date).Abs().Truncate(time.Second)
	if skew > maxSkew {
		return check{"clock", false, fmt.Sprintf("this machine and the server are %v apart: set both clocks by NTP, or signatures will be refused", skew)}
	}
	return check{"clock", true, fmt.Sprintf("this machine and the server are %v apart", skew)}
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

func (s *session) inboxCheck(ctx context.Context) check {
	list, err := s.client.InboxPage(ctx, openmail.Page{Limit: 1})
	if err == nil && list.Total == 0 {
		return check{"inbox", false, "there is no inbox: make one with `openmail init`"}
	}
	if list.Total == 1 {
		return s.check("inbox", "there is 1", err)
	}
	return s.check("inbox", fmt.Sprintf("there are %d", list.Total), err)
}
