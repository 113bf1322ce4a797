//go:build !unix

package ws

// canOffer: every write goes through the runtime, and may wait.
const canOffer = false

func writeOnce(uintptr, []byte) int { return -1 }
