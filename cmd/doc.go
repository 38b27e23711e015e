// Package cmd is the folder of the programs: ssobridge, and beside it the demo and the sandbox. It has no code itself.
// Its tests look at the project as a whole: which package imports which, what the programs link, with which toolchain
// they are built, and that a test cites each row of docs/checklist.md.
package cmd
