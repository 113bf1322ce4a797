package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"openmail"
	"openmail/internal/delivery"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	deadline = delivery.DefaultDeadline
	lease    = delivery.Lease
)

// start has one delivery for every state, as it can be met in the field. All
// that have a due time have reached it.
func start(s openmail.State) openmail.Delivery {
	d := openmail.Delivery{State: s, Attempts: 2, Posts: 1}
	switch s {
	case openmail.StateArmed, openmail.StateDue, openmail.StatePosting:
		d.Due = now
	case openmail.StateDelivered:
		d.Channel, d.DeliveredAt = openmail.ChannelWebhook, now.Add(-time.Minute)
	case openmail.StateFailed:
		d.Reason = openmail.ReasonExhausted
	}
	return d
}

// show writes a delivery as the table has it: state, what belongs to it, the
// seconds until it is due, and the counts.
func show(d openmail.Delivery) string {
	s := string(d.State)
	if extra := string(d.Reason) + string(d.Channel); extra != "" {
		s += "(" + extra + ")"
	}
	if !d.Due.IsZero() {
		s += fmt.Sprintf("+%v", d.Due.Sub(now))
	}
	return s + fmt.Sprintf(" a%d p%d", d.Attempts, d.Posts)
}

var (
	nobody  = delivery.Route{}
	socket  = delivery.Route{Socket: true}
	webhook = delivery.Route{Webhook: true}
	both    = delivery.Route{Socket: true, Webhook: true}
)

const same = "" // the input changes nothing

