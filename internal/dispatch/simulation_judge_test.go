package dispatch_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"openmail"
	"openmail/internal/dispatch"
)

// sql changes the database beside the server.
func (s *sim) sql(statement string, args ...any) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.process.dir, "openmail.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(s.t.Context(), statement, args...)
	return err
}

// count is the number that a query returns.
func (s *sim) count(query string, args ...any) (n int64) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.process.dir, "openmail.db")+"?_pragma=busy_timeout(5000)")
	check(s.t, err)
	defer db.Close()
	check(s.t, db.QueryRowContext(s.t.Context(), query, args...).Scan(&n))
	return n
}

// underWay is how many deliveries have not ended.
func (s *sim) underWay() (n int64) {
	backlog, err := s.process.db.Backlog(s.t.Context(), openmail.Operator())
	check(s.t, err)
	for _, w := range backlog {
		n += w.Count
	}
	return n
}

// punctual sees that nothing is due for long (P2), and that what dead sockets had
// did not wait for its deadline, where that was neither lost nor set: the last of
// them was found out 41 s after it had vanished. What only agents could be offered
// that went on after it does wait.
func (s *sim) punctual(calm time.Duration) {
	backlog, err := s.process.db.Backlog(s.t.Context(), openmail.Operator())
	check(s.t, err)
	if n := backlog[openmail.StateArmed].Count - s.resting(); n > 0 && !s.t.Failed() && calm > 50*time.Second && s.mood.fault == 0 && s.mood.held == 0 && s.mood.jump == 0 && !s.killed {
		s.fail("%d are armed still, and nobody has them:\n%s", n, strings.Join(s.list(), "\n"))
	}
	for state, w := range backlog {
		if w.Count > 0 && time.Since(w.Oldest) > 5*time.Second && !s.t.Failed() {
			s.fail("something is %s and due for %v", state, time.Since(w.Oldest))
		}
	}
}

// resting counts what is armed and wanted by agents of which all went on after it.
func (s *sim) resting() (n int64) {
	for _, a := range s.accounts {
		log := s.events(a)
		for _, e := range log {
			if e.Delivery.State != openmail.StateArmed {
				continue
			}
			wanted, fresh := false, false
			for _, ag := range s.agents {
				if ag.account != a || ag.conn == nil || !ag.conn.subscribed || !ag.wants(e.Inbox) {
					continue
				}
				after := slices.IndexFunc(log, func(l openmail.Event) bool { return l.ID == ag.conn.resumed })
				wanted, fresh = true, fresh || ag.group != "" || after < 0 || log[after].Position < e.Position
			}
			if wanted && !fresh {
				n++
			}
		}
	}
	return n
}

// events is an account's log, oldest first.
func (s *sim) events(a *account) (all []openmail.Event) {
	var before openmail.Position
	for {
		page, next, err := s.process.db.Events(s.t.Context(), openmail.Scope{Account: a.id}, dispatch.Filter{}, before, 100)
		check(s.t, err)
		for _, e := range page {
			all = append([]openmail.Event{e}, all...)
		}
		if before = next; next == 0 {
			return all
		}
	}
}

// list is what is under way.
func (s *sim) list() (lines []string) {
	for _, a := range s.accounts {
		for _, e := range s.events(a) {
			if e.Delivery.Due.IsZero() {
				continue
			}
			lines = append(lines, fmt.Sprintf("%s (%s): %s due in %v, attempts %d, posts %d", s.event(e), s.eventName(e.ID), e.Delivery.State, time.Until(e.Delivery.Due), e.Delivery.Attempts, e.Delivery.Posts))
		}
	}
	return lines
}

// judge says what is wrong with how the world ended.
func (s *sim) judge() {
	if n := s.count("select count(*) from message m where not exists (select 1 from event e where e.message_id = m.id)"); n != 0 {
		s.fail("%d messages have no event", n)
	}
	if n := s.count("select count(*) from event e where not exists (select 1 from message m where m.id = e.message_id)"); n != 0 {
		s.fail("%d events have no message", n)
	}
	for _, a := range s.accounts {
		s.judgeAccount(a)
	}
}

func (s *sim) judgeAccount(a *account) {
	log := s.events(a)
	s.Events += len(log)
	s.judgeMails(a, log)
	for i, e := range log {
		if e.Position != openmail.Position(i+1) {
			s.fail("the log of %s has %d after %d", a.name, e.Position, i)
		}
		s.judgeEvent(a, e)
		if s.mood.undisturbed {
			s.judgeCopies(a, e)
		}
	}
	for _, ag := range s.agents {
		if ag.account == a && ag.group == "" {
			s.judgeAgent(ag, log)
		}
	}
}

