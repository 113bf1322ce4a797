package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"openmail/internal/app"
)

func TestLengthsOfTimeHaveTheirUnitInTheLog(t *testing.T) {
	var out strings.Builder
	newLogger(app.Config{Log: "json"}, &out).Info("http.request", "took", 1500*time.Microsecond, "status", 200)
	var record map[string]any
	if err := json.Unmarshal([]byte(out.String()), &record); err != nil {
		t.Fatal(err)
	}
	if record["took_ms"] != 1.5 || record["status"] != 200.0 || record["took"] != nil {
		t.Errorf("the record is %s", out.String())
	}
}
