package certs

import "time"

// RenewSoon makes c renew whatever is older than a ten-thousandth of its life,
// and look for it every so often.
func (c *ACME) RenewSoon(every time.Duration) { c.renewEvery, c.renewAt = every, 0.9999 }
