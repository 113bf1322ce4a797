package certs

import "time"

// RenewSoon makes c renew whatever is older than a hundred-millionth of its
// life, and look for it every so often.
func (c *ACME) RenewSoon(every time.Duration) { c.renewEvery, c.renewAt = every, 1-1e-8 }
