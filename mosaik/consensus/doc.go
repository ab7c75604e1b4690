// Package consensus defines the plain types of a consensus group: how a member is configured
// ([Config], [Policy], [Role]), what it reports ([Status], [Member], [Bond], [Leadership]), and the
// errors that carry data ([RefusedError], [BehindError], [PoisonedError], [OutdatedError]).
//
// Package mosaik accepts and returns these types; a value of one can be made, printed, marshalled
// and compared without a group. Of this module the package imports only sm, so the package of a
// state machine ([Defaulter]) or a monitoring tool can use it without the library.
package consensus
