//go:build !race

package idp_test

// raceDetector tells whether times mean nothing.
const raceDetector = false
