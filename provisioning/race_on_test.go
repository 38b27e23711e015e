//go:build race

package provisioning_test

// raceDetector makes everything allocate a third more.
const raceDetector = true
