//go:build race

package alloc

// slack is what bounds are multiplied by.
const slack = 2
