//go:build !unix

package server

import (
	"net"
	"time"
)

func gone(net.Conn, time.Duration) bool { return false }
