//go:build !race

package provisioning_test

// raceDetector tells whether more is allocated than the program would.
const raceDetector = false