// table is the whole machine: every state, every input. The five columns are
// armed, due, posting, delivered, failed.
var table = []struct {
	name string
	in   delivery.Input
	want [5]string
}{
	{
		"receipt",
		delivery.Input{Kind: delivery.Receipt, Attempt: 2},
		[5]string{"delivered(websocket) a2 p1", "delivered(websocket) a2 p1", "delivered(websocket) a2 p1", same, "delivered(websocket) a2 p1"},
	},
	{
		"receipt of a replay",
		delivery.Input{Kind: delivery.Receipt, Attempt: 3},
		[5]string{"delivered(websocket) a3 p1", "delivered(websocket) a3 p1", "delivered(websocket) a3 p1", "delivered(webhook) a3 p1", "delivered(websocket) a3 p1"},
	},
	{
		"fell, nobody there",
		delivery.Input{Kind: delivery.Fell, Route: nobody},
		[5]string{"failed(no_route) a2 p1", same, "due+0s a2 p0", same, same},
	},
	{
		"fell, socket",
		delivery.Input{Kind: delivery.Fell, Route: socket},
		[5]string{"armed+10s a2 p1", same, "due+0s a2 p0", same, same},
	},
	{
		"fell, webhook",
		delivery.Input{Kind: delivery.Fell, Route: webhook},
		[5]string{"due+0s a2 p1", same, "due+0s a2 p0", same, same},
	},
	{
		"fell, both",
		delivery.Input{Kind: delivery.Fell, Route: both},
		[5]string{"due+0s a2 p1", same, "due+0s a2 p0", same, same},
	},
	{
		"dropped, nobody there",
		delivery.Input{Kind: delivery.Dropped, Route: nobody},
		[5]string{"failed(no_route) a2 p1", same, same, same, same},
	},
	{
		"dropped, another socket",
		delivery.Input{Kind: delivery.Dropped, Route: socket},
		[5]string{"armed+10s a3 p1", same, same, same, same},
	},
	{
		"dropped, webhook",
		delivery.Input{Kind: delivery.Dropped, Route: webhook},
		[5]string{"due+0s a2 p1", same, same, same, same},
	},
	{
		"dropped during a replay",
		delivery.Input{Kind: delivery.Dropped, Route: webhook, Attempt: 3},
		[5]string{"due+0s a3 p1", "due+0s a3 p1", same, same, "failed(exhausted) a3 p1"},
	},
	{
		"returned to its group",
		delivery.Input{Kind: delivery.Returned, Route: both, Attempt: 2},
		[5]string{"armed+10s a3 p1", "armed+10s a3 p1", same, same, same},
	},
	{
		"returned to nobody",
		delivery.Input{Kind: delivery.Returned, Route: webhook, Attempt: 3},
		[5]string{"due+0s a3 p1", "due+0s a3 p1", same, same, "failed(exhausted) a3 p1"},
	},
	{
		"returned during a replay",
		delivery.Input{Kind: delivery.Returned, Route: both, Attempt: 3},
		[5]string{"armed+10s a4 p1", "armed+10s a4 p1", same, same, "failed(exhausted) a3 p1"},
	},
	{
		"offered",
		delivery.Input{Kind: delivery.Offered, Route: both},
		[5]string{same, "armed+10s a3 p1", same, same, same},
	},
	{
		"offered to nobody",
		delivery.Input{Kind: delivery.Offered, Route: webhook},
		[5]string{same, same, same, same, same},
	},
	{
		"claimed",
		delivery.Input{Kind: delivery.Claimed, Route: webhook},
		[5]string{same, "posting+30s a3 p2", same, same, same},
	},
	{
		"claimed, endpoint gone, socket there",
		delivery.Input{Kind: delivery.Claimed, Route: socket},
		[5]string{same, "armed+10s a3 p1", same, same, same},
	},
	{
		"claimed, endpoint gone, nobody there",
		delivery.Input{Kind: delivery.Claimed, Route: nobody},
		[5]string{same, "failed(no_route) a2 p1", same, same, same},
	},
	{
		"answered 2xx",
		delivery.Input{Kind: delivery.Answered, Attempt: 2, Outcome: openmail.OutcomeDelivered},
		[5]string{"delivered(webhook) a2 p1", "delivered(webhook) a2 p1", "delivered(webhook) a2 p1", same, "delivered(webhook) a2 p1"},
	},
	{
		"answered 500",
		delivery.Input{Kind: delivery.Answered, Attempt: 2, Outcome: openmail.OutcomeRefused},
		[5]string{same, same, "due+30s a2 p1", same, same},
	},
	{
		"no answer",
		delivery.Input{Kind: delivery.Answered, Attempt: 2, Outcome: openmail.OutcomeError},
		[5]string{same, same, "due+30s a2 p1", same, same},
	},
	{
		"answered 500 by an attempt whose lease ran out",
		delivery.Input{Kind: delivery.Answered, Attempt: 1, Outcome: openmail.OutcomeRefused},
		[5]string{same, same, same, same, same},
	},
	{
		"answered 410",
		delivery.Input{Kind: delivery.Answered, Attempt: 2, Outcome: openmail.OutcomeGone},
		[5]string{same, same, "failed(gone) a2 p1", same, same},
	},
	{
		"redeliver, nobody there",
		delivery.Input{Kind: delivery.Redeliver, Route: nobody},
		[5]string{same, "failed(no_route) a2 p0", same, "failed(no_route) a2 p0", "failed(no_route) a2 p0"},
	},
	{
		"redeliver, webhook",
		delivery.Input{Kind: delivery.Redeliver, Route: webhook},
		[5]string{same, "due+0s a2 p0", same, "due+0s a2 p0", "due+0s a2 p0"},
	},
	{
		"redeliver, both",
		delivery.Input{Kind: delivery.Redeliver, Route: both},
		[5]string{same, "armed+10s a3 p0", same, "armed+10s a3 p0", "armed+10s a3 p0"},
	},
}

func TestEveryInputInEveryState(t *testing.T) {
	rules := delivery.DefaultRules()
	covered := map[delivery.Kind]bool{}
	for _, row := range table {
		covered[row.in.Kind] = true
		row.in.At = now
		for i, state := range openmail.States() {
			before := start(state)
			after, changed := rules.Next(before, row.in)
			want := row.want[i]
			if want == same {
				want = show(before)
			}
			if got := show(after); got != want || changed != (row.want[i] != same) {
				t.Errorf("%s, then %s: got %s (changed %v), want %s", show(before), row.name, got, changed, want)
			}
		}
	}
	for _, k := range delivery.Kinds() {
		if !covered[k] {
			t.Errorf("the table has no row for %v", k)
		}
	}
}

func TestBirthChoosesTheRoute(t *testing.T) {
	for route, want := range map[delivery.Route]string{
		nobody:  "failed(no_route) a0 p0",
		webhook: "due+0s a0 p0",
		socket:  "armed+10s a1 p0",
		both:    "armed+10s a1 p0",
	} {
		if got := show(delivery.DefaultRules().Born(now, route)); got != want {
			t.Errorf("born with %+v: got %s, want %s", route, got, want)
		}
	}
}

