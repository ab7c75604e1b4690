package sm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"

	"github.com/mosaik-go/mosaik/sm"
)

// Product is an element of a container. It holds no pointers, slices or plain maps, which
// copies would share.
type Product struct {
	Name   string
	Prices sm.List[int64] // the history of prices, the current one last
}

// A Map is changed with Set, Update and Delete, and read in the order of its keys.
func ExampleMap() {
	var products sm.Map[string, Product]
	for _, id := range []string{"tea", "salt", "jam"} {
		products.Set(id, Product{Name: id})
	}
	products.Update("tea", func(p Product) Product {
		p.Prices.Append(250, 275)
		return p
	})
	products.Delete("jam")

	for id, p := range products.All() {
		fmt.Println(id, p.Prices)
	}
	fmt.Println(products.First())

	// Output:
	// salt []
	// tea [250 275]
	// salt {salt []} true
}

// A copy of a Map is a frozen view, which costs no more for a large map than for a small
// one.
func ExampleMap_frozen() {
	var stock sm.Map[string, int64]
	stock.Set("tea", 5)
	frozen := stock
	stock.Set("tea", 4)
	stock.Set("jam", 1)

	fmt.Println(stock, frozen)

	// Output:
	// map[jam:1 tea:4] map[tea:5]
}

// From and Between iterate over a part of the keys.
func ExampleMap_Between() {
	events := sm.CollectMap(maps.All(map[int64]string{100: "open", 250: "deposit", 300: "withdraw", 900: "close"}))
	for at, what := range events.Between(200, 900) {
		fmt.Println(at, what)
	}
	for at := range events.Between(0, 300) { // an iteration sees the map from before
		events.Delete(at)
	}
	fmt.Println(events)

	// Output:
	// 250 deposit
	// 300 withdraw
	// map[300:withdraw 900:close]
}

func ExampleList() {
	var queue sm.List[string]
	queue.Append("first", "second", "third")
	queue.Insert(1, "urgent")
	next, _ := queue.First()
	queue.Delete(0, 1)
	fmt.Println(next, queue, queue.Len())

	// Output:
	// first [urgent second third] 3
}

// Warehouse is a hand-written machine whose state is large.
type Warehouse struct {
	stock sm.Map[string, int64]
}

// warehouseState is a view of the state of a Warehouse: copies of its fields.
type warehouseState struct{ stock sm.Map[string, int64] }

// Freeze implements sm.Freezer.
func (w *Warehouse) Freeze() (sm.View, error) { return warehouseState{w.stock}, nil }

// Snapshot implements sm.Snapshotter.
func (w *Warehouse) Snapshot(dst io.Writer) error { return warehouseState{w.stock}.Snapshot(dst) }

// Snapshot implements sm.View. It runs while the Warehouse applies further commands.
func (s warehouseState) Snapshot(dst io.Writer) error {
	enc := json.NewEncoder(dst)
	for article, n := range s.stock.All() {
		if err := enc.Encode(stocked{article, n}); err != nil {
			return err
		}
	}
	return nil
}

// Close implements sm.View.
func (warehouseState) Close() error { return nil }

// stocked is a line of a snapshot.
type stocked struct {
	Article string
	N       int64
}

// Restore implements sm.Snapshotter.
func (w *Warehouse) Restore(src io.Reader) error {
	var stock sm.Map[string, int64]
	for dec := json.NewDecoder(src); ; {
		var line stocked
		if err := dec.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("warehouse: restore: %w", err)
		}
		stock.Set(line.Article, line.N)
	}
	w.stock = stock
	return nil
}

// The member freezes the machine, and writes the view while it applies further commands.
func ExampleFreezer() {
	var machine sm.Freezer = &Warehouse{stock: sm.CollectMap(maps.All(map[string]int64{"tea": 5, "salt": 2}))}

	view, err := machine.Freeze()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer view.Close()
	machine.(*Warehouse).stock.Set("tea", 0) // by a later command

	var snapshot bytes.Buffer
	fmt.Println(view.Snapshot(&snapshot))
	fmt.Print(snapshot.String())

	// Output:
	// <nil>
	// {"Article":"salt","N":2}
	// {"Article":"tea","N":5}
}
