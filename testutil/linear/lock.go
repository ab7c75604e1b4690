package linear

// LockInput is an operation on a lock. [Acquire] and [Release] make one.
type LockInput struct {
	Holder  string // who acquires or releases
	Release bool
}

// LockOutput is the output of an operation on a lock.
type LockOutput struct {
	OK    bool   // the lock was acquired, or released by its holder
	Token uint64 // of acquire: the fencing token, 0 if the lock has none
}

// Acquire takes the lock for a holder, unless another one has it. A holder that acquires the lock
// again gets it.
func Acquire(holder string) LockInput { return LockInput{Holder: holder} }

// Release frees the lock, if the holder has it.
func Release(holder string) LockInput { return LockInput{Holder: holder, Release: true} }

// LockState is the state of a lock.
type LockState struct {
	Holder string // "" if the lock is free
	Token  uint64 // the highest token so far
}

// Lock returns the model of a lock that is free at first. Fencing tokens must grow whenever the
// lock gets another holder. A lock whose leases expire by themselves needs a model of its own.
func Lock() Model[LockState, LockInput, LockOutput] {
	return Model[LockState, LockInput, LockOutput]{
		Init:  func() LockState { return LockState{} },
		Equal: func(a, b LockState) bool { return a == b },
		Step: func(s LockState, in LockInput, out Output[LockOutput]) (LockState, bool) {
			if !out.Unknown && out.Err != nil {
				return s, true
			}
			has, got := s.Holder == in.Holder, out.Value
			if in.Release {
				if has {
					s.Holder = ""
				}
				return s, out.Unknown || got.OK == has
			}
			switch {
			case s.Holder != "" && !has:
				return s, out.Unknown || !got.OK
			case out.Unknown:
				s.Holder = in.Holder
				return s, true
			case !got.OK:
				return s, false
			}
			grows := got.Token > s.Token || has && got.Token == s.Token || got.Token == 0
			s.Holder, s.Token = in.Holder, max(s.Token, got.Token)
			return s, grows
		},
	}
}
