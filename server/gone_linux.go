package server

import "golang.org/x/sys/unix"

// hangup is the event of the other side's end, also with bytes unread before it.
const hangup = unix.POLLRDHUP
