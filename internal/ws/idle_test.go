package ws

func idleServer() bool { return false }