func TestPostsFollowTheSchedule(t *testing.T) {
	rules := delivery.DefaultRules()
	d, at := rules.Born(now, webhook), now
	for n, delay := range []time.Duration{0, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute} {
		if want := at.Add(delay); !d.Due.Equal(want) {
			t.Fatalf("post %d is due %v after the one before, want %v", n+1, d.Due.Sub(at), delay)
		}
		d, _ = rules.Next(d, delivery.Input{Kind: delivery.Claimed, At: d.Due, Route: webhook})
		at = d.Due.Add(-lease).Add(5 * time.Second) // the end of the post, not its beginning
		d, _ = rules.Next(d, delivery.Input{Kind: delivery.Answered, At: at, Attempt: n + 1, Outcome: openmail.OutcomeRefused})
	}
	if d.State != openmail.StateFailed || d.Reason != openmail.ReasonExhausted {
		t.Fatalf("after five posts: %s", show(d))
	}
}

func TestRetryAfterIsHonouredUpToTwiceTheSchedule(t *testing.T) {
	rules := delivery.DefaultRules()
	for asked, want := range map[time.Duration]time.Duration{
		0: 30 * time.Second, 10 * time.Second: 30 * time.Second, 45 * time.Second: 45 * time.Second, time.Hour: time.Minute,
	} {
		d, _ := rules.Next(start(openmail.StatePosting), delivery.Input{
			Kind: delivery.Answered, At: now, Attempt: 2, Outcome: openmail.OutcomeRefused, RetryAfter: asked,
		})
		if got := d.Due.Sub(now); got != want {
			t.Errorf("Retry-After %v: next post after %v, want %v", asked, got, want)
		}
	}
}

func TestNothingFallsBeforeItsTime(t *testing.T) {
	rules := delivery.DefaultRules()
	for _, s := range []openmail.State{openmail.StateArmed, openmail.StateDue, openmail.StatePosting} {
		for _, k := range []delivery.Kind{delivery.Fell, delivery.Claimed} {
			if _, changed := rules.Next(start(s), delivery.Input{Kind: k, At: now.Add(-time.Nanosecond), Route: webhook}); changed {
				t.Errorf("%s changed by %v before it was due", s, k)
			}
		}
	}
}

func TestAnOfferKeepsALaterPost(t *testing.T) {
	for _, k := range []delivery.Kind{delivery.Offered, delivery.Returned} {
		d := start(openmail.StateDue)
		d.Due = now.Add(4 * time.Minute)
		d, _ = delivery.DefaultRules().Next(d, delivery.Input{Kind: k, At: now, Route: both})
		if got := show(d); got != "armed+4m0s a3 p1" {
			t.Errorf("%v: got %s", k, got)
		}
	}
}

// depth is how many inputs follow each other in the exploration.
const depth = 12

// TestEveryReachableDeliveryIsSound takes every sequence of inputs from every
// birth, as long as depth: on time and early, of the attempt that is under way, the
// one before and the one after; and checks what must hold of each delivery on the
// way, and of each step.
func TestEveryReachableDeliveryIsSound(t *testing.T) {
	rules := delivery.DefaultRules()
	seen := map[string]bool{}
	steps := 0
	var walk func(d openmail.Delivery, at time.Time, left int)
	walk = func(d openmail.Delivery, at time.Time, left int) {
		if err := sound(d); err != "" {
			t.Fatalf("%s: %+v", err, d)
		}
		// Only how long something is from now matters to what follows.
		key := fmt.Sprintf("%s %s %v %v %d %d %d", d.State, d.Reason, d.Channel, d.Due.Sub(at), d.Attempts, d.Posts, left)
		if seen[key] || left == 0 {
			return
		}
		seen[key] = true
		for _, in := range inputs(d, at) {
			next, changed := rules.Next(d, in)
			steps++
			if err := lawful(rules, d, in, next, changed); err != "" {
				t.Fatalf("%s: %s, then %v %+v, is %s", err, show(d), in.Kind, in, show(next))
			}
			walk(next, in.At, left-1)
		}
	}
	for _, route := range []delivery.Route{nobody, socket, webhook, both} {
		walk(rules.Born(now, route), now, depth)
	}
	t.Logf("%d steps, to depth %d", steps, depth)
}

