package outgoing_test

import (
	"log/slog"
	"testing"

	"openmail"
	"openmail/internal/outgoing"
)

// notes what was filed.
type notes []openmail.State

func (n *notes) Filed(_, _ string, s openmail.State) { *n = append(*n, s) }

func TestASuspensionIsAnsweredInTheOrderOfTheContract(t *testing.T) {
	w := newWorld(t, &remote{answer: accepts})
	told := &notes{}
	o := outgoing.NewOperators(w.db, told, slog.New(slog.DiscardHandler))
	before := w.letter("a@other.test")
	before.Key = "k"
	first := w.send(before)
	_, err := o.Suspend(t.Context(), openmail.SuspendedInbox, w.jane.ID, openmail.SuspendedBounces)
	check(t, err)
	w.policy(openmail.Outbound, openmail.ModeAllowlist)
	// What was answered before is answered again; what is not there is not
	// there; the rest of what is wrong is not looked at.
	if again := w.send(before); again.Message != first.Message || !again.Replayed {
		t.Errorf("sent again: %+v", again)
	}
	gone := w.letter("a@other.test")
	gone.Thread = "thr_nothing"
	w.refused(openmail.CodeNotFound, "", gone)
	if e := w.refused(openmail.CodeSuspended, "", w.letter("a@other.test")); e.Type != "high_bounce_rate" {
		t.Errorf("refused with %+v", e)
	}
	m := w.arrives(w.jane.Address, "From: ann@other.test\nSubject: hello\n\nHi.\n")
	if m.Inbox != w.jane.ID {
		t.Errorf("it does not receive: %+v", m)
	}
	_, err = o.Suspend(t.Context(), openmail.SuspendedAccount, w.scope.Account, openmail.SuspendedReview)
	check(t, err)
	w.refused(openmail.CodeBanned, "", w.letter("a@other.test"))
	for kind, name := range map[openmail.SuspendedKind]string{openmail.SuspendedAccount: w.scope.Account, openmail.SuspendedInbox: w.jane.ID} {
		_, err := o.Reactivate(t.Context(), kind, name)
		check(t, err)
	}
	w.refused(openmail.CodeNotPermitted, "to", w.letter("a@other.test"))
	w.policy(openmail.Outbound, openmail.ModeNone)
	w.send(w.letter("a@other.test"))
	if len(*told) != 2 { // the account's are told to nobody
		t.Errorf("the dispatcher was told of %v", *told)
	}
}

func TestAReasonThatIsNoneIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	o := outgoing.NewOperators(w.db, &notes{}, slog.New(slog.DiscardHandler))
	if _, err := o.Suspend(t.Context(), openmail.SuspendedInbox, w.jane.ID, "because"); openmail.CodeOf(err) != openmail.CodeBadRequest {
		t.Errorf("the reason: %v", err)
	}
	if _, err := o.Suspend(t.Context(), "thread", w.jane.ID, openmail.SuspendedOther); openmail.CodeOf(err) != openmail.CodeBadRequest {
		t.Errorf("the kind: %v", err)
	}
}
