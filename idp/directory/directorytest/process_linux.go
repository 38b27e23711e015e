package directorytest

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the server when the test binary dies without running its cleanup (a panic, a test
// timeout).
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
