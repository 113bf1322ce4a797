//go:build unix

package cli

import (
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoLooksAtALockKeepsNobodyFromTakingIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir() + "/bridge.lock"
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH); err != nil { // as lockHolder does
			t.Fatal(err)
		}
		time.AfterFunc(50*time.Millisecond, func() { f.Close() })
		l, err := takeLock(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		l.release()
	})
}
