//go:build !race

package alloc

// slack is the factor by which bounds are multiplied.
const slack = 1
