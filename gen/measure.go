package gen

const (
	hugeSize = 1 << 30 // what sizes are cut off at, so that no sum or product of them overflows
	// memoryPerByte is how much memory a decoder grants for each byte.
	memoryPerByte = 128
)

// measured is what is known of a type's values from its structure. It is found
// once, when it is first asked for: structs within structs may be reached in very
// many ways.
type measured struct {
	memory, encoded, room int64            // see size, least and roomInside; 0 until then, else one more
	grown                 map[uint32]int64 // see growth
	sure                  tri              // see certain
	empty                 emptiness
}

// tri is a bool that may not be known yet.
type tri uint8

const (
	no tri = iota + 1
	yes
)

// size returns the memory that a value of t takes, in bytes, without padding and
// as if every word had 64 bits: all members must draw the same line.
func (t *Type) size() int64 { return once(&t.measured.memory, t.findSize) }

// least returns how many bytes the encoding of any value of t takes at least.
func (t *Type) least() int64 { return once(&t.measured.encoded, t.findLeast) }

// once returns what find does, which is at least 0, and calls it only the first
// time.
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

// sparse reports whether encodings of t may be so much smaller than the values
// that a decoder refuses them.
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
