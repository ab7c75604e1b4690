package gen

const (
	hugeSize = 1 << 30 // sizes are capped at it, so that no sum or product of two overflows
	// memoryPerByte is how much memory a decoder allows for each byte of a command.
	memoryPerByte = 128
)

// measured caches what follows from the structure of a type. Without the cache the
// time would be exponential: nested structs can be reached on very many paths.
type measured struct {
	memory, encoded, hint int64            // see size, least and hintInside, plus 1; 0 if unknown
	grown                 map[uint32]int64 // see growth
	sure                  tri              // see certain
	empty                 emptiness        // see emptiness
}

// tri is a bool that may be unknown.
type tri uint8

const (
	no tri = iota + 1
	yes
)

// size returns the memory that a value of t takes, in bytes, without padding and with
// words of 64 bits, so that it is the same in all members.
func (t *Type) size() int64 { return once(&t.measured.memory, t.findSize) }

// least returns the least number of bytes that the encoding of a value of t takes.
func (t *Type) least() int64 { return once(&t.measured.encoded, t.findLeast) }

// once returns the result of find, which is not negative, and calls it only once.
func once(known *int64, find func() int64) int64 {
	if *known == 0 {
		*known = find() + 1
	}
	return *known - 1
}

func (t *Type) findSize() int64 {
	switch t.Kind {
	case Bool:
		return 1
	case Int, Uint, Float:
		return int64(t.Bits / 8)
	case String, Sum:
		return 16
	case Bytes, Slice, Time:
		return 24
	case ByteArray:
		return int64(t.Len)
	case Array:
		return min(int64(t.Len)*t.Elem.size(), hugeSize)
	case Struct:
		var sum int64
		for i := range t.Fields {
			sum += t.Fields[i].Type.size()
		}
		return min(sum, hugeSize)
	case Own:
		return ownSize
	}
	return 8
}

func (t *Type) findLeast() int64 {
	switch t.Kind {
	case Int, Uint, Float:
		return 1 + int64(t.Bits/8)
	case Duration:
		return 9
	case Time:
		return 6
	case Own:
		return 2
	case ByteArray:
		return 2 + int64(t.Len)
	case Array:
		return min(1+int64(t.Len)*t.Elem.least(), hugeSize)
	case Struct:
		sum := int64(1)
		for i := range t.Fields {
			f := &t.Fields[i]
			if f.OmitEmpty || len(f.pointers) > 0 && !t.Tuple {
				continue
			}
			if len(f.pointers) > 0 {
				sum++ // nil
				continue
			}
			if !t.Tuple {
				sum += 1 + int64(len(f.Name))
			}
			sum += f.Type.least()
		}
		return min(sum, hugeSize)
	}
	return 1
}

// sparse reports whether a value of t may take so much more memory than its encoding
// that a decoder refuses it.
func (t *Type) sparse() bool {
	found := false
	t.walk(func(o *Type) {
		var memory, encoded int64 = 0, 1
		switch o.Kind {
		case Slice:
			memory, encoded = o.Elem.size(), o.Elem.least()
		case Map:
			memory, encoded = 2*(o.Key.size()+o.Elem.size()), o.Key.least()+o.Elem.least()
		case Pointer:
			memory, encoded = 8+o.Elem.size(), o.Elem.least()
		case Sum:
			for _, v := range o.Variants {
				if m, e := 16+v.Type.size(), 2+v.Type.least(); m*encoded > memory*e {
					memory, encoded = m, e
				}
			}
		}
		found = found || memory > memoryPerByte*encoded || o.hasPointers()
	})
	return found
}