// judgeMails sees that each mail is in each of its inboxes once (P1).
func (s *sim) judgeMails(a *account, log []openmail.Event) {
	type copied struct{ mail, inbox string }
	have := map[copied]int{}
	for _, e := range log {
		have[copied{s.eventName(e.ID), e.Inbox}]++
	}
	for _, m := range s.mails {
		for _, r := range m.rcpts {
			if n := have[copied{"of " + m.name, r.Inbox.ID}]; r.Inbox.Account == a.id && n != 1 {
				s.fail("%s is %d times in %s", m.name, n, s.label(r.Inbox.ID))
			}
		}
	}
}

// judgeEvent sees that an event ended as those at the other end know it (P7).
func (s *sim) judgeEvent(a *account, e openmail.Event) {
	seen := s.posts[e.ID]
	if seen == nil {
		seen = &posted{}
	}
	d, name := e.Delivery, s.event(e)+" ("+s.eventName(e.ID)+")"
	switch {
	case d.Channel == openmail.ChannelWebSocket && !s.confirmed[e.ID]:
		s.fail("%s counts as read, and no agent has confirmed it", name)
	case d.Channel == openmail.ChannelWebhook && seen.taken == 0:
		s.fail("%s counts as posted, and no endpoint has taken it", name)
	case d.Reason == openmail.ReasonNoRoute && a.hook && !a.changing:
		s.fail("%s had no way, and there was a webhook", name)
	case d.Reason == openmail.ReasonExhausted && seen.refused < 5:
		s.fail("%s is given up after %d posts that failed", name, seen.refused)
	case d.Reason == openmail.ReasonGone && seen.gone == 0:
		s.fail("%s is given up for a 410, and there was none", name)
	}
}

// judgeCopies sees that where nothing went wrong nobody has an event twice.
func (s *sim) judgeCopies(a *account, e openmail.Event) {
	groups, readers := map[string]int{}, 0
	for _, ag := range s.agents {
		if ag.account != a || !ag.wants(e.Inbox) {
			continue
		}
		readers++
		if n := ag.had[e.ID]; ag.group != "" {
			groups[ag.group] += n
		} else if n != 1 {
			s.fail("%s has %s %d times, and nothing went wrong", ag, s.event(e), n)
		}
	}
	for group, n := range groups {
		if n != 1 {
			s.fail("the group %s has %s %d times, and nothing went wrong", group, s.event(e), n)
		}
	}
	posts := 0
	if seen := s.posts[e.ID]; seen != nil {
		posts = seen.taken
	}
	if want := map[bool]int{true: 1}[readers == 0 && a.hook]; posts != want {
		s.fail("%s was posted %d times, and nothing went wrong", s.event(e), posts)
	}
}

// judgeAgent sees that an agent has all since it began, and on each connection
// without a gap.
func (s *sim) judgeAgent(a *agent, log []openmail.Event) {
	if a.begun {
		sent := map[string]bool{}
		for _, m := range s.mails[a.since:] {
			sent["of "+m.name] = true
		}
		for _, e := range log {
			if sent[s.eventName(e.ID)] && a.wants(e.Inbox) && a.had[e.ID] == 0 {
				s.fail("%s never got %s (%s)", a, s.event(e), s.eventName(e.ID))
			}
		}
	}
	at := map[string]openmail.Position{}
	for _, e := range log {
		at[e.ID] = e.Position
	}
	conns := a.past
	if a.conn != nil {
		conns = append(conns[:len(conns):len(conns)], a.conn)
	}
	for _, c := range conns {
		s.judgeConnection(a, c, log, at)
	}
}

func (s *sim) judgeConnection(a *agent, c *connection, log []openmail.Event, at map[string]openmail.Position) {
	reached := c.head
	if c.resumed != "" {
		reached = at[c.resumed]
	}
	got := map[openmail.Position]bool{}
	for _, p := range c.got {
		pos, there := at[p.id]
		if !there {
			s.fail("%s got an event that is not in the log", a)
		}
		for _, e := range log {
			if e.Position > reached && e.Position < pos && a.wants(e.Inbox) && !got[e.Position] {
				s.fail("%s got %d before %d", a, pos, e.Position)
			}
		}
		got[pos] = true
		reached = max(reached, pos)
	}
}
