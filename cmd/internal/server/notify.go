package server

import (
	"fmt"
	"net"
	"strings"
)

// NotifySystemd tells systemd how the service stands (sd_notify(3)). Without
// NOTIFY_SOCKET in the environment nobody asks, and nothing happens.
func NotifySystemd(environ []string, state string) error {
	for _, entry := range environ {
		path, ok := strings.CutPrefix(entry, "NOTIFY_SOCKET=")
		if !ok || path == "" {
			continue
		}
		conn, err := net.Dial("unixgram", path) // a leading @, Linux's abstract names, is understood
		if err != nil {
			return fmt.Errorf("reach systemd's notify socket: %w", err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(state)); err != nil {
			return fmt.Errorf("notify systemd: %w", err)
		}
	}
	return nil
}
