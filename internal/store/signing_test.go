package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"openmail"
	"openmail/internal/store"
)

func signingKeys(private string) []openmail.SigningKey {
	at := time.Unix(1_700_000_000, 0).UTC()
	return []openmail.SigningKey{
		{Domain: "a.test", Selector: "one", Algorithm: "rsa", Private: []byte(private + "1"), CreatedAt: at},
		{Domain: "a.test", Selector: "two", Algorithm: "ed25519", Private: []byte(private + "2"), CreatedAt: at},
	}
}

func TestADomainKeepsTheFirstSigningKeysThatItGot(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house) {
		none, err := h.SigningKeys(t.Context(), openmail.Operator(), "a.test")
		if err != nil || len(none) != 0 {
			t.Errorf("a new domain has %v, %v", none, err)
		}
		want := signingKeys("first")
		for _, keys := range [][]openmail.SigningKey{want, signingKeys("second")} {
			held, err := h.PutSigningKeys(t.Context(), openmail.Operator(), "a.test", keys)
			if err != nil || !reflect.DeepEqual(held, want) {
				t.Errorf("put %v, %v", held, err)
			}
		}
		held, err := h.SigningKeys(t.Context(), openmail.Operator(), "a.test")
		if err != nil || !reflect.DeepEqual(held, want) {
			t.Errorf("read %v, %v", held, err)
		}
	})
}

func TestTwoNodesThatMakeSigningKeysEndWithOneSet(t *testing.T) {
	h := newHouse(t, newDatabase(t))
	other := openStore(t, h.at)
	defer func() { h.check(other.Close()) }()
	for i := range 20 {
		domain := string(rune('a'+i)) + ".test"
		var held [2][]openmail.SigningKey
		var both sync.WaitGroup
		for n, db := range []*store.DB{h.DB, other} {
			both.Go(func() {
				var err error
				if held[n], err = db.PutSigningKeys(t.Context(), openmail.Operator(), domain, signingKeys(string(rune('x'+n)))); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if len(held[0]) != 2 || !reflect.DeepEqual(held[0], held[1]) || held[0][0].Private[0] != held[0][1].Private[0] {
			t.Errorf("%s: %#v and %#v", domain, held[0], held[1])
		}
	}
}

func TestSigningKeysAreSealedAndForTheServerAlone(t *testing.T) {
	h := newHouse(t, "")
	_, err := h.PutSigningKeys(t.Context(), openmail.Operator(), "a.test", signingKeys("plainly"))
	h.check(err)
	files, err := filepath.Glob(h.at.dir + "/openmail.db*")
	h.check(err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		h.check(err)
		if bytes.Contains(b, []byte("plainly")) {
			t.Errorf("%s holds a private key as it is", filepath.Base(file))
		}
	}
	if _, err := h.SigningKeys(t.Context(), h.scope, "a.test"); openmail.CodeOf(err) != openmail.CodeNotFound {
		t.Errorf("an account reads signing keys: %v", err)
	}
	if _, err := h.PutSigningKeys(t.Context(), h.scope, "b.test", signingKeys("x")); openmail.CodeOf(err) != openmail.CodeNotFound {
		t.Errorf("an account puts signing keys: %v", err)
	}
}
