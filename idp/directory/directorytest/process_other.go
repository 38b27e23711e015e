//go:build !linux

package directorytest

import "os/exec"

// dieWithParent does nothing where the kernel has no such service.
func dieWithParent(*exec.Cmd) {}