// inputs is all that may happen to a delivery.
func inputs(d openmail.Delivery, at time.Time) (all []delivery.Input) {
	times := []time.Time{at}
	if d.Due.After(at) {
		times = append(times, d.Due)
	}
	for _, when := range times {
		for _, route := range []delivery.Route{nobody, socket, webhook, both} {
			for _, k := range delivery.Kinds() {
				outcomes := []openmail.Outcome{""}
				if k == delivery.Answered {
					outcomes = []openmail.Outcome{openmail.OutcomeDelivered, openmail.OutcomeRefused, openmail.OutcomeGone}
				}
				for _, o := range outcomes {
					for n := max(1, d.Attempts-1); n <= d.Attempts+1; n++ {
						all = append(all, delivery.Input{Kind: k, At: when, Route: route, Attempt: n, Outcome: o})
					}
				}
			}
		}
	}
	return all
}

// lawful says what is wrong with a step; "" when nothing is.
func lawful(rules delivery.Rules, d openmail.Delivery, in delivery.Input, next openmail.Delivery, changed bool) string {
	read := in.Kind == delivery.Receipt || in.Kind == delivery.Answered && in.Outcome == openmail.OutcomeDelivered
	again := in.Kind == delivery.Redeliver
	took := func(s openmail.State) bool { return next.State == s && d.State != s }
	switch {
	case !changed && next != d:
		return "a change that is not reported"
	case changed && next == d && in.Kind != delivery.Fell && in.Kind != delivery.Dropped && !again:
		return "a change that is none"
	case in.Kind == delivery.Answered && !read && in.Attempt != d.Attempts && changed:
		return "the answer of another post counts"
	case next.Attempts < d.Attempts:
		return "the number of an attempt may come twice"
	case read && next.State != openmail.StateDelivered:
		return "what was read is not delivered"
	case d.State == openmail.StateDelivered && !again && (next.State != d.State || next.Channel != d.Channel || next.DeliveredAt != d.DeliveredAt):
		return "what was delivered is not any more"
	case took(openmail.StateDelivered) && !read:
		return "delivered, and nobody has read it"
	case took(openmail.StateFailed) && !mayFail(rules, d, in, next):
		return "given up though there was a way"
	case d.State == openmail.StateFailed && next.State != d.State && !read && !again:
		return "what had failed goes on by itself"
	case took(openmail.StatePosting) && (in.Kind != delivery.Claimed || !in.Route.Webhook || in.At.Before(d.Due) || next.Posts != d.Posts+1):
		return "a post that was not to begin"
	case (took(openmail.StatePosting) || took(openmail.StateArmed)) && next.Attempts == d.Attempts:
		return "a hand-over without a number of its own"
	case next.Due.Sub(in.At) > 8*time.Minute: // twice the longest pause of the schedule
		return "it waits for longer than anything asks it to"
	case next.Posts > len(rules.Schedule) && !again:
		return "posted more often than the schedule has it"
	}
	return ""
}

// mayFail reports whether a delivery may be given up.
func mayFail(rules delivery.Rules, d openmail.Delivery, in delivery.Input, next openmail.Delivery) bool {
	switch next.Reason {
	case openmail.ReasonNoRoute:
		return in.Route == nobody
	case openmail.ReasonGone:
		return in.Outcome == openmail.OutcomeGone
	case openmail.ReasonExhausted:
		return in.Outcome == openmail.OutcomeRefused && d.Posts >= len(rules.Schedule)
	}
	return false
}

func sound(d openmail.Delivery) string {
	waiting := d.State == openmail.StateArmed || d.State == openmail.StateDue || d.State == openmail.StatePosting
	switch {
	case waiting == d.Due.IsZero():
		return "only what waits has a due time"
	case (d.State == openmail.StateFailed) != (d.Reason != ""):
		return "only a failure has a reason"
	case (d.State == openmail.StateDelivered) != (d.Channel != ""):
		return "only what is delivered has a channel"
	case (d.State == openmail.StateDelivered) == d.DeliveredAt.IsZero():
		return "only what is delivered has a time of delivery"
	case d.Posts < 0 || d.Posts > d.Attempts:
		return "the counts do not add up"
	}
	return ""
}
