package determinism

// tries is how often a script is executed before it counts as one without a difference: a
// difference by the order of a small map shows in every second execution only.
const tries = 4

// maxExecutions bounds the work of shrinking.
const maxExecutions = 400

// Shrink returns the shortest script that it finds, a part of s, for which find returns a
// difference, and that difference. found is the one of s.
func Shrink(s Script, found *Difference, find func(Script) (*Difference, error)) (Script, *Difference, error) {
	left := maxExecutions
	fails := func(c Script) (*Difference, error) {
		for range tries {
			if left == 0 {
				return nil, nil
			}
			left--
			if d, err := find(c); d != nil || err != nil {
				return d, err
			}
		}
		return nil, nil
	}
	// What follows the command after which the difference shows is not needed.
	cut := s.keep(func(i int) bool { return i <= found.Command })
	if d, err := fails(cut); err != nil {
		return s, found, err
	} else if d != nil {
		s, found = cut, d
	}
	for size := max(1, len(s.Commands)/2); ; size /= 2 {
		for from := 0; from < len(s.Commands) && size < len(s.Commands); {
			c := s.keep(func(i int) bool { return i < from || i >= from+size })
			d, err := fails(c)
			if err != nil {
				return s, found, err
			}
			if d == nil {
				from += size
				continue
			}
			s, found = c, d
		}
		if size == 1 {
			return s, found, nil
		}
	}
}
