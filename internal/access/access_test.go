package access_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"openmail"
	"openmail/internal/access"
	"openmail/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a real store in dir, and an Access over it.
func open(t *testing.T, dir string) (*access.Access, *store.DB) {
	t.Helper()
	db, err := store.Open(context.Background(), store.Config{Dir: dir, FileKey: bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return access.New(access.Config{Keys: db, Uses: db, Accounts: db, Inboxes: db}), db
}

func shut(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestTokenHasTheShapeThatScannersKnow(t *testing.T) {
	shape := regexp.MustCompile(`^om_[a-z2-7]{58}$`)
	seen := map[string]bool{}
	for range 1000 {
		token := access.NewToken()
		if !shape.MatchString(token) || !access.WellFormed(token) || seen[token] {
			t.Fatalf("token %q", token)
		}
		seen[token] = true
		for _, i := range []int{3, 30, 60} { // any one character changed
			other := byte('a')
			if token[i] == other {
				other = 'b'
			}
			if changed := token[:i] + string(other) + token[i+1:]; i < 60 && access.WellFormed(changed) {
				t.Errorf("%q passes for a token", changed)
			}
		}
	}
	for _, bad := range []string{"", "om_", "om_live_x", strings.ToUpper(access.NewToken()), access.NewToken() + "a", access.NewToken()[3:]} {
		if access.WellFormed(bad) {
			t.Errorf("%q passes for a token", bad)
		}
	}
}

func TestFirstMakesOneAccountOnce(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	a, db := open(t, dir)
	for _, bad := range []string{"secret", "om_abc", "om_" + strings.Repeat("x", 600), "om_with a space in the middle of it", "xx_0123456789012345678901234567"} {
		if _, _, err := a.First(ctx, bad); openmail.CodeOf(err) != openmail.CodeBadRequest {
			t.Errorf("root key %.40q: %v", bad, err)
		}
	}
	const chosen = "om_chosen_by_the_operator_0001"
	token, created, err := a.First(ctx, chosen)
	if err != nil || !created || token != chosen {
		t.Fatalf("first: %q, %v, %v", token, created, err)
	}
	if again, created, err := a.First(ctx, "om_another_one_of_the_operator"); err != nil || created || again != "" {
		t.Errorf("second: %q, %v, %v", again, created, err)
	}
	key, err := a.Authenticate(ctx, chosen)
	if err != nil || key.Inbox != "" || key.Name != "root" {
		t.Errorf("the key: %+v, %v", key, err)
	}
	shut(t, db)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files: %v, %v", files, err)
	}
	for _, f := range files {
		if content, err := os.ReadFile(f); err != nil || bytes.Contains(content, []byte(chosen)) {
			t.Errorf("%s holds the key (or cannot be read: %v)", f, err)
		}
	}
}

func TestOnlyWholeTokensOfValidKeysAreGood(t *testing.T) {
	ctx := t.Context()
	a, db := open(t, t.TempDir())
	defer shut(t, db)
	root, _, err := a.First(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", root[:20], root + "x", strings.ToUpper(root), access.NewToken(), strings.Repeat("om_", 1000)} {
		if _, err := a.Authenticate(ctx, bad); openmail.CodeOf(err) != openmail.CodeUnauthorized {
			t.Errorf("%.30q: %v", bad, err)
		}
	}
	key, err := a.Authenticate(ctx, root)
	if err != nil || !a.Familiar(root) || a.Familiar(root+"x") {
		t.Fatalf("the root key: %v", err)
	}
	if err := a.Revoke(ctx, key.Scope(), access.Owner{}, key.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(ctx, root); openmail.CodeOf(err) != openmail.CodeUnauthorized || a.Familiar(root) {
		t.Errorf("after its end: %v", err)
	}
}

func TestFailingStoreIsNotABadKey(t *testing.T) {
	a, db := open(t, t.TempDir())
	defer shut(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Authenticate(ctx, access.NewToken()); err == nil || openmail.CodeOf(err) != openmail.CodeInternal {
		t.Errorf("error: %v", err)
	}
}

func TestNameOfAKeyIsBounded(t *testing.T) {
	ctx := t.Context()
	a, db := open(t, t.TempDir())
	defer shut(t, db)
	root, _, err := a.First(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	owner, err := a.Authenticate(ctx, root)
	if err != nil {
		t.Fatal(err)
	}
	for name, code := range map[string]openmail.Code{
		"": "", "agent Ö": "", strings.Repeat("ö", 255): "", strings.Repeat("ö", 256): openmail.CodeBadRequest, "a\nb": openmail.CodeBadRequest, "\xff": openmail.CodeBadRequest,
	} {
		if _, _, err := a.CreateKey(ctx, owner.Scope(), access.Owner{}, name); openmail.CodeOf(err) != code {
			t.Errorf("%.20q: %v, want %s", name, err, code)
		}
	}
}

func TestLastUseIsWrittenEveryHalfMinuteAndAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, db := open(t, dir)
		defer shut(t, db)
		ctx, stop := context.WithCancel(context.Background())
		root, _, err := a.First(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() {
			if err := a.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		used := func() time.Time {
			key, err := a.Authenticate(context.Background(), root)
			if err != nil {
				t.Fatal(err)
			}
			return key.LastUsedAt
		}
		first := time.Now()
		if at := used(); !at.IsZero() {
			t.Errorf("used at %v before it was written", at)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if at := used(); at.Sub(first).Abs() > time.Millisecond {
			t.Errorf("used at %v, want %v", at, first)
		}
		second := time.Now()
		stop()
		running.Wait()
		if at := used(); at.Sub(second).Abs() > time.Millisecond {
			t.Errorf("at the end used at %v, want %v", at, second)
		}
	})
}

// broken fails to write until it is mended.
type broken struct {
	access.Uses
	mended bool
	wrote  map[string]time.Time
}

func (b *broken) TouchKeys(_ context.Context, _ openmail.Scope, used map[string]time.Time) error {
	if !b.mended {
		return errors.New("disk full")
	}
	b.wrote = used
	return nil
}

func TestLastUseThatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		_, db := open(t, dir)
		defer shut(t, db)
		uses := &broken{}
		a := access.New(access.Config{Keys: db, Uses: uses, Accounts: db, Inboxes: db})
		root, _, err := a.First(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		key, err := a.Authenticate(context.Background(), root)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() {
			if err := a.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		used := time.Now()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		uses.mended = true
		stop()
		running.Wait()
		if at := uses.wrote[key.ID]; !at.Equal(used) {
			t.Errorf("wrote %v, want %v", at, used)
		}
	})
}
