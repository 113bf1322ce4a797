package smtpout_test

import (
	"slices"
	"testing"

	"openmail/internal/outgoing"
)

func TestWhatAServerTookIsToldBeforeAnythingElseIsSaid(t *testing.T) {
	full := &server{replies: map[string]string{"RCPT TO:<c@there.test>": "452 4.2.2 full"}}
	second := &server{}
	s, _ := hosts(t, []string{
		"there.test. MX 10 a.there.test.", "there.test. MX 20 b.there.test.", "a.there.test. A 127.0.0.1", "b.there.test. A 127.0.0.2",
	}, full, second)
	type told struct {
		who    []int
		quit   bool
		second int // connections of the next server
	}
	var all []told
	p := parcel("b@there.test", "c@there.test")
	p.Taken = func(who []int, a outgoing.Answer) {
		checkAnswer(t, a, outgoing.FateAccepted, 250, "2.0.0", "taken as 42")
		all = append(all, told{who, slices.Contains(full.said(), "QUIT"), second.connections()})
	}
	answers := s.Send(t.Context(), p)
	if len(all) != 2 || !slices.Equal(all[0].who, []int{0}) || all[0].quit || all[0].second != 0 || !slices.Equal(all[1].who, []int{1}) {
		t.Errorf("told %+v", all)
	}
	for _, a := range answers {
		checkAnswer(t, a, outgoing.FateAccepted, 250, "2.0.0", "taken as 42")
	}
}
