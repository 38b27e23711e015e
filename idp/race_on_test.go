//go:build race

package idp_test

// raceDetector makes everything several times slower; times are not asserted then.
const raceDetector = true
