package store

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"openmail"
)

// A process that is killed before its first checkpoint would leave the next one
// more of the log to read, and so on.
func TestRunCopiesTheLogBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openForDisk(t)
		for i := range 50 {
			fileOne(t, db, i, func(*openmail.Message) {})
		}
		size := func() int64 {
			info, err := os.Stat(filepath.Join(db.cfg.Dir, "openmail.db"))
			if err != nil {
				t.Fatal(err)
			}
			return info.Size()
		}
		before, start := size(), time.Now()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- db.Run(ctx) }()
		synctest.Wait()
		if after := size(); after <= before || !time.Now().Equal(start) {
			t.Errorf("the database had %d bytes and has %d, %v later", before, after, time.Since(start))
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
