package store

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"openmail"
	"openmail/internal/intake"
	"openmail/internal/mailbox"
)

// benchmarkPolicies runs do beside no policies at all, and beside an allowlist of
// 10,000 rules at each of an inbox's levels.
func benchmarkPolicies(b *testing.B, do func(*testing.B, *DB, openmail.Scope)) {
	for name, rules := range map[string]int{"none": 0, "full": 10_000} {
		b.Run(name, func(b *testing.B) {
			db := openForDisk(b)
			pod, err := db.Pod(b.Context(), openmail.Scope{Account: "acc_1"}, "")
			if err != nil {
				b.Fatal(err)
			}
			at := openmail.Scope{Account: "acc_1", Pod: pod.ID, Inbox: "inb_1"}
			for n := 1; n <= 3 && rules > 0; n++ {
				fillLevel(b, db, at.Above(n), rules)
			}
			do(b, db, at)
		})
	}
}

func fillLevel(b *testing.B, db *DB, at openmail.Scope, rules int) {
	level := openmail.PolicyLevel{At: at, Mode: openmail.ModeAllowlist, ByAccount: true}
	for i := range rules {
		level.Rules = append(level.Rules, openmail.Rule{
			ID: fmt.Sprint("rule_", len(at.Levels()), "_", i), At: at, Direction: openmail.Inbound, Type: openmail.RuleAllow,
			Value: fmt.Sprint("sender-", i, "@sender.test"), ByAccount: true,
		})
	}
	level.Rules[0].Value = "sender.test"
	record := openmail.PolicyRecord{ID: "rec_" + levelID(at), At: at, Direction: openmail.Inbound}
	err := db.ChangePolicy(b.Context(), openmail.Scope{Account: "acc_1"}, at, nil, func([]openmail.Policy) ([]mailbox.PolicyChange, error) {
		return []mailbox.PolicyChange{{Level: level, ReplaceRules: true, Record: record}}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPolicyFor is what every mail asks for. RowOfInbox, which reads one row
// by its key, is the reference.
func BenchmarkPolicyFor(b *testing.B) {
	benchmarkPolicies(b, func(b *testing.B, db *DB, at openmail.Scope) {
		b.Run("PolicyFor", func(b *testing.B) {
			for b.Loop() {
				p, err := db.PolicyFor(b.Context(), openmail.Scope{Account: "acc_1"}, openmail.Inbound, []openmail.Scope{at}, []string{"ann@sender.test"})
				if err != nil || !p[0].Admits("ann@sender.test").Admitted {
					b.Fatal(p, err)
				}
			}
		})
		b.Run("RowOfInbox", func(b *testing.B) {
			for b.Loop() {
				if _, err := db.InboxAt(b.Context(), openmail.Operator(), "jane@openmail.test"); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkTurnedAway files mail that is refused, which is recorded. Admitted is
// the reference.
func BenchmarkTurnedAway(b *testing.B) {
	n := 0
	for name, refused := range map[string]bool{"Admitted": false, "Refused": true} {
		b.Run(name, func(b *testing.B) {
			db := openForDisk(b)
			for b.Loop() {
				n++
				if _, err := db.File(b.Context(), turnedAway(n, refused)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func turnedAway(n int, refused bool) intake.Filing {
	f := random(n, 2000)
	f.Digest = sha256.Sum256(f.Raw)
	c := &f.Copies[0]
	if refused {
		c.Verdict = openmail.Verdict{Reason: openmail.ReasonUnknown}
		c.Expires = time.Now().Add(time.Hour)
		c.Refused = &openmail.PolicyRecord{
			ID: fmt.Sprint("rec_", n), At: openmail.Scope{Account: "acc_1", Pod: "pod_1", Inbox: "inb_1"}, Action: openmail.PolicyRefused, Direction: openmail.Inbound,
			Address: fmt.Sprint(n, "@sender.test"), Reason: openmail.ReasonUnknown, CreatedAt: f.At,
		}
	}
	return f
}
